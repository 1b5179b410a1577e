package batch_test

import (
	"strings"
	"testing"
	"time"

	"github.com/millrace-ml/millrace/internal/batchtest"
	"github.com/millrace-ml/millrace/shared/batch"
	"github.com/millrace-ml/millrace/shared/ledger"
)

func TestReconcileFindsLostUploads(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	old := c.Upload(t, "rides/old.csv", "x\n1\n")
	c.Clock.Advance(8 * 24 * time.Hour)
	before := c.Upload(t, "rides/before.csv", "x\n1\n")
	c.Clock.Advance(time.Hour)
	b := c.Batch(t, batch.Options{Since: c.Clock.Now()})
	c.Clock.Advance(time.Second)
	known := c.Upload(t, "rides/known.csv", "x\n1\n")
	if _, err := b.Start(t.Context(), known); err != nil {
		t.Fatal(err)
	}
	c.Upload(t, "rides/lost.csv", "x\n1\n")
	c.Upload(t, "rides/lost-empty.csv", "")
	c.Upload(t, "rides/lost.csv.tmp", "x")
	c.Upload(t, "elsewhere/a.csv", "x\n1\n")
	c.Clock.Advance(time.Minute)
	if report, err := b.Reconcile(t.Context()); err != nil || report.Found != 0 {
		t.Errorf("after a minute: %+v, %v; expected nothing, the events may still come", report, err)
	}
	c.Clock.Advance(2 * time.Minute)
	young := c.Upload(t, "rides/young.csv", "x\n1\n")
	report, err := b.Reconcile(t.Context())
	if err != nil || report.Found != 3 {
		t.Errorf("after three minutes: %+v, %v; expected three found", report, err)
	}
	if report, err := b.Reconcile(t.Context()); err != nil || report.Found != 0 {
		t.Errorf("the next sweep: %+v, %v; expected nothing", report, err)
	}
	states := map[string]ledger.State{}
	for _, r := range c.Runs(t) {
		states[r.Dataset.Object] = r.State
	}
	for object, want := range map[string]ledger.State{
		"rides/known.csv": ledger.Submitted, "rides/lost.csv": ledger.Submitted, "rides/lost-empty.csv": ledger.Invalid,
		"rides/lost.csv.tmp": ledger.Ignored, "elsewhere/a.csv": "", young.Object: "", old.Object: "", before.Object: "",
	} {
		if states[object] != want {
			t.Errorf("%s is %q, expected %q", object, states[object], want)
		}
	}
	late := c.Batch(t, batch.Options{})
	for _, u := range []batch.Upload{known} { // a late event of an object that the sweep has found
		if run, err := late.Start(t.Context(), u); err != nil || run.State != ledger.Submitted {
			t.Errorf("late event: %+v, %v", run, err)
		}
	}
	if n := len(c.Vertex.Jobs()); n != 2 {
		t.Errorf("%d jobs, expected 2", n)
	}
}

