package vertex

import (
	"fmt"

	"github.com/kubeflow/pipelines/api/v2alpha1/go/pipelinespec"
	"google.golang.org/protobuf/types/known/structpb"
)

// outputs are the outputs of a dag whose tasks are finished. One that no task gave is absent.
func (s *scope) outputs() (*values, error) {
	out := newValues()
	spec := s.component.spec.GetDag().GetOutputs()
	for k, p := range spec.GetParameters() {
		var found []*structpb.Value
		selectors := []*pipelinespec.DagOutputsSpec_ParameterSelectorSpec{p.GetValueFromParameter()}
		if one := p.GetValueFromOneof(); one != nil {
			selectors = one.GetParameterSelectors()
		}
		for _, sel := range selectors {
			if v := s.produced(sel.GetProducerSubtask()).params[sel.GetOutputParameterKey()]; v != nil {
				found = append(found, v)
			}
		}
		if len(found) > 1 {
			return nil, fmt.Errorf("output %s: %d tasks gave the value of which only one may", k, len(found))
		}
		if len(found) == 1 {
			out.params[k] = found[0]
		}
	}
	for k, a := range spec.GetArtifacts() {
		for _, sel := range a.GetArtifactSelectors() {
			out.arts[k] = append(out.arts[k], s.produced(sel.GetProducerSubtask()).arts[sel.GetOutputArtifactKey()]...)
		}
	}
	return out, nil
}

// produced are the outputs of a finished task of this dag, empty if it gave none.
func (s *scope) produced(name string) *values {
	if res := s.results[name]; res != nil && res.out != nil {
		return res.out
	}
	return newValues()
}
