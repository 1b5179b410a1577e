package batch_test

import (
	"context"
	"fmt"
	"os"
	"slices"
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

// faults are what may happen to any one call of a start. A kill takes the whole start with it.
var faults = func() map[string]chaos.Fault {
	all := map[string]chaos.Fault{
		"kill before": {Action: chaos.Kill},
		"kill after":  {Action: chaos.Kill, After: true},
		"silence":     {Action: chaos.Drop, After: true},
	}
	for _, code := range []codes.Code{codes.Unavailable, codes.DeadlineExceeded, codes.Aborted, codes.ResourceExhausted, codes.Internal} {
		all[code.String()+" before"] = chaos.Fault{Code: code}
		all[code.String()+" after"] = chaos.Fault{Code: code, After: true}
	}
	return all
}()

// telling are the faults that leave something behind.
var telling = []string{"kill before", "kill after", "Unavailable after", "ResourceExhausted after"}

// scenario is one way in which a run starts.
type scenario struct {
	trigger  func(t *testing.T, c *batchtest.Cloud, n int) batch.Trigger
	delivery bool // whoever sent it sends it again until it is acknowledged; else Reconcile alone must find it
}

var scenarios = map[string]scenario{
	"upload":                     {upload, true},
	"upload whose event is lost": {upload, false},
	"tick":                       {tick, true},
	"tick that is missed":        {tick, false},
	"request": {func(_ *testing.T, _ *batchtest.Cloud, n int) batch.Trigger {
		return batch.Request{Ask: nightly, Key: fmt.Sprint("key ", n), By: "ann@example.com"}
	}, true},
}

var nightly = batch.Ask{Model: "rides", Schedule: "nightly"}

func upload(t *testing.T, c *batchtest.Cloud, n int) batch.Trigger {
	return c.Upload(t, fmt.Sprintf("rides/%d.csv", n), "x\n1\n")
}

func tick(_ *testing.T, c *batchtest.Cloud, n int) batch.Trigger {
	at := time.Date(2031, 8, 1+n, 6, 15, 0, 0, time.UTC)
	c.Clock.SetTo(at)
	return batch.Tick{Ask: nightly, Scheduled: at}
}

// TestEveryFaultAtEveryCall strikes each call of a start with each fault, lets what is left repair it, and checks that the
// trigger has one record, one job and one end.
//
// Uploads meet every fault. The other ways share all but the first lines with them and meet those faults that leave
// something behind; MILLRACE_FAULTS=all gives them all.
func TestEveryFaultAtEveryCall(t *testing.T) {
	t.Parallel()
	for name, s := range scenarios {
		for kind, f := range faults {
			if name != "upload" && os.Getenv("MILLRACE_FAULTS") != "all" && !slices.Contains(telling, kind) {
				continue
			}
			t.Run(name+"/"+kind, func(t *testing.T) {
				t.Parallel()
				strikeEachCall(t, s, f)
			})
		}
	}
}

func strikeEachCall(t *testing.T, s scenario, f chaos.Fault) {
	c := batchtest.New(t)
	o := batch.Options{Deadline: 20 * time.Second, Lease: time.Second, Margin: -1, Ledger: ledger.Options{Timeout: 10 * time.Second}}
	patient := o
	if f.Action == chaos.Drop {
		o.Deadline, o.Ledger.Timeout = 2*time.Second, 600*time.Millisecond
	}
	for n := 1; ; n++ {
		b := c.Batch(t, o) // a new process: its cache of releases is empty
		trigger := s.trigger(t, c, n)
		known := keys(c.Runs(t))
		f.N = n
		c.Faults.Arm(f)
		ctx, kill := context.WithCancel(t.Context())
		c.Faults.Exit = kill
		before := len(c.Faults.Calls())
		_, err := b.Start(ctx, trigger)
		kill()
		struck := c.Faults.Disarm() == 0
		calls := c.Faults.Calls()[before:]
		where := fmt.Sprintf("call %d of %v", n, calls)
		if s.delivery {
			redeliver(t, c, patient, trigger, err, where)
		}
		run := settle(t, c, patient, known, where)
		check(t, c, run, where)
		if !struck && err == nil && n < 9 {
			t.Errorf("a start has %d calls only: %v", n, calls)
		}
		if t.Failed() || !struck && err == nil {
			return
		}
	}
}

func keys(runs []*ledger.Run) []string {
	var k []string
	for _, r := range runs {
		k = append(k, r.Key)
	}
	return k
}

// redeliver sends the trigger again, as Pub/Sub and Scheduler do, until it is acknowledged.
func redeliver(t *testing.T, c *batchtest.Cloud, o batch.Options, trigger batch.Trigger, err error, where string) {
	t.Helper()
	for try := 0; err != nil; try++ {
		if try == 5 {
			t.Fatalf("%s: after five deliveries: %v", where, err)
		}
		if !fault.KindOf(err).Retry() {
			t.Fatalf("%s: the trigger was given up: %v", where, err)
		}
		c.Clock.Advance(10 * time.Second)
		_, err = c.Batch(t, o).Start(t.Context(), trigger)
	}
}

// settle lets the sweeps run until nothing changes, ends the pipeline well, and gives the one new record.
func settle(t *testing.T, c *batchtest.Cloud, o batch.Options, known []string, where string) *ledger.Run {
	t.Helper()
	b := c.Batch(t, o)
	c.Clock.Advance(3 * time.Minute)
	for range 2 {
		if _, err := b.Reconcile(t.Context()); err != nil {
			t.Fatalf("%s: reconcile: %v", where, err)
		}
		c.Clock.Advance(3 * time.Minute)
	}
	for _, id := range c.Vertex.Jobs() {
		if job := c.Vertex.Job(id); job.GetState() == aiplatformpb.PipelineState_PIPELINE_STATE_PENDING {
			c.Vertex.End(id, aiplatformpb.PipelineState_PIPELINE_STATE_SUCCEEDED, "")
			c.Succeed(t, &ledger.Run{ID: id, Model: "rides"}, 2)
		}
	}
	if _, err := b.Reconcile(t.Context()); err != nil {
		t.Fatalf("%s: reconcile: %v", where, err)
	}
	var fresh []*ledger.Run
	for _, r := range c.Runs(t) {
		if !slices.Contains(known, r.Key) {
			fresh = append(fresh, r)
		}
	}
	if len(fresh) != 1 {
		t.Fatalf("%s: %d new records, expected 1", where, len(fresh))
	}
	return fresh[0]
}

// check holds the invariants: one end, jobs equal to runs and none twice, states along the table, attempts that rise.
func check(t *testing.T, c *batchtest.Cloud, run *ledger.Run, where string) {
	t.Helper()
	if run.State != ledger.Succeeded || run.Counts.Rows != 2 {
		t.Errorf("%s: run ended as %s (%s) with %d rows, expected succeeded with 2; history %v", where, run.State, run.Reason, run.Counts.Rows, run.History)
	}
	jobs := c.Vertex.Jobs()
	if n := len(slices.Compact(slices.Sorted(slices.Values(jobs)))); n != len(jobs) || !slices.Contains(jobs, run.ID) || len(c.Runs(t)) != len(jobs) {
		t.Errorf("%s: jobs %v for %d runs; expected one each", where, jobs, len(c.Runs(t)))
	}
	last := ledger.State("")
	for _, h := range run.History {
		if h.From != last {
			t.Errorf("%s: history jumps from %q to %q: %v", where, last, h.From, run.History)
		}
		last = h.To
	}
	if last != run.State || run.Attempt < 1 || run.Refusals >= run.Attempt {
		t.Errorf("%s: state %s, attempt %d, refusals %d, history %v", where, run.State, run.Attempt, run.Refusals, run.History)
	}
}

// The exit task meets every fault too; it is tried again until it answers, and Reconcile would come after it.
func TestEveryFaultAtEveryCallOfFinish(t *testing.T) {
	t.Parallel()
	for kind, f := range faults {
		if f.Action == chaos.Drop {
			continue // waits for deadlines only; a start has met it
		}
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			c := batchtest.New(t)
			b := c.Batch(t, batch.Options{})
			for n := 1; ; n++ {
				run, err := b.Start(t.Context(), upload(t, c, n))
				if err != nil {
					t.Fatal(err)
				}
				c.Succeed(t, run, 2)
				f.N = n
				c.Faults.Arm(f)
				ctx, kill := context.WithCancel(t.Context())
				c.Faults.Exit = kill
				state, err := b.Finish(ctx, run.ID, "SUCCEEDED", "")
				kill()
				struck := c.Faults.Disarm() == 0
				for try := 0; err != nil && try < 5; try++ {
					state, err = b.Finish(t.Context(), run.ID, "SUCCEEDED", "")
				}
				got, rerr := c.Ledger(t).Get(t.Context(), run.Key)
				if err != nil || state != ledger.Succeeded || rerr != nil || got.State != ledger.Succeeded || len(got.History) != 5 {
					t.Fatalf("call %d: Finish = %s, %v; record %+v, %v; expected succeeded, once", n, state, err, got, rerr)
				}
				if !struck {
					if n < 3 {
						t.Errorf("Finish has %d calls only", n)
					}
					return
				}
			}
		})
	}
}
