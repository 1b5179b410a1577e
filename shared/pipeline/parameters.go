package pipeline

import (
	"encoding/json"
	"fmt"

	"github.com/kubeflow/pipelines/api/v2alpha1/go/pipelinespec"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"
)

// Parameters that a release gives, to pipelines that declare them: where the run came from.
const (
	ParamSpecDigest = "spec_digest" // digest of the pipeline's YAML
	ParamCommit     = "commit"      // source revision
)

// runTypes are the parameters that whoever starts a run gives, to pipelines that declare them.
var runTypes = map[string]Type{
	"run_id": String, "model": String, "key": String, "project": String, "region": String, "database": String,
	"staging": String, "outbox": String, "model_uri": String, "model_digest": String, "dataset": Struct,
}

// RunParameters keeps of a run's own values (run_id, dataset and so on) those that the pipeline declares.
func RunParameters(spec *pipelinespec.PipelineSpec, values map[string]any) map[string]any {
	out := map[string]any{}
	declared := spec.GetRoot().GetInputDefinitions().GetParameters()
	for name, v := range values {
		if _, ok := declared[name]; ok {
			out[name] = v
		}
	}
	return out
}

// checkRelease is CheckParameters at the release, when a run's own values are not known yet: examples stand for them.
func checkRelease(spec *pipelinespec.PipelineSpec, fixed map[string]any) error {
	values := map[string]any{}
	for name, t := range runTypes {
		values[name] = ""
		if t == Struct {
			values[name] = map[string]any{}
		}
	}
	values = RunParameters(spec, values)
	for name, v := range fixed {
		values[name] = v
	}
	return CheckParameters(spec, values)
}

// Parameters gives the names of the parameters that a pipeline declares, for callers that give a run's own values only to
// the pipelines that ask for them.
func Parameters(spec *pipelinespec.PipelineSpec) map[string]Type {
	out := map[string]Type{}
	for name, p := range spec.GetRoot().GetInputDefinitions().GetParameters() {
		out[name] = p.GetParameterType()
	}
	return out
}

// CheckParameters says whether a pipeline can be started with these values: every name declared, every type right, every
// value there that has no default. All problems come at once. Values are what encoding/json can write; numbers are doubles.
func CheckParameters(spec *pipelinespec.PipelineSpec, values map[string]any) error {
	var p problems
	declared := spec.GetRoot().GetInputDefinitions().GetParameters()
	for _, name := range sortedKeys(values) {
		at, want := place{"parameters", name}, declared[name]
		if want == nil {
			p.add(at, "unknown", "is no parameter of the pipeline", oneOf(name, sortedKeys(declared)))
			continue
		}
		v, err := parameterValue(values[name])
		switch {
		case err != nil:
			p.add(at, "type", err.Error(), "a value that JSON can hold")
		case !hasType(v, want.GetParameterType()):
			p.add(at, "type", gotValue(v), "a "+want.GetParameterType().String())
		}
	}
	for _, name := range sortedKeys(declared) {
		if _, given := values[name]; !given && declared[name].GetDefaultValue() == nil && !declared[name].GetIsOptional() {
			p.add(place{"parameters", name}, "missing", "nothing", "a "+declared[name].GetParameterType().String())
		}
	}
	artifacts := spec.GetRoot().GetInputDefinitions().GetArtifacts()
	for _, name := range sortedKeys(artifacts) {
		if !artifacts[name].GetIsOptional() {
			p.add(place{"artifacts", name}, "missing", "the pipeline takes an artifact", "parameters only: a run has no artifacts to give")
		}
	}
	return p.err("pipeline " + spec.GetPipelineInfo().GetName())
}

// parameterValue is a Go value as the API takes it. It goes through JSON, so structs are what their tags say.
func parameterValue(v any) (*structpb.Value, error) {
	j, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	out := &structpb.Value{}
	if err := protojson.Unmarshal(j, out); err != nil {
		return nil, err
	}
	return out, nil
}

func parameterValues(values map[string]any) (map[string]*structpb.Value, error) {
	out := make(map[string]*structpb.Value, len(values))
	for name, v := range values {
		value, err := parameterValue(v)
		if err != nil {
			return nil, fmt.Errorf("encode parameter %s: %w", name, err)
		}
		out[name] = value
	}
	return out, nil
}
