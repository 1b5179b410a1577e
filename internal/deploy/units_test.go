package deploy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrace-ml/millrace/functions/batchtrigger"
	"github.com/millrace-ml/millrace/functions/onupload"
	"github.com/millrace-ml/millrace/internal/batchtest"
	"github.com/millrace-ml/millrace/internal/change"
	"github.com/millrace-ml/millrace/shared/entry"
	"github.com/millrace-ml/millrace/shared/pipeline"
)

// withFunctions lets bundles of onupload and batchtrigger open as they do when deployed, on a cloud of the test.
func withFunctions(t *testing.T, p *project) *batchtest.Cloud {
	t.Helper()
	c := batchtest.New(t)
	p.terraform("onupload")
	p.terraform("batchtrigger")
	p.open = func(f, unit, _ string) http.Handler {
		open := map[string]entry.OpenFunc{"OnUpload": onupload.Open, "BatchTrigger": batchtrigger.Open}[f]
		fn, err := open(entry.WithUnit(t.Context(), unit), c.Getenv(map[string]string{"OPERATORS": "*"}))
		if err != nil {
			t.Error(err)
			return http.NotFoundHandler()
		}
		t.Cleanup(func() { fn.Close(context.Background()) })
		return entry.Serve(f, fn, entry.ServeOptions{Log: slog.New(slog.DiscardHandler)})
	}
	return c
}

func TestTheFunctionsOfEvents(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	c := withFunctions(t, p)
	for _, version := range []string{"one", "two"} { // the first time, and over one that serves
		for _, name := range []string{"onupload", "batchtrigger"} {
			if err := p.deploy(t.Context(), p.bundle(t, name, map[string]string{"version": version})); err != nil {
				t.Fatalf("%v\n%s", err, p.log.String())
			}
			p.truth(t, name, name)
		}
	}
	if runs := c.Runs(t); len(runs) != 0 {
		t.Errorf("the smoke test started %d runs", len(runs))
	}
	for name, ill := range map[string]func(*runRevision){
		"another unit answers":      func(r *runRevision) { r.Handler = p.services["onupload"].revisions[1].Handler },
		"the smoke event is worked": func(r *runRevision) { inner := r.Handler; r.Handler = heeding(inner) },
		"errors with traffic":       func(r *runRevision) { r.illness = "errors with traffic" },
	} {
		next := p.bundle(t, "onupload", map[string]string{"version": name})
		p.ail = ill
		p.allAtOnce = name == "errors with traffic" // such a function gets all of the traffic in one step
		revisions := len(p.services["onupload"].revisions)
		err := p.deploy(t.Context(), next)
		if err == nil || len(p.services["onupload"].revisions) != revisions+1 {
			t.Errorf("%s: error %v", name, err)
		}
		p.truth(t, "onupload", "onupload")
	}
}

// heeding answers an event as one that was worked.
func heeding(inner http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			fmt.Fprint(w, `{"run_id":"x"}`)
			return
		}
		inner.ServeHTTP(w, r)
	})
}

const stepImage = "europe-west1-docker.pkg.dev/shop/images/step@sha256:"

// withBatch lays the tiny model's folder and the step image, and deploys batchtrigger's service.
func withBatch(t *testing.T, p *project) (step, batch change.Change) {
	t.Helper()
	lay(t, filepath.Join(p.dir, "models", "tiny"), tiny(1, ""))
	lay(t, p.dir, map[string]string{imageFile: stepImage + strings.Repeat("1", 64) + "\n"})
	p.terraform("batchtrigger")
	return change.Change{Unit: change.Step, Action: change.Deploy, Hash: "sha256:aa"}, change.Change{Unit: "batch@tiny", Action: change.Deploy, Hash: "sha256:bb"}
}

