package scheduler

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// Job is one call on a timetable.
type Job struct {
	Name       string // the short name, sent as X-CloudScheduler-JobName
	Cron, Zone string // unix-cron, five fields; IANA zone, empty = UTC
	URL        string
	Body       []byte // JSON, may be empty
}

var (
	jobName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,500}$`)
	fields  = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow) // no @daily, as Cloud Scheduler
)

// timetable is a cron expression in its zone.
type timetable struct {
	times cron.Schedule
	zone  *time.Location
}

func (t timetable) after(now time.Time) time.Time { return t.times.Next(now.In(t.zone)) }

// timetable checks the job and reads when it is called.
func (j Job) timetable() (timetable, error) {
	var t timetable
	if !jobName.MatchString(j.Name) {
		return t, fmt.Errorf("job %q: a name has letters, digits, - and _, at most 500", j.Name)
	}
	if !strings.HasPrefix(j.URL, "http://") && !strings.HasPrefix(j.URL, "https://") {
		return t, fmt.Errorf("job %s: url %q is no http address", j.Name, j.URL)
	}
	if strings.Contains(j.Cron, "TZ=") {
		return t, fmt.Errorf("job %s: cron %q names a time zone, which has a field of its own", j.Name, j.Cron)
	}
	times, err := fields.Parse(j.Cron)
	if err != nil {
		return t, fmt.Errorf("job %s: cron %q: %w", j.Name, j.Cron, err)
	}
	zone, err := time.LoadLocation(j.Zone)
	if err != nil {
		return t, fmt.Errorf("job %s: zone %q: %w", j.Name, j.Zone, err)
	}
	if spec, ok := times.(*cron.SpecSchedule); ok {
		spec.Location = zone
	}
	t = timetable{times, zone}
	if t.after(time.Unix(0, 0)).IsZero() {
		return t, fmt.Errorf("job %s: cron %q never comes", j.Name, j.Cron)
	}
	return t, nil
}

// call makes one execution of a job, the first attempt and its retries, all with the same time; nil sends none. It returns
// how many attempts it took, and the error of the last.
func (s *Scheduler) call(ctx context.Context, j Job, at *time.Time) (attempts int, err error) {
	began := s.o.Now()
	for attempts = 1; ; attempts++ {
		if err = s.attempt(ctx, j, at); err == nil || ctx.Err() != nil {
			return attempts, err
		}
		s.o.Log.Warn("scheduled call failed", "job", j.Name, "attempt", attempts, "error", err.Error())
		pause := s.o.pause(attempts)
		over := s.o.RetryFor > 0 && s.o.Now().Add(pause).Sub(began) > s.o.RetryFor
		if attempts > s.o.Retries || over {
			return attempts, err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return attempts, err
		}
	}
}

// pause is the wait after the n-th failed attempt: doubled MaxDoublings times, then growing by the last step.
func (o Options) pause(n int) time.Duration {
	step := o.Backoff << min(n-1, o.MaxDoublings)
	if n-1 > o.MaxDoublings {
		step *= time.Duration(n - o.MaxDoublings)
	}
	return min(step, o.MaxBackoff)
}

// attempt makes one request. Success is 2xx only.
func (s *Scheduler) attempt(ctx context.Context, j Job, at *time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, s.o.Deadline)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, j.URL, bytes.NewReader(j.Body))
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "Google-Cloud-Scheduler")
	req.Header.Set("X-CloudScheduler", "true")
	req.Header.Set("X-CloudScheduler-JobName", j.Name)
	if at != nil {
		req.Header.Set("X-CloudScheduler-ScheduleTime", at.UTC().Format(time.RFC3339))
	}
	if len(j.Body) > 0 {
		req.Header.Set("Content-Type", "application/json") // Terraform sets it on the real jobs; the default is octet-stream
	}
	resp, err := s.o.Client.Do(req)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("answer %s: %s", resp.Status, bytes.TrimSpace(body))
	}
	return nil
}
