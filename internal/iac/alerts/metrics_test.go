// Package alerts holds what watches a deployment equal to what is deployed: metrics to log lines, alerts to runbooks,
// commands of runbooks to the programs they name.
package alerts

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/grpc/codes"

	"github.com/millrace-ml/millrace/internal/batchtest"
	"github.com/millrace-ml/millrace/internal/localcloud/chaos"
	"github.com/millrace-ml/millrace/shared/batch"
)

// metric is an entry of metrics.json, of which Terraform makes a filter: the line has this event, each key of Is has one of
// its values, no key of Not has one, and Labels and Value are taken out of it.
type metric struct {
	Event     string
	Is, Not   map[string][]any
	Labels    []string
	Value     string
	Resources []string
}

const module = root + "/terraform/modules/observability"

func readJSON[T any](t *testing.T, name string) T {
	t.Helper()
	var v T
	data, err := os.ReadFile(filepath.Join(module, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return v
}

// keys are all keys of a line that the metric reads.
func (m *metric) keys() []string {
	keys := slices.Concat(m.Labels, slices.Collect(maps.Keys(m.Is)))
	if m.Value != "" {
		keys = append(keys, m.Value)
	}
	return keys
}

// counts says whether the metric counts a line, as Cloud Logging would.
func (m *metric) counts(line map[string]any) bool {
	if line["event"] != m.Event {
		return false
	}
	for key, values := range m.Is {
		if !slices.Contains(values, line[key]) {
			return false
		}
	}
	for key, values := range m.Not {
		if slices.Contains(values, line[key]) {
			return false
		}
	}
	return true
}

// unwatched are events that no metric counts, with the reason.
var unwatched = map[string]string{
	"upload_ignored": "told by the answer; nobody has to act on a file that no model takes",
}

func TestMetricsCountLinesThatTheCodeWrites(t *testing.T) {
	t.Parallel()
	lines, metrics := eventLines(t), readJSON[map[string]metric](t, "metrics.json")
	counted := map[string]bool{}
	for name, m := range metrics {
		counted[m.Event] = true
		if len(lines[m.Event]) == 0 {
			t.Errorf("metric %s counts the event %q, which no code logs; logged are %q", name, m.Event, slices.Sorted(maps.Keys(lines)))
			continue
		}
		for _, l := range lines[m.Event] {
			for _, key := range m.keys() {
				if !l.keys[key] {
					t.Errorf("metric %s reads the key %q, which the line of %q at %s does not have; it has %q", name, key, m.Event, l.at, slices.Sorted(maps.Keys(l.keys)))
				}
			}
		}
		for key := range m.Not {
			if !keysOf(lines[m.Event])[key] {
				t.Errorf("metric %s leaves out lines with %q, which no line of %q has", name, key, m.Event)
			}
		}
	}
	for event, at := range lines {
		if !counted[event] && unwatched[event] == "" {
			t.Errorf("the event %q (%s) is logged, but no metric counts it, and no reason is given", event, at[0].at)
		}
	}
	for event := range unwatched {
		if len(lines[event]) == 0 || counted[event] {
			t.Errorf("the event %q is not logged any more, or is counted: it needs no reason", event)
		}
	}
}

// Real lines of a small cloud: a run that fails, one that is late, one that cannot be driven on, a sweep, a schedule.
func TestMetricsCountRealLines(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	b := c.Batch(t, batch.Options{})
	sweep := func() {
		if _, err := b.Reconcile(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	start := func(name string) string {
		run, err := b.Start(t.Context(), c.Upload(t, name, "x\n1\n"))
		if err != nil {
			t.Fatal(err)
		}
		return run.ID
	}
	failed := start("rides/fails.csv")
	c.Vertex.End(failed, aiplatformpb.PipelineState_PIPELINE_STATE_FAILED, "no disk left")
	sweep()
	late := start("rides/late.csv")
	c.Clock.Advance(3 * time.Hour) // the manifest allows two
	sweep()
	c.Faults.Arm(chaos.Fault{Match: "vertex:GetPipelineJob", Code: codes.PermissionDenied})
	_, _ = b.Reconcile(t.Context()) // its error is the point
	c.Faults.Disarm()

	metrics := readJSON[map[string]metric](t, "metrics.json")
	for name, want := range map[string]map[string]any{
		"run_failed":         {"run_id": failed, "model": "rides", "state": "failed", "reason": "task score failed: no disk left"},
		"runs_finished":      {"model": "rides", "state": "failed"},
		"run_overdue":        {"run_id": late, "model": "rides"},
		"run_stuck":          {"run_id": late, "model": "rides"},
		"reconcile_complete": {"complete": true},
		"schedule_on_time":   {"model": "rides", "schedule": "nightly"},
	} {
		m := metrics[name]
		found := false
		for _, line := range c.Logged(t, m.Event) {
			if !m.counts(line) {
				continue
			}
			found = true
			for _, key := range m.Labels {
				if line[key] != want[key] {
					t.Errorf("%s counts a line whose %s is %v, want %v", name, key, line[key], want[key])
				}
			}
		}
		if !found {
			t.Errorf("%s counts none of the lines %v", name, c.Logged(t, m.Event))
		}
	}
}

// A release that is tried before it counts concerns whoever deploys, not the owner of the model.
func TestCandidatesRaiseNothing(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"run_failed", "run_overdue", "run_stuck", "runs_finished", "rows_over_limit", "rows_rejected"} {
		m := readJSON[map[string]metric](t, "metrics.json")[name]
		line := map[string]any{"event": m.Event, "state": "failed", "over_limit": true}
		if !m.counts(line) {
			t.Errorf("%s does not count a run", name)
		}
		line["candidate"] = true
		if m.counts(line) {
			t.Errorf("%s counts a run of a candidate", name)
		}
	}
}
