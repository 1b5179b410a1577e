package scheduler

import (
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"
)

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
