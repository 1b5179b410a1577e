package bundle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"cloud.google.com/go/storage"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/manifest"
	"github.com/millrace-ml/millrace/shared/pipeline"
	"github.com/millrace-ml/millrace/shared/score"
)

const (
	fetchTimeout = 10 * time.Minute
	maxArtifact  = 256 << 20 // what a model reads at most
)

// ArtifactFile is where a model's trained file lies in its folder; one in Cloud Storage is fetched to there.
func ArtifactFile(a *manifest.Artifact) string {
	if a.Path != "" {
		return a.Path
	}
	object, _, _ := strings.Cut(a.URI, "#")
	return path.Join("artifact", path.Base(object)) // as score looks for it
}

// Model copies a model folder to dest as a release carries it, fetches the artifact if it lies in Cloud Storage and is not
// in the folder already, and proves the model: its digest and its parity rows. open is called only to fetch.
func Model(ctx context.Context, folder, dest string, open func(context.Context) (*storage.Client, error)) error {
	m, err := loadManifest(folder)
	if err != nil {
		return err
	}
	packed, _, err := pipeline.Tar(os.DirFS(folder))
	if err != nil {
		return fmt.Errorf("model %s: %w", m.Name, err)
	}
	if err := pipeline.Untar(bytes.NewReader(packed), dest); err != nil {
		return fmt.Errorf("model %s: %w", m.Name, err)
	}
	if m.Artifact.URI != "" {
		if err := fetch(ctx, &m.Artifact, filepath.Join(dest, filepath.FromSlash(ArtifactFile(&m.Artifact))), open); err != nil {
			return fmt.Errorf("model %s: %w", m.Name, err)
		}
	}
	if _, err := score.Open(os.DirFS(dest)); err != nil {
		return fmt.Errorf("model %s: %w", m.Name, err)
	}
	return nil
}

// loadManifest reads a model folder's manifest; its errors name the file as people know it.
func loadManifest(folder string) (*manifest.Manifest, error) {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return nil, err
	}
	models := filepath.Dir(folder)
	return manifest.LoadDir(os.DirFS(filepath.Dir(models)), path.Join(filepath.Base(models), filepath.Base(folder)))
}

// fetch brings the artifact of exactly this generation into name. The bytes are checked before anything is written.
func fetch(ctx context.Context, a *manifest.Artifact, name string, open func(context.Context) (*storage.Client, error)) error {
	if got, err := fileDigest(name); err == nil && strings.EqualFold(got, a.SHA256) {
		return nil
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if open == nil {
		return fault.New(fault.Internal, nil, "the artifact %s is to be fetched, and nothing opens Cloud Storage", a.URI)
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	client, err := open(ctx)
	if err != nil {
		return fmt.Errorf("fetch %s: %w", a.URI, err)
	}
	data, err := read(ctx, client, a.URI)
	if err = errors.Join(err, client.Close()); err != nil {
		return fmt.Errorf("fetch %s: %w", a.URI, err)
	}
	if got := strings.TrimPrefix(pipeline.Digest(data), "sha256:"); !strings.EqualFold(got, a.SHA256) {
		return fault.New(fault.Invalid, nil, "%s has the sha256 %s, model.yaml says %s: another file, or the manifest was not brought up to date", a.URI, got, a.SHA256)
	}
	return writeFile(name, data)
}

func read(ctx context.Context, client *storage.Client, uri string) ([]byte, error) {
	place, number, _ := strings.Cut(uri, "#")
	bucket, object, ok := strings.Cut(strings.TrimPrefix(place, "gs://"), "/")
	generation, err := strconv.ParseInt(number, 10, 64)
	if err != nil || !ok {
		return nil, fault.New(fault.Invalid, err, "no gs://bucket/object#generation")
	}
	r, err := client.Bucket(bucket).Object(object).Generation(generation).NewReader(ctx)
	if errors.Is(err, storage.ErrObjectNotExist) {
		return nil, fault.New(fault.NotFound, err, "there is no such object, or not in this generation")
	}
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxArtifact+1))
	if err == nil && len(data) > maxArtifact {
		return nil, fault.New(fault.TooLarge, nil, "has more than %d MiB", maxArtifact>>20)
	}
	return data, err
}
