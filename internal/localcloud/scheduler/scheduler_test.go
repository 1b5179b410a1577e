package scheduler

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/millrace-ml/millrace/shared/fault"
)

// calls records requests and answers them by a status per call, 200 when there is none left. It never opens a socket, so
// that time can be virtual.
type calls struct {
	mu     sync.Mutex
	answer []int
	seen   []string
	hold   time.Duration
}

func (c *calls) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if c.hold > 0 {
		select {
		case <-time.After(c.hold):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = append(c.seen, strings.Join([]string{r.Header.Get("X-CloudScheduler-JobName"), r.Header.Get("X-CloudScheduler-ScheduleTime"), string(body)}, " "))
	status := 200
	if len(c.answer) > 0 {
		status, c.answer = c.answer[0], c.answer[1:]
	}
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Body: io.NopCloser(strings.NewReader("why"))}, nil
}

func (c *calls) all() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.seen...)
}

func open(t *testing.T, path string, c *calls) (*Scheduler, *bolt.DB) {
	t.Helper()
	db, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(db, Options{Client: &http.Client{Transport: c}})
	if err != nil {
		t.Fatal(err)
	}
	return s, db
}

// run runs s for d of virtual time.
func run(t *testing.T, s *Scheduler, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if err := s.Run(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Run: %v", err)
	}
}

