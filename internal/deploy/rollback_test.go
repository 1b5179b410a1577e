package deploy

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace-ml/millrace/internal/change"
)

func TestRollback(t *testing.T) {
	t.Parallel()
	p, next := serving(t)
	if err := Rollback(t.Context(), p.options(), Revert{Model: "tiny"}); err == nil || !strings.Contains(err.Error(), "no revision is known that served before predict-tiny-00002") {
		t.Errorf("of the first deployment: %v", err)
	}
	if err := p.deploy(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	if err := Rollback(t.Context(), p.options(), Revert{Model: "tiny"}); err != nil {
		t.Fatal(err)
	}
	if got := p.services[serviceName].traffic; got[len(got)-1].Revision != "predict-tiny-00002" || got[len(got)-1].Percent != 100 {
		t.Errorf("the traffic is %+v", got)
	}
	// The record stays: a push of unchanged code brings nothing back, one of other code is deployed.
	if r, err := p.records.Read(t.Context(), unit); err != nil || r.Hash != next.Hash {
		t.Errorf("the record is %v, %v", r, err)
	}
	err := Rollback(t.Context(), p.options(), Revert{Model: "tiny"})
	if err == nil || !strings.Contains(err.Error(), "it has been taken back already; name one with TO=: gcloud run revisions list --service predict-tiny") {
		t.Errorf("a second time: %v", err)
	}
	if err := Rollback(t.Context(), p.options(), Revert{Model: "tiny", To: "predict-tiny-00003"}); err != nil {
		t.Errorf("to a revision by name: %v", err)
	}
	if err := p.deploy(t.Context(), p.bundle(t, unit, tiny(1.1, ""))); err != nil {
		t.Errorf("the next version: %v", err)
	}
	p.truth(t, unit, serviceName)
	if err := Rollback(t.Context(), p.options(), Revert{Model: "other"}); err == nil || !strings.Contains(err.Error(), `no model "other" is deployed in shop`) {
		t.Errorf("a model that is none: %v", err)
	}
}

func TestRollbackOfABatchModel(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	step, batch := withBatch(t, p)
	if err := p.deploy(t.Context(), step, batch); err != nil {
		t.Fatal(err)
	}
	before := p.released(t)[0].FolderDigest
	if err := Rollback(t.Context(), p.options(), Revert{Model: "tiny"}); err == nil || !strings.Contains(err.Error(), "no release is before the current one") {
		t.Errorf("the first release: %v", err)
	}
	lay(t, p.dir+"/models/tiny", tiny(1.1, ""))
	batch.Hash = "sha256:dd"
	if err := p.deploy(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	if err := Rollback(t.Context(), p.options(), Revert{Model: "tiny"}); err != nil {
		t.Fatal(err)
	}
	if now := p.released(t)[0].FolderDigest; now != before {
		t.Errorf("released is %s, want %s", now, before)
	}
	if err := Rollback(t.Context(), p.options(), Revert{Model: "tiny", To: "x"}); err == nil || !strings.Contains(err.Error(), "does not serve realtime") {
		t.Errorf("a revision of a batch model: %v", err)
	}
}

func TestDeployDev(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	dev := func(c change.Change) (string, error) { return Dev(t.Context(), p.options(), c) }
	url, err := dev(p.bundle(t, unit, tiny(1, "")))
	if err != nil || url != p.url+"/run/predict-tiny" {
		t.Fatalf("%q, %v\n%s", url, err, p.log.String())
	}
	for _, call := range p.calls {
		for _, flag := range []string{"--no-traffic", "--image", "--build-service-account ", " --service-account"} {
			if strings.Contains(call, flag) {
				t.Errorf("%s in %q", flag, call)
			}
		}
	}
	if !strings.Contains(p.log.String(), `-d '{"instances":[{"x":1}]}' `+url+"/v1/models/tiny:predict") {
		t.Errorf("no line to ask with:\n%s", p.log.String())
	}
	if _, err := dev(p.bundle(t, unit, tiny(2, ""))); err != nil { // whoever develops a model may change it
		t.Errorf("another version: %v", err)
	}
	p.ail = func(r *runRevision) { r.illness = "errors" }
	if _, err := dev(p.bundle(t, unit, tiny(3, ""))); err == nil || !strings.Contains(err.Error(), "predict-tiny-00002 kept all traffic") {
		t.Errorf("an ill version: %v", err)
	}
	if records, err := p.records.List(t.Context()); err != nil || len(records) != 0 {
		t.Errorf("recorded: %v, %v", records, err)
	}
	p.terraform(serviceName)
	if _, err := dev(p.bundle(t, unit, tiny(4, ""))); err == nil || !strings.Contains(err.Error(), "is Terraform's: use make deploy") {
		t.Errorf("into a project of Terraform's: %v", err)
	}
}

func TestTwoBuildsAtOnce(t *testing.T) {
	t.Parallel()
	p, _ := serving(t)
	a := p.bundle(t, unit, tiny(1.05, ""))
	dir := t.TempDir()
	b := bundleIn(t, dir, unit, tiny(1.08, ""))
	newer := p.options()
	newer.Dir, newer.Holder = dir, "the other build"
	newer.Build = &change.Build{Commit: "2222222222222222222222222222222222222222", Committed: p.build.Committed.Add(time.Minute), Units: []change.Change{b}}
	var group sync.WaitGroup
	errs := make([]error, 2)
	group.Go(func() { errs[0] = p.deploy(t.Context(), a) })
	group.Go(func() {
		out, err := Run(t.Context(), newer)
		errs[1] = errors.Join(err, Failed(out))
	})
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	p.truth(t, unit, serviceName)
	if r, err := p.records.Read(t.Context(), unit); err != nil || r.Hash != b.Hash {
		t.Errorf("the older commit's build won: %v, %v", r, err)
	}
	// One after the other: what one began it ended before the other began.
	open := 0
	for _, call := range p.calls {
		if strings.Contains(call, "--update-tags") {
			open++
		} else if strings.Contains(call, "--remove-tags") {
			open--
		}
		if open < 0 || open > 1 {
			t.Fatalf("two deployments at a time:\n%s", strings.Join(p.calls, "\n"))
		}
	}
}

func TestMonitoringStaysOnLoopback(t *testing.T) {
	t.Parallel()
	w := watcher{project: "shop", service: "s", endpoint: "monitoring.example.com:443", now: time.Now}
	if _, _, err := w.samples(t.Context(), "a", "b", time.Now(), time.Now()); err == nil || !strings.Contains(err.Error(), "not loopback") {
		t.Errorf("error %v", err)
	}
}

func TestTokensGoToHTTPSAlone(t *testing.T) {
	t.Parallel()
	a := &asker{http.DefaultClient, func(context.Context, string) (string, error) { return "t", nil }}
	for url, ok := range map[string]bool{"https://c-1---x.a.run.app": true, "http://127.0.0.1:1": true, "http://x.example.com": false, "": false} {
		if _, err := a.server("r", url, "https://x.a.run.app"); (err == nil) != ok {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func TestShares(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		traffic []target
		want    string
		split   bool
	}{
		"all with one":         {[]target{{Revision: "a", Percent: 100}, {Revision: "b", Tag: "c-1"}}, "a", false},
		"one by two entries":   {[]target{{Revision: "a", Percent: 60}, {Revision: "a", Percent: 40, Tag: "x"}}, "a", false},
		"a split with the tag": {[]target{{Revision: "b", Percent: 90}, {Revision: "a", Percent: 10}, {Revision: "a", Tag: previousTag}}, "a", true},
		"a split without":      {[]target{{Revision: "b", Percent: 10}, {Revision: "a", Percent: 90}}, "a", true},
		"a tag of no share":    {[]target{{Revision: "b", Percent: 10}, {Revision: "a", Percent: 90}, {Revision: "c", Tag: previousTag}}, "a", true},
		"nothing":              {nil, "", false},
	} {
		var v service
		v.Status.Traffic = tc.traffic
		if got, split := v.rightful(); got != tc.want || split != tc.split {
			t.Errorf("%s: %q, %v", name, got, split)
		}
	}
}
