package pipeline

import (
	"regexp"
	"slices"

	"github.com/kubeflow/pipelines/api/v2alpha1/go/pipelinespec"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/millrace-ml/millrace/shared/fault"
)

var pipelineName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,127}$`)

type (
	executorSpec = pipelinespec.PipelineDeploymentConfig_ExecutorSpec
	taskSpec     = pipelinespec.PipelineTaskSpec
	taskMap      = map[string]*taskSpec
)

// linter checks one spec. Decoding as protobuf accepts most of what is checked here: names are plain strings to it.
type linter struct {
	problems
	spec      *pipelinespec.PipelineSpec
	executors map[string]*executorSpec
	cel       *conditions
}

// Lint finds what would make a pipeline be refused or fail only while it runs: references to things that do not exist,
// producers that nobody waits for, cycles, conditions and placeholders that cannot be evaluated, and what the API server
// checks. All problems come at once, each with its place; nil means none.
func Lint(spec *pipelinespec.PipelineSpec) error {
	if spec == nil {
		return fault.New(fault.Invalid, nil, "pipeline: is empty, expected a pipeline spec")
	}
	l := &linter{spec: spec, cel: &conditions{}}
	l.header()
	l.deployment()
	if spec.GetRoot() != nil {
		l.component(place{"root"}, spec.GetRoot())
	}
	for _, name := range sortedKeys(spec.GetComponents()) {
		l.component(place{"components", name}, spec.GetComponents()[name])
	}
	l.recursion()
	return l.err("pipeline " + spec.GetPipelineInfo().GetName())
}

// header has the API server's own checks.
func (l *linter) header() {
	info := l.spec.GetPipelineInfo()
	if !pipelineName.MatchString(info.GetName()) {
		l.add(place{"pipelineInfo", "name"}, "name", got(info.GetName()), "a name that matches "+pipelineName.String())
	}
	for field, text := range map[string]string{"displayName": info.GetDisplayName(), "description": info.GetDescription()} {
		if len(text) > 1024 {
			l.add(place{"pipelineInfo", field}, "length", "a text over 1024 bytes", "at most 1024")
		}
	}
	if v := l.spec.GetSchemaVersion(); v != SchemaVersion {
		l.add(place{"schemaVersion"}, "version", got(v), got(SchemaVersion))
	}
	switch root := l.spec.GetRoot(); {
	case root == nil:
		l.add(place{"root"}, "missing", "nothing", "a dag of tasks")
	case len(root.GetDag().GetTasks()) == 0:
		l.add(place{"root", "dag", "tasks"}, "missing", "nothing", "at least one task")
	}
}

// deployment checks the executors, which the spec carries as an untyped Struct, against their own message.
func (l *linter) deployment() {
	at := place{"deploymentSpec"}
	d, err := deployment(l.spec)
	if err != nil {
		before := len(l.list)
		checkShape(&l.problems, at, d.ProtoReflect().Descriptor(), l.spec.GetDeploymentSpec().AsMap(), true)
		if len(l.list) == before {
			l.add(at, "type", err.Error(), "a PipelineDeploymentConfig")
		}
	}
	l.executors = d.GetExecutors()
	for _, name := range sortedKeys(l.executors) {
		l.executor(at.at("executors", name), l.executors[name])
	}
}

func (l *linter) executor(at place, e *executorSpec) {
	if e.GetSpec() == nil {
		l.add(at, "missing", "nothing", "a container or an importer")
		return
	}
	c := e.GetContainer()
	if c == nil {
		return
	}
	at = at.at("container")
	if c.GetImage() == "" {
		l.add(at.at("image"), "missing", "nothing", "the name of an image")
	}
	if r := c.GetResources(); r.GetCpuLimit() < 0 || r.GetMemoryLimit() < 0 || r.GetAccelerator().GetCount() < 0 {
		l.add(at.at("resources"), "range", "a negative number", "cores, gigabytes and counts from 0 up")
	}
	for i, env := range c.GetEnv() {
		if env.GetName() == "" {
			l.add(at.at("env", itoa(i), "name"), "missing", "nothing", "the name of a variable")
		}
	}
}

func (l *linter) component(at place, c *pipelinespec.ComponentSpec) {
	l.definitions(at, c)
	switch impl := c.GetImplementation().(type) {
	case *pipelinespec.ComponentSpec_ExecutorLabel:
		e, ok := l.executors[impl.ExecutorLabel]
		if !ok {
			l.add(at.at("executorLabel"), "executor", got(impl.ExecutorLabel)+" names no executor",
				oneOf(impl.ExecutorLabel, sortedKeys(l.executors)))
			return
		}
		l.placeholders(place{"deploymentSpec", "executors", impl.ExecutorLabel}, e, c)
	case *pipelinespec.ComponentSpec_Dag:
		l.dag(at, c)
	default:
		l.add(at, "missing", "neither executorLabel nor dag", "one of them")
	}
}

// definitions checks the declared inputs and outputs themselves.
func (l *linter) definitions(at place, c *pipelinespec.ComponentSpec) {
	const unspecified = pipelinespec.ParameterType_PARAMETER_TYPE_ENUM_UNSPECIFIED
	in := c.GetInputDefinitions().GetParameters()
	for _, name := range sortedKeys(in) {
		here, p := at.at("inputDefinitions", "parameters", name), in[name]
		l.parameterType(here, p.GetParameterType())
		if v := p.GetDefaultValue(); v != nil && p.GetParameterType() != unspecified && !hasType(v, p.GetParameterType()) {
			l.add(here.at("defaultValue"), "type", gotValue(v), "a "+p.GetParameterType().String())
		}
	}
	out := c.GetOutputDefinitions().GetParameters()
	for _, name := range sortedKeys(out) {
		l.parameterType(at.at("outputDefinitions", "parameters", name), out[name].GetParameterType())
	}
}

// parameterType refuses the zero value and numbers that no version of the enum has; a decoder accepts both.
func (l *linter) parameterType(at place, t Type) {
	if _, known := pipelinespec.ParameterType_ParameterTypeEnum_name[int32(t)]; !known || t == 0 {
		var names []string
		for n := range int32(len(pipelinespec.ParameterType_ParameterTypeEnum_name) - 1) {
			names = append(names, pipelinespec.ParameterType_ParameterTypeEnum_name[n+1])
		}
		l.add(at.at("parameterType"), "enum", got(t.String()), oneOf("", names))
	}
}

// recursion finds components that contain themselves: the platform would unfold them without end.
func (l *linter) recursion() {
	var path []string
	done := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		if i := slices.Index(path, name); i >= 0 {
			l.add(place{"components", name}, "cycle", "contains itself: "+chain(append(path[i:len(path):len(path)], name)), "no cycle")
			return
		}
		if done[name] {
			return
		}
		path = append(path, name)
		tasks := l.spec.GetComponents()[name].GetDag().GetTasks()
		for _, t := range sortedKeys(tasks) {
			visit(tasks[t].GetComponentRef().GetName())
		}
		path, done[name] = path[:len(path)-1], true
	}
	for _, name := range sortedKeys(l.spec.GetComponents()) {
		visit(name)
	}
}

// hasType says whether a value can be a parameter of type t.
func hasType(v *structpb.Value, t Type) bool {
	switch k := v.GetKind().(type) {
	case *structpb.Value_NumberValue:
		whole := k.NumberValue == float64(int64(k.NumberValue))
		return t == Double || t == Integer && whole
	case *structpb.Value_StringValue:
		return t == String
	case *structpb.Value_BoolValue:
		return t == Boolean
	case *structpb.Value_ListValue:
		return t == List
	case *structpb.Value_StructValue:
		return t == Struct || t == pipelinespec.ParameterType_TASK_FINAL_STATUS
	}
	return false
}

func gotValue(v *structpb.Value) string { return got(v.AsInterface()) }
