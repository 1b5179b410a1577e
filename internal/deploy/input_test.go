package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/millrace-ml/millrace/internal/change"
)

// badRecords fails the first write, before or after it applied, and perhaps the look at it.
type badRecords struct {
	change.Store
	applied, blind bool
	writes         int
}

func (b *badRecords) Write(ctx context.Context, r change.Record) error {
	if b.writes++; b.writes > 1 {
		return b.Store.Write(ctx, r)
	}
	if b.applied {
		if err := b.Store.Write(ctx, r); err != nil {
			return err
		}
	}
	return errors.New("no answer")
}

func (b *badRecords) Read(ctx context.Context, unit string) (*change.Record, error) {
	if b.blind && b.writes == 1 {
		return nil, errors.New("no answer")
	}
	return b.Store.Read(ctx, unit)
}

func TestARecordThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		store badRecords
		want  string // of the error
		truth bool   // the record says what serves
	}{
		"is not written":                     {badRecords{}, "predict@tiny: it could not be recorded: no answer; all traffic is back on predict-tiny-00002", true},
		"is written, and the answer is lost": {badRecords{applied: true}, "", true},
		"and not be looked at":               {badRecords{blind: true}, "whether that is recorded cannot be seen", false},
		"is written, and cannot be seen":     {badRecords{applied: true, blind: true}, "whether that is recorded cannot be seen", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, next := serving(t)
			tc.store.Store = p.records
			good := p.records
			p.records = &tc.store
			err := p.deploy(t.Context(), next)
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %q", err, tc.want)
			}
			p.records = good
			if tc.truth {
				p.truth(t, unit, serviceName)
			}
			calls := len(p.calls)
			if err := p.deploy(t.Context(), next); err != nil {
				t.Errorf("the second run: %v", err)
			}
			p.truth(t, unit, serviceName)
			if builds := strings.Count(strings.Join(p.calls[calls:], "\n"), "run deploy"); name == "and not be looked at" && builds != 0 {
				t.Errorf("what serves already was built again")
			}
		})
	}
}

func TestPlanIsWhatIsRun(t *testing.T) {
	t.Parallel()
	p, next := serving(t)
	if err := p.deploy(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	var plan strings.Builder
	build := *p.build
	build.Units = []change.Change{next}
	o := Options{Project: "shop", Region: "europe-west1", Build: &build, Dir: p.dir, Artifacts: "shop-artifacts", DryRun: true, Out: &plan, Now: time.Now}
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	var planned []string
	names := strings.NewReplacer("predict-tiny-PREVIOUS", "predict-tiny-00002", "predict-tiny-NEW", "predict-tiny-00003")
	for line := range strings.Lines(plan.String()) {
		if command, ok := strings.CutPrefix(strings.TrimSpace(line), "gcloud "); ok {
			planned = append(planned, names.Replace(command))
		}
	}
	// Only the tag of the deployment before is unknown to a plan.
	ran := strings.NewReplacer("--remove-tags "+candidate+hexOf(first(t, p))[:hashDigits]+",previous", "--remove-tags previous").Replace(strings.Join(p.calls, "\n"))
	if got := strings.Join(planned, "\n"); got != ran {
		t.Errorf("planned\n%s\nran\n%s", got, ran)
	}
}

// first is the hash of the tiny model's first version.
func first(t *testing.T, p *project) string {
	t.Helper()
	return p.bundle(t, unit, tiny(1, "")).Hash
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	p, next := serving(t)
	for name, tc := range map[string]struct {
		edit func(*Options)
		want string
	}{
		"a unit that is none":      {func(o *Options) { o.Units = []string{"predict@bike"} }, `"predict@bike" is no unit of this build, which has predict@tiny`},
		"a unit that is unchanged": {func(o *Options) { o.Build.Units[0].Action = change.Keep; o.Units = []string{unit} }, "there is nothing to do"},
		"no bundle":                {func(o *Options) { o.Dir = t.TempDir() }, "predict@tiny is not there; run: make bundle"},
		"no step image": {func(o *Options) {
			o.Build.Units = append(o.Build.Units, change.Change{Unit: "batch@tiny", Action: change.Deploy})
		}, "image is not there; run: make image"},
		"a bundle of another hash": {func(o *Options) { o.Build.Units[0].Hash = "sha256:ff" }, "was made of another state of the checkout; run: make bundle"},
	} {
		o := p.options()
		o.Build = &change.Build{Units: []change.Change{next}}
		tc.edit(&o)
		if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want %q", name, err, tc.want)
		}
	}
	if len(p.calls) != 0 {
		t.Errorf("something was done: %q", p.calls)
	}
	for stderr, want := range map[string]string{
		"ERROR: (gcloud.run.services.describe) You do not currently have an active account selected.\nPlease run:\n\n  $ gcloud auth login\n": "gcloud has no credential; run: gcloud auth login",
		"Deploying...\nERROR: (gcloud.run.deploy) PERMISSION_DENIED: denied\nmore":                                                            "gcloud run services describe x: ERROR: (gcloud.run.deploy) PERMISSION_DENIED: denied",
		"": "exit status 1",
	} {
		if err := refusal([]string{"run", "services", "describe", "x"}, errors.New("exit status 1"), stderr); !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %q, want %q", stderr, err, want)
		}
	}
}

func TestSmokeEventIsAPush(t *testing.T) {
	t.Parallel()
	data, err := smokeEvent(time.Unix(1, 0))
	if err != nil || !json.Valid(data) || !strings.Contains(string(data), `"objectId":".smoke/1"`) {
		t.Errorf("%s, %v", data, err)
	}
}

func TestForceDeploysWhatServes(t *testing.T) {
	t.Parallel()
	p, next := serving(t)
	if err := p.deploy(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	o := p.options()
	kept := change.Change{Unit: unit, Action: change.Keep, Hash: next.Hash}
	o.Build, o.Units, o.Force = &change.Build{Units: []change.Change{kept}}, []string{unit}, true
	if out, err := Run(t.Context(), o); err != nil || Failed(out) != nil {
		t.Fatalf("%+v, %v", out, err)
	}
	if r, err := p.records.Read(t.Context(), unit); err != nil || r.Revision != "predict-tiny-00004" || r.Parts == nil {
		t.Errorf("recorded %+v, %v", r, err)
	}
}
