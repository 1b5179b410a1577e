// Package scheduler is Cloud Scheduler for one machine: HTTP calls at the times of a cron expression, with the headers of
// the real one, retries, and one outstanding call per job. The next time of each job is durable, and so is a call that
// began. Times that passed while nothing ran are not caught up: as in production, that is the sweep's work, which this must
// not hide.
package scheduler

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
	_ "time/tzdata" // zones do not depend on the machine

	bolt "go.etcd.io/bbolt"

	"github.com/millrace-ml/millrace/shared/fault"
)

// Options of a Scheduler; the zero value behaves like Cloud Scheduler with three retries.
type Options struct {
	Now          func() time.Time // time.Now
	Client       *http.Client     // one that follows no redirects: only 2xx is success
	Log          *slog.Logger     // slog.Default()
	Deadline     time.Duration    // of one attempt; 180 s
	Retries      int              // after the first attempt; 0 means 3, negative none
	RetryFor     time.Duration    // none begins later than this after the first; 0 = no limit
	Backoff      time.Duration    // before the first retry, then doubled; 5 s
	MaxBackoff   time.Duration    // 1 h
	MaxDoublings int              // then the wait grows by its last step; 5
}

func (o Options) filled() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Client == nil {
		o.Client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	o.Deadline = cmp.Or(o.Deadline, 180*time.Second)
	o.Retries = max(0, cmp.Or(o.Retries, 3))
	o.Backoff = cmp.Or(o.Backoff, 5*time.Second)
	o.MaxBackoff = max(o.Backoff, cmp.Or(o.MaxBackoff, time.Hour))
	o.MaxDoublings = cmp.Or(o.MaxDoublings, 5)
	return o
}

// Scheduler runs jobs. Its methods are safe for concurrent use.
type Scheduler struct {
	db *bolt.DB
	o  Options

	mu      sync.Mutex
	jobs    map[string]*job
	changed chan struct{} // buffered by one: look again
}

// job is a Job with its timetable and where it stands. Scheduler.mu guards it.
type job struct {
	Job
	timetable
	stored
	running bool
	last    Call
}

var jobsBucket = []byte("scheduler") // name -> stored

// stored is a job's durable state. A changed timetable starts anew.
type stored struct {
	CronText string     `json:"cron"`
	ZoneName string     `json:"zone"`
	Next     time.Time  `json:"next"`            // first time whose call has not begun
	Began    *time.Time `json:"began,omitempty"` // time whose call has no outcome; a restart calls it again
}

// Call is how the last call of a job ended.
type Call struct {
	Scheduled time.Time // zero for a forced call without a time
	Finished  time.Time // zero if there was none yet
	Attempts  int
	Error     string // "" after a 2xx
}

// Status is a job as people see it.
type Status struct {
	Job
	Next    time.Time
	Running bool
	Last    Call
}

// Open makes a Scheduler without jobs over db, which others may share and which the caller closes after Run returned.
func Open(db *bolt.DB, o Options) (*Scheduler, error) {
	if db == nil {
		return nil, errors.New("open scheduler: no database given")
	}
	err := db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(jobsBucket)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open scheduler: %w", err)
	}
	return &Scheduler{db: db, o: o.filled(), jobs: map[string]*job{}, changed: make(chan struct{}, 1)}, nil
}

// Set replaces the jobs. One whose timetable stays keeps its next time and a call that is out. On an error, which names
// every bad job, nothing changes.
func (s *Scheduler) Set(jobs []Job) error {
	next := map[string]*job{}
	var problems []error
	for _, j := range jobs {
		t, err := j.timetable()
		if err == nil && next[j.Name] != nil {
			err = fmt.Errorf("job %s is there twice", j.Name)
		}
		if err != nil {
			problems = append(problems, err)
			continue
		}
		next[j.Name] = &job{Job: j, timetable: t}
	}
	if err := errors.Join(problems...); err != nil {
		return fault.New(fault.Invalid, nil, "scheduler: %v", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.adopt(next); err != nil {
		return fmt.Errorf("scheduler: store jobs: %w", err)
	}
	s.jobs = next
	s.wake()
	return nil
}

// adopt gives new jobs what is known of them, here or from before a restart, and stores all. s.mu is held.
func (s *Scheduler) adopt(next map[string]*job) error {
	now := s.o.Now()
	return s.db.Update(func(tx *bolt.Tx) error {
		before := map[string]stored{}
		err := tx.Bucket(jobsBucket).ForEach(func(k, v []byte) error {
			var st stored
			err := json.Unmarshal(v, &st)
			before[string(k)] = st
			return err
		})
		if err != nil {
			return err
		}
		for name := range before {
			if next[name] == nil {
				if err := tx.Bucket(jobsBucket).Delete([]byte(name)); err != nil {
					return err
				}
			}
		}
		for name, j := range next {
			j.inherit(s.jobs[name], before[name], now, s.o.Log)
			if err := j.put(tx); err != nil {
				return err
			}
		}
		return nil
	})
}

// inherit takes over where the job of this name stood.
func (j *job) inherit(old *job, before stored, now time.Time, log *slog.Logger) {
	if old != nil {
		j.running, j.last = old.running, old.last
	}
	j.stored = before
	if before.CronText != j.Cron || before.ZoneName != j.Zone {
		j.stored = stored{CronText: j.Cron, ZoneName: j.Zone, Next: j.after(now)}
		return
	}
	if old == nil && before.Next.Before(now) {
		log.Info("times passed while the scheduler was down; the sweep finds them", "job", j.Name, "first", before.Next)
		j.Next = j.after(now)
	}
}

func (j *job) put(tx *bolt.Tx) error {
	v, err := json.Marshal(j.stored)
	if err != nil {
		return err
	}
	return tx.Bucket(jobsBucket).Put([]byte(j.Name), v)
}

func (s *Scheduler) wake() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// Jobs lists all jobs by name.
func (s *Scheduler) Jobs() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Status
	for _, name := range slices.Sorted(maps.Keys(s.jobs)) {
		j := s.jobs[name]
		out = append(out, Status{Job: j.Job, Next: j.Next, Running: j.running, Last: j.last})
	}
	return out
}
