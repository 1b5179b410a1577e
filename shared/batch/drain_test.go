package batch_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/millrace-ml/millrace/internal/batchtest"
	"github.com/millrace-ml/millrace/shared/batch"
	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/ledger"
)

func TestDrainIsFairAndBounded(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	c.Release(t, strings.NewReplacer("name: rides", "name: boats", "rides/", "boats/").Replace(batchtest.Model))
	b := c.Batch(t, batch.Options{DrainLimit: 5})
	c.Vertex.Script(batchtest.Answer{Code: codes.ResourceExhausted})
	start := func(name string) {
		t.Helper()
		run, err := b.Start(t.Context(), c.Upload(t, name, "x\n1\n"))
		if err != nil || run.State != ledger.Pending {
			t.Fatalf("Start of %s = %+v, %v; expected pending", name, run, err)
		}
		c.Clock.Advance(time.Second)
	}
	for i := range 6 {
		start(fmt.Sprintf("rides/%d.csv", i))
	}
	start("boats/0.csv")
	start("boats/1.csv")
	if c.Vertex.Calls() != 1 {
		t.Errorf("%d calls to Vertex, expected the first alone: the others wait in the line", c.Vertex.Calls())
	}
	report, err := b.Drain(t.Context())
	if err != nil || report.Submitted != 5 || report.Left != 3 {
		t.Fatalf("Drain = %+v, %v; expected five submitted, three left", report, err)
	}
	var order []string
	for _, id := range c.Vertex.Jobs() {
		run, err := c.Ledger(t).ByID(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		order = append(order, run.Dataset.Object)
	}
	if got := strings.Join(order, " "); got != "rides/0.csv boats/0.csv rides/1.csv boats/1.csv rides/2.csv" {
		t.Errorf("submitted %q, expected the models in turn, the oldest first", got)
	}
	c.Vertex.Script(batchtest.Answer{}, batchtest.Answer{Code: codes.ResourceExhausted})
	report, err = b.Drain(t.Context())
	if err != nil || report.Submitted != 1 || !report.Quota {
		t.Errorf("Drain without quota = %+v, %v; expected it to stop after one", report, err)
	}
	if report, err = b.Drain(t.Context()); err != nil || report.Submitted != 2 {
		t.Errorf("the last Drain = %+v, %v; expected two", report, err)
	}
	for _, r := range c.Runs(t) {
		if r.State != ledger.Submitted || r.Refusals > 0 && r.Attempt != 2 {
			t.Errorf("%s is %s, attempt %d, refusals %d", r.Dataset.Object, r.State, r.Attempt, r.Refusals)
		}
	}
}

// Ten thousand uploads of one model do not hide another's.
func TestDrainSeesPastALongLine(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	c.Release(t, strings.NewReplacer("name: rides", "name: boats", "rides/", "boats/").Replace(batchtest.Model))
	b := c.Batch(t, batch.Options{DrainLimit: 4})
	l := c.Ledger(t)
	var wg sync.WaitGroup
	for i := range 120 {
		wg.Go(func() {
			_, _, err := l.Create(t.Context(), &ledger.Run{Key: fmt.Sprintf("%064x", i), ID: fmt.Sprint("rides-", i), Model: "rides",
				Kind: ledger.Request, State: ledger.Pending}, "fill")
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	c.Clock.Advance(time.Minute)
	last, err := b.Start(t.Context(), c.Upload(t, "boats/0.csv", "x\n1\n"))
	if err != nil || last.State != ledger.Pending {
		t.Fatalf("Start = %+v, %v; expected pending", last, err)
	}
	if report, err := b.Drain(t.Context()); err != nil || report.Submitted != 4 {
		t.Fatalf("Drain = %+v, %v", report, err)
	}
	if got, err := l.Get(t.Context(), last.Key); err != nil || got.State != ledger.Submitted {
		t.Errorf("the run behind the long line is %+v, %v; expected submitted", got, err)
	}
}

func TestDrainDropsWhatIsGone(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	b := c.Batch(t, batch.Options{})
	c.Vertex.Script(batchtest.Answer{Code: codes.ResourceExhausted})
	if _, err := b.Start(t.Context(), c.Upload(t, "rides/a.csv", "x\n1\n")); err != nil {
		t.Fatal(err)
	}
	c.Upload(t, "rides/a.csv", "x\n2\n")
	if report, err := b.Drain(t.Context()); err != nil || report.Ended != 1 {
		t.Fatalf("Drain = %+v, %v; expected one ended", report, err)
	}
	if got := c.TheRun(t); got.State != ledger.Superseded {
		t.Errorf("run is %s, expected superseded", got.State)
	}
}

func TestAStormOfFiles(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	b := c.Batch(t, batch.Options{Deadline: time.Minute, Ledger: ledger.Options{Timeout: time.Minute}})
	const files = 60
	var quota []batchtest.Answer
	for i := range files {
		if i%3 == 2 {
			quota = append(quota, batchtest.Answer{Code: codes.ResourceExhausted})
		} else {
			quota = append(quota, batchtest.Answer{})
		}
	}
	c.Vertex.Script(quota...)
	var wg sync.WaitGroup
	for i := range files {
		u := c.Upload(t, fmt.Sprintf("rides/%d.csv", i), "x\n1\n")
		for range 2 {
			wg.Go(func() {
				if _, err := b.Start(t.Context(), u); err != nil && !fault.KindOf(err).Retry() {
					t.Errorf("%s: %v", u.Object, err)
				}
			})
		}
	}
	wg.Wait()
	c.Clock.Advance(5 * time.Minute)
	for range 100 {
		report, err := b.Reconcile(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if report.Drain.Submitted == 0 && !report.Drain.Quota {
			break
		}
	}
	seen := map[string]bool{}
	for _, r := range c.Runs(t) {
		if r.State != ledger.Submitted {
			t.Errorf("%s is %s", r.Dataset.Object, r.State)
		}
		seen[r.Dataset.Object] = true
	}
	if len(seen) != files || len(c.Runs(t)) != files || len(c.Vertex.Jobs()) != files {
		t.Errorf("%d objects, %d runs, %d jobs, expected %d", len(seen), len(c.Runs(t)), len(c.Vertex.Jobs()), files)
	}
}
