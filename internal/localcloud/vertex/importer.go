package vertex

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kubeflow/pipelines/api/v2alpha1/go/pipelinespec"
	"google.golang.org/protobuf/types/known/structpb"
)

// importer gives an existing URI to the pipeline as an artifact. There is no metadata store, so each import makes a new
// one, whatever reimport says.
func (r *run) importer(t *task, rec *record, in *values, spec *pipelinespec.PipelineDeploymentConfig_ImporterSpec) outcome {
	if !r.begin(rec, in) {
		return outcome{state: interrupted}
	}
	keys := slices.Collect(maps.Keys(t.component.spec.GetOutputDefinitions().GetArtifacts()))
	if len(keys) != 1 {
		return r.fail(rec, fmt.Errorf("an importer has one output artifact, this has %d", len(keys)))
	}
	uri := constant(spec.GetArtifactUri(), in).GetStringValue()
	lookup := r.lookup(t, rec, in, nil)
	uri, err := expand(uri, lookup)
	if err != nil {
		return r.fail(rec, fmt.Errorf("artifactUri: %w", err))
	}
	if uri == "" {
		return r.fail(rec, fmt.Errorf("the importer's artifactUri is empty"))
	}
	a := &pipelinespec.RuntimeArtifact{Name: r.artifactName(rec, keys[0]), Uri: uri, Type: spec.GetTypeSchema()}
	if m := spec.GetMetadata(); m != nil {
		v, err := mapStrings(structpb.NewStructValue(m), func(s string) (string, error) { return expand(s, lookup) })
		if err != nil {
			return r.fail(rec, fmt.Errorf("metadata: %w", err))
		}
		a.Metadata = v.GetStructValue()
	}
	out := newValues()
	out.arts[keys[0]] = []*pipelinespec.RuntimeArtifact{a}
	return r.end(rec, outcome{state: taskSucceeded, out: out}, change{})
}

// artifactName is the resource name of an output of one attempt.
func (r *run) artifactName(rec *record, key string) string {
	return r.name.parent + "/metadataStores/default/artifacts/" + strings.Join([]string{rec.id(), fmt.Sprint(rec.attempt), key}, "-")
}
