package pipeline

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/kubeflow/pipelines/api/v2alpha1/go/pipelinespec"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
)

// SchemaVersion is the only version of the IR that the open-source API server takes.
const SchemaVersion = "2.1.0"

// SDKVersion names the compiler in the spec.
const SDKVersion = "millrace-1"

type compiler struct {
	b         *Builder
	spec      *pipelinespec.PipelineSpec
	executors map[string]*pipelinespec.PipelineDeploymentConfig_ExecutorSpec
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func (b *Builder) compile() *pipelinespec.PipelineSpec {
	c := &compiler{b: b, executors: map[string]*pipelinespec.PipelineDeploymentConfig_ExecutorSpec{}}
	c.spec = &pipelinespec.PipelineSpec{
		PipelineInfo:  &pipelinespec.PipelineInfo{Name: b.name, Description: b.description},
		SchemaVersion: SchemaVersion,
		SdkVersion:    SDKVersion,
		Components:    map[string]*pipelinespec.ComponentSpec{},
	}
	c.spec.Root = c.dag(b.root)
	deployment, err := deploymentStruct(&pipelinespec.PipelineDeploymentConfig{Executors: c.executors})
	if err != nil {
		b.fail("encode executors: %w", err)
	}
	c.spec.DeploymentSpec = deployment
	return c.spec
}

// deploymentStruct turns the typed executors into the Struct that the spec carries.
func deploymentStruct(d *pipelinespec.PipelineDeploymentConfig) (*structpb.Struct, error) {
	j, err := protojson.Marshal(d)
	if err != nil {
		return nil, err
	}
	s := &structpb.Struct{}
	return s, protojson.Unmarshal(j, s)
}

// dag compiles what is inside first: only then is it known which values the dag needs from around it.
func (c *compiler) dag(d *Dag) *pipelinespec.ComponentSpec {
	tasks := map[string]*pipelinespec.PipelineTaskSpec{}
	for _, t := range d.tasks {
		tasks[t.name] = c.task(t)
	}
	spec := &pipelinespec.ComponentSpec{
		InputDefinitions: c.inputDefinitions(d.inputs),
		Implementation:   &pipelinespec.ComponentSpec_Dag{Dag: &pipelinespec.DagSpec{Tasks: tasks}},
	}
	if len(d.exports) > 0 {
		spec.OutputDefinitions = outputDefinitions(d.task.outputs)
		spec.GetDag().Outputs = exportSpecs(d.exports)
	}
	return spec
}

func exportSpecs(exports []export) *pipelinespec.DagOutputsSpec {
	out := &pipelinespec.DagOutputsSpec{}
	for _, e := range exports {
		if e.inner.schema != "" {
			if out.Artifacts == nil {
				out.Artifacts = map[string]*pipelinespec.DagOutputsSpec_DagOutputArtifactSpec{}
			}
			out.Artifacts[e.outer.key] = &pipelinespec.DagOutputsSpec_DagOutputArtifactSpec{
				ArtifactSelectors: []*pipelinespec.DagOutputsSpec_ArtifactSelectorSpec{
					{ProducerSubtask: e.inner.producer.name, OutputArtifactKey: e.inner.key}},
			}
			continue
		}
		if out.Parameters == nil {
			out.Parameters = map[string]*pipelinespec.DagOutputsSpec_DagOutputParameterSpec{}
		}
		out.Parameters[e.outer.key] = &pipelinespec.DagOutputsSpec_DagOutputParameterSpec{
			Kind: &pipelinespec.DagOutputsSpec_DagOutputParameterSpec_ValueFromParameter{
				ValueFromParameter: &pipelinespec.DagOutputsSpec_ParameterSelectorSpec{
					ProducerSubtask: e.inner.producer.name, OutputParameterKey: e.inner.key}},
		}
	}
	return out
}

func (c *compiler) task(t *Task) *pipelinespec.PipelineTaskSpec {
	var component *pipelinespec.ComponentSpec
	name := c.freeName(t.name)
	if t.dag != nil {
		c.spec.Components[name] = nil // taken, before what is inside asks for names
		component = c.dag(t.dag)
	} else {
		component = c.container(t, "exec-"+name[len("comp-"):])
	}
	c.spec.Components[name] = component
	spec := &pipelinespec.PipelineTaskSpec{
		TaskInfo:       &pipelinespec.PipelineTaskInfo{Name: t.name},
		ComponentRef:   &pipelinespec.ComponentRef{Name: name},
		CachingOptions: &pipelinespec.PipelineTaskSpec_CachingOptions{EnableCache: t.cache},
	}
	waits := map[string]bool{}
	for _, o := range t.after {
		c.dependOn(t, o, waits)
	}
	spec.Inputs = c.taskInputs(t, waits)
	spec.DependentTasks = sortedKeys(waits)
	t.setPolicies(spec)
	return spec
}

func (c *compiler) dependOn(t, producer *Task, waits map[string]bool) {
	switch {
	case producer == nil || producer.parent != t.parent:
		c.b.fail("task %s: can only wait for tasks of its own dag %s", t.name, t.parent.name)
	default:
		waits[producer.name] = true
	}
}

func (t *Task) setPolicies(spec *pipelinespec.PipelineTaskSpec) {
	if t.condition != "" {
		spec.TriggerPolicy = &pipelinespec.PipelineTaskSpec_TriggerPolicy{Condition: t.condition}
	}
	if t.exit != nil {
		spec.TriggerPolicy = &pipelinespec.PipelineTaskSpec_TriggerPolicy{
			Strategy: pipelinespec.PipelineTaskSpec_TriggerPolicy_ALL_UPSTREAM_TASKS_COMPLETED}
	}
	if r := t.retry; r != nil {
		spec.RetryPolicy = &pipelinespec.PipelineTaskSpec_RetryPolicy{
			MaxRetryCount: int32(r.Count), BackoffDuration: durationpb.New(r.Backoff),
			BackoffFactor: cmp.Or(r.Factor, 1), BackoffMaxDuration: durationpb.New(max(r.Longest, r.Backoff)),
		}
	}
	if t.items != "" {
		spec.Iterator = &pipelinespec.PipelineTaskSpec_ParameterIterator{ParameterIterator: &pipelinespec.ParameterIteratorSpec{
			ItemInput: t.item.key,
			Items: &pipelinespec.ParameterIteratorSpec_ItemsSpec{
				Kind: &pipelinespec.ParameterIteratorSpec_ItemsSpec_InputParameter{InputParameter: t.items}},
		}}
		if t.parallel > 0 {
			spec.IteratorPolicy = &pipelinespec.PipelineTaskSpec_IteratorPolicy{ParallelismLimit: int32(t.parallel)}
		}
	}
}

// freeName is comp-<task>, or with -2, -3 … if tasks of several dags share a name.
func (c *compiler) freeName(task string) string {
	name := "comp-" + task
	for n := 2; ; n++ {
		if _, taken := c.spec.Components[name]; !taken {
			return name
		}
		name = fmt.Sprintf("comp-%s-%d", task, n)
	}
}

func (c *compiler) container(t *Task, executor string) *pipelinespec.ComponentSpec {
	k := t.container
	spec := &pipelinespec.PipelineDeploymentConfig_PipelineContainerSpec{Image: k.Image, Command: k.Command, Args: k.Args}
	for _, name := range sortedKeys(k.Env) {
		spec.Env = append(spec.Env, &pipelinespec.PipelineDeploymentConfig_PipelineContainerSpec_EnvVar{Name: name, Value: k.Env[name]})
	}
	if k.CPU > 0 || k.Memory > 0 || k.Accelerator != "" {
		spec.Resources = &pipelinespec.PipelineDeploymentConfig_PipelineContainerSpec_ResourceSpec{CpuLimit: k.CPU, MemoryLimit: k.Memory}
		if k.Accelerator != "" {
			spec.Resources.Accelerator = &pipelinespec.PipelineDeploymentConfig_PipelineContainerSpec_ResourceSpec_AcceleratorConfig{
				Type: k.Accelerator, Count: int64(max(k.Accelerators, 1))}
		}
	}
	c.executors[executor] = &pipelinespec.PipelineDeploymentConfig_ExecutorSpec{
		Spec: &pipelinespec.PipelineDeploymentConfig_ExecutorSpec_Container{Container: spec}}
	inputs := make([]*Value, 0, len(t.inputs))
	for _, name := range sortedKeys(t.inputs) {
		v := *t.inputs[name]
		v.key, v.hasDef = name, false
		inputs = append(inputs, &v)
	}
	return &pipelinespec.ComponentSpec{
		InputDefinitions: c.inputDefinitions(inputs), OutputDefinitions: outputDefinitions(t.outputs),
		Implementation: &pipelinespec.ComponentSpec_ExecutorLabel{ExecutorLabel: executor},
	}
}

func (c *compiler) inputDefinitions(values []*Value) *pipelinespec.ComponentInputsSpec {
	if len(values) == 0 {
		return nil
	}
	out := &pipelinespec.ComponentInputsSpec{}
	for _, v := range values {
		if v.schema != "" {
			if out.Artifacts == nil {
				out.Artifacts = map[string]*pipelinespec.ComponentInputsSpec_ArtifactSpec{}
			}
			out.Artifacts[v.key] = &pipelinespec.ComponentInputsSpec_ArtifactSpec{ArtifactType: artifactType(v.schema), IsArtifactList: v.list}
			continue
		}
		p := &pipelinespec.ComponentInputsSpec_ParameterSpec{ParameterType: v.typ}
		if v.hasDef {
			p.DefaultValue, p.IsOptional = c.value(v.def, "default of "+v.key), true
		}
		// A status is optional: a task run by itself, without what it waits for, has none (the SDK says so too).
		p.IsOptional = p.IsOptional || v.typ == pipelinespec.ParameterType_TASK_FINAL_STATUS
		if out.Parameters == nil {
			out.Parameters = map[string]*pipelinespec.ComponentInputsSpec_ParameterSpec{}
		}
		out.Parameters[v.key] = p
	}
	return out
}

func outputDefinitions(values []*Value) *pipelinespec.ComponentOutputsSpec {
	if len(values) == 0 {
		return nil
	}
	out := &pipelinespec.ComponentOutputsSpec{}
	for _, v := range values {
		if v.schema != "" {
			if out.Artifacts == nil {
				out.Artifacts = map[string]*pipelinespec.ComponentOutputsSpec_ArtifactSpec{}
			}
			out.Artifacts[v.key] = &pipelinespec.ComponentOutputsSpec_ArtifactSpec{ArtifactType: artifactType(v.schema), IsArtifactList: v.list}
			continue
		}
		if out.Parameters == nil {
			out.Parameters = map[string]*pipelinespec.ComponentOutputsSpec_ParameterSpec{}
		}
		out.Parameters[v.key] = &pipelinespec.ComponentOutputsSpec_ParameterSpec{ParameterType: v.typ}
	}
	return out
}

func artifactType(title string) *pipelinespec.ArtifactTypeSchema {
	return &pipelinespec.ArtifactTypeSchema{
		Kind: &pipelinespec.ArtifactTypeSchema_SchemaTitle{SchemaTitle: title}, SchemaVersion: "0.0.1"}
}

func (c *compiler) value(v any, what string) *structpb.Value {
	j, err := json.Marshal(v)
	if err != nil {
		c.b.fail("%s: %w", what, err)
		return structpb.NewNullValue()
	}
	out := &structpb.Value{}
	if err := protojson.Unmarshal(j, out); err != nil {
		c.b.fail("%s: %w", what, err)
	}
	return out
}
