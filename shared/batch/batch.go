// Package batch is the only code that moves a run from state to state: Start, Drain, Reconcile, Finish. It is not for
// decoding requests, which the functions do, nor for what happens inside a pipeline, which the steps do.
//
// Exactly one start per trigger rests on three walls: the record's id is derived from the trigger, every write is
// conditional on the version that was read, and the Vertex job id is derived from the trigger too. So a crash at any point
// leaves something that the next delivery, Drain or Reconcile drives on, and a late owner can do no harm.
package batch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	aiplatform "cloud.google.com/go/aiplatform/apiv1"
	"cloud.google.com/go/firestore"
	"cloud.google.com/go/storage"

	"github.com/millrace-ml/millrace/shared/ledger"
	"github.com/millrace-ml/millrace/shared/pipeline"
)

// Config says where the project's things are. Everything is required.
type Config struct {
	Project, Region, Database         string
	Inbox, Outbox, Staging, Artifacts string // buckets
	ServiceAccount                    string // runs the pipelines; empty would mean the Compute default
}

// Options are the settings that have defaults.
type Options struct {
	Deadline   time.Duration    // of bringing one run to Vertex; 8 s
	Lease      time.Duration    // how long an owner is left alone after its last write; Deadline + 2 s
	Margin     time.Duration    // on top of Lease, against a slow server; 5 s, negative means none
	Since      time.Time        // Reconcile looks for nothing older, Google's clock; zero: no limit but MaxAge
	MinAge     time.Duration    // Reconcile leaves younger triggers to their events; 2 min, negative means none
	DrainLimit int              // submissions of one Drain; 50 of the 60 that Vertex allows a minute
	DrainPause time.Duration    // upper bound of the random pause between two of them; 200 ms, negative means none
	Now        func() time.Time // time.Now
	Ledger     ledger.Options
	Releases   pipeline.CacheOptions
}

// MaxAge is the age up to which Reconcile looks for lost triggers. It is far below the 30 days that records live at least:
// an object whose record has expired must not run again.
const MaxAge = 7 * 24 * time.Hour

// Batch starts runs and follows them. It is safe for concurrent use.
type Batch struct {
	*Closer
	pipelines *aiplatform.PipelineClient
	releases  *pipeline.Cache
	cfg       Config
	o         Options
}

// New makes a Batch over open clients, which stay the caller's to close. log gives the logger of a request.
func New(db *firestore.Client, st *storage.Client, pipelines *aiplatform.PipelineClient, log func(context.Context) *slog.Logger,
	cfg Config, o Options) (*Batch, error) {
	if pipelines == nil {
		return nil, errors.New("batch: no client of pipelines")
	}
	if err := cfg.valid(); err != nil {
		return nil, err
	}
	closer, err := NewCloser(db, st, log, cfg.Staging, cfg.Outbox, o.Ledger)
	if err != nil {
		return nil, err
	}
	releases, err := pipeline.NewCache(st, cfg.Artifacts, o.Releases)
	if err != nil {
		return nil, err
	}
	return &Batch{Closer: closer, pipelines: pipelines, releases: releases, cfg: cfg, o: o.withDefaults()}, nil
}

func (c Config) valid() error {
	var missing []string
	for _, f := range []struct{ name, value string }{
		{"Project", c.Project}, {"Region", c.Region}, {"Database", c.Database}, {"Inbox", c.Inbox}, {"Outbox", c.Outbox},
		{"Staging", c.Staging}, {"Artifacts", c.Artifacts}, {"ServiceAccount", c.ServiceAccount},
	} {
		if f.value == "" {
			missing = append(missing, f.name)
		}
	}
	if missing != nil {
		return fmt.Errorf("batch: %s not set", strings.Join(missing, ", "))
	}
	for _, b := range []struct{ name, value string }{{"outbox", c.Outbox}, {"staging bucket", c.Staging}, {"artifacts bucket", c.Artifacts}} {
		if b.value == c.Inbox {
			return fmt.Errorf("batch: inbox and %s are both %q: every output would start a run", b.name, c.Inbox)
		}
	}
	return nil
}

func (o Options) withDefaults() Options {
	set := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
		*d = max(*d, 0)
	}
	set(&o.Deadline, 8*time.Second)
	set(&o.Lease, o.Deadline+2*time.Second)
	set(&o.Margin, 5*time.Second)
	set(&o.MinAge, 2*time.Minute)
	set(&o.DrainPause, 200*time.Millisecond)
	if o.DrainLimit <= 0 {
		o.DrainLimit = 50
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}
