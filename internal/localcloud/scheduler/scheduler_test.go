package scheduler

import (
	"context"
	"errors"
	"io"
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
