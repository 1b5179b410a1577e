package deploy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace-ml/millrace/internal/change"
)

const unit, serviceName = "predict@tiny", "predict-tiny"

// well is a revision by Cloud Monitoring.
var well = sample{1000, 2, 20 * time.Millisecond}

// serving is a project in which the tiny model serves and is recorded, and the bundle of a next version lies ready.
func serving(t *testing.T) (*project, change.Change) {
	t.Helper()
	p := newProject(t)
	p.metrics.of = func(string) sample { return well }
	p.terraform(serviceName)
	if err := p.deploy(t.Context(), p.bundle(t, unit, tiny(1, ""))); err != nil {
		t.Fatalf("the first deployment: %v\n%s", err, p.log.String())
	}
	p.truth(t, unit, serviceName)
	p.calls = nil
	return p, p.bundle(t, unit, tiny(1.05, ""))
}

func TestAChangedModelIsRolledOut(t *testing.T) {
	t.Parallel()
	p, next := serving(t)
	if err := p.deploy(t.Context(), next); err != nil {
		t.Fatalf("%v\n%s", err, p.log.String())
	}
	p.truth(t, unit, serviceName)
	var shares []string
	for _, c := range p.calls {
		if _, rest, ok := strings.Cut(c, "--to-revisions "); ok {
			shares = append(shares, strings.Fields(rest)[0])
		}
	}
	want := []string{"predict-tiny-00003=10,predict-tiny-00002=90", "predict-tiny-00003=50,predict-tiny-00002=50", "predict-tiny-00003=100"}
	if diff := cmp.Diff(want, shares); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	r, err := p.records.Read(t.Context(), unit)
	if err != nil || r.Revision != "predict-tiny-00003" || r.Previous != "predict-tiny-00002" || r.Commit != p.build.Commit || !r.Committed.Equal(p.build.Committed) || r.Parts == nil {
		t.Errorf("the record is %+v, %v", r, err)
	}
	if log := p.log.String(); !strings.Contains(log, "y moved in 2 of 2 rows, by 5% of its size, most in row 2: 20 → 21") {
		t.Errorf("the log does not say how the predictions moved:\n%s", log)
	}
}

