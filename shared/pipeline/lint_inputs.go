package pipeline

import (
	"github.com/kubeflow/pipelines/api/v2alpha1/go/pipelinespec"
)

const finalStatus = pipelinespec.ParameterType_TASK_FINAL_STATUS

// parameters checks where each input parameter of a task comes from, that the component takes it, and that the types fit.
func (d *dagLint) parameters(at place, t *taskSpec, c *pipelinespec.ComponentSpec) {
	in := t.GetInputs().GetParameters()
	takes := c.GetInputDefinitions().GetParameters()
	for _, name := range sortedKeys(in) {
		here := at.at(name)
		if takes[name] == nil {
			d.misspelt(here, name, t, takes)
		}
		given, known := d.parameterSource(here, t, in[name], c == nil || takes[name] != nil)
		wants := takes[name].GetParameterType()
		if known && wants != 0 && given != 0 && in[name].GetParameterExpressionSelector() == "" && !fits(given, wants) {
			d.add(here, "type", "a "+given.String(), "a "+wants.String())
		}
		if e := in[name].GetParameterExpressionSelector(); e != "" {
			if err := d.cel.parse(e); err != nil {
				d.add(here.at("parameterExpressionSelector"), "cel", got(e)+" is no CEL: "+err.Error(), "an expression")
			}
		}
	}
}

// misspelt reports an input that the component does not take, but only if it takes one of nearly that name that the task
// does not give: the SDK itself hands tasks more than their components take, for machine fields that are known at run time.
func (d *dagLint) misspelt(at place, name string, t *taskSpec, takes map[string]*pipelinespec.ComponentInputsSpec_ParameterSpec) {
	var free []string
	for _, n := range sortedKeys(takes) {
		if t.GetInputs().GetParameters()[n] == nil {
			free = append(free, n)
		}
	}
	if nearest(name, free) != "" {
		d.add(at, "input", got(name)+" is no input of "+t.GetComponentRef().GetName(), oneOf(name, free))
	}
}

// fits says whether a value of one type may go into an input of another.
func fits(given, wants Type) bool {
	return given == wants || given == Integer && wants == Double || given == finalStatus && wants == Struct
}

// parameterSource checks a reference and gives the type of what it refers to, if that can be told. An input that the
// component does not take need not be waited for: the SDK does not either.
func (d *dagLint) parameterSource(at place, t *taskSpec, in *pipelinespec.TaskInputsSpec_InputParameterSpec, taken bool) (Type, bool) {
	waits := t
	if !taken {
		waits = nil
	}
	switch k := in.GetKind().(type) {
	case *pipelinespec.TaskInputsSpec_InputParameterSpec_ComponentInputParameter:
		have := d.outer.GetInputDefinitions().GetParameters()
		p := have[k.ComponentInputParameter]
		if p == nil {
			d.add(at.at("componentInputParameter"), "input", got(k.ComponentInputParameter)+" is no input of this dag",
				oneOf(k.ComponentInputParameter, sortedKeys(have)))
		}
		return p.GetParameterType(), p != nil
	case *pipelinespec.TaskInputsSpec_InputParameterSpec_TaskOutputParameter:
		from := k.TaskOutputParameter
		d.producer(at.at("taskOutputParameter"), waits, from.GetProducerTask(), "outputParameterKey", from.GetOutputParameterKey(), parameterOutputs)
		if d.tasks[from.GetProducerTask()] == nil {
			return 0, false
		}
		p := d.componentOf(from.GetProducerTask()).GetOutputDefinitions().GetParameters()[from.GetOutputParameterKey()]
		return p.GetParameterType(), p != nil
	case *pipelinespec.TaskInputsSpec_InputParameterSpec_TaskFinalStatus_:
		d.producer(at.at("taskFinalStatus"), t, k.TaskFinalStatus.GetProducerTask(), "", "", nil)
		return finalStatus, true
	case *pipelinespec.TaskInputsSpec_InputParameterSpec_RuntimeValue:
		return d.runtimeValue(at.at("runtimeValue"), k.RuntimeValue)
	}
	d.add(at, "missing", "nothing", "componentInputParameter, taskOutputParameter, runtimeValue or taskFinalStatus")
	return 0, false
}

func (d *dagLint) runtimeValue(at place, v *pipelinespec.ValueOrRuntimeParameter) (Type, bool) {
	switch {
	case v.GetRuntimeParameter() != "":
		have := d.outer.GetInputDefinitions().GetParameters()
		if have[v.GetRuntimeParameter()] == nil {
			d.add(at.at("runtimeParameter"), "input", got(v.GetRuntimeParameter())+" is no input of this dag",
				oneOf(v.GetRuntimeParameter(), sortedKeys(have)))
		}
		return 0, false
	case v.GetValue() == nil:
		d.add(at, "missing", "nothing", "a constant")
		return 0, false
	case v.GetConstant() == nil:
		return 0, false // the deprecated constantValue
	}
	for _, t := range []Type{Integer, Double, String, Boolean, List, Struct} {
		if hasType(v.GetConstant(), t) {
			return t, true
		}
	}
	return 0, false
}

// artifacts is parameters for artifacts.
func (d *dagLint) artifacts(at place, t *taskSpec, c *pipelinespec.ComponentSpec) {
	in := t.GetInputs().GetArtifacts()
	takes := c.GetInputDefinitions().GetArtifacts()
	for _, name := range sortedKeys(in) {
		here := at.at(name)
		if c != nil && takes[name] == nil {
			d.add(here, "input", got(name)+" is no input artifact of "+t.GetComponentRef().GetName(), oneOf(name, sortedKeys(takes)))
		}
		switch k := in[name].GetKind().(type) {
		case *pipelinespec.TaskInputsSpec_InputArtifactSpec_ComponentInputArtifact:
			if have := d.outer.GetInputDefinitions().GetArtifacts(); have[k.ComponentInputArtifact] == nil {
				d.add(here.at("componentInputArtifact"), "input", got(k.ComponentInputArtifact)+" is no input artifact of this dag",
					oneOf(k.ComponentInputArtifact, sortedKeys(have)))
			}
		case *pipelinespec.TaskInputsSpec_InputArtifactSpec_TaskOutputArtifact:
			from := k.TaskOutputArtifact
			d.producer(here.at("taskOutputArtifact"), t, from.GetProducerTask(), "outputArtifactKey", from.GetOutputArtifactKey(), artifactOutputs)
		default:
			d.add(here, "missing", "nothing", "componentInputArtifact or taskOutputArtifact")
		}
	}
}
