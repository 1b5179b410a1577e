package step_test

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace-ml/millrace/pipelines/batchscore"
	"github.com/millrace-ml/millrace/shared/batch"
)

// TestManyBlocks: a file of many blocks, scored by several goroutines, comes out in its order; and what is longer than
// one chunk of an upload is recognised when it is there already.
func TestManyBlocks(t *testing.T) {
	t.Parallel()
	const rows = 90_000
	w := newWorld(t, bikes(t))
	generation := w.put(t, inbox, "f.csv", repeated(t, rows))
	w.whole(t, object("f.csv", generation))
	p := w.published(t)
	if len(p.predictions) != rows+1 {
		t.Fatalf("there are %d predictions, want %d", len(p.predictions)-1, rows)
	}
	period := strings.Count(sample(t), "\n") - 1
	for i, row := range p.predictions[1:] {
		same := slices.Clone(p.predictions[1+i%period])
		if same[1] = strconv.Itoa(i + 1); !slices.Equal(row, same) {
			t.Fatalf("row %d is %q, want %q as the same row before", i+1, row, same)
		}
	}
	var files []string
	for _, name := range w.list(t, staging, runID+"/") {
		if strings.HasSuffix(name, "shard-00000.csv") {
			files = append(files, name)
		} else {
			w.remove(t, staging, runID+"/"+name) // as if the process had died behind its first file
		}
	}
	w.remove(t, outbox, batch.SuccessObject(model, runID))
	w.remove(t, outbox, batch.OutputPrefix(model, runID)+"summary.json")
	before := w.generations(t)
	w.whole(t, object("f.csv", generation))
	after := w.generations(t)
	for name, g := range before {
		if after[name] != g {
			t.Errorf("%s was written again", name)
		}
	}
	if a, err := w.client.Bucket(staging).Object(runID + "/" + files[0]).Attrs(t.Context()); err != nil || a.Size < 3<<20 {
		t.Errorf("the file has %d bytes, %v: too few for this test", a.Size, err)
	}
	if diff := cmp.Diff(p.success.Objects[:2], w.published(t).success.Objects[:2]); diff != "" {
		t.Errorf("objects (-first try +second):\n%s", diff)
	}
}

// sharded plans a run and answers its shards and header.
func (w *world) sharded(t *testing.T) (shards []batchscore.Shard, header json.RawMessage) {
	t.Helper()
	planned := w.run(t, batchscore.StepPlan, object("f.csv", w.put(t, inbox, "f.csv", sample(t)))).ok(t)
	if err := json.Unmarshal(planned.outputs[batchscore.OutShards], &shards); err != nil {
		t.Fatal(err)
	}
	return shards, planned.outputs[batchscore.OutHeader]
}

// TestRowsThatAreNotAccountedFor: a shard that reads other rows than plan counted is never published.
func TestRowsThatAreNotAccountedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bikes(t, small...))
	shards, header := w.sharded(t)
	for name, change := range map[string]func(*batchscore.Shard){
		"a row more":         func(s *batchscore.Shard) { s.Rows++ },
		"bytes behind":       func(s *batchscore.Shard) { s.Offset, s.Length, s.Rows = int64(len(sample(t))-100), 200, 2 },
		"rows of its nephew": func(s *batchscore.Shard) { s.Length += shards[1].Length },
	} {
		s := shards[0]
		change(&s)
		r := w.run(t, batchscore.StepScore, map[string]any{batchscore.ParamShard: s, batchscore.ParamHeader: header})
		if r.code != 1 || !strings.Contains(r.log, "expected") {
			t.Errorf("%s: the step ended with %d:\n%s", name, r.code, r.log)
		}
	}
	if names := w.list(t, staging, batchscoreShard(w, &shards[0])); len(names) > 0 {
		t.Errorf("staging has %q", names)
	}
}

func batchscoreShard(w *world, s *batchscore.Shard) string {
	return runID + "/" + strconv.FormatInt(s.Generation, 10) + "-" + strings.TrimPrefix(w.digest, "sha256:")[:8] + "/shard-0000" + strconv.Itoa(s.Index)
}

// TestStagingThatChanged: publish trusts no file that is not what its shard wrote.
func TestStagingThatChanged(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(t *testing.T, w *world, shard string)
		want   string
	}{
		"a file replaced": {func(t *testing.T, w *world, shard string) { w.put(t, staging, shard+".csv", "forged") }, "is not what shard 1 wrote"},
		"a file gone":     {func(t *testing.T, w *world, shard string) { w.remove(t, staging, shard+".csv") }, "is not what shard 1 wrote"},
		"a result of other bytes": {func(t *testing.T, w *world, shard string) {
			text, _ := w.get(t, staging, shard+".json")
			w.put(t, staging, shard+".json", strings.Replace(text, `"length": "`, `"length": "1`, 1))
		}, "of another run or plan"},
		"a result gone": {func(t *testing.T, w *world, shard string) { w.remove(t, staging, shard+".json") }, "the shard is not scored"},
		"the plan gone": {func(t *testing.T, w *world, _ string) { w.remove(t, staging, runID+"/plan.json") }, "plan has not ended"},
		"a row too few": {func(t *testing.T, w *world, shard string) {
			text, _ := w.get(t, staging, shard+".json")
			var r map[string]any
			if err := json.Unmarshal([]byte(text), &r); err != nil {
				t.Fatal(err)
			}
			r["scored"] = r["scored"].(float64) - 1
			changed, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			w.put(t, staging, shard+".json", string(changed))
		}, "the plan counted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, bikes(t, small...))
			shards, header := w.sharded(t)
			for _, s := range shards {
				w.run(t, batchscore.StepScore, map[string]any{batchscore.ParamShard: s, batchscore.ParamHeader: header}).ok(t)
			}
			tc.change(t, w, batchscoreShard(w, &shards[1]))
			r := w.run(t, batchscore.StepPublish, map[string]any{batchscore.ParamCount: len(shards)})
			if r.code != 1 || !strings.Contains(r.log, tc.want) {
				t.Errorf("publish ended with %d:\n%s\nwant %s", r.code, r.log, tc.want)
			}
			if names := w.list(t, outbox, ""); len(names) > 0 {
				t.Errorf("the outbox has %q", names)
			}
		})
	}
}
