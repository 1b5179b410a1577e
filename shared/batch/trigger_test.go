package batch_test

import (
	"strings"
	"testing"
	"time"

	"github.com/millrace-ml/millrace/internal/batchtest"
	"github.com/millrace-ml/millrace/shared/batch"
	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/ledger"
)

func TestTicks(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	b := c.Batch(t, batch.Options{})
	c.Clock.SetTo(time.Date(2031, 7, 2, 6, 15, 1, 0, time.UTC)) // one second after 02:15 in New York
	tick := time.Date(2031, 7, 2, 2, 15, 0, 0, time.FixedZone("", -4*3600))
	start := func(at time.Time) *ledger.Run {
		t.Helper()
		run, err := b.Start(t.Context(), batch.Tick{Ask: batch.Ask{Model: "rides", Schedule: "nightly"}, Scheduled: at})
		if err != nil {
			t.Fatal(err)
		}
		return run
	}
	run := start(tick)
	if run.State != ledger.Submitted || run.Trigger.Manual || !strings.HasPrefix(run.ID, "rides-20310702-") {
		t.Errorf("run = %+v, expected a submitted tick of 20310702", run)
	}
	if want := (batch.Dataset{Bucket: batchtest.Inbox, Object: "scheduled/rides/2031-07-02.csv"}); run.Dataset != want {
		t.Errorf("dataset = %+v, expected %+v", run.Dataset, want)
	}
	if again := start(tick.UTC()); again.Key != run.Key || again.Revision != run.Revision {
		t.Errorf("the same tick in another zone is %+v, expected the same run", again)
	}
	c.Succeed(t, run, 3)
	if _, err := b.Finish(t.Context(), run.ID, "SUCCEEDED", ""); err != nil { // the next ones need not queue
		t.Fatal(err)
	}

	forced := start(tick.Add(24 * time.Hour)) // what Scheduler sends with a forced run: the next tick
	if !forced.Trigger.Manual || forced.Key == run.Key || forced.State != ledger.Submitted {
		t.Errorf("forced run = %+v, expected a manual one", forced)
	}
	if same := start(time.Time{}); same.Key != forced.Key {
		t.Errorf("a second forced run in the same minute is another run: %s, %s", same.ID, forced.ID)
	}
	c.Succeed(t, forced, 3)
	if _, err := b.Finish(t.Context(), forced.ID, "SUCCEEDED", ""); err != nil {
		t.Fatal(err)
	}
	c.Clock.SetTo(time.Date(2031, 7, 3, 6, 15, 0, 0, time.UTC))
	if real := start(tick.Add(24 * time.Hour)); real.Trigger.Manual || real.Key == forced.Key || real.State != ledger.Submitted {
		t.Errorf("the real tick after the forced one is %+v, expected a run of its own", real)
	}
	odd := start(tick.Add(17 * time.Hour))
	if odd.State != ledger.Ignored || !strings.Contains(odd.Reason, "schedule") {
		t.Errorf("a time that the cron does not have is %+v, expected ignored", odd)
	}
}

func TestATickThatComesEarlyByLessThanAMinuteIsTheTick(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	tick := time.Date(2031, 7, 2, 6, 15, 0, 0, time.UTC)
	c.Clock.SetTo(tick.Add(-50 * time.Second))
	run, err := c.Batch(t, batch.Options{}).Start(t.Context(), batch.Tick{Ask: batch.Ask{Model: "rides", Schedule: "nightly"}, Scheduled: tick})
	if err != nil || run.Trigger.Manual || !run.Trigger.At.Equal(tick) {
		t.Errorf("Start = %+v, %v; expected the tick itself", run, err)
	}
}

func TestTicksOfOneScheduleQueue(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	b := c.Batch(t, batch.Options{})
	day := func(n int) batch.Tick {
		return batch.Tick{Ask: batch.Ask{Model: "rides", Schedule: "nightly"}, Scheduled: time.Date(2031, 7, n, 6, 15, 0, 0, time.UTC)}
	}
	c.Clock.SetTo(day(1).Scheduled)
	first, err := b.Start(t.Context(), day(1))
	if err != nil {
		t.Fatal(err)
	}
	c.Clock.SetTo(day(2).Scheduled)
	second, err := b.Start(t.Context(), day(2))
	if err != nil || second.State != ledger.Pending || second.Hold != first.ID {
		t.Fatalf("the second tick is %+v, %v; expected pending behind the first", second, err)
	}
	up, err := b.Start(t.Context(), c.Upload(t, "rides/a.csv", "x\n1\n"))
	if err != nil || up.State != ledger.Submitted {
		t.Errorf("an upload behind a held tick is %+v, %v; expected submitted", up, err)
	}
	if report, err := b.Drain(t.Context()); err != nil || report.Submitted != 0 || report.Held != 1 {
		t.Errorf("Drain = %+v, %v; expected the tick to be held", report, err)
	}
	c.Succeed(t, first, 3)
	if state, err := b.Finish(t.Context(), first.ID, "SUCCEEDED", ""); err != nil || state != ledger.Succeeded {
		t.Fatalf("Finish = %v, %v", state, err)
	}
	if report, err := b.Drain(t.Context()); err != nil || report.Submitted != 1 {
		t.Errorf("Drain = %+v, %v; expected the tick to go", report, err)
	}
	got, err := c.Ledger(t).Get(t.Context(), second.Key)
	if err != nil || got.State != ledger.Submitted || got.Hold != "" {
		t.Errorf("the second tick is %+v, %v; expected submitted", got, err)
	}
}

func TestRequests(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	b := c.Batch(t, batch.Options{})
	at := time.Date(2031, 7, 2, 3, 0, 0, 0, time.UTC) // the evening before in New York
	q := batch.Request{Ask: batch.Ask{Model: "rides", Schedule: "nightly", At: at}, Key: "k 1", By: "ann@example.com"}
	run, err := b.Start(t.Context(), q)
	if err != nil || run.State != ledger.Submitted || run.ID != "rides-request-"+run.Key[:20] {
		t.Fatalf("Start = %+v, %v", run, err)
	}
	if run.Dataset.Object != "scheduled/rides/2031-07-01.csv" || run.Trigger.By != "ann@example.com" {
		t.Errorf("run = %+v, expected the dataset of 2031-07-01 by ann", run)
	}
	c.Clock.Advance(time.Hour)
	if again, err := b.Start(t.Context(), q); err != nil || again.Key != run.Key {
		t.Errorf("the same request again is %+v, %v", again, err)
	}
	for name, other := range map[string]batch.Request{
		"another time": {Ask: batch.Ask{Model: "rides", Schedule: "nightly", At: at.Add(time.Second)}, Key: "k 1"},
		"no time":      {Ask: batch.Ask{Model: "rides", Schedule: "nightly"}, Key: "k 1"},
	} {
		if _, err := b.Start(t.Context(), other); fault.KindOf(err) != fault.Conflict {
			t.Errorf("%s under the same key: %v, expected conflict", name, err)
		}
	}
	now := batch.Request{Ask: batch.Ask{Model: "rides", Schedule: "nightly"}, Key: "k 2"}
	first, err := b.Start(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	c.Clock.Advance(48 * time.Hour)
	if again, err := b.Start(t.Context(), now); err != nil || again.Dataset != first.Dataset {
		t.Errorf("a request for now, repeated, reads %+v, %v; expected the dataset of the first", again, err)
	}
}
