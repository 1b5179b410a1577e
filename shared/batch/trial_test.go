package batch_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/millrace-ml/millrace/internal/batchtest"
	"github.com/millrace-ml/millrace/internal/localcloud/chaos"
	"github.com/millrace-ml/millrace/shared/batch"
	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/ledger"
	"github.com/millrace-ml/millrace/shared/pipeline"
)

// nextModel is the model of the cloud in a version that is not released.
var nextModel = strings.Replace(batchtest.Model, `version: "7"`, `version: "8"`, 1)

// proposed is a cloud with a candidate and the request to try it.
func proposed(t *testing.T) (*batchtest.Cloud, *batch.Batch, batch.Trial) {
	t.Helper()
	c := batchtest.New(t)
	uri, _ := c.Propose(t, nextModel)
	return c, c.Batch(t, batch.Options{}), trialOf(t, c, uri)
}

func trialOf(t *testing.T, c *batchtest.Cloud, uri string) batch.Trial {
	t.Helper()
	w := c.Storage.Bucket(batchtest.Staging).Object("smoke/rides/u.csv").NewWriter(t.Context())
	if _, err := w.Write([]byte("x\n1\n")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return batch.Trial{Key: "trial 1", By: "deployer@example.com", TrialAsk: batch.TrialAsk{Model: "rides", Candidate: uri,
		Dataset: batch.Dataset{Bucket: batchtest.Staging, Object: "smoke/rides/u.csv", Generation: w.Attrs().Generation}}}
}

func TestATrialRunsTheCandidateAndWritesToStaging(t *testing.T) {
	t.Parallel()
	c, b, trial := proposed(t)
	run, err := b.Start(t.Context(), trial)
	if err != nil || run.State != ledger.Submitted || run.Kind != ledger.Request || run.ID != batch.RequestRunID("rides", "trial 1") {
		t.Fatalf("Start = %+v, %v", run, err)
	}
	candidate, err := pipeline.ReadCandidate(t.Context(), c.Storage, batchtest.Artifacts, "rides", trial.Candidate)
	if err != nil {
		t.Fatal(err)
	}
	stored := c.TheRun(t)
	if r := stored.Release; r.Version != "8" || r.Folder != candidate.Folder || r.FolderDigest != candidate.FolderDigest || r.SpecDigest != candidate.SpecDigest {
		t.Errorf("the run has the release %+v", r)
	}
	shown, err := json.Marshal(stored)
	if err != nil || !stored.Trial() || !strings.Contains(string(shown), `"candidate":"`+trial.Candidate+`"`) || stored.Trigger.By != "deployer@example.com" {
		t.Errorf("the record is %s, %v; expected the mark of a candidate", shown, err)
	}
	values := c.Vertex.Job(run.ID).GetRuntimeConfig().GetParameterValues()
	if got := values["outbox"].GetStringValue(); got != batchtest.Staging {
		t.Errorf("its output goes to %q", got)
	}
	if got := values["model_digest"].GetStringValue(); got != candidate.FolderDigest {
		t.Errorf("it fetches the model folder %s", got)
	}
	if again, err := b.Start(t.Context(), trial); err != nil || again.Key != run.Key || len(c.Vertex.Jobs()) != 1 {
		t.Errorf("the same trial again is %+v, %v", again, err)
	}
	c.Succeed(t, run, 9)
	c.Vertex.End(run.ID, jobSucceeded, "")
	if _, err := b.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := c.TheRun(t); got.State != ledger.Succeeded || got.Counts.Rows != 9 {
		t.Errorf("the run is %s (%s) with %+v", got.State, got.Reason, got.Counts)
	}
	d, err := b.Show(t.Context(), run.ID)
	if err != nil || string(d.Summary) != "{\"rows\":9}\n" {
		t.Errorf("shown %s, %v; expected the summary that lies in staging", d.Summary, err)
	}
	if list, err := pipeline.Releases(t.Context(), c.Storage, batchtest.Artifacts); err != nil || len(list) != 1 || list[0].Manifest.Version != "7" {
		t.Errorf("released are %v, %v", list, err)
	}
}

// Production's proof is not a trial's, and the other way round.
func TestATrialIsNotProvenByTheOutbox(t *testing.T) {
	t.Parallel()
	c, b, trial := proposed(t)
	run, err := b.Start(t.Context(), trial)
	if err != nil {
		t.Fatal(err)
	}
	c.Put(t, batchtest.Outbox, batch.SuccessObject("rides", run.ID), batch.Success{RunID: run.ID})
	if state, err := b.Finish(t.Context(), run.ID, "SUCCEEDED", ""); err != nil || state != ledger.Failed {
		t.Errorf("Finish = %s, %v; expected failed, for want of a proof in staging", state, err)
	}
}

func TestAFailedTrialIsMarkedInTheLog(t *testing.T) {
	t.Parallel()
	c, b, trial := proposed(t)
	run, err := b.Start(t.Context(), trial)
	if err != nil {
		t.Fatal(err)
	}
	c.Clock.Advance(3 * time.Hour) // over the manifest's two
	if report, err := b.Reconcile(t.Context()); err != nil || report.Overdue != 1 {
		t.Fatalf("Reconcile = %+v, %v", report, err)
	}
	c.Vertex.End(run.ID, jobFailed, "out of memory")
	if _, err := b.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, event := range []string{"run_finished", "run_overdue"} {
		lines := c.Logged(t, event)
		if len(lines) != 1 || lines[0]["candidate"] != true || lines[0]["level"] != "WARN" {
			t.Errorf("%s was logged as %v, expected a warning about a candidate", event, lines)
		}
	}
	failed, err := b.Start(t.Context(), c.Upload(t, "rides/a.csv", "x\n1\n"))
	if err != nil {
		t.Fatal(err)
	}
	c.Vertex.End(failed.ID, jobFailed, "out of memory")
	if _, err := b.Reconcile(t.Context()); err != nil {
		t.Fatal(err)
	}
	last := c.Logged(t, "run_finished")[1]
	if _, marked := last["candidate"]; marked || last["level"] != "ERROR" {
		t.Errorf("a failed run of production was logged as %v", last)
	}
}

func TestTrialsRefuse(t *testing.T) {
	t.Parallel()
	c, b, good := proposed(t)
	for name, tc := range map[string]struct {
		change func(*batch.Trial)
		kind   fault.Kind
		says   string
	}{
		"another bucket's candidate": {func(q *batch.Trial) { q.Candidate = strings.Replace(q.Candidate, batchtest.Artifacts, "elsewhere", 1) }, fault.Invalid, "expected gs://" + batchtest.Artifacts},
		"another model's candidate":  {func(q *batch.Trial) { q.Model = "boats" }, fault.Invalid, "dataset"},
		"another model's, all of it": {func(q *batch.Trial) { q.Model = "boats"; q.Dataset.Object = "smoke/boats/u.csv" }, fault.Invalid, "none of model"},
		"the pointer":                {func(q *batch.Trial) { q.Candidate = "gs://" + batchtest.Artifacts + "/released/rides.json" }, fault.Invalid, "none of model"},
		"a candidate that is gone":   {func(q *batch.Trial) { q.Candidate = otherDigest(q.Candidate) }, fault.NotFound, "not there"},
		"no candidate":               {func(q *batch.Trial) { q.Candidate = "" }, fault.Invalid, "/candidate"},
		"no generation":              {func(q *batch.Trial) { q.Dataset.Generation = 0 }, fault.Invalid, "/dataset/generation"},
		"a prefix":                   {func(q *batch.Trial) { q.Dataset.Prefix = "smoke/rides/" }, fault.Invalid, "/dataset/prefix"},
		"rows of the inbox":          {func(q *batch.Trial) { q.Dataset.Bucket = batchtest.Inbox }, fault.Invalid, "below gs://" + batchtest.Staging + "/smoke/rides/"},
		"rows of another run":        {func(q *batch.Trial) { q.Dataset.Object = "rides-20260601-0/plan.json" }, fault.Invalid, "below gs://"},
		"a name of two kinds":        {func(q *batch.Trial) { q.Dataset.Object = `smoke/rides/a\b.csv` }, fault.Invalid, "below gs://"},
		"a way out":                  {func(q *batch.Trial) { q.Dataset.Object = "smoke/rides/../../x.csv" }, fault.Invalid, "below gs://"},
		"no key":                     {func(q *batch.Trial) { q.Key = "" }, fault.Invalid, "Idempotency-Key"},
	} {
		t.Run(name, func(t *testing.T) {
			q := good
			tc.change(&q)
			_, err := b.Start(t.Context(), q)
			if fault.KindOf(err) != tc.kind || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v (%v), expected %v with %q", err, fault.KindOf(err), tc.kind, tc.says)
			}
		})
	}
	if runs := c.Runs(t); len(runs) != 0 {
		t.Errorf("%d were recorded all the same", len(runs))
	}
	if _, err := b.Start(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	other := good
	other.Dataset.Generation++
	if _, err := b.Start(t.Context(), other); fault.KindOf(err) != fault.Conflict || !strings.Contains(err.Error(), "a trial of "+good.Candidate) {
		t.Errorf("another dataset under the same key: %v, expected conflict", err)
	}
}

// otherDigest is the name of a candidate that nobody wrote.
func otherDigest(uri string) string {
	return uri[:len(uri)-len(".json")-64] + strings.Repeat("0", 64) + ".json"
}

// What fails on the way stays pending, is driven on by Drain, and still runs the candidate.
func TestATrialWaitsAndIsTakenOver(t *testing.T) {
	t.Parallel()
	c, b, trial := proposed(t)
	c.Vertex.Script(batchtest.Answer{Code: codes.ResourceExhausted})
	run, err := b.Start(t.Context(), trial)
	if err != nil || run.State != ledger.Pending {
		t.Fatalf("Start = %+v, %v; expected pending for want of quota", run, err)
	}
	ctx, kill := context.WithCancel(t.Context())
	c.Faults.Exit = kill
	c.Faults.Arm(chaos.Fault{Match: "vertex:CreatePipelineJob", Action: chaos.Kill})
	if _, err := b.Drain(ctx); err != nil {
		t.Log(err) // killed
	}
	if got := c.TheRun(t); got.State != ledger.Submitting {
		t.Fatalf("the run is %s", got.State)
	}
	c.Clock.Advance(16 * time.Second)
	if report, err := b.Reconcile(t.Context()); err != nil || report.Driven != 1 {
		t.Fatalf("Reconcile = %+v, %v", report, err)
	}
	got := c.TheRun(t)
	if got.State != ledger.Submitted || got.Release.Version != "8" || c.Vertex.Job(got.ID).GetRuntimeConfig().GetParameterValues()["outbox"].GetStringValue() != batchtest.Staging {
		t.Errorf("the run is %s of version %s", got.State, got.Release.Version)
	}
}

func TestATrialWhoseCandidateIsGoneFails(t *testing.T) {
	t.Parallel()
	c, b, trial := proposed(t)
	c.Vertex.Script(batchtest.Answer{Code: codes.ResourceExhausted})
	if run, err := b.Start(t.Context(), trial); err != nil || run.State != ledger.Pending {
		t.Fatalf("Start = %+v, %v", run, err)
	}
	object := strings.TrimPrefix(trial.Candidate, "gs://"+batchtest.Artifacts+"/")
	if err := c.Storage.Bucket(batchtest.Artifacts).Object(object).Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	if report, err := b.Drain(t.Context()); err != nil || report.Ended != 1 {
		t.Fatalf("Drain = %+v, %v", report, err)
	}
	if got := c.TheRun(t); got.State != ledger.Failed || !strings.Contains(got.Reason, "cannot be read any more") {
		t.Errorf("the run is %s: %s", got.State, got.Reason)
	}
}

// A model that was never released can be tried.
func TestATrialOfANewModel(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	text := strings.ReplaceAll(batchtest.Model, "rides", "boats")
	uri, _ := c.Propose(t, text)
	trial := trialOf(t, c, uri)
	w := c.Storage.Bucket(batchtest.Staging).Object("smoke/boats/u.csv").CopierFrom(c.Storage.Bucket(batchtest.Staging).Object("smoke/rides/u.csv"))
	attrs, err := w.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	trial.Model, trial.Dataset.Object, trial.Dataset.Generation = "boats", attrs.Name, attrs.Generation
	if run, err := c.Batch(t, batch.Options{}).Start(t.Context(), trial); err != nil || run.State != ledger.Submitted {
		t.Errorf("Start = %+v, %v", run, err)
	}
}

// A graph of the user's own writes no proof: its success is the run's.
func TestAnOwnPipelineSucceedsByItsJob(t *testing.T) {
	t.Parallel()
	for name, trial := range map[string]bool{"a trial": true, "an upload": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := batchtest.New(t)
			in := c.Input(t, nextModel)
			in.Image = "" // what says that the graph is the user's
			b := c.Batch(t, batch.Options{})
			var trigger batch.Trigger
			if trial {
				uri, _, err := pipeline.Propose(t.Context(), c.Storage, batchtest.Artifacts, in)
				if err != nil {
					t.Fatal(err)
				}
				trigger = trialOf(t, c, uri)
			} else {
				if _, err := pipeline.Publish(t.Context(), c.Storage, batchtest.Artifacts, in); err != nil {
					t.Fatal(err)
				}
				trigger = c.Upload(t, "rides/a.csv", "x\n1\n")
			}
			run, err := b.Start(t.Context(), trigger)
			if err != nil || !run.Release.Own {
				t.Fatalf("Start = %+v, %v", run, err)
			}
			c.Vertex.End(run.ID, jobSucceeded, "")
			if _, err := b.Reconcile(t.Context()); err != nil || c.TheRun(t).State != ledger.Succeeded {
				t.Errorf("the run is %s (%s), %v", c.TheRun(t).State, c.TheRun(t).Reason, err)
			}
		})
	}
}
