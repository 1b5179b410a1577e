package deploy

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/millrace-ml/millrace/internal/bundle"
	"github.com/millrace-ml/millrace/internal/change"
	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/manifest"
)

// Shares of the traffic that a new revision gets, one after the other.
var (
	predictShares = []int{10, 50, 100}
	eventShares   = []int{100}
)

// function rolls a function out and completes its record. undo takes the traffic back.
func (d *deployment) function(ctx context.Context, c change.Change, s *script, r *change.Record) (undo func(context.Context, error) error, err error) {
	f, service, model := functionOf(c.Unit)
	way := d.rollout(s, f, service, c)
	if model == "" {
		way.shares, way.watch, way.checks = eventShares, 0, "ask %[1]s again which unit it is"
		way.trial, way.asks = &eventTrial{f, c.Hash, d.Patience, d.Now}, "its unit"
		if f == bundle.OnUpload {
			way.asks += " and to ignore the event of an object below " + manifest.SmokePrefix
		}
	} else {
		way.shares, way.compares, way.asks = predictShares, true, "the parity rows"
		way.checks = fmt.Sprintf("wait %s, then check errors and latency of %%s against %%s", d.Watch)
		if way.trial, err = d.predictTrial(ctx, s, service, way.bundle); err != nil {
			return nil, err
		}
	}
	r.Revision, r.Previous, err = way.run(ctx)
	return func(ctx context.Context, err error) error {
		if !way.shifted {
			return err // it served before this deployment
		}
		return way.giveUp(ctx, err)
	}, err
}

func (d *deployment) rollout(s *script, f bundle.Function, service string, c change.Change) *rollout {
	return &rollout{
		script: s, asker: d.asker, function: f, service: service, hash: c.Hash, commit: d.Build.Commit, bundle: d.bundleOf(c.Unit),
		envFile: filepath.Join(d.Dir, envFile), watch: d.Watch, force: d.Force, now: d.Now,
	}
}

// predictTrial opens the model of a bundle, which is the one that was built and tested.
func (d *deployment) predictTrial(ctx context.Context, s *script, service, folder string) (*predictTrial, error) {
	t := &predictTrial{patience: d.Patience, out: s.out, watcher: &watcher{d.Project, service, d.Monitoring, d.Now}}
	model := filepath.Join(folder, bundle.ModelFolder)
	err := s.step(ctx, fmt.Sprintf("open the parity rows of %s", model), func(ctx context.Context) (err error) {
		t.parity, err = bundle.OpenParity(ctx, model)
		return err
	})
	return t, err
}

// Revert asks for the way back of a model, by a person.
type Revert struct {
	Model string
	To    string // a revision; "": the one that served before
}

// Rollback gives the traffic of a real-time model back to the revision before, and moves the pointer of a batch model to
// the release before; whichever of them the model has. The records stay as they are: they say that the unit's state was
// deployed, so that the next push of unchanged code does not bring the bad version back. A changed unit is deployed as
// ever.
func Rollback(ctx context.Context, o Options, back Revert) error {
	o.Build, o.Units = &change.Build{}, nil
	d, _, err := open(o)
	if err != nil {
		return err
	}
	realtime, batch, err := d.deployedAs(ctx, back.Model)
	if err != nil {
		return err
	}
	if back.To != "" && !realtime {
		return fault.New(fault.Invalid, nil, "--to %s: %s has no revisions, it does not serve realtime", back.To, back.Model)
	}
	if realtime {
		if err := d.revert(ctx, back); err != nil {
			return fmt.Errorf("%s%s: %w", change.PredictPrefix, back.Model, err)
		}
	}
	if batch && back.To == "" {
		if err := d.holding(ctx, change.BatchPrefix+back.Model, func(ctx context.Context) error { return d.unrelease(ctx, back.Model) }); err != nil {
			return fmt.Errorf("%s%s: %w", change.BatchPrefix, back.Model, err)
		}
	}
	return nil
}

// deployedAs says what there is of a model, by the records.
func (d *deployment) deployedAs(ctx context.Context, model string) (realtime, batch bool, err error) {
	if d.DryRun {
		return true, true, nil
	}
	for _, unit := range []string{change.PredictPrefix + model, change.BatchPrefix + model} {
		r, err := d.Records.Read(ctx, unit)
		if err != nil {
			return false, false, err
		}
		if strings.HasPrefix(unit, change.PredictPrefix) {
			realtime = r != nil
		} else {
			batch = r != nil
		}
	}
	if !realtime && !batch {
		return false, false, fault.New(fault.NotFound, nil, "no model %q is deployed in %s: gs://%s/deployed/ has no record of it", model, d.Project, d.Artifacts)
	}
	return realtime, batch, nil
}

// holding does something under a unit's lease.
func (d *deployment) holding(ctx context.Context, unit string, do func(context.Context) error) (err error) {
	if d.DryRun {
		return do(ctx)
	}
	kept, hold, err := d.leases.take(ctx, unit, d.out)
	if err != nil {
		return err
	}
	defer func() {
		if rerr := hold.release(ctx, hold.removed); err == nil {
			err = rerr
		}
	}()
	return do(kept)
}

// revert gives the traffic back.
func (d *deployment) revert(ctx context.Context, back Revert) error {
	unit := change.PredictPrefix + back.Model
	_, name, _ := functionOf(unit)
	return d.holding(ctx, unit, func(ctx context.Context) error {
		svc, err := d.script.describe(ctx, name)
		if err != nil {
			return err
		}
		serving, split := svc.rightful()
		to := back.To
		if to == "" {
			if to, err = d.before(ctx, unit, name, serving, split); err != nil {
				return err
			}
		}
		if _, err := d.script.gcloud(ctx, callLimit, traffic(name, target{Revision: to, Percent: 100})...); err != nil {
			return err
		}
		d.out.say("# %s: all traffic is with %s now, before with %s; the record stays, so that only a change is deployed again", name, to, serving)
		return nil
	})
}

// before is the revision that served before the one that does.
func (d *deployment) before(ctx context.Context, unit, service, serving string, split bool) (string, error) {
	if d.DryRun {
		return service + "-BEFORE", nil
	}
	if split {
		return serving, nil // what an interrupted deployment left: the way back is the revision before it
	}
	r, err := d.Records.Read(ctx, unit)
	if err != nil {
		return "", err
	}
	list := fmt.Sprintf("name one with TO=: gcloud run revisions list --service %s --region %s --project %s", service, d.Region, d.Project)
	switch {
	case r == nil || r.Previous == "":
		return "", fault.New(fault.NotFound, nil, "no revision is known that served before %s; %s", serving, list)
	case r.Revision != serving:
		return "", fault.New(fault.Conflict, nil, "%s serves, and the last deployment was of %s: it has been taken back already; %s", serving, r.Revision, list)
	}
	return r.Previous, nil
}
