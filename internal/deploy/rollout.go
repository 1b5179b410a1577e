package deploy

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/millrace-ml/millrace/internal/bundle"
	"github.com/millrace-ml/millrace/shared/fault"
)

const (
	baseImage    = "go126"
	restoreLimit = 3 * time.Minute // of taking the traffic back, whatever else ends
	restoreTries = 3
)

// trial is how a kind of function is tried: smoke asks the new revision by itself, compare sets it against the one that
// serves, before it has traffic, and check while both have. None of them changes anything.
type trial interface {
	smoke(ctx context.Context, s *server) error
	compare(ctx context.Context, before, after *server) error
	check(ctx context.Context, before, after *server, began, since time.Time) error
}

var (
	_ trial = (*predictTrial)(nil)
	_ trial = (*eventTrial)(nil)
)

// rollout is a function's way from a bundle to all of the traffic. At every moment the traffic is with a revision that is
// known to be good, or is split between that and one that has passed what came before.
type rollout struct {
	*script
	*asker
	function bundle.Function
	service  string
	hash     string // of the unit
	commit   string
	bundle   string // folder
	dev      bool   // in a project without Terraform: gcloud's own repository, buckets and accounts
	envFile  string
	shares   []int  // of the traffic, one after the other
	compares bool   // sets the new revision against the one that serves, before it has traffic
	asks     string // what trial.smoke asks for
	checks   string // what trial.check does, of the new and the old revision's names
	watch    time.Duration
	force    bool
	trial    trial
	now      func() time.Time

	previous string // had the traffic
	shifted  bool   // since then
}

// run gives the revision that serves now, and the one before it.
func (r *rollout) run(ctx context.Context) (revision, previous string, err error) {
	svc, err := r.describe(ctx, r.service)
	if fault.KindOf(err) == fault.NotFound {
		return "", "", fault.New(fault.NotFound, nil, "service %s does not exist in %s, %s: Terraform makes it; apply terraform/ first, the next build then deploys it", r.service, r.project, r.region)
	}
	if err != nil {
		return "", "", err
	}
	if err := r.settle(ctx, svc); err != nil {
		return "", "", err
	}
	unit, err := r.revisionUnit(ctx, r.previous)
	if err != nil {
		return "", "", err
	}
	if unit == label(r.hash) && !r.force {
		return r.confirm(ctx, svc)
	}
	if revision, err = r.try(ctx, unit == ""); err != nil {
		return "", "", r.giveUp(ctx, err)
	}
	if unit == "" { // nobody wants to go back to the placeholder
		return revision, "", nil
	}
	return revision, r.previous, nil
}

// settle finds the revision that the traffic belongs to, and gives it all of it where an interrupted deployment left a
// split.
func (r *rollout) settle(ctx context.Context, svc *service) error {
	revision, split := svc.rightful()
	if revision == "" {
		return fault.New(fault.Unavailable, nil, "no revision of %s has traffic", r.service)
	}
	r.previous = revision
	if !split {
		return nil
	}
	r.out.say("# %s: the traffic is split, as an interrupted deployment leaves it: back to %s first", r.service, revision)
	_, err := r.gcloud(ctx, callLimit, traffic(r.service, target{Revision: revision, Percent: 100})...)
	return err
}

// confirm takes a revision that has all of the traffic and is of this very unit: an earlier deployment did not come to
// record it.
func (r *rollout) confirm(ctx context.Context, svc *service) (revision, previous string, err error) {
	s, err := r.server(r.previous, svc.Status.URL, svc.Status.URL)
	if err != nil {
		return "", "", err
	}
	if err := r.step(ctx, r.service+" serves this unit already: ask it for "+r.asks, func(ctx context.Context) error { return r.trial.smoke(ctx, s) }); err != nil {
		return "", "", err
	}
	before, _ := svc.tagged(previousTag)
	if before.Revision == r.previous {
		before.Revision = ""
	}
	r.dropTags(ctx, svc)
	return r.previous, before.Revision, nil
}

// try deploys without traffic, tries, and shifts.
func (r *rollout) try(ctx context.Context, placeholder bool) (string, error) {
	if !placeholder {
		if _, err := r.gcloud(ctx, callLimit, "run", "services", "update-traffic", r.service, "--update-tags", previousTag+"="+r.previous); err != nil {
			return "", err
		}
	}
	if _, err := r.gcloud(ctx, buildLimit, append(r.deployArgs(), "--no-traffic")...); err != nil {
		return "", err
	}
	svc, err := r.describe(ctx, r.service)
	if err != nil {
		return "", err
	}
	before, after, err := r.sides(svc, placeholder)
	if err != nil {
		return "", err
	}
	if err := r.step(ctx, fmt.Sprintf("smoke test: ask %s for %s, with an identity token for %s", after.url, r.asks, after.audience), func(ctx context.Context) error { return r.trial.smoke(ctx, after) }); err != nil {
		return "", fmt.Errorf("smoke test: %w", err)
	}
	shares := r.shares
	if placeholder {
		shares = []int{100}
	} else if err := r.compare(ctx, before, after); err != nil {
		return "", err
	}
	if err := r.shift(ctx, before, after, shares, placeholder); err != nil {
		return "", err
	}
	r.dropTags(ctx, svc)
	return after.revision, nil
}

