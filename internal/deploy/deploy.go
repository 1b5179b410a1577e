// Package deploy brings built units to Google Cloud, in an order and with checks that leave the old state serving until the
// new one has shown that it is no worse. A function gets a revision without traffic, which is asked by itself, set against
// the revision that serves, and given the traffic in steps, watched after each; a failed check gives all of it back. A
// batch model is tried with its parity rows before its pointer moves. What was deployed is recorded last, unit by unit, so
// that a failed or interrupted deployment loses no change.
//
// The package builds nothing and decides nothing about what changed: packages bundle and change do. It talks to Cloud Run
// through gcloud alone, so that each thing it does there is a command that a person can run. Services, accounts and buckets
// are Terraform's: a service that is missing is an error here, and removing a model removes no service.
package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"cloud.google.com/go/storage"
	"golang.org/x/sync/errgroup"

	"github.com/millrace-ml/millrace/internal/change"
	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/pipeline"
)

// Options say what to deploy, and where. Where DryRun is set, nothing but the first block is needed.
type Options struct {
	Project, Region string
	Build           *change.Build // what changed
	Dir             string        // where the steps before left bundles/<unit>/ and image
	Models          string        // the checkout's model folders
	Units           []string      // of those that changed; none: all
	DryRun          bool          // only print what would be done
	Force           bool          // also what serves already, and over a newer commit
	Watch           time.Duration // how long each share of the traffic is watched
	Out             io.Writer     // gets each command and step

	Gcloud    string   // the program
	Env       []string // of gcloud
	Artifacts string   // bucket
	Storage   *storage.Client
	// OpenStorage opens Cloud Storage once more, for an artifact that lies there.
	OpenStorage func(context.Context) (*storage.Client, error)
	Records     change.Store
	Token       func(ctx context.Context, audience string) (string, error)
	// Try proves a batch release without moving its pointer: at trigger, the URL of batchtrigger. hash names the unit, so
	// that a second try of the same is the same run.
	Try func(ctx context.Context, in *pipeline.PublishInput, trigger, hash string) error

	Holder     string        // who deploys, for those who wait
	Monitoring string        // host:port of another server than Cloud Monitoring's; loopback
	Patience   time.Duration // with a new revision's first answers; 0: 90 s
	Lease      time.Duration // how long a hold on a unit lasts without a sign of life; 0: 2 min
	Wait       time.Duration // for another deployment of the same unit; 0: 45 min
	AtOnce     int           // real-time models that deploy at a time; 0: 4
	Now        func() time.Time
}

// Defaults of Options.
const (
	patience = 90 * time.Second
	longWait = 45 * time.Minute
	atOnce   = 4
)

// Outcome is what became of a unit.
type Outcome struct {
	Unit string
	Did  string // deployed, recorded, removed, skipped: why
	Err  error
}

// deployment is one call of Run.
type deployment struct {
	Options
	script *script
	asker  *asker
	leases *leases
	out    *lines

	mu     sync.Mutex
	failed map[string]error // units of this run
}

