package pipeline

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/millrace-ml/millrace/shared/fault"
)

// Limits of a model folder. The artifact is the large part; model files are read up to 256 MiB.
const (
	maxFolder      = 512 << 20
	maxFolderFiles = 10_000
	maxName        = 512
)

// Tar packs a model folder: files in order of their names, no times, owners or modes, so that equal folders have equal
// digests. Hidden files and folders are left out; anything that is no plain file is refused.
func Tar(fsys fs.FS) (data []byte, digest string, err error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	files := 0
	err = fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != "." && strings.HasPrefix(path.Base(name), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return nil
		case !d.Type().IsRegular():
			return fault.New(fault.Invalid, nil, "%s: is no plain file, a model folder holds only those", name)
		}
		if files++; files > maxFolderFiles {
			return fault.New(fault.TooLarge, nil, "the model folder has more than %d files", maxFolderFiles)
		}
		return addFile(w, &b, fsys, name)
	})
	if err != nil {
		return nil, "", fmt.Errorf("pack model folder: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, "", fmt.Errorf("pack model folder: %w", err)
	}
	return b.Bytes(), Digest(b.Bytes()), nil
}

func addFile(w *tar.Writer, b *bytes.Buffer, fsys fs.FS, name string) error {
	if err := safeName(name); err != nil {
		return err
	}
	f, err := fsys.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if int64(b.Len())+info.Size() > maxFolder {
		return fault.New(fault.TooLarge, nil, "%s: with it the model folder is larger than %d bytes", name, maxFolder)
	}
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: info.Size()}); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if n, err := io.Copy(w, f); err != nil || n != info.Size() {
		return fmt.Errorf("%s: changed while it was read: %w", name, errors.Join(err, io.ErrUnexpectedEOF))
	}
	return nil
}

// Digest is the sha256 of data as it stands in releases and names.
func Digest(data []byte) string {
	sum := sha256.Sum256(data)
	return digestPrefix + hex.EncodeToString(sum[:])
}

const digestPrefix = "sha256:"

// safeName accepts names that mean the same file on every system, below the folder.
func safeName(name string) error {
	if !fs.ValidPath(name) || name == "." || len(name) > maxName || strings.ContainsFunc(name, func(r rune) bool {
		return r < ' ' || r == 0x7f || r == '\\' || r == ':'
	}) {
		return fault.New(fault.Invalid, nil, "%q: is no name of a file in a model folder", name)
	}
	return nil
}

// Untar unpacks a model folder below dir, which it makes. It refuses names that lead out of dir, links, devices, a file
// that comes twice, and more than a model folder may hold.
func Untar(r io.Reader, dir string) error { return untar(r, dir, maxFolderFiles, maxFolder) }

func untar(r io.Reader, dir string, maxFiles int, maxBytes int64) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("unpack model folder: %w", err)
	}
	root, err := os.OpenRoot(dir) // resolves every name below dir, whatever stands there already
	if err != nil {
		return fmt.Errorf("unpack model folder: %w", err)
	}
	defer root.Close()
	t := tar.NewReader(r)
	left, files := maxBytes, 0
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fault.New(fault.Invalid, err, "the model folder's tar cannot be read")
		}
		if files++; files > maxFiles || h.Size > left {
			return fault.New(fault.TooLarge, nil, "the model folder's tar has more than %d files or %d bytes", maxFiles, maxBytes)
		}
		left -= h.Size
		if err := extract(root, h, t); err != nil {
			return fmt.Errorf("unpack model folder: %w", err)
		}
	}
}

func extract(root *os.Root, h *tar.Header, r io.Reader) error {
	if err := safeName(h.Name); err != nil {
		return err
	}
	if h.Typeflag != tar.TypeReg || len(h.PAXRecords) > 0 && h.PAXRecords["GNU.sparse.major"] != "" {
		return fault.New(fault.Invalid, nil, "%q: is no plain file", h.Name)
	}
	if parent := path.Dir(h.Name); parent != "." {
		if err := root.MkdirAll(parent, 0o755); err != nil {
			return err
		}
	}
	f, err := root.OpenFile(h.Name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("%s: %w", h.Name, err)
	}
	return nil
}
