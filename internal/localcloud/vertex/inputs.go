package vertex

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kubeflow/pipelines/api/v2alpha1/go/pipelinespec"
	"google.golang.org/protobuf/types/known/structpb"
)

// inputs resolves what goes into a task from its scope: values that are given, else the component's defaults, else
// absent where that is allowed. Types are checked after resolution.
func (r *run) inputs(s *scope, t *task, rec *record) (*values, error) {
	in := newValues()
	specs := t.spec.GetInputs().GetParameters()
	for _, k := range slices.Sorted(maps.Keys(specs)) {
		v, err := r.parameter(s, t, k, specs[k])
		if err != nil {
			return nil, fmt.Errorf("input %s: %w", k, err)
		}
		if !isNull(v) {
			in.params[k] = v
		}
	}
	if err := r.expandConstants(t, rec, in); err != nil {
		return nil, err
	}
	if err := checkParameters(t, in); err != nil {
		return nil, err
	}
	return in, r.artifacts(s, t, in)
}

// parameter is one input before defaults, nil if its source gave none.
func (r *run) parameter(s *scope, t *task, name string, spec *pipelinespec.TaskInputsSpec_InputParameterSpec) (*structpb.Value, error) {
	var v *structpb.Value
	switch k := spec.GetKind().(type) {
	case *pipelinespec.TaskInputsSpec_InputParameterSpec_ComponentInputParameter:
		v = s.in.params[k.ComponentInputParameter]
	case *pipelinespec.TaskInputsSpec_InputParameterSpec_TaskOutputParameter:
		v = s.produced(k.TaskOutputParameter.GetProducerTask()).params[k.TaskOutputParameter.GetOutputParameterKey()]
	case *pipelinespec.TaskInputsSpec_InputParameterSpec_RuntimeValue:
		v = constant(k.RuntimeValue, s.in)
	case *pipelinespec.TaskInputsSpec_InputParameterSpec_TaskFinalStatus_:
		v = r.finalStatus(s, k.TaskFinalStatus.GetProducerTask())
	}
	if p := t.selectors[name]; p != nil && !isNull(v) {
		picked, err := pick(p, v)
		if err != nil {
			return nil, fmt.Errorf("parameterExpressionSelector %q: %w", spec.GetParameterExpressionSelector(), err)
		}
		return picked, nil
	}
	return v, nil
}

// constant is the value of a ValueOrRuntimeParameter; the parameters are those of the enclosing component.
func constant(v *pipelinespec.ValueOrRuntimeParameter, in *values) *structpb.Value {
	switch k := v.GetValue().(type) {
	case *pipelinespec.ValueOrRuntimeParameter_Constant:
		return k.Constant
	case *pipelinespec.ValueOrRuntimeParameter_RuntimeParameter:
		return in.params[k.RuntimeParameter]
	case *pipelinespec.ValueOrRuntimeParameter_ConstantValue: // specs of old compilers
		switch c := k.ConstantValue.GetValue().(type) { //nolint:staticcheck // specs of old compilers carry it
		case *pipelinespec.Value_IntValue:
			return structpb.NewNumberValue(float64(c.IntValue))
		case *pipelinespec.Value_DoubleValue:
			return structpb.NewNumberValue(c.DoubleValue)
		case *pipelinespec.Value_StringValue:
			return structpb.NewStringValue(c.StringValue)
		}
	}
	return nil
}

// expandConstants replaces the placeholders that compilers write into constants: other inputs of the task, and facts
// about the job and the task. Values from elsewhere are data and stay as they are.
func (r *run) expandConstants(t *task, rec *record, in *values) error {
	sources := maps.Clone(in.params)
	lookup := func(p string) (string, error) {
		if name, ok := strings.CutPrefix(p, "$.inputs.parameters"); ok {
			key, rest, err := subscript(name)
			if err == nil && rest == "" {
				return text(sources[key]), nil
			}
		}
		return r.fact(p, rec, t)
	}
	for k, spec := range t.spec.GetInputs().GetParameters() {
		if in.params[k] == nil || spec.GetRuntimeValue().GetConstant() == nil {
			continue
		}
		v, err := mapStrings(in.params[k], func(s string) (string, error) { return expand(s, lookup) })
		if err != nil {
			return fmt.Errorf("input %s: %w", k, err)
		}
		in.params[k] = v
	}
	return nil
}

func checkParameters(t *task, in *values) error {
	defs := t.component.spec.GetInputDefinitions().GetParameters()
	item := t.spec.GetParameterIterator().GetItemInput()
	for _, k := range slices.Sorted(maps.Keys(defs)) {
		d := defs[k]
		if in.params[k] == nil && !isNull(d.DefaultValue) {
			in.params[k] = d.DefaultValue
		}
		v := in.params[k]
		switch {
		case v == nil && (d.IsOptional || k == item):
			continue
		case v == nil:
			return fmt.Errorf("input %s is missing: its source gave no value and it has no default", k)
		}
		if err := checkType(v, d.ParameterType); err != nil {
			return fmt.Errorf("input %s: %w", k, err)
		}
	}
	return nil
}

// artifacts resolves the input artifacts of a task.
func (r *run) artifacts(s *scope, t *task, in *values) error {
	specs := t.spec.GetInputs().GetArtifacts()
	for k, a := range specs {
		var list []*pipelinespec.RuntimeArtifact
		switch kind := a.GetKind().(type) {
		case *pipelinespec.TaskInputsSpec_InputArtifactSpec_ComponentInputArtifact:
			list = s.in.arts[kind.ComponentInputArtifact]
		case *pipelinespec.TaskInputsSpec_InputArtifactSpec_TaskOutputArtifact:
			list = s.produced(kind.TaskOutputArtifact.GetProducerTask()).arts[kind.TaskOutputArtifact.GetOutputArtifactKey()]
		}
		if list != nil {
			in.arts[k] = list
		}
	}
	defs := t.component.spec.GetInputDefinitions().GetArtifacts()
	item := t.spec.GetArtifactIterator().GetItemInput()
	for _, k := range slices.Sorted(maps.Keys(defs)) {
		if len(in.arts[k]) == 0 && !defs[k].IsOptional && !defs[k].IsArtifactList && k != item {
			return fmt.Errorf("input artifact %s is missing: its source gave none", k)
		}
	}
	return nil
}

// finalStatus is the PipelineTaskFinalStatus of a finished task, as JSON puts it.
func (r *run) finalStatus(s *scope, producer string) *structpb.Value {
	res := s.results[producer]
	e := &structpb.Struct{Fields: map[string]*structpb.Value{}}
	if res.err != nil {
		e.Fields["code"] = structpb.NewNumberValue(float64(res.err.Code()))
		e.Fields["message"] = structpb.NewStringValue(res.err.Message())
	}
	state := res.state
	if state == taskSkipped { // a cache hit is a success to whoever asks how the task ended
		state = taskSucceeded
	}
	return structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{
		"state":                   structpb.NewStringValue(state.String()),
		"error":                   structpb.NewStructValue(e),
		"pipelineJobResourceName": structpb.NewStringValue(r.name.full),
		"pipelineTaskName":        structpb.NewStringValue(producer),
	}})
}
