package pipeline

import "github.com/kubeflow/pipelines/api/v2alpha1/go/pipelinespec"

// taskInputs says for each input of a task where it comes from, and notes in waits the tasks that produce them.
func (c *compiler) taskInputs(t *Task, waits map[string]bool) *pipelinespec.TaskInputsSpec {
	if len(t.inputs) == 0 {
		return nil
	}
	out := &pipelinespec.TaskInputsSpec{}
	for _, name := range sortedKeys(t.inputs) {
		v := t.inputs[name]
		if v.scope != nil && v.scope != t.parent {
			if v = c.handDown(v, t.parent, t); v == nil {
				continue
			}
		}
		if v.producer != nil {
			waits[v.producer.name] = true
		}
		if v.schema != "" {
			if out.Artifacts == nil {
				out.Artifacts = map[string]*pipelinespec.TaskInputsSpec_InputArtifactSpec{}
			}
			out.Artifacts[name] = artifactSource(v)
			continue
		}
		if out.Parameters == nil {
			out.Parameters = map[string]*pipelinespec.TaskInputsSpec_InputParameterSpec{}
		}
		out.Parameters[name] = c.parameterSource(v, t.name+"."+name)
	}
	return out
}

func artifactSource(v *Value) *pipelinespec.TaskInputsSpec_InputArtifactSpec {
	if v.producer == nil {
		return &pipelinespec.TaskInputsSpec_InputArtifactSpec{
			Kind: &pipelinespec.TaskInputsSpec_InputArtifactSpec_ComponentInputArtifact{ComponentInputArtifact: v.key}}
	}
	return &pipelinespec.TaskInputsSpec_InputArtifactSpec{
		Kind: &pipelinespec.TaskInputsSpec_InputArtifactSpec_TaskOutputArtifact{
			TaskOutputArtifact: &pipelinespec.TaskInputsSpec_InputArtifactSpec_TaskOutputArtifactSpec{
				ProducerTask: v.producer.name, OutputArtifactKey: v.key}}}
}

func (c *compiler) parameterSource(v *Value, what string) *pipelinespec.TaskInputsSpec_InputParameterSpec {
	in := &pipelinespec.TaskInputsSpec_InputParameterSpec{}
	switch {
	case v.typ == pipelinespec.ParameterType_TASK_FINAL_STATUS:
		in.Kind = &pipelinespec.TaskInputsSpec_InputParameterSpec_TaskFinalStatus_{
			TaskFinalStatus: &pipelinespec.TaskInputsSpec_InputParameterSpec_TaskFinalStatus{ProducerTask: v.producer.name}}
	case v.scope == nil:
		in.Kind = &pipelinespec.TaskInputsSpec_InputParameterSpec_RuntimeValue{
			RuntimeValue: &pipelinespec.ValueOrRuntimeParameter{
				Value: &pipelinespec.ValueOrRuntimeParameter_Constant{Constant: c.value(v.constant, what)}}}
	case v.producer == nil:
		in.Kind = &pipelinespec.TaskInputsSpec_InputParameterSpec_ComponentInputParameter{ComponentInputParameter: v.key}
	default:
		in.Kind = &pipelinespec.TaskInputsSpec_InputParameterSpec_TaskOutputParameter{
			TaskOutputParameter: &pipelinespec.TaskInputsSpec_InputParameterSpec_TaskOutputParameterSpec{
				ProducerTask: v.producer.name, OutputParameterKey: v.key}}
	}
	return in
}

// handDown makes a value of an outer scope an input of d, and of every dag between the two, and gives d's input. The dags'
// own tasks carry it because they are compiled after what is inside them.
func (c *compiler) handDown(v *Value, d *Dag, t *Task) *Value {
	if in := d.imported[v]; in != nil {
		return in
	}
	for outer := d; outer != v.scope; outer = outer.task.parent {
		if outer.task == nil {
			c.b.fail("task %s: %q is made inside dag %s and cannot be seen from here; Export it there", t.name, v.key, v.scope.name)
			return nil
		}
		if v.producer == outer.task {
			c.b.fail("task %s: %q is an output of the dag %s that the task is in", t.name, v.key, outer.name)
			return nil
		}
	}
	key := v.key
	if d.names[key] != nil {
		key = v.scope.name + "--" + v.key
		if v.producer != nil {
			key = v.producer.name + "--" + v.key
		}
	}
	in := d.declare(&Value{scope: d, key: key, typ: v.typ, schema: v.schema, list: v.list})
	d.imported[v] = in
	d.task.inputs[key] = v
	return in
}
