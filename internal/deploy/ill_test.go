package deploy

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

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

// illnesses are how a project gets a bad next revision, and what the deployment says of it.
func illnesses() map[string]struct {
	make []func(*project)
	want string
} {
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
	return map[string]struct {
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
	}
}

func TestAnIllRevisionIsTakenBack(t *testing.T) {
	t.Parallel()
	for name, tc := range illnesses() {
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

// Taking the traffic back is tried again: nothing else may stop it.
func TestTheWayBackIsTriedAgain(t *testing.T) {
	t.Parallel()
	p, next := serving(t)
	p.metrics.of = nil
	p.ail = func(r *runRevision) { r.illness = "errors with traffic" }
	back := 0
	p.fault = func(_ int, args []string) (bool, bool) {
		if strings.Contains(strings.Join(args, " "), "predict-tiny-00002=100") {
			back++
		}
		return back > 0 && back < restoreTries, false
	}
	if err := p.deploy(t.Context(), next); err == nil || !strings.Contains(err.Error(), "all traffic is back on predict-tiny-00002") {
		t.Errorf("error %v", err)
	}
	p.truth(t, unit, serviceName)
}

// The new version may take other inputs than the one that serves: then there is nothing to compare, which is said.
func TestAVersionWithOtherInputs(t *testing.T) {
	t.Parallel()
	p, _ := serving(t)
	other := tiny(3, "")
	for name, text := range other {
		other[name] = strings.NewReplacer("name: x", "name: z", "features: [x]", "features: [z]", `["x"]`, `["z"]`, `{"x":`, `{"z":`).Replace(text)
	}
	sum := sha256.Sum256([]byte(other["artifact/model.json"]))
	other["model.yaml"] = regexp.MustCompile("sha256: [0-9a-f]+").ReplaceAllString(other["model.yaml"], fmt.Sprintf("sha256: %x", sum))
	if err := p.deploy(t.Context(), p.bundle(t, unit, other)); err != nil {
		t.Fatal(err)
	}
	p.truth(t, unit, serviceName)
	if !strings.Contains(p.log.String(), "nothing to compare: the revision that serves takes none of the 2 parity rows") {
		t.Errorf("not said:\n%s", p.log.String())
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
