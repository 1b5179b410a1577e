package folder_test

import (
	"bytes"
	"context"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace-ml/millrace/internal/folder"
	localstorage "github.com/millrace-ml/millrace/internal/localcloud/storage"
	"github.com/millrace-ml/millrace/internal/scaffold"
	"github.com/millrace-ml/millrace/shared/cloud"
	"github.com/millrace-ml/millrace/shared/manifest"
)

const logistic = "../../shared/forest/xgboost/testdata/xgb-3.4.1/logistic.json"

// shop is a folder of models with one, "shop", and beside it the artifact and parity rows of a next version.
type shop struct{ models, artifact, parity string }

func newShop(t *testing.T) shop {
	t.Helper()
	data, err := os.ReadFile(logistic)
	if err != nil {
		t.Fatal(err)
	}
	other := bytes.Replace(data, []byte(`"base_score":"[3.9E-1]"`), []byte(`"base_score":"[4.1E-1]"`), 1)
	if bytes.Equal(other, data) {
		t.Fatal("the test's model has another base score")
	}
	dir := t.TempDir()
	s := shop{filepath.Join(dir, "models"), filepath.Join(dir, "next.json"), filepath.Join(dir, "next", "shop", "parity.jsonl")}
	for _, d := range []string{s.models, filepath.Join(dir, "next")} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(s.artifact, other, 0o644); err != nil {
		t.Fatal(err)
	}
	for models, artifact := range map[string]string{s.models: logistic, filepath.Join(dir, "next"): s.artifact} {
		o := scaffold.Options{Name: "shop", Kind: "both", Models: models, Artifact: artifact, Labels: []string{"no", "yes"}}
		if _, err := scaffold.New(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	// As people write it: comments, another layout, other quotes.
	s.rewrite(t, `version: "1"`, "version: '1-9'   # of the spring campaign", `artifact: {path: `, "artifact: { # ours, größer\n    path: ")
	return s
}

func (s shop) rewrite(t *testing.T, pairs ...string) {
	t.Helper()
	name := filepath.Join(s.models, "shop", manifest.File)
	text := s.content(t)[manifest.File]
	if err := os.WriteFile(name, []byte(strings.NewReplacer(pairs...).Replace(text)), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (s shop) content(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	root := filepath.Join(s.models)
	err := filepath.WalkDir(root, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		rel, _ := filepath.Rel(filepath.Join(root, "shop"), path)
		all[filepath.ToSlash(rel)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// changedLines are the lines of b that are not in a.
func changedLines(a, b string) (out []string) {
	for line := range strings.Lines(b) {
		if !strings.Contains(a, line) {
			out = append(out, strings.TrimSpace(line))
		}
	}
	return out
}

func TestUpdateChangesWhatItMustAndNothingElse(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	before := s.content(t)
	done, err := folder.Update{Models: s.models, Model: "shop", Artifact: s.artifact, Parity: s.parity}.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	after := s.content(t)
	lines := changedLines(before[manifest.File], after[manifest.File])
	want := []string{`version: "1-10"   # of the spring campaign`, `path: "artifact/model.json", format: xgboost, sha256: "` + done.SHA256 + `"}`}
	if d := cmp.Diff(want, lines); d != "" || done.Version != "1-10" {
		t.Errorf("version %s; changed lines (-want +got):\n%s", done.Version, d)
	}
	for name := range after {
		changed := after[name] != before[name]
		if want := name == manifest.File || name == "parity.jsonl" || name == "artifact/model.json"; changed != want {
			t.Errorf("%s: changed is %v", name, changed)
		}
	}
	if len(after) != len(before) {
		t.Errorf("%d files, before %d", len(after), len(before))
	}
	if _, err := folder.Check(s.models, "shop"); err != nil {
		t.Error(err)
	}
}

// Another extension takes the old file away.
func TestUpdateToAnotherKindOfFile(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	data, err := os.ReadFile(s.artifact)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimSuffix(s.artifact, ".json") + ".model"
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := (folder.Update{Models: s.models, Model: "shop", Artifact: name, Parity: s.parity}).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	after := s.content(t)
	if after["artifact/model.model"] != string(data) || after["artifact/model.json"] != "" {
		t.Errorf("the folder holds the old artifact still, or not the new one: %d files", len(after))
	}
}

func TestUpdateRefuses(t *testing.T) {
	t.Parallel()
	stopped, stop := context.WithCancel(context.Background())
	stop()
	for name, c := range map[string]struct {
		edit    func(s shop, u *folder.Update)
		rewrite []string
		want    string
	}{
		"the old parity rows":        {func(_ shop, u *folder.Update) { u.Parity = "" }, nil, "--parity FILE"},
		"the same artifact":          {func(_ shop, u *folder.Update) { u.Artifact, u.Parity = logistic, "" }, nil, "nothing to update"},
		"the same version":           {func(_ shop, u *folder.Update) { u.Version = "1-9" }, nil, "two versions"},
		"a version without a number": {nil, []string{"'1-9'", "spring"}, "--version"},
		"no such model":              {func(_ shop, u *folder.Update) { u.Model = "shoq" }, nil, `model "shoq"`},
		"no such file":               {func(_ shop, u *folder.Update) { u.Artifact = "absent.ubj" }, nil, "absent.ubj"},
		"another model's file":       {func(_ shop, u *folder.Update) { u.Artifact = strings.Replace(logistic, "logistic", "vectors", 1) }, nil, "features"},
		"a broken manifest":          {nil, []string{"serve:", "sreve:"}, `did you mean "serve"`},
		"no object":                  {func(_ shop, u *folder.Update) { u.Artifact = "gs://bucket" }, nil, "gs://bucket/object"},
		"no generation":              {func(_ shop, u *folder.Update) { u.Artifact = "gs://bucket/a#b" }, nil, "whole number above 0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShop(t)
			s.rewrite(t, c.rewrite...)
			u := folder.Update{Models: s.models, Model: "shop", Artifact: s.artifact, Parity: s.parity}
			if c.edit != nil {
				c.edit(s, &u)
			}
			before := s.content(t)
			if _, err := u.Run(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Run = %v, want an error with %q", err, c.want)
			}
			if d := cmp.Diff(before, s.content(t)); d != "" {
				t.Errorf("the folder changed:\n%.2000s", d)
			}
		})
	}
	s := newShop(t)
	before := s.content(t)
	if _, err := (folder.Update{Models: s.models, Model: "shop", Artifact: s.artifact, Parity: s.parity}).Run(stopped); err == nil {
		t.Error("an interrupted update says nothing")
	}
	if d := cmp.Diff(before, s.content(t)); d != "" {
		t.Errorf("an interrupted update changed the folder:\n%.2000s", d)
	}
}

// An object of Cloud Storage is pinned by its generation, and stays out of git.
func TestUpdateFromCloudStorage(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	dir := t.TempDir()
	db, err := bolt.Open(filepath.Join(dir, "db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	objects, err := localstorage.Open(db, dir, localstorage.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(objects.Handler())
	t.Cleanup(web.Close)
	address := strings.TrimPrefix(web.URL, "http://")
	client, err := cloud.Storage(t.Context(), cloud.Endpoints{Storage: address})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	if err := client.Bucket("trained").Create(t.Context(), "millrace-local", nil); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(s.artifact)
	if err != nil {
		t.Fatal(err)
	}
	w := client.Bucket("trained").Object("shop/next.json").NewWriter(t.Context())
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	getenv := func(key string) string { return map[string]string{"STORAGE_EMULATOR_HOST": address}[key] }
	u := folder.Update{Models: s.models, Model: "shop", Artifact: "gs://trained/shop/next.json", Parity: s.parity, Getenv: getenv}
	done, err := u.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m, err := manifest.LoadDir(os.DirFS(s.models), "shop")
	if err != nil {
		t.Fatal(err)
	}
	after := s.content(t)
	if m.Artifact.URI != done.Source || !strings.HasPrefix(done.Source, "gs://trained/shop/next.json#") || m.Artifact.Path != "" ||
		after["artifact/next.json"] != string(data) || after["artifact/.gitignore"] != "next.json\n" || after["artifact/model.json"] != "" {
		t.Errorf("artifact %+v, source %s, %d files", m.Artifact, done.Source, len(after))
	}
	// The pinned name fetches the same again; a generation that is not there does not.
	u.Artifact = done.Source
	if _, err := u.Run(t.Context()); err == nil && !strings.Contains(after[manifest.File], done.SHA256) {
		t.Errorf("the pinned artifact again: %v", err)
	}
	u.Artifact = "gs://trained/shop/next.json#1"
	if _, err := u.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("a generation that is gone: %v", err)
	}
}
