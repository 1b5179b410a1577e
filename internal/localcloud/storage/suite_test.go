package storage_test

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	gcs "cloud.google.com/go/storage"
	bolt "go.etcd.io/bbolt"
	"google.golang.org/api/option"

	"github.com/millrace-ml/millrace/internal/localcloud/storage"
	"github.com/millrace-ml/millrace/internal/localcloud/storage/storagetest"
)

// server is a running server of a test, with the pieces that tests look into.
type server struct {
	*storage.Server
	db      *bolt.DB
	dir     string
	url     string
	options storage.Options
}

// start serves a new data folder without fsync; tests that kill use processes instead.
func start(t testing.TB, o storage.Options) *server {
	t.Helper()
	return startIn(t, t.TempDir(), o)
}

func startIn(t testing.TB, dir string, o storage.Options) *server {
	t.Helper()
	db, err := bolt.Open(filepath.Join(dir, "cloud.db"), 0o600, &bolt.Options{Timeout: 10 * time.Second, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	db.MaxBatchDelay = 2 * time.Millisecond
	o.NoSync = true
	s, err := storage.Open(db, dir, o)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s.Handler())
	srv := &server{Server: s, db: db, dir: dir, url: h.URL, options: o}
	t.Cleanup(func() {
		h.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return srv
}

// client is Google's client, pointed at the server.
func (s *server) client(t testing.TB, opts ...option.ClientOption) *gcs.Client {
	t.Helper()
	opts = append([]option.ClientOption{
		option.WithEndpoint(s.url + "/storage/v1/"), option.WithoutAuthentication(),
	}, opts...)
	c, err := gcs.NewClient(t.Context(), opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestStorage(t *testing.T) {
	t.Parallel()
	srv := start(t, storage.Options{})
	storagetest.Suite(t, func(t *testing.T) *gcs.Client { return srv.client(t) })
}

func TestStorageWithJSONReads(t *testing.T) {
	t.Parallel()
	srv := start(t, storage.Options{})
	storagetest.SuiteJSONReads(t, func(t *testing.T) *gcs.Client { return srv.client(t, gcs.WithJSONReads()) })
}

// The same suite against Google's own service. It makes and deletes buckets in the named project.
func TestStorageOfGoogle(t *testing.T) {
	project := os.Getenv("MILLRACE_TEST_STORAGE_PROJECT")
	if project == "" {
		t.Skip("MILLRACE_TEST_STORAGE_PROJECT is not set: the suite does not run against the real Cloud Storage")
	}
	storagetest.Project = project
	storagetest.Suite(t, func(t *testing.T) *gcs.Client {
		c, err := gcs.NewClient(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	})
}
