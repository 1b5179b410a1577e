package batch_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/grpc/codes"

	"github.com/millrace-ml/millrace/internal/batchtest"
	"github.com/millrace-ml/millrace/internal/localcloud/chaos"
	"github.com/millrace-ml/millrace/shared/batch"
	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/ledger"
)

const (
	jobRunning   = aiplatformpb.PipelineState_PIPELINE_STATE_RUNNING
	jobSucceeded = aiplatformpb.PipelineState_PIPELINE_STATE_SUCCEEDED
	jobFailed    = aiplatformpb.PipelineState_PIPELINE_STATE_FAILED
	jobCancelled = aiplatformpb.PipelineState_PIPELINE_STATE_CANCELLED
)

// started is a cloud with one submitted run.
func started(t *testing.T) (*batchtest.Cloud, *batch.Batch, *ledger.Run) {
	t.Helper()
	c := batchtest.New(t)
	b := c.Batch(t, batch.Options{})
	run, err := b.Start(t.Context(), c.Upload(t, "rides/a.csv", "x\n1\n"))
	if err != nil || run.State != ledger.Submitted {
		t.Fatalf("Start = %+v, %v", run, err)
	}
	return c, b, run
}

// How a run ends by what its pipeline left behind: the proof first, then the verdict, then the states.
func TestEnds(t *testing.T) {
	t.Parallel()
	success := func(t *testing.T, c *batchtest.Cloud, run *ledger.Run) { c.Succeed(t, run, 9) }
	verdict := func(state, reason string) func(*testing.T, *batchtest.Cloud, *ledger.Run) {
		return func(t *testing.T, c *batchtest.Cloud, run *ledger.Run) {
			c.Put(t, batchtest.Staging, batch.VerdictObject(run.ID), batch.Verdict{State: state, Reason: reason})
		}
	}
	foreign := func(t *testing.T, c *batchtest.Cloud, run *ledger.Run) {
		c.Put(t, batchtest.Outbox, batch.SuccessObject(run.Model, run.ID), batch.Success{RunID: "another"})
	}
	none := func(*testing.T, *batchtest.Cloud, *ledger.Run) {}
	both := func(t *testing.T, c *batchtest.Cloud, run *ledger.Run) {
		success(t, c, run)
		verdict("failed", "x")(t, c, run)
	}
	cases := map[string]struct {
		left  func(*testing.T, *batchtest.Cloud, *ledger.Run)
		job   aiplatformpb.PipelineState
		task  string
		state ledger.State
		says  string
	}{
		"success":                    {success, jobSucceeded, "SUCCEEDED", ledger.Succeeded, ""},
		"success, but a task failed": {success, jobFailed, "FAILED", ledger.Succeeded, ""},
		"success, then cancelled":    {success, jobCancelled, "CANCELLED", ledger.Succeeded, ""},
		"success before a verdict":   {both, jobSucceeded, "SUCCEEDED", ledger.Succeeded, ""},
		"wrong columns":              {verdict("invalid", "column temp is missing"), jobSucceeded, "SUCCEEDED", ledger.Invalid, "column temp"},
		"too many rejected":          {verdict("failed", "half of the rows are rejected"), jobSucceeded, "SUCCEEDED", ledger.Failed, "half of"},
		"a verdict of another state": {verdict("succeeded", "hm"), jobSucceeded, "SUCCEEDED", ledger.Failed, `"succeeded"`},
		"no commit":                  {none, jobSucceeded, "SUCCEEDED", ledger.Failed, "without _SUCCESS.json"},
		"failed":                     {none, jobFailed, "FAILED", ledger.Failed, "out of memory"},
		"cancelled":                  {none, jobCancelled, "CANCELLED", ledger.Cancelled, "cancelled"},
		"a success of another run":   {foreign, jobSucceeded, "SUCCEEDED", ledger.Failed, `"another"`},
	}
	for name, tc := range cases {
		by := map[string]func(*testing.T, *batchtest.Cloud, *batch.Batch, *ledger.Run){
			"reconcile": func(t *testing.T, c *batchtest.Cloud, b *batch.Batch, run *ledger.Run) {
				message := map[bool]string{true: "out of memory"}[tc.job == jobFailed]
				c.Vertex.End(run.ID, tc.job, message)
				if report, err := b.Reconcile(t.Context()); err != nil || report.Closed != 1 {
					t.Errorf("Reconcile = %+v, %v; expected one closed", report, err)
				}
			},
			"exit task": func(t *testing.T, _ *batchtest.Cloud, b *batch.Batch, run *ledger.Run) {
				for range 2 { // a retried exit task changes nothing
					if state, err := b.Finish(t.Context(), run.ID, tc.task, "task score failed: out of memory"); err != nil || state != tc.state {
						t.Errorf("Finish = %s, %v; expected %s", state, err, tc.state)
					}
				}
			},
		}
		for who, end := range by {
			t.Run(name+", by "+who, func(t *testing.T) {
				t.Parallel()
				c, b, run := started(t)
				tc.left(t, c, run)
				end(t, c, b, run)
				got := c.TheRun(t)
				if got.State != tc.state || !strings.Contains(got.Reason, tc.says) || got.FinishedAt.IsZero() {
					t.Errorf("run is %s (%s), finished %v; expected %s with %q", got.State, got.Reason, got.FinishedAt, tc.state, tc.says)
				}
				if tc.state == ledger.Succeeded && (got.Counts != ledger.Counts{Rows: 9, Scored: 8, Rejected: 1}) {
					t.Errorf("counts %+v, expected 9 = 8 + 1", got.Counts)
				}
				if lines := c.Logged(t, "run_finished"); len(lines) != 1 || lines[0]["state"] != string(tc.state) || lines[0]["run_id"] != run.ID {
					t.Errorf("logged %v, expected one line of the end", lines)
				}
			})
		}
	}
}