// Run deploys. It goes on after a unit that failed with those that do not need it, and gives an outcome for each; the error
// is for what stops all of them before anything is done.
func Run(ctx context.Context, o Options) ([]Outcome, error) {
	d, units, err := open(o)
	if err != nil {
		return nil, err
	}
	if len(units) > 0 {
		if err := d.writeBuildEnv(ctx); err != nil {
			return nil, err
		}
	}
	ctx, end := interruptible(ctx)
	defer end()
	var out []Outcome
	for _, stage := range stages(units) {
		if ctx.Err() != nil {
			for _, c := range stage {
				out = append(out, Outcome{Unit: c.Unit, Err: fmt.Errorf("not begun: %w", context.Cause(ctx))})
			}
			continue
		}
		done := make([]Outcome, len(stage))
		var group errgroup.Group
		group.SetLimit(d.AtOnce)
		for i, c := range stage {
			lines := d.out
			if len(stage) > 1 && d.AtOnce > 1 {
				lines = d.out.with(c.Unit + ": ")
			}
			group.Go(func() error {
				done[i] = d.unit(ctx, c, lines)
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			return nil, err
		}
		out = append(out, done...)
	}
	return out, nil
}

// errInterrupted is why a deployment ends that a person or a system ends.
var errInterrupted = errors.New("interrupted")

// interruptible is ctx with a cause that people understand.
func interruptible(ctx context.Context) (context.Context, func()) {
	inner, end := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { end(errInterrupted) })
	return inner, func() { stop(); end(nil) }
}

// open checks what can be checked before anything is done.
func open(o Options) (*deployment, []change.Change, error) {
	if o.Build == nil || o.Out == nil || o.Project == "" || o.Region == "" || o.Now == nil {
		return nil, nil, fault.New(fault.Internal, nil, "a deployment needs a build, a project, a region, an output and a clock")
	}
	if !o.DryRun && (o.Gcloud == "" || o.Storage == nil || o.Records == nil || o.Token == nil || o.Try == nil || o.Artifacts == "") {
		return nil, nil, fault.New(fault.Internal, nil, "a deployment needs gcloud, the artifacts bucket, records, tokens and a way to try releases")
	}
	units, err := chosen(o.Build, o.Units, o.Force)
	if err != nil {
		return nil, nil, err
	}
	d := prepare(o)
	if o.DryRun {
		return d, units, nil
	}
	return d, units, d.complete(units)
}

// prepare fills in the defaults.
func prepare(o Options) *deployment {
	set := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	set(&o.Patience, patience)
	set(&o.Lease, leaseTime)
	set(&o.Wait, longWait)
	if o.AtOnce == 0 {
		o.AtOnce = atOnce
	}
	out := newLines(o.Out)
	d := &deployment{Options: o, out: out, failed: map[string]error{},
		script: &script{project: o.Project, region: o.Region, program: o.Gcloud, env: o.Env, out: out},
		asker:  &asker{&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, remember(o.Token, o.Now)},
		leases: &leases{o.Storage, o.Artifacts, o.Holder, o.Now, o.Lease, o.Wait},
	}
	if o.DryRun {
		d.script.played, d.AtOnce = newPlayed(), 1
	}
	return d
}

// chosen are the changes to carry out: the named ones, or all.
func chosen(b *change.Build, names []string, force bool) ([]change.Change, error) {
	for _, name := range names {
		i := slices.IndexFunc(b.Units, func(c change.Change) bool { return c.Unit == name })
		switch {
		case i < 0:
			var known []string
			for _, c := range b.Units {
				known = append(known, c.Unit)
			}
			return nil, fault.New(fault.NotFound, nil, "%q is no unit of this build, which has %s", name, strings.Join(known, ", "))
		case b.Units[i].Action == change.Keep && !force:
			return nil, fault.New(fault.Conflict, nil, "%s is deployed as it is in this checkout: there is nothing to do (--force deploys it again)", name)
		}
	}
	var out []change.Change
	for _, c := range b.Units {
		if named := slices.Contains(names, c.Unit); named || len(names) == 0 && c.Action != change.Keep {
			out = append(out, c)
		}
	}
	return out, nil
}

// stages put the units in the order in which they may need each other: batch models run the step image, and are tried by
// batchtrigger. Those of one stage do not need each other.
func stages(units []change.Change) [][]change.Change {
	rank := func(c change.Change) int {
		switch {
		case c.Action == change.Remove:
			return 4
		case c.Unit == change.OnUpload, c.Unit == change.BatchTrigger:
			return 1
		case strings.HasPrefix(c.Unit, change.PredictPrefix):
			return 2
		case strings.HasPrefix(c.Unit, change.BatchPrefix):
			return 3
		}
		return 0 // the infrastructure, the step image
	}
	out := make([][]change.Change, 5)
	for _, c := range units {
		out[rank(c)] = append(out[rank(c)], c)
	}
	return slices.DeleteFunc(out, func(s []change.Change) bool { return len(s) == 0 })
}

// remember keeps tokens for a while: each comes from a program or a server.
func remember(token func(context.Context, string) (string, error), now func() time.Time) func(context.Context, string) (string, error) {
	const fresh = 20 * time.Minute // of the hour that they are good for
	type kept struct {
		token string
		until time.Time
	}
	var mu sync.Mutex
	known := map[string]kept{}
	return func(ctx context.Context, audience string) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if k, ok := known[audience]; ok && now().Before(k.until) {
			return k.token, nil
		}
		t, err := token(ctx, audience)
		if err == nil {
			known[audience] = kept{t, now().Add(fresh)}
		}
		return t, err
	}
}

// Failed joins the errors of outcomes, each with its unit.
func Failed(all []Outcome) error {
	var errs []error
	for _, o := range all {
		if o.Err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", o.Unit, o.Err))
		}
	}
	return errors.Join(errs...)
}