// The clock of a synctest bubble starts at 2000-01-01T00:00:00Z.
func TestTicksAtTheirTimesAndOverRestarts(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "db")
	synctest.Test(t, func(t *testing.T) {
		c := &calls{}
		s, db := open(t, path, c)
		nightly := Job{Name: "nightly", Cron: "15 2 * * *", Zone: "America/New_York", URL: "http://127.0.0.1/ticks", Body: []byte(`{"a":1}`)}
		if err := s.Set([]Job{nightly, {Name: "drain", Cron: "0 */12 * * *", URL: "http://127.0.0.1/drain"}}); err != nil {
			t.Fatal(err)
		}
		run(t, s, 30*time.Hour)
		want := []string{
			`nightly 2000-01-01T07:15:00Z {"a":1}`, "drain 2000-01-01T12:00:00Z ", "drain 2000-01-02T00:00:00Z ",
		}
		if got := c.all(); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("calls %q, want %q", got, want)
		}
		// Down over a tick: it is passed over, and the next comes.
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(24 * time.Hour)
		c = &calls{}
		s, db = open(t, path, c)
		if err := s.Set([]Job{nightly}); err != nil {
			t.Fatal(err)
		}
		run(t, s, 24*time.Hour)
		if got := c.all(); len(got) != 1 || !strings.Contains(got[0], "2000-01-03T07:15:00Z") {
			t.Errorf("calls after the restart %q, want the one of 3 January", got)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestRetriesKeepTheScheduledTime(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "db")
	synctest.Test(t, func(t *testing.T) {
		c := &calls{answer: []int{503, 302, 200}}
		s, db := open(t, path, c)
		if err := s.Set([]Job{{Name: "j", Cron: "0 1 * * *", URL: "http://127.0.0.1/"}}); err != nil {
			t.Fatal(err)
		}
		run(t, s, 2*time.Hour)
		want := "j 2000-01-01T01:00:00Z "
		if got := c.all(); len(got) != 3 || got[0] != want || got[1] != want || got[2] != want {
			t.Errorf("calls %q, want three of %q", got, want)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestOneOutstandingCallPerJob(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "db")
	synctest.Test(t, func(t *testing.T) {
		c := &calls{hold: 90 * time.Second}
		s, db := open(t, path, c)
		if err := s.Set([]Job{{Name: "j", Cron: "* * * * *", URL: "http://127.0.0.1/"}}); err != nil {
			t.Fatal(err)
		}
		run(t, s, 10*time.Minute-time.Second)
		if got := c.all(); len(got) != 4 { // at minutes 1, 3, 5, 7; the one of minute 9 is cut off
			t.Errorf("%d calls %q, want 4", len(got), got)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestForceSendsTheNextTime(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "db")
	synctest.Test(t, func(t *testing.T) {
		c := &calls{}
		s, db := open(t, path, c)
		if err := s.Set([]Job{{Name: "j", Cron: "0 1 * * *", URL: "http://127.0.0.1/"}}); err != nil {
			t.Fatal(err)
		}
		if err := s.Force(t.Context(), "j"); err != nil {
			t.Fatal(err)
		}
		if got := c.all(); len(got) != 1 || got[0] != "j 2000-01-01T01:00:00Z " {
			t.Errorf("calls %q", got)
		}
		if err := s.Force(t.Context(), "k"); err == nil {
			t.Error("Force of an unknown job succeeds")
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestSetRefusesWhatItCannotPlan(t *testing.T) {
	t.Parallel()
	s, db := open(t, filepath.Join(t.TempDir(), "db"), &calls{})
	defer func() { _ = db.Close() }()
	good := Job{Name: "j", Cron: "* * * * *", URL: "http://127.0.0.1/"}
	for name, c := range map[string]struct {
		edit func(j *Job)
		word string
	}{
		"cron":               {func(j *Job) { j.Cron = "61 * * * *" }, "61"},
		"a cron word":        {func(j *Job) { j.Cron = "@daily" }, "@daily"},
		"seconds":            {func(j *Job) { j.Cron = "* * * * * *" }, "6"},
		"a zone in the cron": {func(j *Job) { j.Cron = "TZ=UTC * * * * *" }, "TZ=UTC"},
		"a day that is none": {func(j *Job) { j.Cron = "0 0 30 2 *" }, "never"},
		"zone":               {func(j *Job) { j.Zone = "Mars/Base" }, "Mars/Base"},
		"name":               {func(j *Job) { j.Name = "j j" }, "j j"},
		"no name":            {func(j *Job) { j.Name = "" }, "name"},
		"url":                {func(j *Job) { j.URL = "127.0.0.1" }, "127.0.0.1"},
		"twice":              {func(*Job) {}, "twice"},
	} {
		bad := good
		c.edit(&bad)
		err := s.Set([]Job{good, bad})
		if err == nil || !strings.Contains(err.Error(), c.word) || fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: Set = %v, want an invalid that says %q", name, err, c.word)
		}
	}
	if len(s.Jobs()) != 0 {
		t.Errorf("jobs were set beside the bad ones: %v", s.Jobs())
	}
}

// What was out when the process ended is called again, with its own time; what it answered is then known.
func TestACallThatWasOutIsMadeAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "db")
	synctest.Test(t, func(t *testing.T) {
		c := &calls{hold: time.Hour}
		s, db := open(t, path, c)
		j := Job{Name: "j", Cron: "0 1 * * *", URL: "http://127.0.0.1/"}
		if err := s.Set([]Job{j}); err != nil {
			t.Fatal(err)
		}
		run(t, s, 61*time.Minute) // cut off while the call is out
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		for restart, want := range []int{1, 0} {
			c = &calls{}
			s, db = open(t, path, c)
			if err := s.Set([]Job{j}); err != nil {
				t.Fatal(err)
			}
			run(t, s, time.Minute)
			if got := c.all(); len(got) != want || want == 1 && got[0] != "j 2000-01-01T01:00:00Z " {
				t.Errorf("restart %d: calls %q, want %d", restart, got, want)
			}
			if st := s.Jobs()[0]; want == 1 && (st.Last.Attempts != 1 || st.Last.Error != "" || st.Running) {
				t.Errorf("%+v", st)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestRetriesEnd(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		o    Options
		want int
	}{
		"three by default":   {Options{}, 4},
		"none":               {Options{Retries: -1}, 1},
		"five":               {Options{Retries: 5}, 6},
		"not after RetryFor": {Options{Retries: 5, RetryFor: 16 * time.Second}, 3}, // at 0, 5 and 15 s
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "db")
			synctest.Test(t, func(t *testing.T) {
				rt := &calls{answer: []int{500, 500, 500, 500, 500, 500, 500, 500}}
				db, err := bolt.Open(path, 0o600, nil)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = db.Close() }()
				c.o.Client, c.o.Log = &http.Client{Transport: rt}, slog.New(slog.DiscardHandler)
				s, err := Open(db, c.o)
				if err != nil {
					t.Fatal(err)
				}
				if err := s.Set([]Job{{Name: "j", Cron: "0 1 * * *", URL: "http://127.0.0.1/"}}); err != nil {
					t.Fatal(err)
				}
				run(t, s, 3*time.Hour)
				if got := len(rt.all()); got != c.want {
					t.Errorf("%d calls, want %d", got, c.want)
				}
				if last := s.Jobs()[0].Last; last.Attempts != c.want || !strings.Contains(last.Error, "why") {
					t.Errorf("%+v", last)
				}
			})
		})
	}
}

func TestPauses(t *testing.T) {
	t.Parallel()
	o := Options{Backoff: 10 * time.Second, MaxBackoff: 300 * time.Second, MaxDoublings: 3}.filled()
	for i, want := range []time.Duration{10, 20, 40, 80, 160, 240, 300, 300} {
		if got := o.pause(i + 1); got != want*time.Second {
			t.Errorf("pause %d is %v, want %v", i+1, got, want*time.Second)
		}
	}
}

func TestAttemptEndsAtItsDeadline(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "db")
	synctest.Test(t, func(t *testing.T) {
		s, db := open(t, path, &calls{hold: time.Hour})
		defer func() { _ = db.Close() }()
		s.o.Retries = 0
		if err := s.Set([]Job{{Name: "j", Cron: "0 1 * * *", URL: "http://127.0.0.1/"}}); err != nil {
			t.Fatal(err)
		}
		run(t, s, 64*time.Minute)
		if last := s.Jobs()[0].Last; last.Attempts != 1 || !strings.Contains(last.Error, "deadline") || last.Finished.Sub(last.Scheduled) != 180*time.Second {
			t.Errorf("%+v", last)
		}
	})
}

func TestSetWhileRunning(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "db")
	synctest.Test(t, func(t *testing.T) {
		c := &calls{}
		s, db := open(t, path, c)
		defer func() { _ = db.Close() }()
		job := func(name, cron string) Job { return Job{Name: name, Cron: cron, URL: "http://127.0.0.1/"} }
		if err := s.Set([]Job{job("a", "0 1 * * *"), job("b", "0 1 * * *")}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 150*time.Minute)
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		time.Sleep(90 * time.Minute)
		if err := s.Set([]Job{job("a", "0 2 * * *"), job("c", "45 1 * * *")}); err != nil {
			t.Fatal(err)
		}
		<-done
		got := strings.Join(c.all(), "\n")
		for _, want := range []string{"a 2000-01-01T01:00:00Z ", "b 2000-01-01T01:00:00Z ", "c 2000-01-01T01:45:00Z ", "a 2000-01-01T02:00:00Z "} {
			if !strings.Contains(got, want) {
				t.Errorf("calls %q, want %q among them", got, want)
			}
		}
		if len(c.all()) != 4 {
			t.Errorf("calls %q, want 4", got)
		}
	})
}

func TestForceWithoutTimeAndWhileACallIsOut(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "db")
	synctest.Test(t, func(t *testing.T) {
		c := &calls{hold: time.Minute}
		s, db := open(t, path, c)
		defer func() { _ = db.Close() }()
		if err := s.Set([]Job{{Name: "j", Cron: "0 1 * * *", URL: "http://127.0.0.1/"}}); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- s.ForceWithoutTime(t.Context(), "j") }()
		synctest.Wait()
		if err := s.Force(t.Context(), "j"); fault.KindOf(err) != fault.Conflict {
			t.Errorf("Force while a call is out: %v", err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		if got := c.all(); len(got) != 1 || got[0] != "j  " {
			t.Errorf("calls %q", got)
		}
		run(t, s, 2*time.Hour)
		if got := c.all(); len(got) != 2 || got[1] != "j 2000-01-01T01:00:00Z " {
			t.Errorf("calls %q: the run that was due must still come", got)
		}
	})
}
