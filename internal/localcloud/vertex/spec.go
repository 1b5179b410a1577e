package vertex

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"github.com/kubeflow/pipelines/api/v2alpha1/go/pipelinespec"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"
)

// plan is a spec made ready for execution: references followed, expressions compiled, cycles excluded.
type plan struct {
	name string
	root *component
}

// component is one entry of the spec's components. It has tasks or an executor.
type component struct {
	name     string
	spec     *pipelinespec.ComponentSpec
	tasks    []*task // of a dag, by name
	executor *pipelinespec.PipelineDeploymentConfig_ExecutorSpec
}

// task is one task of a dag.
type task struct {
	name      string
	spec      *pipelinespec.PipelineTaskSpec
	component *component
	upstream  []string               // dependentTasks and producers
	condition cel.Program            // nil: always
	selectors map[string]cel.Program // of input parameters
}

// completed says that the task runs whatever its upstream tasks came to: an exit task.
func (t *task) completed() bool {
	return t.spec.GetTriggerPolicy().GetStrategy() == pipelinespec.PipelineTaskSpec_TriggerPolicy_ALL_UPSTREAM_TASKS_COMPLETED
}

// decodeSpec reads the struct of a job strictly.
func decodeSpec(s *structpb.Struct) (*pipelinespec.PipelineSpec, error) {
	data, err := protojson.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("pipeline_spec: %w", err)
	}
	spec := &pipelinespec.PipelineSpec{}
	if err := protojson.Unmarshal(data, spec); err != nil {
		return nil, fmt.Errorf("pipeline_spec: %w", err)
	}
	return spec, nil
}

// decodeDeployment reads the executors. Unknown fields pass: newer compilers write some that the types do not know.
func decodeDeployment(s *structpb.Struct) (*pipelinespec.PipelineDeploymentConfig, error) {
	data, err := protojson.Marshal(s)
	if err != nil {
		return nil, err
	}
	d := &pipelinespec.PipelineDeploymentConfig{}
	err = protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(data, d)
	return d, err
}

// compiler follows a spec's references once.
type compiler struct {
	spec       *pipelinespec.PipelineSpec
	exprs      *expressions
	executors  map[string]*pipelinespec.PipelineDeploymentConfig_ExecutorSpec
	components map[string]*component // nil while it is being compiled
	problems   []error
}

// compile makes the plan of a spec. Its errors are all that would keep the engine from running the spec.
func (e *expressions) compile(spec *pipelinespec.PipelineSpec) (*plan, error) {
	if spec.GetRoot().GetDag() == nil {
		return nil, errors.New("root is not a dag")
	}
	d, err := decodeDeployment(spec.DeploymentSpec)
	if err != nil {
		return nil, fmt.Errorf("deploymentSpec: %w", err)
	}
	c := &compiler{spec: spec, exprs: e, executors: d.Executors, components: map[string]*component{}}
	root := c.component("root", spec.Root)
	if len(c.problems) > 0 {
		return nil, errors.Join(c.problems...)
	}
	return &plan{name: spec.GetPipelineInfo().GetName(), root: root}, nil
}

func (c *compiler) say(format string, args ...any) {
	c.problems = append(c.problems, fmt.Errorf(format, args...))
}

