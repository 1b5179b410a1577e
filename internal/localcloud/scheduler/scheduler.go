// Package scheduler is Cloud Scheduler for one machine: HTTP calls at the times of a cron expression, with the headers of
// the real one, retries, and one outstanding call per job. The next time of each job is durable. Times that passed while
// nothing ran are not caught up: as in production, that is the sweep's work, which this must not hide.
package scheduler

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"
	_ "time/tzdata" // zones do not depend on the machine

	"github.com/robfig/cron/v3"
	bolt "go.etcd.io/bbolt"
)

// Job is one call on a timetable.
type Job struct {
	Name       string // the short name, sent as X-CloudScheduler-JobName
	Cron, Zone string // unix-cron, five fields; IANA zone, empty = UTC
	URL        string
	Body       []byte // JSON, may be empty
}

// Options of a Scheduler; the zero value behaves like Cloud Scheduler with three retries.
type Options struct {
	Now      func() time.Time // time.Now
	Client   *http.Client     // http.DefaultClient
	Log      *slog.Logger     // slog.Default()
	Deadline time.Duration    // of one attempt; 180 s
	Retries  int              // after the first attempt; 0 means 3, negative none
	Backoff  time.Duration    // before the first retry, then doubled; 5 s
}

// Scheduler runs jobs. Its methods are safe for concurrent use.
type Scheduler struct {
	db *bolt.DB
	o  Options

	mu      sync.Mutex
	jobs    map[string]*job
	changed chan struct{}
}

// job is a Job with its timetable and the time of its next call.
type job struct {
	Job
	times   cron.Schedule
	zone    *time.Location
	next    time.Time
	running bool
}

var jobsBucket = []byte("scheduler")

// stored is a job's durable state. A changed timetable starts anew.
type stored struct {
	Cron string    `json:"cron"`
	Zone string    `json:"zone"`
	Next time.Time `json:"next"`
}

// Open makes a Scheduler without jobs over db, which others may share and which the caller closes after Run returned.
func Open(db *bolt.DB, o Options) (*Scheduler, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Client == nil {
		o.Client = http.DefaultClient
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Deadline == 0 {
		o.Deadline = 180 * time.Second
	}
	if o.Retries == 0 {
		o.Retries = 3
	}
	if o.Backoff == 0 {
		o.Backoff = 5 * time.Second
	}
	err := db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(jobsBucket)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open scheduler: %w", err)
	}
	return &Scheduler{db: db, o: o, jobs: map[string]*job{}, changed: make(chan struct{}, 1)}, nil
}

// Set replaces the jobs. One that stays keeps its next time, unless that has passed.
func (s *Scheduler) Set(jobs []Job) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := map[string]*job{}
	for _, j := range jobs {
		if next[j.Name] != nil {
			return fmt.Errorf("scheduler: job %s is there twice", j.Name)
		}
		made, err := s.plan(j)
		if err != nil {
			return err
		}
		if old := s.jobs[j.Name]; old != nil {
			made.running = old.running
		}
		next[j.Name] = made
	}
	if err := s.store(next); err != nil {
		return err
	}
	s.jobs = next
	s.wake()
	return nil
}

// plan reads a job's timetable and finds its next time.
func (s *Scheduler) plan(j Job) (*job, error) {
	times, err := cron.ParseStandard(j.Cron)
	if err != nil {
		return nil, fmt.Errorf("scheduler: job %s: cron %q: %w", j.Name, j.Cron, err)
	}
	zone, err := time.LoadLocation(j.Zone)
	if err != nil {
		return nil, fmt.Errorf("scheduler: job %s: zone %q: %w", j.Name, j.Zone, err)
	}
	made := &job{Job: j, times: times, zone: zone}
	now := s.o.Now()
	made.next = times.Next(now.In(zone))
	err = s.db.View(func(tx *bolt.Tx) error {
		var old stored
		if v := tx.Bucket(jobsBucket).Get([]byte(j.Name)); v == nil {
			return nil
		} else if err := json.Unmarshal(v, &old); err != nil {
			return fmt.Errorf("scheduler: stored job %s: %w", j.Name, err)
		}
		if old.Cron == j.Cron && old.Zone == j.Zone && old.Next.After(now) {
			made.next = old.Next
		}
		return nil
	})
	return made, err
}