// Whatever was deployed by hand before, with settings that gcloud keeps, has no say in the next deployment.
func TestNothingSticksFromADeploymentByHand(t *testing.T) {
	t.Parallel()
	p, next := serving(t)
	p.services[serviceName].settings = map[string]string{"base-image": "go121", "build-worker-pool": "mine", "build-env-vars-file": "mine", "image": "mine", "build-service-account": "mine", "service-account": "mine", "function": "Mine"}
	if err := p.deploy(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"base-image": "go126", "automatic-updates": "true", "build-env-vars-file": p.dir + "/build-env.yaml", "image": "europe-west1-docker.pkg.dev/shop/functions",
		"build-service-account": "projects/shop/serviceAccounts/builder@shop.iam.gserviceaccount.com", "service-account": "predict-tiny@shop.iam.gserviceaccount.com", "function": "Predict"}
	if diff := cmp.Diff(want, p.services[serviceName].settings); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// undisturbed is the state after a deployment that nothing disturbed, and the number of its calls.
func undisturbed(t *testing.T) (state string, calls int) {
	t.Helper()
	p, next := serving(t)
	if err := p.deploy(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	return p.state(t), len(p.calls)
}

// The heart of it: each call of gcloud fails once, before or after it did what it was asked to. The witness holds that
// healthy revisions have the traffic at every moment; the record says what serves; and a second run ends as if nothing had
// happened.
func TestAFailureAtEachCall(t *testing.T) {
	t.Parallel()
	want, calls := undisturbed(t)
	for n := 1; n <= calls; n++ {
		for _, applied := range []bool{false, true} {
			t.Run(fmt.Sprintf("call %d, applied %v", n, applied), func(t *testing.T) {
				t.Parallel()
				p, next := serving(t)
				p.fault = func(i int, _ []string) (bool, bool) { return i == n, applied }
				err := p.deploy(t.Context(), next)
				if err == nil && n < calls {
					t.Errorf("no error, and call %d failed: %s", n, p.calls[n-1])
				}
				p.truth(t, unit, serviceName)
				if err != nil && strings.Contains(err.Error(), "could not be given back") {
					t.Errorf("%v", err)
				}
				p.fault = nil
				if err == nil {
					next = p.bundle(t, unit, tiny(1.05, "")) // recorded, and so not deployed again but for its tags
				}
				if err := p.deploy(t.Context(), next); err != nil {
					t.Fatalf("the second run: %v\n%s", err, p.log.String())
				}
				p.truth(t, unit, serviceName)
				if got := p.state(t); err != nil && got != want {
					t.Errorf("the second run ends in another state (-want +got)\n%s", cmp.Diff(want, got))
				}
			})
		}
	}
}

// From some call on gcloud does nothing any more, as when the machine is gone: what is left is healthy, the error says how
// to mend it by hand, and the next run does.
func TestGcloudIsGoneFromACallOn(t *testing.T) {
	t.Parallel()
	want, calls := undisturbed(t)
	for n := 1; n <= calls; n++ {
		t.Run(fmt.Sprintf("call %d", n), func(t *testing.T) {
			t.Parallel()
			p, next := serving(t)
			p.fault = func(i int, _ []string) (bool, bool) { return i >= n, false }
			err := p.deploy(t.Context(), next)
			split := len(slices.DeleteFunc(slices.Clone(p.services[serviceName].traffic), func(x target) bool { return x.Percent == 0 })) > 1
			mend := "gcloud run services update-traffic predict-tiny --to-revisions predict-tiny-00002=100 --region europe-west1 --project shop"
			if split && (err == nil || !strings.Contains(err.Error(), mend)) {
				t.Errorf("the traffic is split, and the error does not say how to mend it: %v", err)
			}
			p.fault = nil
			if err := p.deploy(t.Context(), next); err != nil {
				t.Fatalf("the second run: %v\n%s", err, p.log.String())
			}
			p.truth(t, unit, serviceName)
			if got := p.state(t); n < calls && got != want {
				t.Errorf("the second run ends in another state (-want +got)\n%s", cmp.Diff(want, got))
			}
		})
	}
}

// Interrupted after each call, the deployment takes the traffic back by itself.
func TestAnInterruptionAfterEachCall(t *testing.T) {
	t.Parallel()
	_, calls := undisturbed(t)
	for n := 1; n < calls; n++ {
		t.Run(fmt.Sprintf("call %d", n), func(t *testing.T) {
			t.Parallel()
			p, next := serving(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			seen := 0
			p.after = func([]string) {
				if seen++; seen == n {
					cancel()
				}
			}
			err := p.deploy(ctx, next)
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error %v, want that it was interrupted", err)
			}
			p.truth(t, unit, serviceName)
			if r, err := p.records.Read(t.Context(), unit); err != nil || r.Hash == next.Hash {
				t.Errorf("recorded %v, %v", r, err)
			}
		})
	}
}

func TestAModelThatMovedTooFarGetsNoTraffic(t *testing.T) {
	t.Parallel()
	p, _ := serving(t)
	moved := p.bundle(t, unit, tiny(1.2, ""))
	err := p.deploy(t.Context(), moved)
	for _, part := range []string{"y moved in 2 of 2 rows, by 20% of its size, most in row 2: 20 → 24", "release.max_change of models/tiny/model.yaml is 10%", "predict-tiny-00002 kept all traffic"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error %v, want %q", err, part)
		}
	}
	p.truth(t, unit, serviceName)
	if p.services[serviceName].revisions[2].traffic {
		t.Error("it had traffic")
	}
	if err := p.deploy(t.Context(), p.bundle(t, unit, tiny(1.2, "release: {max_change: 25%}\n"))); err != nil {
		t.Errorf("allowed by its manifest: %v", err)
	}
	p.truth(t, unit, serviceName)
}

func TestAnIllRevisionIsTakenBack(t *testing.T) {
	t.Parallel()
	ail := func(illness string) func(*project) {
		return func(p *project) { p.ail = func(r *runRevision) { r.illness = illness } }
	}
	few := func(p *project) { p.metrics.of = nil }
	down := func(p *project) { p.metrics.down = true }
	seen := func(at int, bad sample) func(*project) {
		return func(p *project) {
			p.metrics.of = func(revision string) sample {
				p.mu.Lock()
				defer p.mu.Unlock()
				for _, x := range p.services[serviceName].traffic {
					if x.Revision == revision && revision == "predict-tiny-00003" && x.Percent >= at {
						return bad
					}
				}
				return well
			}
		}
	}
	failing, slow := sample{200, 10, 20 * time.Millisecond}, sample{200, 0, 90 * time.Millisecond}
	for name, tc := range map[string]struct {
		make []func(*project)
		want string
	}{
		"fails at once":                    {[]func(*project){ail("errors")}, "smoke test: predict-tiny-00003"},
		"answers with another model":       {[]func(*project){func(p *project) { p.ail = func(r *runRevision) { r.Handler = http.NotFoundHandler() } }}, "expected 200"},
		"fails with traffic, few requests": {[]func(*project){ail("errors with traffic"), few}, "at 10 %: the new revision is worse, more errors: 1e+02% of 60 requests, before 0% of 60 (parity rows, median)"},
		"fails, no monitoring":             {[]func(*project){ail("errors with traffic"), down}, "at 10 %: the new revision is worse, more errors"},
		"slow, few requests":               {[]func(*project){ail("slow with traffic"), few}, "at 10 %: the new revision is worse, slower: "},
		"seen to fail at 10 %":             {[]func(*project){seen(10, failing)}, "at 10 %: the new revision is worse, more errors: 5% of 200 requests, before 0.2% of 1000 (Cloud Monitoring, 95th percentile)"},
		"seen to fail at 50 %":             {[]func(*project){seen(50, failing)}, "at 50 %: the new revision is worse, more errors"},
		"seen to fail at 100 %":            {[]func(*project){seen(100, failing)}, "at 100 %: the new revision is worse, more errors"},
		"seen to be slow at 50 %":          {[]func(*project){seen(50, slow)}, "at 50 %: the new revision is worse, slower: 90ms, before 20ms"},
		"nobody is let in":                 {[]func(*project){func(p *project) { p.denied = true }}, "needs roles/run.invoker"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, next := serving(t)
			for _, f := range tc.make {
				f(p)
			}
			err := p.deploy(t.Context(), next)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
			if !strings.Contains(fmt.Sprint(err), "all traffic") {
				t.Errorf("error %v, want that it says where the traffic is", err)
			}
			p.truth(t, unit, serviceName)
		})
	}
}

