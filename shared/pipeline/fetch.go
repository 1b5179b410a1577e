package pipeline

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"cloud.google.com/go/storage"

	"github.com/millrace-ml/millrace/shared/fault"
)

// fetchTimeout bounds the download of a model folder: 512 MiB at 1 MiB/s.
const fetchTimeout = 10 * time.Minute

// Fetch brings a released model folder into dir, which must not exist yet or be empty. It is there whole or not at all:
// the bytes are checked against the digest before anything is unpacked, and unpacked beside dir before they take its name.
func Fetch(ctx context.Context, client *storage.Client, uri, digest, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return fmt.Errorf("fetch %s: %w", uri, err)
	}
	tmp, err := os.MkdirTemp(parent, ".fetch-")
	if err != nil {
		return fmt.Errorf("fetch %s: %w", uri, err)
	}
	defer os.RemoveAll(tmp) // of a failure only a folder that nobody reads is left
	file, err := os.Create(filepath.Join(tmp, "folder.tar"))
	if err != nil {
		return fmt.Errorf("fetch %s: %w", uri, err)
	}
	defer file.Close()
	if err := download(ctx, client, uri, digest, file, maxFolder+maxFolderFiles*2048); err != nil {
		return err
	}
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("fetch %s: %w", uri, err)
	}
	if err := Untar(file, filepath.Join(tmp, "folder")); err != nil {
		return fmt.Errorf("fetch %s: %w", uri, err)
	}
	if err := os.Rename(filepath.Join(tmp, "folder"), dir); err != nil {
		return fmt.Errorf("fetch %s: %w", uri, err)
	}
	return nil
}

// ReadSpec reads the YAML of a released pipeline and checks it against its digest.
func ReadSpec(ctx context.Context, client *storage.Client, uri, digest string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	var b bytes.Buffer
	if err := download(ctx, client, uri, digest, &b, maxSpec); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// download copies an object and says whether it is the one that the digest names. What w got is of no use after an error.
func download(ctx context.Context, client *storage.Client, uri, digest string, w io.Writer, limit int64) error {
	bucket, object, err := parseURI(uri)
	if err != nil {
		return err
	}
	r, err := client.Bucket(bucket).Object(object).NewReader(ctx)
	if err != nil {
		return storageFault(err, "read %s", uri)
	}
	defer r.Close()
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, sum), io.LimitReader(r, limit+1))
	var local *os.PathError
	switch {
	case errors.As(err, &local): // our disk, not storage
		return fmt.Errorf("fetch %s: %w", uri, err)
	case err != nil:
		return storageFault(err, "read %s", uri)
	case n > limit:
		return fault.New(fault.TooLarge, nil, "%s: is larger than %d bytes", uri, limit)
	}
	if got := digestPrefix + hex.EncodeToString(sum.Sum(nil)); got != digest {
		return fault.New(fault.Invalid, nil, "%s: has digest %s, expected %s", uri, got, digest)
	}
	return nil
}