// store makes the jobs' times durable and forgets jobs that are gone.
func (s *Scheduler) store(jobs map[string]*job) error {
	return s.db.Update(func(tx *bolt.Tx) error {
		if err := tx.DeleteBucket(jobsBucket); err != nil {
			return err
		}
		b, err := tx.CreateBucket(jobsBucket)
		if err != nil {
			return err
		}
		for name, j := range jobs {
			v, err := json.Marshal(stored{j.Cron, j.Zone, j.next})
			if err != nil {
				return err
			}
			if err := b.Put([]byte(name), v); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *Scheduler) wake() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// Run calls until ctx ends, and waits for the calls that are out.
func (s *Scheduler) Run(ctx context.Context) error {
	var calls sync.WaitGroup
	defer calls.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.changed:
		case <-timer.C:
		}
		due, wait, err := s.due()
		if err != nil {
			return err
		}
		for _, j := range due {
			calls.Go(func() { s.fire(ctx, j.Job, j.next) })
		}
		timer.Reset(wait)
	}
}

// longestWait bounds a sleep, so that a clock that was set or a machine that slept is noticed.
const longestWait = 30 * time.Second

// due takes the jobs whose time has come and moves them to their next time, durably before they are called.
func (s *Scheduler) due() (fire []job, wait time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.o.Now()
	wait = longestWait
	for _, j := range s.jobs {
		if !j.next.After(now) {
			if !j.running { // one outstanding call per job: a time that comes meanwhile is passed over
				j.running = true
				fire = append(fire, *j)
			}
			j.next = j.times.Next(now.In(j.zone))
		}
		wait = min(wait, j.next.Sub(now))
	}
	if len(fire) > 0 {
		err = s.store(s.jobs)
	}
	return fire, max(wait, time.Millisecond), err
}

// fire makes one call with its retries.
func (s *Scheduler) fire(ctx context.Context, j Job, at time.Time) {
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if now := s.jobs[j.Name]; now != nil {
			now.running = false
		}
	}()
	pause := s.o.Backoff
	for attempt := 0; ; attempt++ {
		err := s.call(ctx, j, at)
		if err == nil || ctx.Err() != nil {
			return
		}
		s.o.Log.Warn("scheduled call failed", "job", j.Name, "scheduled", at.UTC(), "attempt", attempt+1, "error", err.Error())
		if attempt >= s.o.Retries {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		pause *= 2
	}
}

// Force calls a job now, as a person does on the console: with the time of its next run, as the real one sends it.
func (s *Scheduler) Force(ctx context.Context, name string) error {
	s.mu.Lock()
	j, ok := s.jobs[name]
	if !ok {
		s.mu.Unlock()
		return fmt.Errorf("scheduler: there is no job %q", name)
	}
	call, at := j.Job, j.next
	s.mu.Unlock()
	return s.call(ctx, call, at)
}

// call makes one attempt. Success is 2xx only.
func (s *Scheduler) call(ctx context.Context, j Job, at time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, s.o.Deadline)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, j.URL, bytes.NewReader(j.Body))
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "Google-Cloud-Scheduler")
	req.Header.Set("X-CloudScheduler", "true")
	req.Header.Set("X-CloudScheduler-JobName", j.Name)
	req.Header.Set("X-CloudScheduler-ScheduleTime", at.UTC().Format(time.RFC3339))
	if len(j.Body) > 0 {
		req.Header.Set("Content-Type", "application/json") // Terraform sets it on the real jobs; the default is octet-stream
	}
	resp, err := s.o.Client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("answer %s: %s", resp.Status, bytes.TrimSpace(body))
	}
	return nil
}
