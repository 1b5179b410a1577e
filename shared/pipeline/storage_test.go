package pipeline

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gcs "cloud.google.com/go/storage"
	bolt "go.etcd.io/bbolt"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"

	"github.com/millrace-ml/millrace/internal/localcloud/chaos"
	"github.com/millrace-ml/millrace/internal/localcloud/storage"
	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/manifest"
)

const artifacts = "artifacts"

// bucket is a Cloud Storage with an empty artifacts bucket, a real client of it and its fault switch.
func bucket(t *testing.T) (*gcs.Client, *chaos.Switch) {
	t.Helper()
	url, faults := serveBucket(t)
	return dial(t, url, http.DefaultTransport), faults
}

func dial(t *testing.T, url string, transport http.RoundTripper) *gcs.Client {
	t.Helper()
	client, err := gcs.NewClient(t.Context(), option.WithEndpoint(url+"/storage/v1/"), option.WithoutAuthentication(),
		option.WithHTTPClient(&http.Client{Transport: transport}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func serveBucket(t *testing.T) (url string, faults *chaos.Switch) {
	t.Helper()
	dir := t.TempDir()
	db, err := bolt.Open(filepath.Join(dir, "cloud.db"), 0o600, &bolt.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	db.MaxBatchDelay = time.Millisecond
	faults = &chaos.Switch{}
	s, err := storage.Open(db, dir, storage.Options{NoSync: true, Chaos: faults})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CreateBucket(artifacts); err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s.Handler())
	t.Cleanup(func() {
		h.Close()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return h.URL, faults
}

func batchModel(name, prefix string) *manifest.Manifest {
	text := "name: " + name + `
version: "1"
serve: [batch]
artifact: {path: artifact/m, format: xgboost, sha256: ` + strings.Repeat("a", 64) + `}
inputs: [{name: height, type: number, min: 0.5}, {name: moon, type: categorical, values: [new, full]}]
features: [height, {name: twice, expr: height * 2}]
outputs: [{name: surge, min: 0}]
batch: {max_rejected: 5%, parallelism: 2, schedules: [{name: nightly, cron: "15 2 * * *", dataset: "daily/{date}.csv"}]`
	if prefix != "" {
		text += ", uploads: {prefix: " + prefix + "}"
	}
	m, err := manifest.Parse("model.yaml", []byte(text+"}\n"))
	if err != nil {
		panic(err)
	}
	return m
}

// input is a release of a model with the example pipeline.
func input(t *testing.T, m *manifest.Manifest) PublishInput {
	t.Helper()
	return PublishInput{
		Folder: folder(map[string]string{"model.yaml": "name: " + m.Name, "artifact/m": "1"}), Manifest: m,
		Spec: []byte(example(t)), Parameters: map[string]any{"source": "gs://a/b", "rate": 1},
		Image: "example/step@sha256:abc", Commit: "c1", Now: time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC),
	}
}

func publish(t *testing.T, c *gcs.Client, in PublishInput) *Release {
	t.Helper()
	r, err := Publish(t.Context(), c, artifacts, in)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func objects(t *testing.T, c *gcs.Client, prefix string) []string {
	t.Helper()
	var names []string
	it := c.Bucket(artifacts).Objects(t.Context(), &gcs.Query{Prefix: prefix})
	for {
		o, err := it.Next()
		if errors.Is(err, iterator.Done) {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, o.Name)
	}
}

func put(t *testing.T, c *gcs.Client, object, text string) {
	t.Helper()
	w := c.Bucket(artifacts).Object(object).NewWriter(t.Context())
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func generation(t *testing.T, c *gcs.Client, object string) int64 {
	t.Helper()
	a, err := c.Bucket(artifacts).Object(object).Attrs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return a.Generation
}

func TestFetchRefuses(t *testing.T) {
	t.Parallel()
	c, _ := bucket(t)
	r := publish(t, c, input(t, batchModel("tides", "")))
	put(t, c, "evil.tar", string(archive(t, tarFile("../out"))))
	evil := Digest(archive(t, tarFile("../out")))
	for name, tc := range map[string]struct {
		uri, digest string
		kind        fault.Kind
		want        string
	}{
		"another digest":      {r.Folder, r.SpecDigest, fault.Invalid, "has digest " + r.FolderDigest},
		"no object":           {"gs://artifacts/none.tar", r.FolderDigest, fault.NotFound, "not there"},
		"no bucket":           {"gs://none-such/none.tar", r.FolderDigest, fault.NotFound, "not there"},
		"no URI":              {"models/x.tar", r.FolderDigest, fault.Invalid, "is no gs://bucket/object"},
		"names that lead out": {"gs://artifacts/evil.tar", evil, fault.Invalid, "is no name of a file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parent := t.TempDir()
			err := Fetch(t.Context(), c, tc.uri, tc.digest, filepath.Join(parent, "model"))
			if err == nil || fault.KindOf(err) != tc.kind || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v (%v), want something with %q", err, fault.KindOf(err), tc.want)
			}
			if left, err := os.ReadDir(parent); err != nil || len(left) != 0 {
				t.Errorf("left behind: %v %v", left, err)
			}
		})
	}
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Fetch(t.Context(), c, r.Folder, r.FolderDigest, full); err == nil {
		t.Error("fetched into a folder with files of others")
	}
}
