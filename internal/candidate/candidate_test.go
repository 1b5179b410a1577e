package candidate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/millrace-ml/millrace/internal/batchtest"
	"github.com/millrace-ml/millrace/shared/batch"
	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/ledger"
	"github.com/millrace-ml/millrace/shared/pipeline"
)

func TestTryProvesACandidateAndTouchesNothingElse(t *testing.T) {
	t.Parallel()
	for name, folder := range map[string]fs.FS{model: stump(), "bike-demand": os.DirFS(filepath.Join(models, "bike-demand"))} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			parity, err := fs.ReadFile(folder, "parity.jsonl")
			if err != nil {
				t.Fatal(err)
			}
			o := l.options(t)
			o.In = release(t, folder)
			r, err := Try(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if r.Rows != bytes.Count(parity, []byte(`"instance"`)) || r.Found || r.Own || r.Attempt != 1 || r.Model != name {
				t.Errorf("result is %+v", r)
			}
			l.untouched(t)
			run := l.TheRun(t)
			if run.ID != r.RunID || run.State != ledger.Succeeded || run.Trigger.Candidate != r.Candidate || run.Counts.Rows != int64(r.Rows) {
				t.Errorf("the record is %+v", run)
			}
			rows := l.names(t, batchtest.Staging, "smoke/")
			if want := "smoke/" + name + "/" + strings.TrimPrefix(unit, "sha256:") + ".csv"; !slices.Equal(rows, []string{want}) || run.Dataset.Object != want {
				t.Errorf("the rows lie in %q, the run reads %q", rows, run.Dataset.Object)
			}
			if got := l.names(t, batchtest.Staging, batch.SuccessObject(name, r.RunID)); len(got) != 1 {
				t.Error("there is no proof in staging")
			}

			o.In.Commit, o.In.Now = "another", o.In.Now.Add(time.Hour)
			again, err := Try(t.Context(), o)
			if err != nil || !again.Found || again.RunID != r.RunID || again.Rows != r.Rows || len(l.Vertex.Jobs()) != 1 {
				t.Errorf("the same unit again gives %+v, %v, and %d jobs", again, err, len(l.Vertex.Jobs()))
			}
			released, err := pipeline.Publish(t.Context(), l.Storage, batchtest.Artifacts, *o.In)
			if err != nil || released.FolderDigest != run.Release.FolderDigest || released.SpecDigest != run.Release.SpecDigest {
				t.Errorf("what was tried is not what is released: %+v, %v", released, err)
			}
		})
	}
}

// tamper changes the predictions of a run after its steps have written them, proof and all.
func tamper(l *lab, id string, change func(string) string) error {
	ctx := context.Background()
	name := batch.SuccessObject(model, id)
	data, err := l.get(ctx, batchtest.Staging, name)
	if err != nil {
		return err
	}
	var s batch.Success
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	for i, o := range s.Objects {
		if !strings.Contains(o.Name, "predictions-") {
			continue
		}
		text, err := l.get(ctx, batchtest.Staging, o.Name)
		if err != nil {
			return err
		}
		text = []byte(change(string(text)))
		if err := l.put(ctx, batchtest.Staging, o.Name, text); err != nil {
			return err
		}
		s.Objects[i].Size, s.Objects[i].CRC32C = int64(len(text)), checksum(text)
	}
	if data, err = json.Marshal(s); err != nil {
		return err
	}
	return l.put(ctx, batchtest.Staging, name, data)
}

func TestTryRefusesACandidateWithOtherPredictions(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.with(func(l *lab, id string) error {
		if l.step(id, "plan", nil) != 0 {
			return errors.New("plan failed")
		}
		err := tamper(l, id, func(s string) string { return strings.Replace(s, ",10.5,", ",10.6,", 1) })
		l.end(id, "SUCCEEDED")
		return err
	})
	for _, when := range []string{"at once", "again"} {
		_, err := Try(t.Context(), l.options(t))
		if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), `parity.jsonl:1: y is "10.6", expected "10.5" (1 of 3 rows differ)`) {
			t.Errorf("%s: got %v", when, err)
		}
	}
	l.untouched(t)
	if n := len(l.Vertex.Jobs()); n != 1 {
		t.Errorf("%d jobs, expected that predictions are not tried again", n)
	}
}

// A model folder that does not prove itself here is not even written.
func TestTryRefusesAFolderThatFailsItsParityRows(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	o := l.options(t)
	folder := stump()
	folder["parity.jsonl"].Data = bytes.Replace(folder["parity.jsonl"].Data, []byte("10.5"), []byte("11"), 1)
	o.In.Folder = folder
	before := l.names(t, batchtest.Artifacts, "")
	if _, err := Try(t.Context(), o); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "parity.jsonl:1") {
		t.Errorf("got %v", err)
	}
	if after := l.names(t, batchtest.Artifacts, ""); !slices.Equal(before, after) || len(l.Runs(t)) != 0 {
		t.Errorf("it left %q and %d runs", after, len(l.Runs(t)))
	}
}

