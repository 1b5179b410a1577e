package deploy

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/millrace-ml/millrace/internal/change"
)

// A function of events, over one that serves, with a failure at each call; as for predict functions.
func TestAFailureAtEachCallOfAnEventFunction(t *testing.T) {
	t.Parallel()
	const name = change.BatchTrigger
	for n := 1; n <= 8; n++ {
		for _, applied := range []bool{false, true} {
			t.Run(fmt.Sprintf("call %d, applied %v", n, applied), func(t *testing.T) {
				t.Parallel()
				p := newProject(t)
				p.terraform(name)
				p.open = func(f, unit, _ string) http.Handler {
					return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
						fmt.Fprintf(w, `{"function":%q,"unit":%q}`, f, unit)
					})
				}
				if err := p.deploy(t.Context(), p.bundle(t, name, map[string]string{"version": "one"})); err != nil {
					t.Fatal(err)
				}
				next := p.bundle(t, name, map[string]string{"version": "two"})
				p.calls = nil
				p.fault = func(i int, _ []string) (bool, bool) { return i == n, applied }
				err := p.deploy(t.Context(), next)
				if calls := len(p.calls); err == nil && n < calls {
					t.Errorf("no error, and call %d failed: %s", n, p.calls[n-1])
				}
				p.truth(t, name, name)
				p.fault = nil
				if err := p.deploy(t.Context(), next); err != nil {
					t.Fatalf("the second run: %v", err)
				}
				p.truth(t, name, name)
				if r, err := p.records.Read(t.Context(), name); err != nil || r.Hash != next.Hash {
					t.Errorf("recorded %v, %v", r, err)
				}
			})
		}
	}
}

func TestFailuresOfABatchRelease(t *testing.T) {
	t.Parallel()
	p := newProject(t)
	_, batch := withBatch(t, p)
	p.fault = func(int, []string) (bool, bool) { return true, false }
	if err := p.deploy(t.Context(), batch); err == nil || !strings.Contains(err.Error(), "batchtrigger tries releases, and cannot be found") {
		t.Errorf("without batchtrigger: %v", err)
	}
	if len(p.released(t)) != 0 || len(p.tried) != 0 {
		t.Errorf("released %v, tried %v", p.released(t), p.tried)
	}
	p.fault = nil
	good := p.records
	p.records = &badRecords{Store: good}
	if err := p.deploy(t.Context(), batch); err == nil || !strings.Contains(err.Error(), "it could not be recorded: no answer; it stays, and the next deployment records it") {
		t.Errorf("without a record: %v", err)
	}
	p.records = good
	if err := p.deploy(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	if r, err := p.records.Read(t.Context(), batch.Unit); err != nil || r == nil || len(p.released(t)) != 1 {
		t.Errorf("recorded %v, %v; released %v", r, err, p.released(t))
	}
}
