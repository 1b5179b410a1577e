package batch_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/millrace-ml/millrace/internal/batchtest"
	"github.com/millrace-ml/millrace/internal/ledgertest"
	"github.com/millrace-ml/millrace/internal/localcloud/vertex"
	"github.com/millrace-ml/millrace/shared/batch"
	"github.com/millrace-ml/millrace/shared/cloud"
	"github.com/millrace-ml/millrace/shared/ledger"
	"github.com/millrace-ml/millrace/shared/pipeline"
)

// The Vertex that executes pipelines takes what is submitted, with all checks on. Here it has no program for the step's
// image, so the job fails, and the run says why.
func TestTheExecutingVertexTakesTheJob(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	v, err := vertex.Open(ledgertest.DB(t), t.TempDir(), vertex.Options{Lint: pipeline.Lint, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close(context.Background()) })
	address := ledgertest.Serve(t, v.Register)
	jobs, err := cloud.Pipelines(t.Context(), cloud.Endpoints{Vertex: address}, batchtest.Region)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = jobs.Close() })
	log := func(context.Context) *slog.Logger { return slog.New(slog.DiscardHandler) }
	b, err := batch.New(c.Records, c.Storage, jobs, log, c.Config(), batch.Options{Now: c.Clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	run, err := b.Start(t.Context(), c.Upload(t, "rides/a.csv", "x\n1\n"))
	if err != nil || run.State != ledger.Submitted {
		t.Fatalf("Start = %+v, %v; expected submitted", run, err)
	}
	for deadline := time.Now().Add(time.Minute); !c.TheRun(t).State.Final(); {
		if time.Now().After(deadline) {
			t.Fatalf("run is %s after a minute", c.TheRun(t).State)
		}
		if _, err := b.Reconcile(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	got := c.TheRun(t)
	if got.State != ledger.Failed || !strings.HasPrefix(got.Reason, "task plan failed") || !strings.Contains(got.Reason, "image") {
		t.Errorf("run is %s (%s), expected failed in the plan task for its image", got.State, got.Reason)
	}
	detail, err := b.Show(t.Context(), run.ID)
	if err != nil || detail.JobState != "FAILED" || len(detail.Tasks) == 0 {
		t.Errorf("Show = %+v, %v; expected the tasks of a failed job", detail, err)
	}
}
