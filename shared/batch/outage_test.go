package batch_test

import (
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/storage"
	"google.golang.org/grpc/codes"

	"github.com/millrace-ml/millrace/internal/batchtest"
	"github.com/millrace-ml/millrace/internal/localcloud/chaos"
	"github.com/millrace-ml/millrace/shared/batch"
	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/ledger"
)

func TestDeadlineInside(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	b := c.Batch(t, batch.Options{Deadline: 300 * time.Millisecond, Lease: time.Second, Margin: -1})
	u := c.Upload(t, "rides/a.csv", "x\n1\n")
	c.Faults.Arm(chaos.Fault{Match: "firestore:Commit", N: 2, Action: chaos.Drop})
	_, err := b.Start(t.Context(), u)
	if fault.KindOf(err) != fault.Timeout {
		t.Fatalf("Start = %v, expected the deadline", err)
	}
	c.Clock.Advance(2 * time.Second)
	run, err := c.Batch(t, batch.Options{}).Start(t.Context(), u)
	if err != nil || run.State != ledger.Submitted {
		t.Errorf("the next delivery is %+v, %v; expected submitted", run, err)
	}
}

func TestVertexIsSilentToTheDeadline(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	u := c.Upload(t, "rides/a.csv", "x\n1\n")
	c.Faults.Arm(chaos.Fault{Match: "vertex:CreatePipelineJob", Action: chaos.Drop, After: true})
	if _, err := c.Batch(t, batch.Options{Deadline: 2 * time.Second}).Start(t.Context(), u); fault.KindOf(err) != fault.Timeout {
		t.Fatalf("Start = %v (%v), expected the deadline", err, fault.KindOf(err))
	}
	c.Clock.Advance(time.Minute)
	if run, err := c.Batch(t, batch.Options{}).Start(t.Context(), u); err != nil || run.State != ledger.Submitted || len(c.Vertex.Jobs()) != 1 {
		t.Errorf("the next delivery is %+v, %v with jobs %v; expected the one job", run, err, c.Vertex.Jobs())
	}
}

func TestDependenciesDown(t *testing.T) {
	t.Parallel()
	for name, match := range map[string]string{
		"ledger does not answer":      "firestore:",
		"ledger takes no writes":      "firestore:Commit",
		"storage does not answer":     "storage:",
		"objects cannot be looked at": "storage:objects.get",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := batchtest.New(t)
			b := c.Batch(t, batch.Options{Deadline: time.Second, Ledger: ledger.Options{Timeout: 200 * time.Millisecond}})
			u := c.Upload(t, "rides/a.csv", "x\n1\n")
			for range 200 {
				c.Faults.Arm(chaos.Fault{Match: match, Code: codes.Unavailable})
			}
			_, err := b.Start(t.Context(), u)
			if k := fault.KindOf(err); k != fault.Unavailable && k != fault.Timeout {
				t.Errorf("Start = %v (%v), expected something that is delivered again", err, k)
			}
			if n := len(c.Vertex.Jobs()); n != 0 {
				t.Errorf("%d jobs were created", n)
			}
			c.Faults.Disarm()
			c.Clock.Advance(time.Minute)
			run, err := c.Batch(t, batch.Options{}).Start(t.Context(), u)
			if err != nil || run.State != ledger.Submitted {
				t.Errorf("after the outage Start = %+v, %v", run, err)
			}
		})
	}
}

func TestOutboxMustNotBeTheInbox(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	cfg := c.Config()
	cfg.Outbox = cfg.Inbox
	_, err := batch.New(c.Records, c.Storage, c.Pipelines, nil, cfg, batch.Options{})
	if err == nil || !strings.Contains(err.Error(), "outbox") {
		t.Errorf("New = %v, expected it to name the outbox", err)
	}
	var none *storage.Client
	if _, err := batch.New(c.Records, none, c.Pipelines, nil, c.Config(), batch.Options{}); err == nil {
		t.Error("New without a storage client and a log is fine, expected an error")
	}
}