// A revision that is well passes where few people ask: by the parity rows.
func TestFewRequestsAreMadeUpForByTheParityRows(t *testing.T) {
	t.Parallel()
	p, next := serving(t)
	p.metrics.of = func(string) sample { return sample{enough - 1, enough - 1, time.Hour} }
	if err := p.deploy(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	p.truth(t, unit, serviceName)
	if asked := p.services[serviceName].revisions[2].asked; asked < 3*replayed {
		t.Errorf("the new revision was asked %d times", asked)
	}
}

func TestTheFirstDeployment(t *testing.T) {
	t.Parallel()
	t.Run("fails the smoke test", func(t *testing.T) {
		t.Parallel()
		p := newProject(t)
		p.terraform(serviceName)
		p.ail = func(r *runRevision) { r.illness = "errors" }
		if err := p.deploy(t.Context(), p.bundle(t, unit, tiny(1, ""))); err == nil || !strings.Contains(err.Error(), "smoke test") {
			t.Errorf("error %v", err)
		}
		p.truth(t, unit, serviceName)
	})
	t.Run("needs a service", func(t *testing.T) {
		t.Parallel()
		p := newProject(t)
		err := p.deploy(t.Context(), p.bundle(t, unit, tiny(1, "")))
		if err == nil || !strings.Contains(err.Error(), "service predict-tiny does not exist in shop, europe-west1: Terraform makes it") {
			t.Errorf("error %v", err)
		}
		if r, err := p.records.Read(t.Context(), unit); err != nil || r != nil {
			t.Errorf("recorded %v, %v", r, err)
		}
	})
	t.Run("by a failure at each call", func(t *testing.T) {
		t.Parallel()
		for n := 1; n <= 5; n++ {
			for _, applied := range []bool{false, true} {
				p := newProject(t)
				p.terraform(serviceName)
				first := p.bundle(t, unit, tiny(1, ""))
				p.fault = func(i int, _ []string) (bool, bool) { return i == n, applied }
				if err := p.deploy(t.Context(), first); err == nil {
					t.Errorf("call %d failed, and no error", n)
				}
				p.truth(t, unit, serviceName)
				p.fault = nil
				if err := p.deploy(t.Context(), first); err != nil {
					t.Errorf("after call %d failed: %v", n, err)
				}
				p.truth(t, unit, serviceName)
			}
		}
	})
}
