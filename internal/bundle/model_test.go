package bundle

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gcs "cloud.google.com/go/storage"
	bolt "go.etcd.io/bbolt"

	"github.com/millrace-ml/millrace/internal/localcloud/storage"
	"github.com/millrace-ml/millrace/shared/cloud"
)

const bucket = "artifacts"

// serveStorage gives a Cloud Storage with an empty bucket: how to open it, and a client of it.
func serveStorage(t *testing.T) (open func(context.Context) (*gcs.Client, error), client *gcs.Client) {
	t.Helper()
	dir := t.TempDir()
	db, err := bolt.Open(filepath.Join(dir, "cloud.db"), 0o600, &bolt.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	db.MaxBatchDelay = time.Millisecond
	s, err := storage.Open(db, dir, storage.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CreateBucket(bucket); err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s.Handler())
	t.Cleanup(func() {
		h.Close()
		s.Close()
		db.Close()
	})
	open = func(ctx context.Context) (*gcs.Client, error) {
		return cloud.Storage(ctx, cloud.Endpoints{Storage: strings.TrimPrefix(h.URL, "http://")})
	}
	if client, err = open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return open, client
}

func upload(t *testing.T, client *gcs.Client, object string, data []byte) (generation int64) {
	t.Helper()
	w := client.Bucket(bucket).Object(object).NewWriter(t.Context())
	if _, err := io.Copy(w, bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.Attrs().Generation
}

// remote is a model folder whose artifact lies in Cloud Storage.
func remote(t *testing.T, generation int64) string {
	t.Helper()
	dir := copyModel(t)
	if err := os.RemoveAll(filepath.Join(dir, "artifact")); err != nil {
		t.Fatal(err)
	}
	replaceIn(t, filepath.Join(dir, "model.yaml"), `path: "artifact/model.ubj"`, fmt.Sprintf(`uri: "gs://%s/big/model.ubj#%d"`, bucket, generation))
	return dir
}

func TestAnArtifactInCloudStorageIsFetched(t *testing.T) {
	t.Parallel()
	open, client := serveStorage(t)
	good, err := os.ReadFile(filepath.Join(bike, "artifact", "model.ubj"))
	if err != nil {
		t.Fatal(err)
	}
	first := upload(t, client, "big/model.ubj", good)
	second := upload(t, client, "other/model.ubj", []byte("another file"))

	t.Run("and verified", func(t *testing.T) {
		t.Parallel()
		dest := filepath.Join(t.TempDir(), "model")
		if err := Model(t.Context(), remote(t, first), dest, open); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(dest, "artifact", "model.ubj")); err != nil || !bytes.Equal(got, good) {
			t.Errorf("another artifact, or none: %v", err)
		}
		again := filepath.Join(t.TempDir(), "model") // what is there already is not fetched
		if err := os.Rename(dest, filepath.Join(filepath.Dir(dest), "bike-demand")); err != nil {
			t.Fatal(err)
		}
		if err := Model(t.Context(), filepath.Join(filepath.Dir(dest), "bike-demand"), again, nil); err != nil {
			t.Errorf("with the artifact in the folder: %v", err)
		}
	})
	t.Run("only in its generation", func(t *testing.T) {
		t.Parallel()
		err := Model(t.Context(), remote(t, first+1), filepath.Join(t.TempDir(), "model"), open)
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("fetch gs://artifacts/big/model.ubj#%d: there is no such object", first+1)) {
			t.Errorf("error %v, want that there is no such object", err)
		}
	})
	t.Run("and refused when it is another", func(t *testing.T) {
		t.Parallel()
		dir, dest := remote(t, second), filepath.Join(t.TempDir(), "model")
		replaceIn(t, filepath.Join(dir, "model.yaml"), "big/model.ubj", "other/model.ubj")
		err := Model(t.Context(), dir, dest, open)
		if err == nil || !strings.Contains(err.Error(), "has the sha256") {
			t.Errorf("error %v, want that the sha256 differs", err)
		}
		if _, err := os.Stat(filepath.Join(dest, "artifact", "model.ubj")); err == nil {
			t.Error("the wrong artifact was written")
		}
	})
}
