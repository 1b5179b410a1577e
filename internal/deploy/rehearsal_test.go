package deploy

import (
	"context"
	"errors"
	"fmt"
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

// stateOf is the state in which a model serves alone.
func (p *project) stateOf(t *testing.T, model map[string]string) string {
	t.Helper()
	hash := bundleIn(t, t.TempDir(), unit, model).Hash
	return fmt.Sprintf("{\n \"predict-tiny\": [\n  \"%[1]s 0%% c-%[2]s\",\n  \"%[1]s 100%% \"\n ],\n \"record of predict@tiny\": [\n  %[3]q\n ]\n}", label(hash), hexOf(hash)[:hashDigits], hash)
}

// undisturbed is the state after a deployment that nothing disturbed, and the number of its calls.
func undisturbed(t *testing.T) (state string, calls int) {
	t.Helper()
	p, next := serving(t)
	if err := p.deploy(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	state = p.state(t)
	if diff := cmp.Diff(p.stateOf(t, tiny(1.05, "")), state); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	return state, len(p.calls)
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
				want := want
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
				if err == nil { // only tags were left behind: the next version removes them
					next, want = p.bundle(t, unit, tiny(1.1, "")), p.stateOf(t, tiny(1.1, ""))
				}
				if err := p.deploy(t.Context(), next); err != nil {
					t.Fatalf("the second run: %v\n%s", err, p.log.String())
				}
				p.truth(t, unit, serviceName)
				if got := p.state(t); got != want {
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
			p.fault, p.calls = nil, nil
			if err := p.deploy(t.Context(), next); err != nil {
				t.Fatalf("the second run: %v\n%s", err, p.log.String())
			}
			first := slices.IndexFunc(p.calls, func(c string) bool { return strings.Contains(c, "update-traffic") })
			if split && !strings.Contains(p.calls[first], "--to-revisions predict-tiny-00002=100") {
				t.Errorf("the second run does not mend the split first, but runs %s", p.calls[first])
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
			if !errors.Is(err, errInterrupted) || n > 2 && !strings.Contains(err.Error(), "all traffic") {
				t.Errorf("error %v, want that it was interrupted", err)
			}
			p.truth(t, unit, serviceName)
			if r, err := p.records.Read(t.Context(), unit); err != nil || r.Hash == next.Hash {
				t.Errorf("recorded %v, %v", r, err)
			}
		})
	}
}
