package scheduler

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrace-ml/millrace/shared/fault"
)

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
