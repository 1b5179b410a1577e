package batch

import (
	"fmt"
	"time"
)

// Timing are the settings that every function which starts runs reads from its environment.
type Timing struct {
	StartDeadline time.Duration `env:"START_DEADLINE" envDefault:"8s"` // of bringing one run to Vertex; Eventarc allows 10 s in all
	Lease         time.Duration `env:"LEASE"`                          // how long a starter is left alone after its last write; default START_DEADLINE + 2s
	LeaseMargin   time.Duration `env:"LEASE_MARGIN" envDefault:"5s"`   // on top of LEASE
}

// Valid reports what the types cannot.
func (t *Timing) Valid() []string {
	var problems []string
	if t.StartDeadline < time.Second {
		problems = append(problems, fmt.Sprintf("START_DEADLINE: %v is below 1s", t.StartDeadline))
	}
	if t.Lease != 0 && t.Lease < time.Second {
		problems = append(problems, fmt.Sprintf("LEASE: %v is below 1s", t.Lease))
	}
	if t.LeaseMargin < 0 {
		problems = append(problems, fmt.Sprintf("LEASE_MARGIN: %v is below 0s", t.LeaseMargin))
	}
	return problems
}

// Options are the timing as New takes it, the rest by default.
func (t *Timing) Options() Options {
	return Options{Deadline: t.StartDeadline, Lease: t.Lease, Margin: orNone(t.LeaseMargin)}
}

// Sweep are the settings of the function that reconciles.
type Sweep struct {
	Since  time.Time     `env:"SWEEP_SINCE"`                     // RFC 3339; reconcile looks for nothing older, such as the creation of the inbox
	MinAge time.Duration `env:"SWEEP_MIN_AGE" envDefault:"120s"` // reconcile leaves younger triggers to their events
}

// Valid reports what the types cannot.
func (s *Sweep) Valid() []string {
	if s.MinAge < 0 {
		return []string{fmt.Sprintf("SWEEP_MIN_AGE: %v is below 0s", s.MinAge)}
	}
	return nil
}

// Options are o with these settings.
func (s *Sweep) Options(o Options) Options {
	o.Since, o.MinAge = s.Since, orNone(s.MinAge)
	return o
}

// orNone turns a setting of 0 into what Options calls none: their own 0 means the default.
func orNone(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}
