package deploy

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/millrace-ml/millrace/internal/change"
	"github.com/millrace-ml/millrace/shared/fault"
)

const (
	managedLabel = "managed-by" // Terraform's, on what it made for this project
	managedBy    = "millrace"
)

// devTrial tries a revision as predictTrial does, and compares with no older one: who develops a model wants it to change.
type devTrial struct{ *predictTrial }

func (devTrial) compare(context.Context, *server, *server) error { return nil }

func (t devTrial) check(ctx context.Context, _, after *server, _, _ time.Time) error {
	return t.smoke(ctx, after)
}

// Dev deploys one real-time model into a project that Terraform knows nothing of: it makes the private service, with the
// repository, the buckets and the accounts that gcloud takes by itself, and nothing is recorded. The unit is the model's,
// its bundle lies in the build folder. The first deployment has the traffic at once; later ones are asked before they get
// it. The result is the service's URL.
func Dev(ctx context.Context, o Options, unit change.Change) (url string, err error) {
	if o.Build == nil || o.Out == nil || o.Project == "" || o.Region == "" || o.Now == nil || !o.DryRun && (o.Gcloud == "" || o.Token == nil) {
		return "", fault.New(fault.Internal, nil, "a deployment needs a build, a project, a region, gcloud, tokens, an output and a clock")
	}
	d := prepare(o)
	if o.DryRun {
		d.script.played.missing = true
	}
	f, service, model := functionOf(unit.Unit)
	if model == "" || !strings.HasPrefix(unit.Unit, change.PredictPrefix) {
		return "", fault.New(fault.Invalid, nil, "%s is no real-time model", unit.Unit)
	}
	if !o.DryRun {
		if err := d.complete([]change.Change{unit}); err != nil {
			return "", err
		}
	}
	ctx, end := interruptible(ctx)
	defer end()
	if err := d.writeBuildEnv(ctx); err != nil {
		return "", err
	}
	way := d.rollout(d.script, f, service, unit)
	way.dev, way.force, way.shares, way.asks, way.checks = true, true, eventShares, "the parity rows", "ask %[1]s again"
	t, err := d.predictTrial(ctx, d.script, service, way.bundle)
	if err != nil {
		return "", err
	}
	trial := devTrial{t}
	way.trial = trial
	svc, err := d.script.describe(ctx, service)
	switch {
	case fault.KindOf(err) == fault.NotFound:
		err = way.create(ctx)
	case err != nil:
	case svc.Metadata.Labels[managedLabel] == managedBy:
		return "", fault.New(fault.Conflict, nil, "service %s of %s is Terraform's: use make deploy, or another project", service, o.Project)
	default:
		_, _, err = way.run(ctx)
	}
	if err != nil {
		return "", err
	}
	if svc, err = d.script.describe(ctx, service); err != nil {
		return "", err
	}
	d.out.say("# %s answers; ask it with:", service)
	d.out.say("%s", curl(svc.Status.URL, model, trial.parity.Example()))
	return svc.Status.URL, nil
}

// create makes the service with its first revision, which has the traffic at once.
func (r *rollout) create(ctx context.Context) error {
	if _, err := r.gcloud(ctx, buildLimit, r.deployArgs()...); err != nil {
		return err
	}
	svc, err := r.describe(ctx, r.service)
	if err != nil {
		return err
	}
	_, after, err := r.sides(svc, true)
	if err != nil {
		return err
	}
	if err := r.step(ctx, fmt.Sprintf("smoke test: ask %s for %s", after.url, r.asks), func(ctx context.Context) error { return r.trial.smoke(ctx, after) }); err != nil {
		return fmt.Errorf("the service is there, and does not answer as the model does: %w", err)
	}
	return nil
}

// curl is a line that asks a private service.
func curl(url, model string, instance json.RawMessage) string {
	body := quote([]string{fmt.Sprintf(`{"instances":[%s]}`, instance)})
	return fmt.Sprintf(`curl -H "Authorization: Bearer $(gcloud auth print-identity-token)" -H "Content-Type: application/json" -d %s %s/v1/models/%s:predict`, body, url, model)
}