func TestMissedTicks(t *testing.T) {
	t.Parallel()
	tickAt := func(day int) time.Time { return time.Date(2031, 7, day, 6, 15, 0, 0, time.UTC) }
	newCloud := func(t *testing.T) (*batchtest.Cloud, *batch.Batch) {
		c := batchtest.New(t)
		return c, c.Batch(t, batch.Options{})
	}
	objects := func(c *batchtest.Cloud) string {
		var names []string
		for _, r := range c.Runs(t) {
			names = append(names, strings.TrimSuffix(strings.TrimPrefix(r.Dataset.Object, "scheduled/rides/"), ".csv"))
		}
		return strings.Join(names, " ")
	}
	reconcile := func(t *testing.T, b *batch.Batch) {
		t.Helper()
		if report, err := b.Reconcile(t.Context()); err != nil || report.Errors != 0 {
			t.Fatalf("Reconcile = %+v, %v", report, err)
		}
	}
	t.Run("the last one after days", func(t *testing.T) {
		t.Parallel()
		c, b := newCloud(t)
		c.Clock.SetTo(tickAt(20).Add(time.Hour))
		reconcile(t, b)
		if report, err := b.Reconcile(t.Context()); err != nil || report.Found != 0 {
			t.Errorf("the next sweep: %+v, %v; expected nothing", report, err)
		}
		if got := objects(c); got != "2031-07-20" {
			t.Errorf("runs of %q, expected the last tick alone", got)
		}
	})
	t.Run("not while Scheduler may still come", func(t *testing.T) {
		t.Parallel()
		c, b := newCloud(t)
		c.Clock.SetTo(tickAt(19).Add(time.Hour))
		reconcile(t, b)
		c.Clock.SetTo(tickAt(20).Add(time.Minute))
		reconcile(t, b)
		if got := objects(c); got != "2031-07-19" {
			t.Errorf("runs of %q, expected no tick of a minute ago", got)
		}
	})
	t.Run("none of before the release", func(t *testing.T) {
		t.Parallel()
		c, b := newCloud(t)
		c.Clock.SetTo(tickAt(20).Add(time.Hour))
		c.Release(t, strings.Replace(batchtest.Model, `version: "7"`, `version: "8"`, 1))
		reconcile(t, b)
		if got := objects(c); got != "" {
			t.Errorf("runs of %q, expected none: the schedule is new", got)
		}
		c.Clock.SetTo(tickAt(21).Add(time.Hour))
		reconcile(t, b)
		if got := objects(c); got != "2031-07-21" {
			t.Errorf("a day later runs of %q, expected the missed tick", got)
		}
	})
	t.Run("of before the release, if the schedule has ticked before", func(t *testing.T) {
		t.Parallel()
		c, b := newCloud(t)
		c.Clock.SetTo(tickAt(18))
		run, err := b.Start(t.Context(), batch.Tick{Ask: nightly, Scheduled: tickAt(18)})
		if err != nil {
			t.Fatal(err)
		}
		c.Succeed(t, run, 2)
		c.Clock.SetTo(tickAt(20).Add(time.Hour))
		c.Release(t, strings.Replace(batchtest.Model, `version: "7"`, `version: "8"`, 1))
		reconcile(t, b)
		if got := objects(c); got != "2031-07-20 2031-07-18" {
			t.Errorf("runs of %q, expected the 18th and the missed 20th", got)
		}
	})
	t.Run("none of before SWEEP_SINCE", func(t *testing.T) {
		t.Parallel()
		c, _ := newCloud(t)
		c.Clock.SetTo(tickAt(20).Add(time.Hour))
		reconcile(t, c.Batch(t, batch.Options{Since: tickAt(20).Add(time.Minute)}))
		if got := objects(c); got != "" {
			t.Errorf("runs of %q, expected none", got)
		}
	})
}

// Thirty days of a schedule with an outage in which everything is missed: the last tick of the outage is caught up, every
// other day has its run, none has two.
func TestThirtyDaysOfTicks(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	b := c.Batch(t, batch.Options{})
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	want := 0
	for day := range 30 { // over the end of summer time on 2031-11-02
		at := time.Date(2031, 10, 20+day, 2, 15, 0, 0, zone)
		outage := day >= 10 && day < 15
		c.Clock.SetTo(at)
		if !outage {
			for range 2 { // Scheduler promises at least one call
				if _, err := b.Start(t.Context(), batch.Tick{Ask: nightly, Scheduled: at}); err != nil {
					t.Fatal(day, err)
				}
			}
			want++
		}
		c.Clock.Advance(time.Hour)
		if outage && day < 14 {
			continue
		}
		if outage {
			want++ // caught up
		}
		if _, err := b.Reconcile(t.Context()); err != nil {
			t.Fatal(day, err)
		}
		for _, id := range c.Vertex.Jobs() {
			if c.Vertex.Job(id).GetState() != jobSucceeded {
				c.Succeed(t, &ledger.Run{ID: id, Model: "rides"}, 2)
				c.Vertex.End(id, jobSucceeded, "")
			}
		}
		if _, err := b.Reconcile(t.Context()); err != nil {
			t.Fatal(day, err)
		}
	}
	runs := c.Runs(t)
	seen := map[string]bool{}
	for _, r := range runs {
		if seen[r.Dataset.Object] || r.State != ledger.Succeeded {
			t.Errorf("%s of %s is %s, expected one succeeded run a day", r.ID, r.Dataset.Object, r.State)
		}
		seen[r.Dataset.Object] = true
	}
	if len(runs) != want || len(c.Vertex.Jobs()) != want {
		t.Errorf("%d runs, %d jobs, expected %d", len(runs), len(c.Vertex.Jobs()), want)
	}
}
