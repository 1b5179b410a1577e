package batch_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/millrace-ml/millrace/internal/batchtest"
	"github.com/millrace-ml/millrace/internal/localcloud/chaos"
	"github.com/millrace-ml/millrace/shared/batch"
	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/ledger"
)

func TestMirror(t *testing.T) {
	t.Parallel()
	c, b, run := started(t)
	sweep := func() batch.ReconcileReport {
		t.Helper()
		report, err := b.Reconcile(t.Context())
		if err != nil || report.Errors != 0 {
			t.Fatalf("Reconcile = %+v, %v", report, err)
		}
		return report
	}
	if sweep(); c.TheRun(t).State != ledger.Submitted {
		t.Errorf("a waiting job makes its run %s", c.TheRun(t).State)
	}
	c.Vertex.End(run.ID, jobRunning, "")
	if sweep(); c.TheRun(t).State != ledger.Running {
		t.Errorf("a running job makes its run %s", c.TheRun(t).State)
	}
	revision := c.TheRun(t).Revision
	c.Clock.Advance(time.Hour)
	if report := sweep(); report.Overdue != 0 || c.TheRun(t).Revision != revision || report.OldestSeconds < 3600 {
		t.Errorf("an hour later: %+v, revision %d; expected nothing but its age", report, c.TheRun(t).Revision)
	}
	c.Clock.Advance(90 * time.Minute) // the manifest allows two hours
	if report := sweep(); report.Overdue != 1 || len(c.Logged(t, "run_overdue")) != 1 || c.TheRun(t).State != ledger.Running {
		t.Errorf("over the limit: %+v; expected an alarm and no end", report)
	}
	if lines := c.Logged(t, "reconcile_finished"); len(lines) != 4 || lines[3]["overdue"] != 1.0 || lines[3]["complete"] != true {
		t.Errorf("logged %v, expected a line of each sweep", lines)
	}
	c.Vertex.Forget(run.ID)
	if sweep(); c.TheRun(t).State != ledger.Failed || !strings.Contains(c.TheRun(t).Reason, "gone") {
		t.Errorf("a deleted job makes its run %s (%s), expected failed", c.TheRun(t).State, c.TheRun(t).Reason)
	}
	if again, err := b.Start(t.Context(), batch.Upload{Bucket: run.Dataset.Bucket, Object: run.Dataset.Object,
		Generation: run.Dataset.Generation, Size: 4, Created: run.Trigger.Uploaded}); err != nil || again.State != ledger.Failed || len(c.Vertex.Jobs()) != 1 {
		t.Errorf("its event again is %+v, %v; expected nothing to start", again, err)
	}
}

func TestAYoungJobMayBeUnknown(t *testing.T) {
	t.Parallel()
	c, b, run := started(t)
	c.Vertex.Forget(run.ID)
	c.Clock.Advance(9 * time.Minute)
	if _, err := b.Reconcile(t.Context()); err != nil || c.TheRun(t).State != ledger.Submitted {
		t.Errorf("after nine minutes: %v, run %s; expected it to stay", err, c.TheRun(t).State)
	}
}

// The job commits and ends between Reconcile's look at the outbox and its look at Vertex.
func TestCommitBetweenTheLooks(t *testing.T) {
	t.Parallel()
	c, b, run := started(t)
	c.Vertex.OnGet(func(id string) {
		c.Vertex.OnGet(nil)
		c.Succeed(t, run, 9)
		c.Vertex.End(id, jobSucceeded, "")
	})
	if _, err := b.Reconcile(t.Context()); err != nil || c.TheRun(t).State != ledger.Succeeded {
		t.Errorf("run is %s (%s), %v; expected succeeded", c.TheRun(t).State, c.TheRun(t).Reason, err)
	}
}

func TestReconcileDrivesOnWhatIsStuck(t *testing.T) {
	t.Parallel()
	for state, match := range map[ledger.State]string{ledger.Claimed: "storage:objects.media", ledger.Submitting: "vertex:CreatePipelineJob"} {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			c := batchtest.New(t)
			b := c.Batch(t, batch.Options{})
			if _, err := b.Start(t.Context(), c.Upload(t, "rides/first.csv", "x\n1\n")); err != nil {
				t.Fatal(err) // the releases are in the cache now
			}
			ctx, kill := context.WithCancel(t.Context())
			c.Faults.Exit = kill
			c.Faults.Arm(chaos.Fault{Match: match, Action: chaos.Kill})
			if _, err := b.Start(ctx, c.Upload(t, "rides/a.csv", "x\n1\n")); err == nil {
				t.Fatal("the start was not killed")
			}
			if got := c.Runs(t)[0]; got.State != state {
				t.Fatalf("run is %s, expected %s", got.State, state)
			}
			if report, err := b.Reconcile(t.Context()); err != nil || report.Driven != 0 {
				t.Errorf("within the lease: %+v, %v; expected nothing", report, err)
			}
			c.Clock.Advance(16 * time.Second)
			if report, err := b.Reconcile(t.Context()); err != nil || report.Driven != 1 {
				t.Errorf("after the lease: %+v, %v; expected one driven on", report, err)
			}
			if got := c.Runs(t)[0]; got.State != ledger.Submitted || got.Attempt != 2 {
				t.Errorf("run is %s at attempt %d, expected submitted at 2", got.State, got.Attempt)
			}
		})
	}
}

func TestReconcileGoesOnAfterAnError(t *testing.T) {
	t.Parallel()
	c, b, _ := started(t)
	c.Upload(t, "rides/lost.csv", "x\n1\n")
	c.Clock.Advance(3 * time.Minute)
	c.Faults.Arm(chaos.Fault{Match: "firestore:RunQuery", Code: codes.PermissionDenied})
	report, err := b.Reconcile(t.Context())
	if fault.KindOf(err) != fault.Unavailable || report.Found != 1 {
		t.Errorf("Reconcile = %+v, %v; expected the upload to be found and the error to be told", report, err)
	}
	if lines := c.Logged(t, "reconcile_finished"); len(lines) != 1 || lines[0]["complete"] != false {
		t.Errorf("logged %v, expected an incomplete sweep", lines)
	}
}