func (c *compiler) component(name string, spec *pipelinespec.ComponentSpec) *component {
	comp := &component{name: name, spec: spec}
	for _, key := range outputKeys(spec.GetOutputDefinitions()) {
		if !filepath.IsLocal(key) || strings.ContainsAny(key, `/\`) {
			c.say("%s: output %q cannot be a file name", name, key)
		}
	}
	if dag := spec.GetDag(); dag != nil {
		for _, t := range slices.Sorted(maps.Keys(dag.Tasks)) {
			comp.tasks = append(comp.tasks, c.task(name, t, dag))
		}
		c.cycles(comp)
		return comp
	}
	label := spec.GetExecutorLabel()
	comp.executor = c.executors[label]
	switch comp.executor.GetSpec().(type) {
	case *pipelinespec.PipelineDeploymentConfig_ExecutorSpec_Container, *pipelinespec.PipelineDeploymentConfig_ExecutorSpec_Importer:
	case nil:
		c.say("%s: executorLabel %q names no executor", name, label)
	default:
		c.say("%s: executor %q is neither a container nor an importer, others do not run here", name, label)
	}
	return comp
}

func outputKeys(o *pipelinespec.ComponentOutputsSpec) []string {
	keys := slices.Collect(maps.Keys(o.GetParameters()))
	keys = slices.AppendSeq(keys, maps.Keys(o.GetArtifacts()))
	slices.Sort(keys)
	return keys
}

func (c *compiler) task(in, name string, dag *pipelinespec.DagSpec) *task {
	spec := dag.Tasks[name]
	t := &task{name: name, spec: spec, component: &component{}, selectors: map[string]cel.Program{}}
	place := in + ": task " + name
	if name == "" || strings.ContainsAny(name, ".\x00/") {
		c.say("%s: a task name has no dot, slash or zero byte", place)
	}
	ref := spec.GetComponentRef().GetName()
	if comp, seen := c.components[ref]; seen && comp == nil {
		c.say("%s: component %q contains itself", place, ref)
	} else if seen {
		t.component = comp
	} else if def := c.spec.Components[ref]; def == nil {
		c.say("%s: componentRef %q names no component", place, ref)
	} else {
		c.components[ref] = nil
		t.component = c.component(ref, def)
		c.components[ref] = t.component
	}
	for _, up := range producers(spec) {
		if dag.Tasks[up] == nil {
			c.say("%s: %q names no task of this dag", place, up)
			continue
		}
		t.upstream = append(t.upstream, up)
	}
	c.expressions(place, t)
	return t
}

func (c *compiler) expressions(place string, t *task) {
	if cond := t.spec.GetTriggerPolicy().GetCondition(); cond != "" {
		p, err := c.exprs.condition(cond)
		if err != nil {
			c.say("%s: condition %q: %w", place, cond, err)
		}
		t.condition = p
	}
	params := t.spec.GetInputs().GetParameters()
	for _, k := range slices.Sorted(maps.Keys(params)) {
		sel := params[k].GetParameterExpressionSelector()
		if sel == "" {
			continue
		}
		p, err := c.exprs.selector(sel)
		if err != nil {
			c.say("%s: input %s: parameterExpressionSelector %q: %w", place, k, sel, err)
		}
		t.selectors[k] = p
	}
}

// producers are the tasks that a task waits for, each once and sorted.
func producers(spec *pipelinespec.PipelineTaskSpec) []string {
	all := slices.Clone(spec.GetDependentTasks())
	for _, p := range spec.GetInputs().GetParameters() {
		all = append(all, p.GetTaskOutputParameter().GetProducerTask(), p.GetTaskFinalStatus().GetProducerTask())
	}
	for _, a := range spec.GetInputs().GetArtifacts() {
		all = append(all, a.GetTaskOutputArtifact().GetProducerTask())
	}
	all = slices.DeleteFunc(all, func(s string) bool { return s == "" })
	slices.Sort(all)
	return slices.Compact(all)
}

// cycles refuses tasks that would wait for each other for ever.
func (c *compiler) cycles(comp *component) {
	const (
		entered = 1
		left    = 2
	)
	byName := map[string]*task{}
	for _, t := range comp.tasks {
		byName[t.name] = t
	}
	seen := map[string]int{}
	var visit func(*task) bool
	visit = func(t *task) bool {
		switch seen[t.name] {
		case entered:
			return false
		case left:
			return true
		}
		seen[t.name] = entered
		for _, up := range t.upstream {
			if !visit(byName[up]) {
				return false
			}
		}
		seen[t.name] = left
		return true
	}
	for _, t := range comp.tasks {
		if !visit(t) {
			c.say("%s: task %q waits for itself", comp.name, t.name)
			return
		}
	}
}
