package deploy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"google.golang.org/api/googleapi"

	"github.com/millrace-ml/millrace/internal/bundle"
	"github.com/millrace-ml/millrace/internal/change"
	"github.com/millrace-ml/millrace/shared/fault"
)

// Names in the folder that the steps of a build share.
const (
	bundleFolder = "bundles"
	imageFile    = "image" // the step image by digest
	envFile      = "build-env.yaml"
	recordLimit  = time.Minute
)

// unit deploys or removes one unit, holding its lease. Its record is written last, or stays as it was.
func (d *deployment) unit(ctx context.Context, c change.Change, out *lines) (o Outcome) {
	o.Unit = c.Unit
	defer func() {
		if cause := context.Cause(ctx); cause != nil && errors.Is(o.Err, context.Canceled) {
			o.Err = cause // what a client of Google's says of it is longer and no clearer
		}
		if o.Err != nil {
			d.mu.Lock()
			d.failed[c.Unit] = o.Err
			d.mu.Unlock()
			out.say("# %s failed: %v", c.Unit, o.Err)
			return
		}
		if !d.DryRun && c.Unit != change.Terraform {
			out.say("# %s: %s", c.Unit, o.Did)
		}
	}()
	if c.Unit == change.Terraform {
		o.Did = "not done here: the infrastructure is applied by its own account (docs/deploy.md), which then records it: millrace ci record terraform"
		out.say("# %s: %s", c.Unit, o.Did)
		return o
	}
	s := *d.script
	s.out = out
	var hold *lease
	kept := ctx // ends when the lease is lost
	err := s.step(ctx, fmt.Sprintf("take gs://%s/%s%s.json, so that no other build deploys %s at the same time", d.Artifacts, leasePrefix, c.Unit, c.Unit), func(ctx context.Context) (err error) {
		kept, hold, err = d.leases.take(ctx, c.Unit, out)
		return err
	})
	if err != nil {
		o.Err = err
		return o
	}
	var removed time.Time
	if hold != nil {
		removed = hold.removed
	}
	o.Did, removed, o.Err = d.held(kept, c, &s, removed)
	o.Err = errors.Join(o.Err, s.step(context.WithoutCancel(ctx), fmt.Sprintf("give up gs://%s/%s%s.json", d.Artifacts, leasePrefix, c.Unit), func(ctx context.Context) error {
		return hold.release(ctx, removed)
	}))
	return o
}

// held does the work under the lease. removed is the commit that removed the unit before, and comes back as what the lease
// is to remember.
func (d *deployment) held(ctx context.Context, c change.Change, s *script, removed time.Time) (did string, remembers time.Time, err error) {
	var was *change.Record
	if err := s.step(ctx, fmt.Sprintf("read gs://%s/deployed/%s.json: what was deployed last", d.Artifacts, c.Unit), func(ctx context.Context) (err error) {
		was, err = d.Records.Read(ctx, c.Unit)
		return err
	}); err != nil {
		return "", removed, err
	}
	if why := d.late(c, was, removed); why != "" {
		return "skipped: " + why, removed, nil
	}
	if c.Action == change.Remove {
		if err := d.remove(ctx, c, s); err != nil {
			return "", removed, err
		}
		return "removed", d.Build.Committed, nil
	}
	r := change.Record{Unit: c.Unit, Hash: c.Hash, Parts: c.Parts, Commit: d.Build.Commit, Committed: d.Build.Committed}
	undo := func(_ context.Context, err error) error {
		return fmt.Errorf("%w; it stays, and the next deployment records it", err)
	}
	switch {
	case c.Unit == change.Step:
		r.Image, err = d.image(ctx, s)
	case strings.HasPrefix(c.Unit, change.BatchPrefix):
		err = d.batch(ctx, c, s)
	default:
		undo, err = d.function(ctx, c, s, &r)
	}
	if err != nil {
		return "", removed, err
	}
	if was != nil && r.Parts == nil && was.Hash == r.Hash { // --force over what is deployed
		r.Parts = was.Parts
	}
	if was != nil && r.Previous == "" && was.Revision != r.Revision {
		r.Previous = was.Revision
	}
	return "deployed", time.Time{}, d.record(ctx, s, r, undo)
}

// late says why a build must not deploy any more.
func (d *deployment) late(c change.Change, was *change.Record, removed time.Time) string {
	at := d.Build.Committed
	switch {
	case d.Force || d.DryRun:
	case was != nil && was.Hash == c.Hash && c.Action == change.Deploy:
		return "another build has deployed the same meanwhile"
	case was != nil && !at.IsZero() && was.Committed.After(at):
		return fmt.Sprintf("commit %.12s of %s is older than %.12s of %s, which is deployed (--force deploys it all the same)", d.Build.Commit, at.Format(time.RFC3339), was.Commit, was.Committed.Format(time.RFC3339))
	case was == nil && !at.IsZero() && removed.After(at):
		return fmt.Sprintf("a commit of %s removed it, and this one is of %s (--force deploys it all the same)", removed.Format(time.RFC3339), at.Format(time.RFC3339))
	}
	return ""
}

