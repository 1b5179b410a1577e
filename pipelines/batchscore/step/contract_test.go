package step_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace-ml/millrace/pipelines/batchscore"
	"github.com/millrace-ml/millrace/pipelines/batchscore/step"
	"github.com/millrace-ml/millrace/shared/batch"
)

// TestOutputsOfPlan: all of them in executor_output.json, and each in a file of its own, below folders that nobody made.
func TestOutputsOfPlan(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bikes(t, small...))
	generation := w.put(t, inbox, "f.csv", sample(t))
	dir := t.TempDir()
	r, err := w.call(t.Context(), dir, batchscore.StepPlan, object("f.csv", generation))
	if err != nil || r.code != 0 {
		t.Fatalf("plan ended with %d, %v:\n%s", r.code, err, r.log)
	}
	for name, raw := range r.outputs {
		data, err := os.ReadFile(filepath.Join(dir, "single", name, "value"))
		if err != nil {
			t.Fatal(err)
		}
		want := string(raw)
		if name == batchscore.OutMode {
			want = batchscore.ModeSharded // a STRING is verbatim, without quotes
		}
		if string(data) != want {
			t.Errorf("the file of %s has %s, executor_output.json %s", name, data, want)
		}
	}
	if len(r.outputs) != 4 {
		t.Errorf("outputs are %v", r.outputs)
	}
	var shards []batchscore.Shard
	var count int
	var header []string
	for name, v := range map[string]any{batchscore.OutShards: &shards, batchscore.OutCount: &count, batchscore.OutHeader: &header} {
		if err := json.Unmarshal(r.outputs[name], v); err != nil {
			t.Fatal(err)
		}
	}
	end, row := int64(strings.Index(sample(t), "\n")+1), int64(1)
	for i, s := range shards {
		if s.Index != i || s.Bucket != inbox || s.Object != "f.csv" || s.Generation != generation || s.Offset != end || s.FirstRow != row || s.Header != nil {
			t.Errorf("shard %d is %+v, want it to begin at byte %d, row %d", i, s, end, row)
		}
		end, row = end+s.Length, row+s.Rows
	}
	if end != int64(len(sample(t))) || count != len(shards) || count < 3 || len(header) != 17 || header[0] != "instant" {
		t.Errorf("%d shards end at byte %d of %d; header %q", count, end, len(sample(t)), header)
	}
}

func TestCallsThatCannotBeUnderstood(t *testing.T) {
	t.Parallel()
	env := map[string]string{"STORAGE_EMULATOR_HOST": "127.0.0.1:1"}
	flag := batchscore.FlagExecutorInput
	for name, tc := range map[string]struct {
		args []string
		env  string
		want string
	}{
		"nothing":            {nil, "", "expected plan|score|publish|finish --executor_input JSON"},
		"unknown subcommand": {[]string{"train", flag, "{}"}, "", "expected plan|score|publish|finish"},
		"no input":           {[]string{"plan", flag}, "", "expected plan|score|publish|finish"},
		"other flag":         {[]string{"plan", "--input", "{}"}, "", "expected plan|score|publish|finish"},
		"no JSON":            {[]string{"plan", flag, "{{$}}"}, "", "the executor input is not the JSON of an ExecutorInput"},
		"no parameters":      {[]string{"score", flag, "{}"}, "", "lacks the parameters run_id, model, staging, model_uri, model_digest"},
		"foreign address":    {[]string{"plan", flag, "{}"}, "storage.example.com:443", "is not a loopback host:port"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			getenv := func(k string) string {
				if tc.env != "" && env[k] != "" {
					return tc.env
				}
				return env[k]
			}
			if code := step.Main(t.Context(), tc.args, getenv, &log); code != 2 || !strings.Contains(log.String(), tc.want) {
				t.Errorf("exit code %d, log %s, want 2 and %s", code, log.String(), tc.want)
			}
		})
	}
}

func TestDatasetMustBeOneThing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bikes(t))
	for name, d := range map[string]batch.Dataset{
		"no bucket":         {Object: "f.csv"},
		"nothing":           {Bucket: inbox},
		"object and prefix": {Bucket: inbox, Object: "f.csv", Prefix: "day/"},
	} {
		r := w.run(t, batchscore.StepPlan, map[string]any{batchscore.ParamDataset: d})
		if r.code != 2 || !strings.Contains(r.log, "must name a bucket, and an object or a prefix") {
			t.Errorf("%s: exit code %d, log %s", name, r.code, r.log)
		}
	}
}

// TestBrokenModelFolder: not the dataset's fault, so no verdict on it.
func TestBrokenModelFolder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bikes(t))
	w.put(t, inbox, "f.csv", sample(t))
	for name, tc := range map[string]struct {
		more map[string]any
		want string
	}{
		"other bytes":   {map[string]any{batchscore.ParamModelDigest: "sha256:" + strings.Repeat("0", 64)}, "has digest"},
		"not there":     {map[string]any{batchscore.ParamModelURI: "gs://" + artifacts + "/models/none.tar"}, "not there"},
		"another model": {map[string]any{batchscore.ParamModel: "fares"}, `expected the batch model \"fares\"`},
	} {
		more := object("f.csv", 0)
		for k, v := range tc.more {
			more[k] = v
		}
		if r := w.run(t, batchscore.StepPlan, more); r.code != 1 || !strings.Contains(r.log, tc.want) {
			t.Errorf("%s: exit code %d, log %s", name, r.code, r.log)
		}
	}
	if names := w.list(t, staging, ""); len(names) > 0 {
		t.Errorf("staging has %q", names)
	}
}
