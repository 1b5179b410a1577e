package batchscore

import (
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/kubeflow/pipelines/api/v2alpha1/go/pipelinespec"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/millrace-ml/millrace/shared/manifest"
	"github.com/millrace-ml/millrace/shared/pipeline"
)

var update = flag.Bool("update", false, "write golden files instead of comparing with them")

const image = "us-docker.pkg.dev/example/millrace/step@sha256:0000000000000000000000000000000000000000000000000000000000000000"

func tides() *manifest.Manifest {
	return &manifest.Manifest{Name: "tides", Batch: &manifest.Batch{Parallelism: 4, Machine: manifest.Machine{CPU: 2, Memory: 4 << 30}}}
}

func build(t *testing.T) *pipelinespec.PipelineSpec {
	t.Helper()
	spec, err := Build(tides(), image)
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

func TestGolden(t *testing.T) {
	t.Parallel()
	spec := build(t)
	data, err := pipeline.Encode(spec)
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/tides.yaml"
	if *update {
		if err := os.WriteFile(golden, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(data)); d != "" {
		t.Errorf("-want +got, -update writes it:\n%s", d)
	}
	back, err := pipeline.Decode(golden, want)
	if err != nil {
		t.Fatal(err)
	}
	if err := pipeline.Lint(back); err != nil {
		t.Error(err)
	}
	if d := cmp.Diff(spec, back, protocmp.Transform()); d != "" {
		t.Errorf("the golden decodes to another spec, -built +decoded:\n%s", d)
	}
}

func TestPublishWaitsForEveryScore(t *testing.T) {
	t.Parallel()
	spec := build(t)
	tasks := spec.Components["comp-"+TaskSharded].GetDag().Tasks
	if d := cmp.Diff([]string{TaskScoreShards}, tasks[TaskPublish].DependentTasks); d != "" {
		t.Error(d)
	}
	if s := tasks[TaskPublish].GetTriggerPolicy().GetStrategy(); s != pipelinespec.PipelineTaskSpec_TriggerPolicy_TRIGGER_STRATEGY_UNSPECIFIED {
		t.Errorf("publish has the trigger %v, expected the default: only after success", s)
	}
	loop := tasks[TaskScoreShards]
	if loop.GetParameterIterator().GetItemInput() != ParamShard || loop.GetIteratorPolicy().GetParallelismLimit() != 4 {
		t.Errorf("the loop is %v %v", loop.GetParameterIterator(), loop.GetIteratorPolicy())
	}
}

func TestFinishRunsWhateverBecameOfWork(t *testing.T) {
	t.Parallel()
	finish := build(t).Root.GetDag().Tasks[TaskFinish]
	if s := finish.GetTriggerPolicy().GetStrategy(); s != pipelinespec.PipelineTaskSpec_TriggerPolicy_ALL_UPSTREAM_TASKS_COMPLETED {
		t.Errorf("trigger is %v", s)
	}
	if p := finish.Inputs.Parameters[ParamStatus].GetTaskFinalStatus().GetProducerTask(); p != TaskWork {
		t.Errorf("status is that of %q", p)
	}
}

func TestEveryStepIsRetriedAndUncached(t *testing.T) {
	t.Parallel()
	spec := build(t)
	dags := map[string]*pipelinespec.ComponentSpec{"root": spec.Root}
	for name, c := range spec.Components {
		dags[name] = c
	}
	steps := 0
	for _, dag := range dags {
		for name, task := range dag.GetDag().GetTasks() {
			if task.GetCachingOptions().GetEnableCache() {
				t.Errorf("%s is cached: it would not write its objects", name)
			}
			if spec.Components[task.ComponentRef.Name].GetExecutorLabel() == "" {
				continue
			}
			steps++
			if r := task.GetRetryPolicy(); r.GetMaxRetryCount() != 3 || r.GetBackoffDuration().AsDuration() == 0 {
				t.Errorf("%s has the retry policy %v", name, r)
			}
		}
	}
	if steps != 4 {
		t.Errorf("found %d steps, expected plan, score, publish, finish", steps)
	}
}

func TestContainers(t *testing.T) {
	t.Parallel()
	executors, err := pipeline.Executors(build(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []string{StepPlan, StepScore, StepPublish, StepFinish} {
		c := executors["exec-"+step].GetContainer()
		if d := cmp.Diff([]string{step, FlagExecutorInput, "{{$}}"}, c.GetArgs()); d != "" {
			t.Error(d)
		}
		if c.GetImage() != image || len(c.GetCommand()) != 1 || c.GetCommand()[0] != Entrypoint {
			t.Errorf("%s runs %v of %q", step, c.GetCommand(), c.GetImage())
		}
	}
	if r := executors["exec-score"].GetContainer().GetResources(); r.GetCpuLimit() != 2 || r.GetMemoryLimit() != 4.294967296 {
		t.Errorf("score gets %v, expected 2 cores and 4 GiB in units of 10^9", r)
	}
}

func TestRunParametersAreEnough(t *testing.T) {
	t.Parallel()
	spec := build(t)
	run := map[string]any{ParamDataset: map[string]any{"bucket": "b"}}
	for _, name := range []string{ParamRunID, ParamModel, ParamKey, ParamProject, ParamRegion, ParamDatabase, ParamStaging,
		ParamOutbox, ParamModelURI, ParamModelDigest} {
		run[name] = "x"
	}
	if err := pipeline.CheckParameters(spec, run); err != nil {
		t.Error(err)
	}
	if got := pipeline.RunParameters(spec, run); len(got) != len(run) {
		t.Errorf("the pipeline declares %d of the %d values that a run has", len(got), len(run))
	}
}

func TestBuildRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		m     *manifest.Manifest
		image string
		want  string
	}{
		"no manifest":         {nil, image, "no batch block"},
		"a real-time model":   {&manifest.Manifest{Name: "x"}, image, "no batch block"},
		"no image":            {tides(), "", "model tides: there is no step image"},
		"a name of no model":  {&manifest.Manifest{Name: "A b", Batch: &manifest.Batch{}}, image, "pipelineInfo.name"},
		"a negative loop":     {&manifest.Manifest{Name: "x", Batch: &manifest.Batch{Parallelism: -1}}, image, ""},
		"no machine is asked": {&manifest.Manifest{Name: "x", Batch: &manifest.Batch{}}, image, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Build(tc.m, tc.image)
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want something with %q", err, tc.want)
			}
		})
	}
}

// A platform may print whole doubles as it likes, so a shard's numbers must not be JSON numbers.
func TestShardKeepsLargeNumbers(t *testing.T) {
	t.Parallel()
	want := Shard{Index: 1, Bucket: "in", Object: "a/b.csv", Generation: 1<<62 + 1, Offset: 1 << 40, Length: 3, FirstRow: 2, Rows: 1 << 33}
	v, err := want.Value()
	if err != nil {
		t.Fatal(err)
	}
	for k, x := range v {
		if _, ok := x.(string); !ok {
			t.Errorf("%s is a %T", k, x)
		}
	}
	j, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var got Shard
	if err := json.Unmarshal(j, &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
