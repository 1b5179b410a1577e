package candidate

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/millrace-ml/millrace/internal/batchtest"
	"github.com/millrace-ml/millrace/internal/localcloud/chaos"
	"github.com/millrace-ml/millrace/shared/pipeline"
)

// variants are how one call fails: for good before it applied, or after it did, as the caller sees it: at once, or when the
// client repeats what had applied. To read, the first is all there is.
func variants(call chaos.Fault) map[string]chaos.Fault {
	out := map[string]chaos.Fault{"refused": {Match: call.Match, N: call.N, Code: codes.PermissionDenied}}
	if strings.HasSuffix(call.Match, "insert") {
		out["repeated"] = chaos.Fault{Match: call.Match, N: call.N, Code: codes.Unavailable, After: true}
	}
	if strings.HasSuffix(call.Match, "insert") && call.N == 4 { // the rows; the three before are written by one function
		out["unheard"] = chaos.Fault{Match: call.Match, N: call.N, Code: codes.PermissionDenied, After: true}
	}
	return out
}

// storageCalls numbers the calls to Cloud Storage among these, each by its name.
func storageCalls(calls []string) []chaos.Fault {
	count := map[string]int{}
	var out []chaos.Fault
	for _, name := range calls {
		if count[name]++; strings.HasPrefix(name, "storage:") {
			out = append(out, chaos.Fault{Match: name, N: count[name]})
		}
	}
	return out
}

// Each call to Cloud Storage up to the start of the job, by Try and by batchtrigger, fails. Production is as it was then, and
// the next trial of the same unit passes. (What the steps do under faults is their own package's to prove.)
func TestTryUnderFaults(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	var before []string
	l.with(func(l *lab, id string) error {
		before = l.Faults.Calls()
		return l.steps(id)
	})
	l.Faults.Reset()
	l.try(t)
	calls := storageCalls(before)
	if len(calls) < 8 {
		t.Fatalf("the calls are %v", calls)
	}
	for _, f := range calls {
		for variant, v := range variants(f) {
			t.Run(fmt.Sprintf("%s %d %s", f.Match, f.N, variant), func(t *testing.T) {
				t.Parallel()
				l := newLab(t)
				l.Faults.Arm(v)
				first, err := Try(t.Context(), l.options(t))
				if l.Faults.Disarm() != 0 {
					t.Fatal("the fault did not strike")
				}
				l.untouched(t)
				r := l.try(t)
				if err == nil && (!r.Found || r.RunID != first.RunID || first.Rows == 0) {
					t.Errorf("a trial that passed as %+v is then %+v", first, r)
				}
				if n := len(l.Vertex.Jobs()); n > 1 {
					t.Errorf("%d jobs (the first trial: %v)", n, err)
				}
				if _, err := pipeline.Publish(t.Context(), l.Storage, batchtest.Artifacts, *l.options(t).In); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// A trial that is over is found again and compared, whichever call failed before.
func TestFindingATrialUnderFaults(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	run := l.try(t).RunID
	l.Faults.Reset()
	l.try(t)
	calls := storageCalls(l.Faults.Calls())
	if len(calls) < 10 {
		t.Fatalf("the calls are %v", calls)
	}
	for _, f := range calls {
		for variant, v := range variants(f) {
			l.Faults.Arm(v)
			first, err := Try(t.Context(), l.options(t))
			if l.Faults.Disarm() != 0 {
				t.Errorf("%s %d %s: the fault did not strike", f.Match, f.N, variant)
			}
			if err != nil {
				first = l.try(t)
			}
			if first.RunID != run || !first.Found {
				t.Errorf("%s %d %s (%v): then the trial is %+v", f.Match, f.N, variant, err, first)
			}
		}
	}
	l.untouched(t)
}

// The steps mark what they log of a trial as package batch does, so that no alert on production rings.
func TestRowsRejectedInATrialAreMarked(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.with(func(l *lab, id string) error {
		rows := "smoke/stump/" + strings.TrimPrefix(unit, "sha256:") + ".csv"
		text, err := l.get(t.Context(), batchtest.Staging, rows)
		if err != nil {
			return err
		}
		if err := l.put(t.Context(), batchtest.Staging, rows, []byte(strings.ReplaceAll(string(text), ",9\n", ",abc\n"))); err != nil {
			return err
		}
		params := map[string]any{"dataset": map[string]any{"bucket": batchtest.Staging, "object": rows}}
		if l.step(id, "plan", params) != 0 {
			return errors.New("plan failed")
		}
		l.end(id, "SUCCEEDED")
		return nil
	})
	if _, err := Try(t.Context(), l.options(t)); err == nil || !strings.Contains(err.Error(), "rejected") {
		t.Errorf("got %v", err)
	}
	for line := range strings.Lines(l.log.String()) {
		if strings.Contains(line, `"event":"row_rejects"`) || strings.Contains(line, `"event":"run_finished"`) {
			if !strings.Contains(line, `"candidate":true`) {
				t.Errorf("not marked: %s", line)
			}
		}
	}
	if log := l.log.String(); !strings.Contains(log, `"event":"row_rejects"`) || !strings.Contains(log, `"event":"run_finished"`) {
		t.Errorf("the log lacks a line:\n%s", log)
	}
}
