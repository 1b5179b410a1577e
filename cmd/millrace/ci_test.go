package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gcs "cloud.google.com/go/storage"
	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"
	"google.golang.org/api/iterator"

	"github.com/millrace-ml/millrace/internal/change"
	"github.com/millrace-ml/millrace/internal/localcloud/storage"
	"github.com/millrace-ml/millrace/shared/cloud"
	"github.com/millrace-ml/millrace/shared/pipeline"
)

// project is a copy of what the units are made of, without git.
func project(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"cmd", "functions", "models", "pipelines", "shared"} {
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join("../..", name))); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestCIChanged(t *testing.T) {
	t.Parallel()
	dir, deployed := project(t), t.TempDir()
	changed := func(want int, args ...string) (out, errs string) {
		t.Helper()
		code, out, errs := millrace(t, "", nil, append([]string{"ci", "--repo", dir, "changed"}, args...)...)
		if code != want {
			t.Fatalf("exit %d, want %d: %s%s", code, want, out, errs)
		}
		return out, errs
	}
	out, errs := changed(0, "--deployed", deployed)
	if !strings.Contains(out, "predict@bike-demand\tdeploy\tnew: there is no record of it\n") || !strings.Contains(errs, "has no records: everything counts as not deployed") {
		t.Errorf("without records: %q, %q", out, errs)
	}
	units, err := change.Units(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range append(units, change.Unit{Name: "predict@old", Hash: "sha256:0"}) {
		if err := change.Folder(deployed).Write(t.Context(), u.Record("", time.Now())); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "models", "bike-demand", "README.md"), []byte("new\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	out, _ = changed(0, "--deployed", deployed)
	want := "batch@bike-demand\tdeploy\tmodels/bike-demand/README.md changed\npredict@bike-demand\tdeploy\tmodels/bike-demand/README.md changed\n" +
		"predict@old\tremove\tmodels/old is gone, or does not serve realtime any more\n"
	if diff := cmp.Diff(want, out); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	out, _ = changed(0, "--deployed", deployed, "--json")
	var all change.Build
	if err := json.Unmarshal([]byte(out), &all); err != nil || len(all.Units) != len(units)+1 {
		t.Errorf("%d of %d units as JSON, error %v", len(all.Units), len(units)+1, err)
	}
	code, out, errs := millrace(t, "", nil, "ci", "--repo", dir, "record", "predict@bike-demand", "batch@bike-demand", "nobody", "--deployed", deployed)
	if code != 1 || !strings.Contains(errs, `"nobody" is neither a unit`) || out != "" {
		t.Errorf("a name of nothing: exit %d, %q, %q", code, out, errs)
	}
	code, out, errs = millrace(t, "", nil, "ci", "--repo", dir, "record", "predict@bike-demand", "batch@bike-demand", "predict@old", "--deployed", deployed)
	if code != 0 || !strings.Contains(out, "predict@old\tforgotten\n") {
		t.Errorf("record: exit %d, %q, %q", code, out, errs)
	}
	if out, _ := changed(0, "--deployed", deployed); out != "" {
		t.Errorf("after all is recorded: %q", out)
	}
	if _, errs := changed(1, "--base", "main"); !strings.Contains(errs, "is no git checkout") {
		t.Errorf("without git: %q", errs)
	}
	if _, errs := changed(1, "--deployed", "gs://bucket/folder"); !strings.Contains(errs, "expected a bucket alone") {
		t.Errorf("a folder of a bucket: %q", errs)
	}
	changed(2, "--base", "main", "--deployed", deployed)
}

func TestReasonsForPeopleAreFew(t *testing.T) {
	t.Parallel()
	if got := reasons([]string{"a", "b", "c", "d", "e"}); got != "a; b; c; and 2 more" {
		t.Errorf("got %q", got)
	}
}

func TestCIBundle(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "out")
	for unit, want := range map[string]string{
		"step":               `"step" has no bundle`,
		"batch@bike-demand":  "millrace ci release bike-demand releases it",
		"predict@":           "has no bundle",
		"predict@../secrets": "has no bundle",
		"predict@nobody":     "is no unit of this checkout",
	} {
		code, _, errs := millrace(t, "", nil, "ci", "--repo", "../..", "bundle", unit, "--out", out)
		if code != 1 || !strings.Contains(errs, want) {
			t.Errorf("%s: exit %d, %q, want %q", unit, code, errs, want)
		}
	}
	code, text, errs := millrace(t, "", nil, "ci", "--repo", "../..", "bundle", "predict@bike-demand", "--out", out)
	if code != 0 || !strings.HasPrefix(text, "predict@bike-demand\tsha256:") {
		t.Fatalf("exit %d, %q, %q", code, text, errs)
	}
	if _, err := os.Stat(filepath.Join(out, "model", "artifact", "model.ubj")); err != nil {
		t.Error(err)
	}
}

func TestCIImage(t *testing.T) {
	t.Parallel()
	base := "example.invalid/static@sha256:" + strings.Repeat("0", 64)
	code, out, errs := millrace(t, "", nil, "ci", "--repo", "../..", "image", "--to", "example.invalid/step", "--base", base, "--dry-run")
	if code != 0 || !strings.Contains(out, "KO_DEFAULTBASEIMAGE="+base) || !strings.Contains(out, " build ./cmd/step ") || !strings.Contains(out, "--tags=unit-") {
		t.Errorf("dry run: exit %d, %q, %q", code, out, errs)
	}
	code, _, errs = millrace(t, "", nil, "ci", "--repo", "../..", "image", "--to", "example.invalid/step", "--base", "example.invalid/static")
	if code != 1 || !strings.Contains(errs, "is not named by digest") {
		t.Errorf("a base by tag: exit %d, %q", code, errs)
	}
}

// artifacts is a Cloud Storage with the bucket "artifacts": its settings and a client.
func artifacts(t *testing.T) (map[string]string, *gcs.Client) {
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
	if err := s.CreateBucket("artifacts"); err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s.Handler())
	t.Cleanup(func() {
		h.Close()
		s.Close()
		db.Close()
	})
	address := strings.TrimPrefix(h.URL, "http://")
	client, err := cloud.Storage(t.Context(), cloud.Endpoints{Storage: address})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return map[string]string{"STORAGE_EMULATOR_HOST": address}, client
}

