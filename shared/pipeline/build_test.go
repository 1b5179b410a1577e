package pipeline

import (
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/kubeflow/pipelines/api/v2alpha1/go/pipelinespec"
	"google.golang.org/protobuf/testing/protocmp"
)

var update = flag.Bool("update", false, "write golden files instead of comparing with them")

// harbour builds a graph that uses everything the builder offers.
func harbour() *Builder {
	b := New("harbour-batch", "Rate the parts of a file.")
	source, model := b.Parameter("source", String), b.Parameter("model", String)
	run := b.Parameter("run_id", String)
	b.Optional("options", Struct, map[string]any{})
	rate := b.Optional("rate", Double, 0.5)
	step := func(name string) Container {
		return Container{Image: "registry.example/step@sha256:0", Command: []string{"/ko-app/step"}, Args: []string{name, "--executor_input", "{{$}}"}}
	}

	work := b.Root().Group("work")
	cut := step("split")
	cut.Env, cut.CPU, cut.Memory = map[string]string{"LOG_LEVEL": "info", "A": "b"}, 2, 4
	split := work.Task("split", cut, Inputs{"source": source, "part_rows": Const(20000)}).Cache()
	parts, total, clean := split.Parameter("parts", List), split.Parameter("total", Integer), split.Artifact("clean", "system.Dataset")

	some := work.When("when-any", "int(inputs.parameter_values['total']) > 0", Inputs{"total": total})
	each := some.ForEach("each-part", parts, "part", Struct, 4)
	gpu := step("rate")
	gpu.Accelerator = "NVIDIA_TESLA_T4"
	rated := each.Task("rate", gpu, Inputs{"part": each.Item(), "model": model, "clean": clean, "rate": rate}).
		Retry(Retry{Count: 2, Backoff: 30 * time.Second, Factor: 2, Longest: time.Hour})
	rows := each.Export("rows", rated.Parameter("rows", Integer))
	some.Task("sum", step("sum"), Inputs{"rows": rows, "total": total}).After(each.AsTask())
	work.Export("total", total)
	b.Root().Exit("close", work, "status", step("close"), Inputs{"run_id": run})
	return b
}

func TestBuildGolden(t *testing.T) {
	t.Parallel()
	spec, err := harbour().Spec()
	if err != nil {
		t.Fatal(err)
	}
	data, err := Encode(spec)
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/built.yaml"
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
	back, err := Decode(golden, want)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(spec, back, protocmp.Transform()); d != "" {
		t.Errorf("the golden decodes to another spec, -built +decoded:\n%s", d)
	}
}

func TestEqualGraphsGiveEqualBytes(t *testing.T) {
	t.Parallel()
	var first []byte
	for range 20 {
		spec, err := harbour().Spec()
		if err != nil {
			t.Fatal(err)
		}
		data, err := Encode(spec)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = data
		}
		if string(first) != string(data) {
			t.Fatalf("the same graph gave other bytes:\n%s", cmp.Diff(string(first), string(data)))
		}
	}
}

func TestBuildWiresAcrossScopes(t *testing.T) {
	t.Parallel()
	spec, err := harbour().Spec()
	if err != nil {
		t.Fatal(err)
	}
	rate := spec.Components["comp-each-part"].GetDag().Tasks["rate"]
	if got := rate.Inputs.Parameters["model"].GetComponentInputParameter(); got != "model" {
		t.Errorf("rate.model comes from %q", got)
	}
	if got := rate.Inputs.Artifacts["clean"].GetComponentInputArtifact(); got != "clean" {
		t.Errorf("rate.clean comes from %q", got)
	}
	some := spec.Components["comp-work"].GetDag().Tasks["when-any"]
	if d := cmp.Diff([]string{"split"}, some.DependentTasks); d != "" {
		t.Errorf("when-any waits for:\n%s", d)
	}
	if got := some.Inputs.Artifacts["clean"].GetTaskOutputArtifact().GetProducerTask(); got != "split" {
		t.Errorf("clean is handed down from %q", got)
	}
	if got := spec.Components["comp-each-part"].OutputDefinitions.Parameters["rows"].ParameterType; got != List {
		t.Errorf("out of a loop rows is a %v", got)
	}
}