// record writes what was deployed. It is written even when the deployment is being ended: all that counts has been done. A
// write that fails is looked at: only a record that certainly was not written has its deployment undone, since a record
// that is ahead of what serves would never be repaired, and one that is behind is by the next build.
func (d *deployment) record(ctx context.Context, s *script, r change.Record, undo func(context.Context, error) error) error {
	if errors.Is(context.Cause(ctx), errLeaseLost) {
		return undo(ctx, errLeaseLost)
	}
	outer := ctx
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordLimit)
	defer cancel()
	return s.step(ctx, fmt.Sprintf("record %s in gs://%s/deployed/%s.json", r.Unit, d.Artifacts, r.Unit), func(ctx context.Context) error {
		r.Deployed = d.Now().UTC().Truncate(time.Second)
		err := d.Records.Write(ctx, r)
		if err == nil {
			return nil
		}
		is, rerr := d.Records.Read(ctx, r.Unit)
		switch {
		case rerr == nil && is != nil && is.Hash == r.Hash && is.Deployed.Equal(r.Deployed):
			return nil
		case rerr == nil:
			return undo(outer, fmt.Errorf("it could not be recorded: %w", err))
		}
		return fmt.Errorf("it serves, and whether that is recorded cannot be seen (%w): the next deployment records it", errors.Join(err, rerr))
	})
}

// remove forgets a unit that is gone from the checkout. A service and what it holds are Terraform's to remove, and keep
// answering until then; a batch model starts no run any more, and keeps its history.
func (d *deployment) remove(ctx context.Context, c change.Change, s *script) error {
	if model, ok := strings.CutPrefix(c.Unit, change.BatchPrefix); ok {
		if err := d.unpublish(ctx, s, model); err != nil {
			return err
		}
	} else if c.Unit != change.Step {
		s.out.say("# %s: Terraform removes the service", c.Unit)
	}
	return s.step(ctx, fmt.Sprintf("remove gs://%s/deployed/%s.json", d.Artifacts, c.Unit), func(ctx context.Context) error {
		return d.Records.Delete(ctx, c.Unit)
	})
}

// functionOf gives a unit's function, its service, and the model it carries.
func functionOf(unit string) (f bundle.Function, service, model string) {
	switch unit {
	case change.OnUpload:
		return bundle.OnUpload, unit, ""
	case change.BatchTrigger:
		return bundle.BatchTrigger, unit, ""
	}
	model = strings.TrimPrefix(unit, change.PredictPrefix)
	return bundle.Predict, "predict-" + model, model
}

// complete reports everything that the steps before should have left and did not, at once.
func (d *deployment) complete(units []change.Change) error {
	var problems []string
	image := false
	for _, c := range units {
		model, batch := strings.CutPrefix(c.Unit, change.BatchPrefix)
		switch {
		case c.Action == change.Remove || c.Unit == change.Terraform:
			continue
		case c.Unit == change.Step || batch:
			image = image || !batch || !ownGraph(filepath.Join(d.Models, model))
			continue
		}
		unit, err := os.ReadFile(filepath.Join(d.bundleOf(c.Unit), bundle.UnitFile))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			problems = append(problems, fmt.Sprintf("%s is not there", d.bundleOf(c.Unit)))
		case err != nil:
			return err
		case string(unit) != c.Hash:
			problems = append(problems, fmt.Sprintf("%s was made of another state of the checkout", d.bundleOf(c.Unit)))
		}
	}
	if len(problems) > 0 {
		slices.Sort(problems)
		return fault.New(fault.NotFound, nil, "%s; run: make bundle", strings.Join(problems, ", "))
	}
	if name := filepath.Join(d.Dir, imageFile); image { // before anything is done
		if _, err := os.Stat(name); err != nil {
			return fault.New(fault.NotFound, nil, "%s is not there; run: make image", name)
		}
	}
	return nil
}

func (d *deployment) bundleOf(unit string) string { return filepath.Join(d.Dir, bundleFolder, unit) }

// writeBuildEnv writes the environment of the buildpack for gcloud.
func (d *deployment) writeBuildEnv(ctx context.Context) error {
	name, text := filepath.Join(d.Dir, envFile), ""
	for _, key := range sortedKeys(bundle.BuildEnv()) {
		text += fmt.Sprintf("%s: %q\n", key, bundle.BuildEnv()[key])
	}
	return d.script.step(ctx, fmt.Sprintf("write %s: %s", name, strings.ReplaceAll(strings.TrimSpace(text), "\n", ", ")), func(context.Context) error {
		return os.WriteFile(name, []byte(text), 0o644)
	})
}

// unreachable makes an error of Cloud Storage one line that says what to do.
func unreachable(err error, format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	var e *googleapi.Error
	switch {
	case errors.As(err, &e) && e.Code == 404:
		return fault.New(fault.NotFound, err, "%s: there is no such bucket; Terraform makes it, or name another with --artifacts", what)
	case errors.As(err, &e) && (e.Code == 401 || e.Code == 403):
		return fault.New(fault.Forbidden, err, "%s: this account may not", what)
	case strings.Contains(err.Error(), "default credentials"):
		return fault.New(fault.Unauthenticated, nil, "%s: there is no credential; run: gcloud auth application-default login", what)
	}
	return fmt.Errorf("%s: %w", what, err)
}