func TestAFailedTrialCanBeTriedAgain(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.with(func(l *lab, id string) error {
		l.end(id, "FAILED")
		return nil
	})
	for _, attempt := range []string{"1", "2"} {
		_, err := Try(t.Context(), l.options(t))
		if fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "is failed: as the test says") || !strings.Contains(err.Error(), "runs --url "+l.url+" show stump-request-") {
			t.Errorf("attempt %s: got %v", attempt, err)
		}
	}
	l.with((*lab).steps)
	r := l.try(t)
	if r.Attempt != 3 || r.Found || len(l.Vertex.Jobs()) != 3 {
		t.Errorf("result is %+v after %d jobs", r, len(l.Vertex.Jobs()))
	}
	if again := l.try(t); again.Attempt != 3 || !again.Found || again.RunID != r.RunID {
		t.Errorf("then again: %+v", again)
	}
	l.untouched(t)
}

// Vertex refuses the job: the run fails before it is submitted, which is an error of the request.
func TestATrialThatVertexRefusesCanBeTriedAgain(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.Vertex.Script(batchtest.Answer{Code: codes.PermissionDenied})
	if _, err := Try(t.Context(), l.options(t)); fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "was not started") || !strings.Contains(err.Error(), "show stump-request-") {
		t.Errorf("got %v", err)
	}
	if r := l.try(t); r.Attempt != 2 {
		t.Errorf("result is %+v", r)
	}
}

func TestATrialWhoseOutputIsGoneIsTriedAgain(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	r := l.try(t)
	if err := l.Storage.Bucket(batchtest.Staging).Object(batch.SuccessObject(model, r.RunID)).Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again := l.try(t); again.Attempt != 2 || again.Found {
		t.Errorf("result is %+v", again)
	}
	rows := l.names(t, batchtest.Staging, "smoke/")[0]
	if err := l.Storage.Bucket(batchtest.Staging).Object(rows).Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again := l.try(t); again.Attempt != 1 || again.Found { // of rows with another generation
		t.Errorf("without its rows the result is %+v", again)
	}
	if err := l.put(t.Context(), batchtest.Staging, rows, []byte("x\n1\n")); err != nil {
		t.Fatal(err)
	}
	if again := l.try(t); again.Found {
		t.Errorf("with other rows the result is %+v", again)
	}
}

func TestTryOfAnOwnGraphTakesItsSuccess(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.with(func(l *lab, id string) error {
		l.Vertex.End(id, jobSucceeded, "")
		for range 100 { // its start may not be written down yet
			resp, err := http.Post(l.url+"/reconcile", "application/json", nil)
			if err != nil {
				return err
			}
			var report batch.ReconcileReport
			err = json.NewDecoder(resp.Body).Decode(&report)
			_ = resp.Body.Close()
			if err != nil || report.Closed > 0 {
				return err
			}
		}
		return errors.New("reconcile closes no run")
	})
	o := l.options(t)
	o.In.Image = ""
	r, err := Try(t.Context(), o)
	if err != nil || !r.Own || r.Rows != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if again, err := Try(t.Context(), o); err != nil || !again.Found {
		t.Errorf("again: %+v, %v", again, err)
	}
}

func TestTryRefusesWrongOptions(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	for name, tc := range map[string]struct {
		change func(*Options)
		says   string
	}{
		"no release":                {func(o *Options) { o.In = nil }, "needs a release"},
		"no client":                 {func(o *Options) { o.Storage = nil }, "needs a release and a storage client"},
		"no staging":                {func(o *Options) { o.Staging = "" }, "must be named"},
		"no hash":                   {func(o *Options) { o.Unit = "../x" }, "no hash of a unit"},
		"no URL":                    {func(o *Options) { o.Trigger = "batchtrigger" }, "expected https://"},
		"a URL in the clear":        {func(o *Options) { o.Trigger = "http://example.com" }, "expected https://"},
		"a bucket that is not here": {func(o *Options) { o.Staging = "none" }, "not there"},
		"a model without batch":     {func(o *Options) { m := *o.In.Manifest; m.Serve = []string{"realtime"}; o.In.Manifest = &m }, "does not serve batch"},
	} {
		o := l.options(t)
		tc.change(&o)
		if _, err := Try(t.Context(), o); err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: got %v, want something with %q", name, err, tc.says)
		}
	}
	if n := len(l.Runs(t)); n != 0 {
		t.Errorf("%d runs were started", n)
	}
}
