package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/kubeflow/pipelines/api/v2alpha1/go/pipelinespec"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/millrace-ml/millrace/shared/fault"
)

// maxSpec bounds the YAML of a pipeline. Specs that the KFP SDK compiles are below 100 kB; embedded Python is the largest part.
const maxSpec = 4 << 20

// Encode writes a spec as YAML with sorted keys: equal specs give equal bytes, so that a digest of them names the content.
func Encode(spec *pipelinespec.PipelineSpec) ([]byte, error) {
	j, err := protojson.Marshal(spec)
	if err != nil {
		return nil, fmt.Errorf("encode pipeline: %w", err)
	}
	var v any // through a map: protojson varies its blanks, and the encoder sorts a map's keys
	if err := json.Unmarshal(j, &v); err != nil {
		return nil, fmt.Errorf("encode pipeline: %w", err)
	}
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("encode pipeline: %w", err)
	}
	if err := e.Close(); err != nil {
		return nil, fmt.Errorf("encode pipeline: %w", err)
	}
	return b.Bytes(), nil
}

// Decode reads a spec from YAML or JSON: ours, or what the KFP SDK compiled. Of several documents the first counts, the
// second is for Kubernetes only. name stands before each problem, all of which are reported at once.
func Decode(name string, data []byte) (*pipelinespec.PipelineSpec, error) {
	j, v, err := toJSON(name, data)
	if err != nil {
		return nil, err
	}
	spec := &pipelinespec.PipelineSpec{}
	err = protojson.Unmarshal(j, spec)
	if err == nil {
		return spec, nil
	}
	// protojson stops at the first problem and counts bytes of JSON that nobody wrote: say it in terms of the file.
	var p problems
	checkShape(&p, nil, spec.ProtoReflect().Descriptor(), v, false)
	if e := p.err(name); e != nil {
		return nil, e
	}
	return nil, fault.New(fault.Invalid, err, "%s: is no pipeline spec", name)
}

// deployment decodes the executors of a spec, which the spec holds as an untyped Struct. Fields newer than the pinned types
// (resourceCpuLimit …) are passed over: they are for the platform, not for us.
func deployment(spec *pipelinespec.PipelineSpec) (*pipelinespec.PipelineDeploymentConfig, error) {
	out := &pipelinespec.PipelineDeploymentConfig{}
	if spec.GetDeploymentSpec() == nil {
		return out, nil
	}
	j, err := protojson.Marshal(spec.GetDeploymentSpec())
	if err != nil {
		return nil, err
	}
	return out, (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(j, out)
}

// Executors gives the typed executors of a spec by their label, for what runs or shows a pipeline.
func Executors(spec *pipelinespec.PipelineSpec) (map[string]*pipelinespec.PipelineDeploymentConfig_ExecutorSpec, error) {
	d, err := deployment(spec)
	if err != nil {
		return nil, fmt.Errorf("decode deploymentSpec: %w", err)
	}
	return d.GetExecutors(), nil
}

// toJSON gives the first YAML document as JSON and as Go values.
func toJSON(name string, data []byte) ([]byte, any, error) {
	if len(data) > maxSpec {
		return nil, nil, fault.New(fault.TooLarge, nil, "%s: has %d bytes, a pipeline has at most %d", name, len(data), maxSpec)
	}
	var v any
	if err := yaml.NewDecoder(bytes.NewReader(data)).Decode(&v); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil, fault.New(fault.Invalid, nil, "%s: is empty, expected a pipeline spec", name)
		}
		return nil, nil, fault.New(fault.Invalid, nil, "%s: %v", name, err)
	}
	v, err := plain(v)
	if err != nil {
		return nil, nil, fault.New(fault.Invalid, nil, "%s: %v", name, err)
	}
	if _, ok := v.(map[string]any); !ok {
		return nil, nil, fault.New(fault.Invalid, nil, "%s: is no mapping, expected a pipeline spec", name)
	}
	j, err := json.Marshal(v)
	if err != nil { // NaN and infinities
		return nil, nil, fault.New(fault.Invalid, nil, "%s: %v", name, err)
	}
	return j, v, nil
}

// plain turns what YAML allows and JSON does not (keys that are no strings) into JSON's terms.
func plain(v any) (any, error) {
	var err error
	switch x := v.(type) {
	case map[string]any:
		for k, e := range x {
			if x[k], err = plain(e); err != nil {
				return nil, err
			}
		}
	case map[any]any:
		out := make(map[string]any, len(x))
		for k, e := range x {
			var key string
			switch k := k.(type) {
			case string:
				key = k
			case int:
				key = strconv.Itoa(k)
			case bool:
				key = strconv.FormatBool(k)
			default:
				return nil, fmt.Errorf("key %v is a %T, expected a string", k, k)
			}
			if out[key], err = plain(e); err != nil {
				return nil, err
			}
		}
		return out, nil
	case []any:
		for i, e := range x {
			if x[i], err = plain(e); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}