func (r *rollout) compare(ctx context.Context, before, after *server) error {
	if !r.compares {
		return nil
	}
	return r.step(ctx, fmt.Sprintf("compare the predictions of %s with those of %s, which serves", after.revision, before.revision), func(ctx context.Context) error {
		return r.trial.compare(ctx, before, after)
	})
}

// sides are the revision that serves and the new one, each at its own URL.
func (r *rollout) sides(svc *service, placeholder bool) (before, after *server, err error) {
	t, ok := svc.tagged(r.tag())
	if !ok {
		return nil, nil, fault.New(fault.Internal, nil, "service %s has no revision with the tag %s after its deployment", r.service, r.tag())
	}
	if after, err = r.server(t.Revision, t.URL, svc.Status.URL); err != nil || placeholder {
		return nil, after, err
	}
	if t, ok = svc.tagged(previousTag); !ok {
		return nil, nil, fault.New(fault.Internal, nil, "service %s has lost the tag %s", r.service, previousTag)
	}
	before, err = r.server(t.Revision, t.URL, svc.Status.URL)
	return before, after, err
}

// shift raises the new revision's share, watching it after each step.
func (r *rollout) shift(ctx context.Context, before, after *server, shares []int, placeholder bool) error {
	began := r.now()
	for _, share := range shares {
		since := r.now()
		r.shifted = true
		if _, err := r.gcloud(ctx, callLimit, traffic(r.service, target{Revision: after.revision, Percent: share}, target{Revision: r.previous, Percent: 100 - share})...); err != nil {
			return err
		}
		if placeholder {
			return nil // nothing to compare with, and nothing better to go back to
		}
		sentence := fmt.Sprintf("at %d %%: ", share) + fmt.Sprintf(r.checks, after.revision, r.previous)
		err := r.step(ctx, sentence, func(ctx context.Context) error {
			if err := pause(ctx, r.watch); err != nil {
				return err
			}
			return r.trial.check(ctx, before, after, began, since)
		})
		if err != nil {
			return fmt.Errorf("at %d %%: %w", share, err)
		}
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// giveUp ends a failed deployment: the traffic goes back to where it was, in a context of its own, since the one that
// failed may be over. Who lost its lease touches nothing any more.
func (r *rollout) giveUp(ctx context.Context, cause error) error {
	if errors.Is(context.Cause(ctx), errLeaseLost) {
		return fmt.Errorf("%w; nothing was taken back", errLeaseLost)
	}
	args := []string{"run", "services", "update-traffic", r.service, "--remove-tags", r.tag() + "," + previousTag}
	if r.shifted {
		args = append(traffic(r.service, target{Revision: r.previous, Percent: 100}), args[4:]...)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), restoreLimit)
	defer cancel()
	tries := 1
	if r.shifted {
		tries = restoreTries
	}
	var err error
	for range tries {
		if _, err = r.gcloud(ctx, callLimit, args...); err == nil || ctx.Err() != nil {
			break
		}
	}
	switch {
	case err == nil && r.shifted:
		return fmt.Errorf("%w; all traffic is back on %s", cause, r.previous)
	case r.shifted:
		return fmt.Errorf("%w; and the traffic could not be given back to %s (%w), run: gcloud %s", cause, r.previous, err,
			quote(append(traffic(r.service, target{Revision: r.previous, Percent: 100}), "--region", r.region, "--project", r.project)))
	}
	return fmt.Errorf("%w; %s kept all traffic", cause, r.previous)
}

// dropTags removes the tags of this and earlier deployments but the new revision's: a tagged revision keeps its minimum of
// instances. What is left behind the next deployment removes.
func (r *rollout) dropTags(ctx context.Context, svc *service) {
	if old := svc.oldTags(r.tag()); len(old) > 0 {
		if _, err := r.gcloud(ctx, callLimit, "run", "services", "update-traffic", r.service, "--remove-tags", strings.Join(old, ",")); err != nil {
			r.out.say("# the tags %s are left, the next deployment removes them: %v", strings.Join(old, ", "), err)
		}
	}
}

func (r *rollout) tag() string { return candidate + hexOf(r.hash)[:hashDigits] }

func label(hash string) string { return hexOf(hash)[:labelDigits] }

// hexOf is a hash without its kind; a short one, which only tests have, is filled up.
func hexOf(hash string) string {
	digits := strings.TrimPrefix(hash, "sha256:")
	return digits + strings.Repeat("0", max(0, labelDigits-len(digits)))
}

// deployArgs name every setting that gcloud would else take over from the deployment before: base image, image, build account, worker pool
// and build environment are kept by the service.
func (r *rollout) deployArgs() []string {
	labels := unitLabel + "=" + label(r.hash)
	if r.commit != "" {
		labels += "," + commitLabel + "=" + r.commit
	}
	args := []string{
		"run", "deploy", r.service, "--source", r.bundle, "--function", r.function.Target, "--base-image", baseImage, "--automatic-updates",
		"--build-env-vars-file", r.envFile, "--clear-build-worker-pool", "--no-allow-unauthenticated", "--labels", labels, "--tag", r.tag(),
	}
	if r.dev {
		return append(args, "--clear-build-service-account")
	}
	return append(args, "--image", r.region+"-docker.pkg.dev/"+path.Join(r.project, "functions"),
		"--build-service-account", "projects/"+r.project+"/serviceAccounts/"+account("builder", r.project),
		"--service-account", account(r.service, r.project))
}

func account(id, project string) string { return id + "@" + project + ".iam.gserviceaccount.com" }
