package vertex

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"cloud.google.com/go/storage"
	"github.com/kubeflow/pipelines/api/v2alpha1/go/pipelinespec"
	"google.golang.org/api/iterator"
)

// transferTimeout bounds the moving of one artifact, retries of the client included.
const transferTimeout = 30 * time.Minute

// files moves artifacts between Cloud Storage and task folders, since there is no mount. What was moved once for a job
// is kept in a folder of the job, by URI and generation, and hard-linked from there; so it is read-only for steps.
type files struct{ client *storage.Client }

// splitURI takes gs://bucket/name apart.
func splitURI(uri string) (bucket, name string) {
	bucket, name, _ = strings.Cut(strings.TrimPrefix(uri, "gs://"), "/")
	return bucket, name
}

// transfer calls fn for each artifact that lies in Cloud Storage.
func (f *files) transfer(ctx context.Context, arts map[string][]*pipelinespec.RuntimeArtifact, what string, fn func(ctx context.Context, uri, rel string) error) error {
	for _, k := range slices.Sorted(maps.Keys(arts)) {
		for _, a := range arts[k] {
			uri := strings.TrimRight(a.Uri, "/")
			if !strings.HasPrefix(uri, "gs://") {
				continue
			}
			rel, err := localPath(uri)
			if err == nil {
				tctx, cancel := context.WithTimeout(ctx, transferTimeout)
				err = fn(tctx, uri, rel)
				cancel()
			}
			if err != nil {
				return fmt.Errorf("%s artifact %s: %w", what, k, err)
			}
		}
	}
	return nil
}

var errNoStorage = errors.New("this server was opened without Cloud Storage (vertex.Options.Storage), so artifacts cannot be moved")

// fetchAll brings the input artifacts into the folder of an attempt. An artifact is an object, or all objects below its
// URI; one without any is left out, as a mount would show nothing there either.
func (f *files) fetchAll(ctx context.Context, arts map[string][]*pipelinespec.RuntimeArtifact, to *attemptIO, job string) error {
	return f.transfer(ctx, arts, "fetch input", func(ctx context.Context, uri, rel string) error {
		if f.client == nil {
			return errNoStorage
		}
		bucket, name := splitURI(uri)
		if name == "" {
			return fmt.Errorf("%s is a whole bucket", uri)
		}
		attrs, err := f.client.Bucket(bucket).Object(name).Attrs(ctx)
		if err == nil {
			return f.fetch(ctx, attrs, filepath.Join(to.gcs, rel), job)
		}
		if !errors.Is(err, storage.ErrObjectNotExist) {
			return fmt.Errorf("read %s: %w", uri, err)
		}
		objects := f.client.Bucket(bucket).Objects(ctx, &storage.Query{Prefix: name + "/"})
		for {
			attrs, err := objects.Next()
			if errors.Is(err, iterator.Done) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("list %s/: %w", uri, err)
			}
			if strings.HasSuffix(attrs.Name, "/") {
				continue // a folder as consoles make them
			}
			rel, err := localPath("gs://" + bucket + "/" + attrs.Name)
			if err != nil {
				return err
			}
			if err := f.fetch(ctx, attrs, filepath.Join(to.gcs, rel), job); err != nil {
				return err
			}
		}
	})
}

// kept is where a job keeps an object.
func kept(job, bucket, name string, generation int64) string {
	sum := sha256.Sum256([]byte(bucket + "/" + name + "#" + strconv.FormatInt(generation, 10)))
	return filepath.Join(keptFolder(job), hex.EncodeToString(sum[:]))
}

// keptFolder is removed when the job is finished.
func keptFolder(job string) string { return filepath.Join(job, "objects") }

func (f *files) fetch(ctx context.Context, o *storage.ObjectAttrs, path, job string) error {
	local := kept(job, o.Bucket, o.Name, o.Generation)
	if _, err := os.Stat(local); err != nil {
		if err := f.download(ctx, o, local); err != nil {
			return fmt.Errorf("read gs://%s/%s: %w", o.Bucket, o.Name, err)
		}
	}
	return link(local, path)
}

// download writes the object beside its place and moves it there, so that what is there is whole.
func (f *files) download(ctx context.Context, o *storage.ObjectAttrs, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	w, err := os.CreateTemp(filepath.Dir(path), "part-")
	if err != nil {
		return err
	}
	defer os.Remove(w.Name()) // gone already when all went well
	r, err := f.client.Bucket(o.Bucket).Object(o.Name).Generation(o.Generation).ReadCompressed(true).NewReader(ctx)
	if err != nil {
		return errors.Join(err, w.Close())
	}
	_, err = io.Copy(w, r)
	if err := errors.Join(err, r.Close(), w.Close()); err != nil {
		return err
	}
	if err := os.Chmod(w.Name(), 0o444); err != nil {
		return err
	}
	return os.Rename(w.Name(), path)
}

// link makes path the same file as local, or a copy where the file system has no links.
func link(local, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.Link(local, path); err == nil || errors.Is(err, fs.ErrExist) {
		return nil
	}
	data, err := os.Open(local)
	if err != nil {
		return err
	}
	defer data.Close()
	w, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o444)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, data)
	return errors.Join(err, w.Close())
}

// uploadAll puts the output artifacts that the process wrote, files or folders of them, where their URIs say. One that
// it did not write has metadata only.
func (f *files) uploadAll(ctx context.Context, arts map[string][]*pipelinespec.RuntimeArtifact, from *attemptIO, job string) error {
	return f.transfer(ctx, arts, "upload output", func(ctx context.Context, uri, rel string) error {
		path := filepath.Join(from.gcs, rel)
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if f.client == nil {
			return errNoStorage
		}
		bucket, name := splitURI(uri)
		if !info.IsDir() {
			return f.upload(ctx, path, bucket, name, job)
		}
		return filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			if !d.Type().IsRegular() {
				return fmt.Errorf("%s is neither a file nor a folder", p)
			}
			inside, err := filepath.Rel(path, p)
			if err != nil {
				return err
			}
			return f.upload(ctx, p, bucket, name+"/"+filepath.ToSlash(inside), job)
		})
	})
}

// upload writes one file, and keeps it for the tasks of the job that will read the object.
func (f *files) upload(ctx context.Context, path, bucket, name, job string) error {
	r, err := os.Open(path)
	if err != nil {
		return err
	}
	defer r.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // an upload that is not closed is dropped by this, not by Close, which would finish it
	w := f.client.Bucket(bucket).Object(name).NewWriter(ctx)
	if _, err := io.Copy(w, r); err != nil {
		return fmt.Errorf("write gs://%s/%s: %w", bucket, name, err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("write gs://%s/%s: %w", bucket, name, err)
	}
	local := kept(job, bucket, name, w.Attrs().Generation)
	if err := os.MkdirAll(filepath.Dir(local), 0o755); err != nil {
		return err
	}
	if err := os.Chmod(path, 0o444); err != nil {
		return err
	}
	if err := os.Link(path, local); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil // it is only kept to save a download
	}
	return nil
}