func TestFinishOfOddRuns(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	b := c.Batch(t, batch.Options{})
	if _, err := b.Finish(t.Context(), "none", "SUCCEEDED", ""); fault.KindOf(err) != fault.NotFound {
		t.Errorf("Finish of no run = %v, expected not found", err)
	}
	c.Vertex.Script(batchtest.Answer{Code: codes.ResourceExhausted, Applied: true})
	ctx, kill := context.WithCancel(t.Context())
	c.Faults.Exit = kill
	c.Faults.Arm(chaos.Fault{Match: "vertex:GetPipelineJob", Action: chaos.Kill})
	u := c.Upload(t, "rides/a.csv", "x\n1\n")
	if _, err := b.Start(ctx, u); err == nil {
		t.Fatal("the start was not killed")
	}
	run := c.TheRun(t)
	if _, err := b.Finish(t.Context(), run.ID, "DONE", ""); fault.KindOf(err) != fault.Invalid {
		t.Errorf("Finish with an odd state = %v, expected invalid", err)
	}
	// The pipeline ends before its starter has written that it is submitted.
	c.Succeed(t, run, 2)
	if state, err := b.Finish(t.Context(), run.ID, "SUCCEEDED", ""); err != nil || state != ledger.Succeeded {
		t.Errorf("Finish of a %s run = %s, %v; expected succeeded", run.State, state, err)
	}
	c.Clock.Advance(time.Minute)
	if again, err := b.Start(t.Context(), u); err != nil || again.State != ledger.Succeeded {
		t.Errorf("the event again: %+v, %v; expected the succeeded run", again, err)
	}
}

// A pipeline that ends while its run is back in the line, as Vertex claimed to have no quota, is left to Reconcile.
func TestFinishOfARunInTheLine(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	b := c.Batch(t, batch.Options{})
	c.Vertex.Script(batchtest.Answer{Code: codes.ResourceExhausted})
	run, err := b.Start(t.Context(), c.Upload(t, "rides/a.csv", "x\n1\n"))
	if err != nil || run.State != ledger.Pending {
		t.Fatal(run, err)
	}
	c.Succeed(t, run, 2)
	if state, err := b.Finish(t.Context(), run.ID, "SUCCEEDED", ""); err != nil || state != ledger.Pending {
		t.Errorf("Finish = %s, %v; expected it to stay pending", state, err)
	}
	for range 2 {
		if _, err := b.Reconcile(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := c.TheRun(t); got.State != ledger.Succeeded {
		t.Errorf("run is %s, expected succeeded", got.State)
	}
}
