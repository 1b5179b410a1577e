package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace-ml/millrace/internal/change"
)

// unitsHere are those of the checkout, found once: it takes a second.
var unitsHere = sync.OnceValues(func() ([]change.Unit, error) { return change.Units(context.Background(), "../..") })

// compared is a build folder in which some units of the checkout have changed, and the folder of the records.
func compared(t *testing.T, changed ...string) (build, deployed string) {
	t.Helper()
	build, deployed = filepath.Join(t.TempDir(), "build"), t.TempDir()
	units, err := unitsHere()
	if err != nil {
		t.Fatal(err)
	}
	var records []change.Record
	for _, u := range units {
		r := u.Record("", time.Now())
		if u.Name == change.Step {
			r.Image = "example.invalid/step@sha256:" + strings.Repeat("1", 64)
		}
		if slices.Contains(changed, u.Name) {
			r.Hash = "sha256:0"
		}
		if err := change.Folder(deployed).Write(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
	}
	if err := (&change.Build{Units: change.Compare(units, records)}).Write(build); err != nil {
		t.Fatal(err)
	}
	return build, deployed
}

func TestBundlesOfABuild(t *testing.T) {
	t.Parallel()
	build, _ := compared(t, change.OnUpload, change.Step, "batch@bike-demand")
	stale := filepath.Join(build, "bundles", "predict@old", "go.mod")
	if err := os.MkdirAll(filepath.Dir(stale), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(stale, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	bundle := func(env map[string]string, args ...string) (code int, out, errs string) {
		return millrace(t, "", env, append([]string{"ci", "--repo", "../..", "bundle", "--build", build}, args...)...)
	}
	if code, out, errs := bundle(map[string]string{"DEPLOY": "false"}); code != 0 || out != "" || !strings.Contains(errs, "skipped: this build does not deploy") {
		t.Errorf("a build that does not deploy: exit %d, %q, %q", code, out, errs)
	}
	if code, _, errs := bundle(map[string]string{"DEPLOY": "maybe"}); code != 1 || !strings.Contains(errs, "DEPLOY=maybe: expected true or false") {
		t.Errorf("a build of which nobody knows: exit %d, %q", code, errs)
	}
	if code, out, errs := bundle(nil, "--dry-run", "--check"); code != 0 || !strings.HasPrefix(out, "# write the bundle of onupload to ") || strings.Count(out, "\n") != 1 {
		t.Errorf("dry run: exit %d, %q, %q", code, out, errs)
	}
	if _, err := os.Stat(stale); err != nil {
		t.Errorf("the dry run: %v", err)
	}
	if code, _, errs := bundle(nil, "--out", t.TempDir()); code != 1 || !strings.Contains(errs, "--out is for one unit") {
		t.Errorf("one folder for all: exit %d, %q", code, errs)
	}
	code, out, errs := bundle(map[string]string{"DEPLOY": "true"})
	if code != 0 || !strings.HasPrefix(out, "onupload\tsha256:") || strings.Count(out, "\n") != 1 {
		t.Fatalf("exit %d, %q, %q", code, out, errs)
	}
	if _, err := os.Stat(filepath.Join(build, "bundles", "onupload", "go.mod")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(stale); !os.IsNotExist(err) {
		t.Errorf("the bundle of an earlier build is still there: %v", err)
	}
}

// The steps that write in the cloud end well, without anything done, where a build does not deploy.
func TestABuildThatDoesNotDeploy(t *testing.T) {
	t.Parallel()
	deployed := t.TempDir()
	for _, args := range [][]string{{"deploy", "--build", t.TempDir()}, {"record", "terraform", "--deployed", deployed}, {"bundle"}, {"image", "--build", t.TempDir()}} {
		code, out, errs := millrace(t, "", map[string]string{"DEPLOY": "false"}, append([]string{"ci", "--repo", "../.."}, args...)...)
		if code != 0 || out != "" || !strings.Contains(errs, "skipped: this build does not deploy (DEPLOY=false)") {
			t.Errorf("%s: exit %d, %q, %q", args[0], code, out, errs)
		}
	}
	if left, err := os.ReadDir(deployed); err != nil || len(left) > 0 {
		t.Errorf("records %v, error %v", left, err)
	}
}

func TestNothingChanged(t *testing.T) {
	t.Parallel()
	build, _ := compared(t)
	code, out, errs := millrace(t, "", nil, "ci", "--repo", "../..", "bundle", "--build", build)
	if code != 0 || out != "" || !strings.Contains(errs, "no function changed") {
		t.Errorf("bundle: exit %d, %q, %q", code, out, errs)
	}
	code, out, errs = millrace(t, "", nil, "ci", "--repo", "../..", "diff", "--build", build, "--base", "HEAD")
	if code != 0 || out != "" || !strings.Contains(errs, "no model changed") {
		t.Errorf("diff: exit %d, %q, %q", code, out, errs)
	}
}

// What make changed wrote holds for the files as they were then.
func TestACheckoutThatChangedSince(t *testing.T) {
	t.Parallel()
	build, deployed := compared(t, change.OnUpload, change.Step)
	name := filepath.Join(build, change.BuildFile)
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range []string{change.OnUpload, change.Step} {
		b, err := change.ReadBuild(build)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range b.Units {
			if c.Unit == u {
				data = []byte(strings.ReplaceAll(string(data), c.Hash, "sha256:"+strings.Repeat("0", 64)))
			}
		}
	}
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"bundle"}, {"image", "--deployed", deployed}} {
		code, _, errs := millrace(t, "", nil, append([]string{"ci", "--repo", "../..", args[0], "--build", build}, args[1:]...)...)
		if code != 1 || !strings.Contains(errs, "has changed since changed.json was written; run: make changed") {
			t.Errorf("%s: exit %d, %q", args[0], code, errs)
		}
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := millrace(t, "", nil, "ci", "--repo", "../..", "bundle", "--build", build); code != 1 || !strings.Contains(errs, "run: make changed") {
		t.Errorf("without changed.json: exit %d, %q", code, errs)
	}
}

func TestTheImageOfABuild(t *testing.T) {
	t.Parallel()
	build, deployed := compared(t)
	image := func(env map[string]string, build string, args ...string) (code int, out, errs string) {
		return millrace(t, "", env, append([]string{"ci", "--repo", "../..", "image", "--build", build}, args...)...)
	}
	recorded := "example.invalid/step@sha256:" + strings.Repeat("1", 64)
	code, out, errs := image(nil, build, "--deployed", deployed)
	if code != 0 || out != recorded+"\n" {
		t.Errorf("unchanged: exit %d, %q, %q", code, out, errs)
	}
	if data, err := os.ReadFile(filepath.Join(build, "image")); err != nil || string(data) != recorded+"\n" {
		t.Errorf("build/image: %q, error %v", data, err)
	}
	if code, _, errs := image(nil, build); code != 1 || !strings.Contains(errs, "make image DEPLOYED=gs://BUCKET") {
		t.Errorf("unchanged, and nobody says where it is recorded: exit %d, %q", code, errs)
	}
	if code, _, errs := image(nil, build, "--deployed", t.TempDir()); code != 1 || !strings.Contains(errs, "has no image in the record of step") {
		t.Errorf("unchanged, without a record: exit %d, %q", code, errs)
	}
	if code, out, errs := image(map[string]string{"DEPLOY": "false"}, build); code != 0 || out != "" || !strings.Contains(errs, "skipped") {
		t.Errorf("a build that does not deploy: exit %d, %q, %q", code, out, errs)
	}
	changed, _ := compared(t, change.Step)
	if code, _, errs := image(nil, changed); code != 1 || !strings.Contains(errs, "where to? give --to, or REGION and GOOGLE_CLOUD_PROJECT") {
		t.Errorf("changed, and nobody says where to: exit %d, %q", code, errs)
	}
	code, out, errs = image(map[string]string{"REGION": "europe-west1", "GOOGLE_CLOUD_PROJECT": "my-project"}, changed, "--dry-run")
	if code != 0 || !strings.Contains(out, "KO_DOCKER_REPO=europe-west1-docker.pkg.dev/my-project/images/step ") || !strings.Contains(out, "# write the image's name to ") {
		t.Errorf("changed, dry run: exit %d, %q, %q", code, out, errs)
	}
	if _, err := os.Stat(filepath.Join(changed, "image")); !os.IsNotExist(err) {
		t.Errorf("the dry run wrote the image's name: %v", err)
	}
}

func TestChangedModels(t *testing.T) {
	t.Parallel()
	own, shared := []string{"models/a/parity.jsonl changed"}, []string{"shared/fault changed"}
	got := changedModels(&change.Build{Units: []change.Change{
		{Unit: "batch@a", Action: change.Deploy, Was: "x", Reasons: own}, {Unit: "batch@b", Action: change.Deploy, Was: "x", Reasons: shared},
		{Unit: "onupload", Action: change.Deploy}, {Unit: "predict@a", Action: change.Deploy, Was: "x", Reasons: own},
		{Unit: "predict@aa", Action: change.Deploy, Was: "x", Reasons: own}, {Unit: "predict@c", Action: change.Remove, Was: "x", Reasons: own},
		{Unit: "predict@d", Action: change.Deploy}, {Unit: "predict@e", Action: change.Keep, Was: "x"},
	}})
	if diff := cmp.Diff([]string{"a", "d"}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// The models of a checkout in git, of which one has changed, are compared with the base.
func TestDiffOfABuild(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("skipped: git is not on PATH")
	}
	dir := project(t)
	git := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "git", append([]string{"-c", "user.name=Test", "-c", "user.email=test@example.com"}, args...)...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %q: %v: %s", args, err, out)
		}
	}
	git("init", "-q", "-b", "main")
	git("add", "-A")
	git("commit", "-q", "-m", "base")
	name := filepath.Join(dir, "models", "bike-demand", "model.yaml")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(strings.Replace(string(text), `version: "2011"`, `version: "2012"`, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	build := filepath.Join(t.TempDir(), "build")
	diff := func(args ...string) (code int, out, errs string) {
		return millrace(t, "", nil, append([]string{"ci", "--repo", dir, "diff", "--build", build}, args...)...)
	}
	if code, _, errs := millrace(t, "", nil, "ci", "--repo", dir, "changed", "--base", "main", "--build", build); code != 0 {
		t.Fatal(errs)
	}
	code, out, errs := diff("--base", "main")
	if code != 0 || !strings.Contains(out, "bike-demand: version 2011") || !strings.Contains(out, "rows, 0 differ") {
		t.Errorf("exit %d, %q, %q", code, out, errs)
	}
	if code, _, errs := diff(); code != 0 || !strings.Contains(errs, "skipped: there is no revision") {
		t.Errorf("without a base: exit %d, %q", code, errs)
	}
	if code, _, errs := diff("--base", "nowhere"); code != 1 || !strings.Contains(errs, "nowhere") {
		t.Errorf("a base that is none: exit %d, %q", code, errs)
	}
}