func TestBuildKeepsValuesOfOneNameApart(t *testing.T) {
	t.Parallel()
	b := New("twice", "")
	c := Container{Image: "x"}
	first, second := b.Root().Task("first", c, nil), b.Root().Task("second", c, nil)
	g := b.Root().Group("inner")
	g.Task("first", c, Inputs{"a": first.Parameter("out", String), "b": second.Parameter("out", String)})
	spec, err := b.Spec()
	if err != nil {
		t.Fatal(err)
	}
	in := spec.Components["comp-first-2"]
	if in == nil {
		t.Fatalf("components are %v", sortedKeys(spec.Components))
	}
	task := spec.Components["comp-inner"].GetDag().Tasks["first"]
	if a, b := task.Inputs.Parameters["a"].GetComponentInputParameter(), task.Inputs.Parameters["b"].GetComponentInputParameter(); a != "out" || b != "second--out" {
		t.Errorf("a comes from %q, b from %q", a, b)
	}
}

func TestBuildRefuses(t *testing.T) {
	t.Parallel()
	c := Container{Image: "x"}
	for name, tc := range map[string]struct {
		build func(*Builder)
		want  string
	}{
		"two tasks of one name":        {func(b *Builder) { b.Root().Task("a", c, nil); b.Root().Task("a", c, nil) }, `root: two tasks are called "a"`},
		"a parameter twice":            {func(b *Builder) { b.Parameter("a", String); b.Parameter("a", String) }, `input "a" is declared twice`},
		"a name with blanks":           {func(b *Builder) { b.Root().Task("a b", c, nil) }, `task "a b"`},
		"a parameter's name":           {func(b *Builder) { b.Parameter("1a", String) }, `input "1a"`},
		"an input without a value":     {func(b *Builder) { b.Root().Task("a", c, Inputs{"x": nil}) }, `task a: input "x" has no value`},
		"a condition without a value":  {func(b *Builder) { b.Root().When("a", "true", Inputs{"x": nil}) }, `task a: input "x" has no value`},
		"a loop over no list":          {func(b *Builder) { b.Root().ForEach("a", Const("x"), "i", String, 0) }, `loop a: what it loops over`},
		"the item of no loop":          {func(b *Builder) { b.Root().Group("g").Item() }, `g: is no loop`},
		"an output twice":              {func(b *Builder) { t := b.Root().Task("a", c, nil); t.Parameter("o", String); t.Parameter("o", String) }, `two outputs are called "o"`},
		"an artifact without a schema": {func(b *Builder) { b.Root().Task("a", c, nil).Artifact("o", "") }, `has no schema title`},
		"an exit of an inner dag":      {func(b *Builder) { b.Root().Exit("e", b.Root().Group("g").Group("h"), "status", c, nil) }, `exit task e: must stand beside`},
		"waiting across dags":          {func(b *Builder) { t := b.Root().Group("g").Task("a", c, nil); b.Root().Task("b", c, nil).After(t) }, `task b: can only wait for tasks of its own dag root`},
		"an inner value seen outside": {func(b *Builder) {
			v := b.Root().Group("g").Task("a", c, nil).Parameter("o", String)
			b.Root().Task("b", c, Inputs{"x": v})
		}, `task b: "o" is made inside dag g and cannot be seen from here`},
		"an export of something else": {func(b *Builder) { b.Root().Group("g").Export("o", b.Parameter("p", String)) }, `g: output "o" must be an output of a task in it`},
		"what the lint refuses":       {func(b *Builder) { b.Root().Task("a", Container{}, nil) }, `exec-a.container.image: nothing`},
		"a dag fed by itself": {func(b *Builder) {
			g := b.Root().Group("g")
			out := g.Export("o", g.Task("a", c, nil).Parameter("o", String))
			g.Task("b", c, Inputs{"x": out})
		}, `"o" is an output of the dag g that the task is in`},
		"a constant JSON cannot hold": {func(b *Builder) { b.Root().Task("a", c, Inputs{"x": Const(map[string]any{"f": func() {}})}) }, `a.x: `},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := New("p", "")
			tc.build(b)
			if _, err := b.Spec(); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want something with %q", err, tc.want)
			}
		})
	}
}

func TestExecutors(t *testing.T) {
	t.Parallel()
	spec, err := harbour().Spec()
	if err != nil {
		t.Fatal(err)
	}
	e, err := Executors(spec)
	if err != nil {
		t.Fatal(err)
	}
	got := e["exec-split"].GetContainer()
	want := &pipelinespec.PipelineDeploymentConfig_PipelineContainerSpec_ResourceSpec{CpuLimit: 2, MemoryLimit: 4}
	if d := cmp.Diff(want, got.GetResources(), protocmp.Transform()); d != "" {
		t.Error(d)
	}
	if len(got.GetEnv()) != 2 || got.GetEnv()[0].GetName() != "A" {
		t.Errorf("env is %v", got.GetEnv())
	}
}
