package step_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	"github.com/millrace-ml/millrace/internal/localcloud/chaos"
	"github.com/millrace-ml/millrace/pipelines/batchscore"
	"github.com/millrace-ml/millrace/shared/batch"
)

// generations are those of all objects that a run has written: a second try must not change one.
func (w *world) generations(t testing.TB) map[string]int64 {
	t.Helper()
	out := map[string]int64{}
	for _, bucket := range []string{staging, outbox} {
		for _, name := range w.list(t, bucket, "") {
			a, err := w.client.Bucket(bucket).Object(name).Attrs(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			out[bucket+"/"+name] = a.Generation
		}
	}
	return out
}

func TestEveryTaskTwice(t *testing.T) {
	t.Parallel()
	for name, lines := range map[string][]string{"small": {`max_rejected: "10%"`}, "sharded": append([]string{`max_rejected: "10%"`}, small...)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, bikes(t, lines...))
			generation := w.put(t, inbox, "f.csv", rowsWithFaults(t))
			w.whole(t, object("f.csv", generation))
			first, before := w.published(t), w.generations(t)
			w.whole(t, object("f.csv", generation))
			if diff := cmp.Diff(before, w.generations(t)); diff != "" {
				t.Errorf("objects (-first try +second):\n%s", diff)
			}
			if diff := cmp.Diff(first.success, w.published(t).success); diff != "" {
				t.Errorf("_SUCCESS.json (-first try +second):\n%s", diff)
			}
		})
	}
}

// TestTasksAtOnce: two processes that do the same work end as one.
func TestTasksAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bikes(t, `max_rejected: "10%"`))
	generation := w.put(t, inbox, "f.csv", rowsWithFaults(t))
	var wg sync.WaitGroup
	results, errs := make([]result, 4), make([]error, 4)
	for i := range results {
		dir := t.TempDir()
		wg.Go(func() {
			results[i], errs[i] = w.call(t.Context(), dir, batchscore.StepPlan, object("f.csv", generation))
		})
	}
	wg.Wait()
	for i, r := range results {
		if errs[i] != nil || r.code != 0 {
			t.Errorf("process %d ended with %d, %v:\n%s", i, r.code, errs[i], r.log)
		}
	}
	w.published(t)
}

// TestFaultAtEachCall: a step that fails at any of its calls to Cloud Storage, before or after the call applied, is run
// again by the platform, and the run ends as if nothing had happened.
func TestFaultAtEachCall(t *testing.T) {
	t.Parallel()
	lines := append([]string{`max_rejected: "10%"`}, small...)
	model := newSorter(t)
	file := model.withFaults(160) // two shards
	base := newWorld(t, model.folder(t, lines...))
	generation := base.put(t, inbox, "f.csv", file)
	base.chaos.Reset()
	base.whole(t, object("f.csv", generation))
	calls := base.chaos.Calls()
	t.Logf("%d calls", len(calls))
	want := base.published(t)
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprintf("applied=%v", after), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, model.folder(t, lines...))
			for n := range len(calls) {
				w.scenario(t, file, chaos.Fault{N: n + 1, Action: chaos.Fail, Code: codes.PermissionDenied, After: after}, want)
			}
		})
	}
	t.Run("answers lost, repeated by the client", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, model.folder(t, lines...))
		for n := range len(calls) {
			if r := w.scenario(t, file, chaos.Fault{N: n + 1, Action: chaos.Fail, Code: codes.Unavailable, After: true}, want); r > 0 {
				t.Errorf("call %d, %s: the step failed %d times, want the client to repeat the call", n+1, calls[n], r)
			}
		}
	})
}

// scenario runs all tasks of a fresh run with one fault, each again until it ends well, and answers how many failed.
func (w *world) scenario(t *testing.T, file string, f chaos.Fault, want *published) (failed int) {
	t.Helper()
	for _, bucket := range []string{staging, outbox} {
		for _, name := range w.list(t, bucket, "") {
			w.remove(t, bucket, name)
		}
	}
	generation := w.put(t, inbox, "f.csv", file)
	w.chaos.Arm(f)
	again := func(step string, more map[string]any) result {
		for range 3 {
			r := w.run(t, step, more)
			if r.code == 0 {
				return r
			}
			failed++
		}
		t.Fatalf("fault %v: %s does not end well", f, step)
		return result{}
	}
	planned := again(batchscore.StepPlan, object("f.csv", generation))
	var shards []json.RawMessage
	if err := json.Unmarshal(planned.outputs[batchscore.OutShards], &shards); err != nil {
		t.Fatal(err)
	}
	for _, s := range shards {
		again(batchscore.StepScore, map[string]any{batchscore.ParamShard: s, batchscore.ParamHeader: planned.outputs[batchscore.OutHeader]})
	}
	again(batchscore.StepPublish, map[string]any{batchscore.ParamCount: len(shards)})
	w.chaos.Disarm()
	got := w.published(t)
	if diff := cmp.Diff(want.predictions, got.predictions) + cmp.Diff(want.rejected, got.rejected); diff != "" {
		t.Errorf("fault %v (-without +with):\n%s", f, diff)
	}
	return failed
}

// TestForeignObjects: where something of ours should be, other content is never taken for ours and never overwritten.
func TestForeignObjects(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ bucket, object, text string }{
		"an output": {outbox, batch.OutputPrefix(model, runID) + "predictions-00000-of-00001.csv", "forged"},
		"a shard":   {staging, runID + "/%d-%s/shard-00000.csv", "forged"},
		"a plan":    {staging, runID + "/plan.json", `{"run_id":"another"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, bikes(t))
			generation := w.put(t, inbox, "f.csv", sample(t))
			name := tc.object
			if strings.Contains(name, "%d") {
				name = fmt.Sprintf(name, generation, strings.TrimPrefix(w.digest, "sha256:")[:8])
			}
			w.put(t, tc.bucket, name, tc.text)
			r := w.run(t, batchscore.StepPlan, object("f.csv", generation))
			if r.code != 1 || !strings.Contains(r.log, "is there with other content than this run makes") {
				t.Errorf("the step ended with %d:\n%s", r.code, r.log)
			}
			if text, _ := w.get(t, tc.bucket, name); text != tc.text {
				t.Errorf("%s was overwritten with %q", name, text)
			}
			if _, ok := w.get(t, outbox, batch.SuccessObject(model, runID)); ok {
				t.Error("there is a _SUCCESS.json")
			}
		})
	}
}
