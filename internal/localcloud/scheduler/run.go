package scheduler

import (
	"context"
	"sync"
	"time"

	"github.com/millrace-ml/millrace/shared/fault"
)

// longestWait bounds a sleep, so that a clock that was set or a machine that slept is noticed.
const longestWait = 30 * time.Second

// Run calls until ctx ends, and waits for the calls that are out, which end with it and are made again by the next Run.
func (s *Scheduler) Run(ctx context.Context) error {
	var calls sync.WaitGroup
	within, cancel := context.WithCancel(ctx)
	defer calls.Wait()
	defer cancel()
	for {
		wait, err := s.start(within, &calls)
		if err != nil {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-s.changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// start calls the jobs whose time has come and returns how long until the next.
func (s *Scheduler) start(ctx context.Context, calls *sync.WaitGroup) (time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.o.Now()
	wait := longestWait
	for _, j := range s.jobs {
		at, due, err := s.begin(j, now)
		if err != nil {
			return 0, err
		}
		if due {
			call := j.Job
			calls.Go(func() { s.fire(ctx, call, at) })
		}
		wait = min(wait, j.Next.Sub(now))
	}
	return max(wait, time.Millisecond), nil
}

// begin says whether a call is due, and makes that it began durable before it is made. s.mu is held.
func (s *Scheduler) begin(j *job, now time.Time) (at time.Time, due bool, err error) {
	switch {
	case j.Began != nil && !j.running: // it was out when a former process ended
		j.running = true
		return *j.Began, true, nil
	case j.Next.After(now):
		return at, false, nil
	}
	at = j.Next
	j.Next = j.after(now)
	if j.running { // one outstanding call per job: a time that comes meanwhile is passed over
		s.o.Log.Warn("scheduled time passed over: the job's last call is still out", "job", j.Name, "scheduled", at.UTC())
		return at, false, s.db.Update(j.put)
	}
	j.running, j.Began = true, &at
	return at, true, s.db.Update(j.put)
}

// fire makes a call and records how it ended. One that ended with the process stays begun.
func (s *Scheduler) fire(ctx context.Context, call Job, at time.Time) {
	attempts, err := s.call(ctx, call, &at)
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.wake()
	j := s.jobs[call.Name]
	if j == nil {
		return // removed meanwhile
	}
	j.running = false
	if err != nil && ctx.Err() != nil {
		return
	}
	j.ended(&at, s.o.Now(), attempts, err)
	if j.Began != nil && j.Began.Equal(at) {
		j.Began = nil
		if err := s.db.Update(j.put); err != nil {
			s.o.Log.Error("a call's end is not stored; a restart makes it again", "job", j.Name, "error", err.Error())
		}
	}
}

func (j *job) ended(at *time.Time, now time.Time, attempts int, err error) {
	j.last = Call{Finished: now, Attempts: attempts}
	if at != nil {
		j.last.Scheduled = *at
	}
	if err != nil {
		j.last.Error = err.Error()
	}
}

// Force calls a job now, as a person does on the console: with the time of its next run, as the real one sends it. The
// next run stays due. It waits for the outcome of the call and its retries.
func (s *Scheduler) Force(ctx context.Context, name string) error { return s.force(ctx, name, true) }

// ForceWithoutTime is Force without a schedule time, which the real one does too.
func (s *Scheduler) ForceWithoutTime(ctx context.Context, name string) error {
	return s.force(ctx, name, false)
}

func (s *Scheduler) force(ctx context.Context, name string, timed bool) error {
	s.mu.Lock()
	j := s.jobs[name]
	if j == nil || j.running {
		s.mu.Unlock()
		if j == nil {
			return fault.New(fault.NotFound, nil, "scheduler: there is no job %q", name)
		}
		return fault.New(fault.Conflict, nil, "scheduler: the last call of job %s is still out", name)
	}
	j.running = true
	call, next := j.Job, j.Next
	s.mu.Unlock()

	var at *time.Time
	if timed {
		at = &next
	}
	attempts, err := s.call(ctx, call, at)

	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.wake()
	if j := s.jobs[name]; j != nil {
		j.running = false
		j.ended(at, s.o.Now(), attempts, err)
	}
	if err != nil {
		return fault.New(fault.Unavailable, err, "scheduler: job %s was not taken after %d attempts", name, attempts)
	}
	return nil
}
