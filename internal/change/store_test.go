package change

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/storage"
	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"

	local "github.com/millrace-ml/millrace/internal/localcloud/storage"
	"github.com/millrace-ml/millrace/shared/cloud"
)

const artifacts = "artifacts"

func dial(t *testing.T) *storage.Client {
	t.Helper()
	dir := t.TempDir()
	db, err := bolt.Open(filepath.Join(dir, "cloud.db"), 0o600, &bolt.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	db.MaxBatchDelay = time.Millisecond
	s, err := local.Open(db, dir, local.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CreateBucket(artifacts); err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s.Handler())
	t.Cleanup(func() {
		h.Close()
		s.Close()
		db.Close()
	})
	c, err := cloud.Storage(t.Context(), cloud.Endpoints{Storage: strings.TrimPrefix(h.URL, "http://")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// Both stores keep what they are given; spoil puts something into a unit's place that is no record.
func TestStores(t *testing.T) {
	t.Parallel()
	client := dial(t)
	bucket, err := NewBucket(client, artifacts)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "not", "there")
	for name, c := range map[string]struct {
		store Store
		spoil func(t *testing.T, unit, text string)
	}{
		"bucket": {bucket, func(t *testing.T, unit, text string) {
			w := client.Bucket(artifacts).Object("deployed/" + unit + ".json").NewWriter(t.Context())
			w.Write([]byte(text))
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
		}},
		"folder": {Folder(dir), func(t *testing.T, unit, text string) { lay(t, dir, map[string]string{unit + ".json": text}) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testStore(t, c.store, c.spoil)
		})
	}
}

func testStore(t *testing.T, s Store, spoil func(t *testing.T, unit, text string)) {
	ctx := t.Context()
	list := func() []Record {
		t.Helper()
		got, err := s.List(ctx)
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(got, func(a, b Record) int { return strings.Compare(a.Unit, b.Unit) })
		return got
	}
	if got := list(); len(got) != 0 {
		t.Errorf("an empty store holds %v", got)
	}
	step := newUnit("step", map[string]string{"go": "1.26.0"})
	predict := newUnit("predict@bike", map[string]string{"models/bike/model.yaml": "abc"})
	now := time.Date(2026, 3, 4, 5, 6, 7, 89, time.UTC)
	first, second := predict.Record("c0ffee", now), step.Record("", now)
	for _, r := range []Record{second, first, second} {
		if err := s.Write(ctx, r); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]Record{first, second}, list()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for range 2 { // the second time there is nothing left, which is fine
		if err := s.Delete(ctx, "step"); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]Record{first}, list()); diff != "" {
		t.Errorf("after the deletion (-want +got)\n%s", diff)
	}
	for _, unit := range []string{"", "../step", "a/b", ".hidden"} {
		if s.Write(ctx, Record{Unit: unit, Hash: "x"}) == nil || s.Delete(ctx, unit) == nil {
			t.Errorf("the name %q is taken", unit)
		}
	}
	for text, want := range map[string]string{"{": "no record", `{"unit":"onupload","hash":"x"}`: `expected one of "step"`, `{"unit":"step"}`: `the hash ""`} {
		spoil(t, "step", text)
		if _, err := s.List(ctx); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "delete it") {
			t.Errorf("of %s: error %v, want %q and what to do", text, err, want)
		}
	}
}

func TestABucketNeedsANameAndAClient(t *testing.T) {
	t.Parallel()
	if _, err := NewBucket(nil, artifacts); err == nil {
		t.Error("no error without a client")
	}
	if _, err := os.Stat("deployed"); err == nil {
		t.Error("a test wrote into the package's folder")
	}
}
