package vertex_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"github.com/goccy/go-yaml"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"
)

// pipeline reads a spec in short form. In a component, `run: [action…]` makes it a container of the test step with
// these actions, `in: {name: TYPE}` and `out: {name: TYPE}` declare parameters, `optional: {name: TYPE}` optional ones,
// and env, resources and image go to the container.
func pipeline(t *testing.T, text string) *structpb.Struct {
	t.Helper()
	var spec map[string]any
	if err := yaml.Unmarshal([]byte(text), &spec); err != nil {
		t.Fatalf("spec: %v", err)
	}
	executors := map[string]any{}
	if d, ok := spec["deploymentSpec"].(map[string]any); ok {
		executors = d["executors"].(map[string]any)
	}
	components, _ := spec["components"].(map[string]any)
	for name, c := range components {
		lengthen(name, c.(map[string]any), executors)
	}
	lengthen("root", spec["root"].(map[string]any), executors)
	spec["deploymentSpec"] = map[string]any{"executors": executors}
	spec["schemaVersion"] = "2.1.0"
	if spec["pipelineInfo"] == nil {
		spec["pipelineInfo"] = map[string]any{"name": "test"}
	}
	b, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	s := &structpb.Struct{}
	if err := protojson.Unmarshal(b, s); err != nil {
		t.Fatal(err)
	}
	return s
}

func lengthen(name string, c, executors map[string]any) {
	take := func(key string) any { v := c[key]; delete(c, key); return v }
	definitions := func(key string) map[string]any {
		d, _ := c[key].(map[string]any)
		if d == nil {
			d = map[string]any{}
			c[key] = d
		}
		p, _ := d["parameters"].(map[string]any)
		if p == nil {
			p = map[string]any{}
			d["parameters"] = p
		}
		return p
	}
	for short, long := range map[string]string{"in": "inputDefinitions", "optional": "inputDefinitions", "out": "outputDefinitions"} {
		types, _ := take(short).(map[string]any)
		for k, v := range types {
			d := map[string]any{"parameterType": v}
			if short == "optional" {
				d["isOptional"] = true
			}
			definitions(long)[k] = d
		}
	}
	run, ok := take("run").([]any)
	if !ok {
		return
	}
	image := take("image")
	if image == nil {
		image = stepRepo + ":v1@sha256:abc"
	}
	container := map[string]any{
		"image": image, "command": []any{"/ko-app/step"}, "args": append([]any{"--executor_input", "{{$}}"}, run...),
	}
	for _, k := range []string{"env", "resources", "command"} {
		if v := take(k); v != nil {
			container[k] = v
		}
	}
	c["executorLabel"] = "exec-" + name
	executors["exec-"+name] = map[string]any{"container": container}
}

// request is a valid request for a spec.
func request(id string, spec *structpb.Struct, params map[string]any) *aiplatformpb.CreatePipelineJobRequest {
	values, err := structpb.NewStruct(params)
	if err != nil {
		panic(err) // a constant of a test
	}
	return &aiplatformpb.CreatePipelineJobRequest{
		Parent: parent, PipelineJobId: id, PipelineJob: &aiplatformpb.PipelineJob{
			DisplayName: "a test", PipelineSpec: spec,
			RuntimeConfig: &aiplatformpb.PipelineJob_RuntimeConfig{GcsOutputDirectory: "gs://artifacts/root", ParameterValues: values.Fields},
		},
	}
}

func jobName(id string) string { return parent + "/pipelineJobs/" + id }

// sharedSpec reads a spec of the reference that lies beside the repository, or skips.
func sharedSpec(t *testing.T, name string) *structpb.Struct {
	t.Helper()
	dir := os.Getenv("MILLRACE_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "shared")
	}
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Skipf("the reference is not here: %v", err)
	}
	j, err := yaml.YAMLToJSON(b)
	if err != nil {
		t.Fatal(err)
	}
	s := &structpb.Struct{}
	if err := protojson.Unmarshal(j, s); err != nil {
		t.Fatal(err)
	}
	return s
}