func objects(ctx context.Context, t *testing.T, client *gcs.Client) (names []string) {
	t.Helper()
	for it := client.Bucket("artifacts").Objects(ctx, nil); ; {
		attrs, err := it.Next()
		if errors.Is(err, iterator.Done) {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(attrs.Name, "history/") {
			names = append(names, "gs://artifacts/"+attrs.Name)
		}
	}
}

func TestCIRelease(t *testing.T) {
	t.Parallel()
	env, client := artifacts(t)
	image := "example.invalid/step@sha256:" + strings.Repeat("0", 64)
	release := func(want int, args ...string) (out, errs string) {
		t.Helper()
		code, out, errs := millrace(t, "", env, append([]string{"ci", "--repo", "../..", "release", "bike-demand", "--bucket", "artifacts"}, args...)...)
		if code != want {
			t.Fatalf("exit %d, want %d: %s%s", code, want, out, errs)
		}
		return out, errs
	}
	for _, image := range []string{"", "example.invalid/step:latest"} {
		if _, errs := release(1, "--image", image); !strings.Contains(errs, "is not named by digest") {
			t.Errorf("image %q: %q", image, errs)
		}
	}
	plan, _ := release(0, "--image", image, "--dry-run")
	if names := objects(t.Context(), t, client); names != nil {
		t.Errorf("a dry run wrote %q", names)
	}
	out, _ := release(0, "--image", image, "--commit", "c0ffee")
	var r pipeline.Release
	if err := json.Unmarshal([]byte(out), &r); err != nil || r.Image != image || r.Commit != "c0ffee" {
		t.Errorf("released %+v, error %v", r, err)
	}
	var planned []string
	for line := range strings.Lines(plan) {
		name, _, _ := strings.Cut(line, "\t")
		planned = append(planned, name)
	}
	if diff := cmp.Diff(planned, objects(t.Context(), t, client)); diff != "" {
		t.Errorf("the dry run's objects and those written (-want +got)\n%s", diff)
	}
	if _, errs := release(0, "--image", image); !strings.Contains(errs, "released already") {
		t.Errorf("the second time: %q", errs)
	}
}

// The records lie in the artifacts bucket as deployed/<unit>.json.
func TestCIRecordsInABucket(t *testing.T) {
	t.Parallel()
	env, client := artifacts(t)
	dir := project(t)
	code, _, errs := millrace(t, "", env, "ci", "--repo", dir, "record", "onupload", "step", "--deployed", "gs://artifacts")
	if code != 1 || !strings.Contains(errs, `--image ""`) || len(objects(t.Context(), t, client)) > 0 {
		t.Errorf("the step image without its name: exit %d, %q, %q", code, errs, objects(t.Context(), t, client))
	}
	for _, args := range [][]string{{"record", "onupload", "step", "--image", "example.invalid/step@sha256:" + strings.Repeat("1", 64)}, {"changed"}} {
		code, out, errs := millrace(t, "", env, append(append([]string{"ci", "--repo", dir}, args...), "--deployed", "gs://artifacts")...)
		if code != 0 || args[0] == "changed" && (strings.Contains(out, "onupload\t") || !strings.Contains(out, "batchtrigger\tdeploy\t")) {
			t.Errorf("%s: exit %d, %q, %q", args, code, out, errs)
		}
	}
	want := []string{"gs://artifacts/deployed/onupload.json", "gs://artifacts/deployed/step.json"}
	if diff := cmp.Diff(want, objects(t.Context(), t, client)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// A graph of the user's own is released as it stands, with its parameters and without our image.
func TestCIReleaseOfAnOwnGraph(t *testing.T) {
	t.Parallel()
	env, client := artifacts(t)
	dir := project(t)
	folder := filepath.Join(dir, "models", "bike-demand")
	spec := "# as it stands\n" + ownGraph
	for name, text := range map[string]string{"pipeline.yaml": spec, "parameter-values.json": `{"greeting": "hello"}`} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	code, out, errs := millrace(t, "", env, "ci", "--repo", dir, "release", "bike-demand", "--bucket", "gs://artifacts")
	var r pipeline.Release
	if err := json.Unmarshal([]byte(out), &r); code != 0 || err != nil {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	stored, err := pipeline.ReadSpec(t.Context(), client, r.Spec, r.SpecDigest)
	if err != nil || string(stored) != spec || r.Image != "" || r.Parameters["greeting"] != "hello" {
		t.Errorf("released %+v with the graph %q, error %v", r, stored, err)
	}
	if err := os.WriteFile(filepath.Join(folder, "parameter-values.json"), []byte("[]"), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := millrace(t, "", env, "ci", "--repo", dir, "release", "bike-demand", "--bucket", "artifacts"); code != 1 || !strings.Contains(errs, "no JSON object of parameter values") {
		t.Errorf("bad parameters: exit %d, %q", code, errs)
	}
}

const ownGraph = `pipelineInfo: {name: own}
schemaVersion: 2.1.0
sdkVersion: kfp-2.8.0
root:
  inputDefinitions: {parameters: {greeting: {parameterType: STRING}}}
  dag:
    tasks:
      greet:
        taskInfo: {name: greet}
        componentRef: {name: comp-greet}
        inputs: {parameters: {text: {componentInputParameter: greeting}}}
components:
  comp-greet:
    executorLabel: exec-greet
    inputDefinitions: {parameters: {text: {parameterType: STRING}}}
deploymentSpec:
  executors:
    exec-greet: {container: {image: example.invalid/greet, command: [echo], args: ["{{$.inputs.parameters['text']}}"]}}
`