func (p *project) released(t *testing.T) []pipeline.Release {
	t.Helper()
	all, err := pipeline.Releases(t.Context(), p.client, "shop-artifacts")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestABatchModelIsTriedBeforeItsPointerMoves(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	step, batch := withBatch(t, p)
	p.tryErr = errors.New("row 2 is 21, recorded is 20")
	if err := p.deploy(t.Context(), batch, step); err == nil || !strings.Contains(err.Error(), "its pointer stays: row 2") {
		t.Errorf("a trial that fails: %v", err)
	}
	if all := p.released(t); len(all) != 0 {
		t.Errorf("released: %v", all)
	}
	if r, err := p.records.Read(t.Context(), change.Step); err != nil || r == nil || !strings.HasPrefix(r.Image, stepImage) {
		t.Errorf("the step image is recorded as %v, %v", r, err)
	}
	p.tryErr = nil
	if err := p.deploy(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	if all := p.released(t); len(all) != 1 || all[0].Commit != p.build.Commit || !strings.HasPrefix(all[0].Image, stepImage) {
		t.Errorf("released: %+v", all)
	}
	if r, err := p.records.Read(t.Context(), batch.Unit); err != nil || r == nil || r.Hash != batch.Hash {
		t.Errorf("recorded: %v, %v", r, err)
	}
	if want := "tiny at " + p.url + "/run/batchtrigger"; len(p.tried) != 2 || p.tried[1] != want {
		t.Errorf("tried %q, want %q", p.tried, want)
	}
}

func TestUnitsFailApart(t *testing.T) {
	t.Parallel()
	p, next := serving(t)
	step, batch := withBatch(t, p)
	lay(t, p.dir, map[string]string{imageFile: "step:latest"})
	err := p.deploy(t.Context(), next, batch, step, change.Change{Unit: change.Terraform, Action: change.Deploy, Hash: "sha256:cc"})
	for _, part := range []string{"step: ", "expected REPOSITORY@sha256", "batch@tiny: not released: the step image that it would run failed"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error %v, want %q", err, part)
		}
	}
	p.truth(t, unit, serviceName)
	if r, err := p.records.Read(t.Context(), unit); err != nil || r.Hash != next.Hash {
		t.Errorf("the function was not deployed: %v, %v", r, err)
	}
	if r, err := p.records.Read(t.Context(), change.Terraform); err != nil || r != nil {
		t.Errorf("the infrastructure was recorded: %v, %v", r, err)
	}
	if len(p.tried) != 0 {
		t.Errorf("tried %q", p.tried)
	}
}

func TestAModelThatIsGone(t *testing.T) {
	t.Parallel()
	p, next := serving(t)
	step, batch := withBatch(t, p)
	if err := p.deploy(t.Context(), step, batch); err != nil {
		t.Fatal(err)
	}
	removed := p.build.Committed
	gone := func(unit string) change.Change {
		return change.Change{Unit: unit, Action: change.Remove, Was: "sha256:0"}
	}
	if err := p.deploy(t.Context(), gone(unit), gone("batch@tiny")); err != nil {
		t.Fatal(err)
	}
	if all := p.released(t); len(all) != 0 {
		t.Errorf("still released: %v", all)
	}
	if p.services[serviceName].revisions[1].traffic != true || len(p.services) != 2 {
		t.Error("the service was touched; it is Terraform's")
	}
	if records, err := p.records.List(t.Context()); err != nil || len(records) != 1 {
		t.Errorf("records %v, %v; want the step image's alone", records, err)
	}
	history := p.client.Bucket("shop-artifacts").Objects(t.Context(), nil)
	kept := 0
	for o, err := history.Next(); err == nil; o, err = history.Next() {
		if strings.HasPrefix(o.Name, "history/tiny/") {
			kept++
		}
	}
	if kept != 1 {
		t.Errorf("%d releases in the history, want 1", kept)
	}
	// A late build of a commit from before does not bring it back, one of a later commit does.
	p.build.Committed = removed.Add(-time.Hour)
	if err := p.deploy(t.Context(), next, batch); err != nil {
		t.Fatal(err)
	}
	if len(p.released(t)) != 0 || !strings.Contains(p.log.String(), "skipped: a commit of 2026-03-01T12:00:00Z removed it") {
		t.Errorf("a late build brought it back:\n%s", p.log.String())
	}
	p.build.Committed = removed.Add(time.Hour)
	if err := p.deploy(t.Context(), next, batch); err != nil {
		t.Fatal(err)
	}
	if len(p.released(t)) != 1 {
		t.Error("a later commit does not bring it back")
	}
	p.truth(t, unit, serviceName)
}

func TestAnOlderCommitIsSkipped(t *testing.T) {
	t.Parallel()
	p, next := serving(t)
	at := p.build.Committed
	p.build.Committed = at.Add(-time.Minute)
	if err := p.deploy(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	if len(p.calls) != 0 || !strings.Contains(p.log.String(), "skipped: commit 111111111111 of 2026-03-01T11:59:00Z is older than 111111111111 of 2026-03-01T12:00:00Z, which is deployed") {
		t.Errorf("%d calls, %s", len(p.calls), p.log.String())
	}
	o := p.options()
	build := *p.build
	build.Units = []change.Change{next}
	o.Build, o.Force = &build, true
	if out, err := Run(t.Context(), o); err != nil || Failed(out) != nil {
		t.Errorf("with --force: %v, %v", out, err)
	}
	p.truth(t, unit, serviceName)
}

// Models deploy several at a time, and each line says whose it is.
func TestModelsDeployAtOnce(t *testing.T) {
	t.Parallel()
	p, next := serving(t)
	p.terraform("predict-other")
	other := p.bundle(t, "predict@other", tiny(1, ""))
	if err := p.deploy(t.Context(), next, other); err != nil {
		t.Fatal(err)
	}
	p.truth(t, unit, serviceName)
	p.truth(t, other.Unit, "predict-other")
	for _, line := range []string{"\npredict@tiny: gcloud run deploy predict-tiny ", "\npredict@other: gcloud run deploy predict-other ", "\npredict@other: # predict@other: deployed\n"} {
		if !strings.Contains(p.log.String(), line) {
			t.Errorf("no line %q", line)
		}
	}
}
