package pipeline

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/kubeflow/pipelines/api/v2alpha1/go/pipelinespec"
)

func itoa(i int) string { return strconv.Itoa(i) }

func chain(names []string) string { return strings.Join(names, " → ") }

// dagLint is the lint of one dag: what its tasks may refer to.
type dagLint struct {
	*linter
	at    place // of the dag's tasks
	outer *pipelinespec.ComponentSpec
	tasks taskMap
}

func (l *linter) dag(at place, c *pipelinespec.ComponentSpec) {
	d := &dagLint{linter: l, at: at.at("dag", "tasks"), outer: c, tasks: c.GetDag().GetTasks()}
	for _, name := range sortedKeys(d.tasks) {
		d.task(name, d.tasks[name])
	}
	d.cycles()
	d.outputs(at.at("dag", "outputs"))
}

// component of a task, nil if it names none.
func (d *dagLint) componentOf(task string) *pipelinespec.ComponentSpec {
	return d.spec.GetComponents()[d.tasks[task].GetComponentRef().GetName()]
}

func (d *dagLint) task(name string, t *taskSpec) {
	at := d.at.at(name)
	c := d.componentOf(name)
	if c == nil {
		ref := t.GetComponentRef().GetName()
		d.add(at.at("componentRef", "name"), "component", got(ref)+" names no component", oneOf(ref, sortedKeys(d.spec.GetComponents())))
	}
	for i, dep := range t.GetDependentTasks() {
		if d.tasks[dep] == nil {
			d.add(at.at("dependentTasks", itoa(i)), "task", got(dep)+" names no task of this dag", oneOf(dep, sortedKeys(d.tasks)))
		}
	}
	d.parameters(at.at("inputs", "parameters"), t, c)
	d.artifacts(at.at("inputs", "artifacts"), t, c)
	d.iterator(at, t, c)
	if c != nil {
		d.required(at.at("inputs"), t, c)
	}
	if cond := t.GetTriggerPolicy().GetCondition(); cond != "" {
		d.condition(at.at("triggerPolicy", "condition"), cond, t, c)
	}
	if s := t.GetTriggerPolicy().GetStrategy(); pipelinespec.PipelineTaskSpec_TriggerPolicy_TriggerStrategy_name[int32(s)] == "" {
		d.add(at.at("triggerPolicy", "strategy"), "enum", got(s.String()), "ALL_UPSTREAM_TASKS_SUCCEEDED or ALL_UPSTREAM_TASKS_COMPLETED")
	}
	if r := t.GetRetryPolicy(); r.GetMaxRetryCount() < 0 || r.GetBackoffFactor() < 0 || r.GetBackoffDuration().AsDuration() < 0 {
		d.add(at.at("retryPolicy"), "range", "a negative number", "counts, factors and durations from 0 up")
	}
}

// producer checks that a task is there, is waited for, and has the output. field is the key's name in the spec.
func (d *dagLint) producer(at place, t *taskSpec, name, field, key string, outputsOf func(*pipelinespec.ComponentSpec) []string) {
	if d.tasks[name] == nil {
		d.add(at.at("producerTask"), "task", got(name)+" names no task of this dag", oneOf(name, sortedKeys(d.tasks)))
		return
	}
	if t != nil && !slices.Contains(t.GetDependentTasks(), name) {
		d.add(at.at("producerTask"), "order", got(name)+" is not among the dependentTasks", got(name)+" in them")
	}
	c := d.componentOf(name)
	if c == nil || field == "" {
		return
	}
	if outputs := outputsOf(c); !slices.Contains(outputs, key) {
		d.add(at.at(field), "output", got(key)+" is no output of task "+name, oneOf(key, outputs))
	}
}

func parameterOutputs(c *pipelinespec.ComponentSpec) []string {
	return sortedKeys(c.GetOutputDefinitions().GetParameters())
}

func artifactOutputs(c *pipelinespec.ComponentSpec) []string {
	return sortedKeys(c.GetOutputDefinitions().GetArtifacts())
}

// required finds inputs of the component that the task does not give and that have no default.
func (d *dagLint) required(at place, t *taskSpec, c *pipelinespec.ComponentSpec) {
	items := []string{t.GetParameterIterator().GetItemInput(), t.GetArtifactIterator().GetItemInput()}
	params := c.GetInputDefinitions().GetParameters()
	for _, name := range sortedKeys(params) {
		p := params[name]
		if t.GetInputs().GetParameters()[name] == nil && !p.GetIsOptional() && p.GetDefaultValue() == nil && !slices.Contains(items, name) {
			d.add(at.at("parameters", name), "missing", "nothing", "a value: "+t.GetComponentRef().GetName()+" needs it")
		}
	}
	arts := c.GetInputDefinitions().GetArtifacts()
	for _, name := range sortedKeys(arts) {
		if t.GetInputs().GetArtifacts()[name] == nil && !arts[name].GetIsOptional() && !slices.Contains(items, name) {
			d.add(at.at("artifacts", name), "missing", "nothing", "an artifact: "+t.GetComponentRef().GetName()+" needs it")
		}
	}
}

func (d *dagLint) iterator(at place, t *taskSpec, c *pipelinespec.ComponentSpec) {
	if n := t.GetIteratorPolicy().GetParallelismLimit(); n < 0 {
		d.add(at.at("iteratorPolicy", "parallelismLimit"), "range", itoa(int(n)), "0 (no limit) or more")
	}
	if it := t.GetParameterIterator(); it != nil {
		at := at.at("parameterIterator")
		if in := sortedKeys(c.GetInputDefinitions().GetParameters()); c != nil && !slices.Contains(in, it.GetItemInput()) {
			d.add(at.at("itemInput"), "item", got(it.GetItemInput())+" is no input of the loop's component", oneOf(it.GetItemInput(), in))
		}
		switch items := it.GetItems().GetKind().(type) {
		case *pipelinespec.ParameterIteratorSpec_ItemsSpec_InputParameter:
			if in := t.GetInputs().GetParameters(); in[items.InputParameter] == nil {
				d.add(at.at("items", "inputParameter"), "input", got(items.InputParameter)+" is no input of the task", oneOf(items.InputParameter, sortedKeys(in)))
			}
		case *pipelinespec.ParameterIteratorSpec_ItemsSpec_Raw:
			var list []any
			if err := json.Unmarshal([]byte(items.Raw), &list); err != nil {
				d.add(at.at("items", "raw"), "type", got(items.Raw), "a JSON array")
			}
		default:
			d.add(at.at("items"), "missing", "nothing", "inputParameter or raw")
		}
	}
	if it := t.GetArtifactIterator(); it != nil {
		at := at.at("artifactIterator")
		if in := sortedKeys(c.GetInputDefinitions().GetArtifacts()); c != nil && !slices.Contains(in, it.GetItemInput()) {
			d.add(at.at("itemInput"), "item", got(it.GetItemInput())+" is no input of the loop's component", oneOf(it.GetItemInput(), in))
		}
		if in := t.GetInputs().GetArtifacts(); in[it.GetItems().GetInputArtifact()] == nil {
			name := it.GetItems().GetInputArtifact()
			d.add(at.at("items", "inputArtifact"), "input", got(name)+" is no input of the task", oneOf(name, sortedKeys(in)))
		}
	}
}

// cycles finds tasks that wait for themselves, by dependentTasks or by their inputs.
func (d *dagLint) cycles() {
	var path []string
	done := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		if i := slices.Index(path, name); i >= 0 {
			d.add(d.at.at(name), "cycle", "waits for itself: "+chain(append(path[i:len(path):len(path)], name)), "no cycle")
			return
		}
		if done[name] || d.tasks[name] == nil {
			return
		}
		path = append(path, name)
		for _, up := range Upstream(d.tasks[name]) {
			visit(up)
		}
		path, done[name] = path[:len(path)-1], true
	}
	for _, name := range sortedKeys(d.tasks) {
		visit(name)
	}
}

// Upstream is the sorted names of the tasks that a task waits for: its dependentTasks and the producers of its inputs.
func Upstream(t *pipelinespec.PipelineTaskSpec) []string {
	up := map[string]bool{}
	for _, name := range t.GetDependentTasks() {
		up[name] = true
	}
	for _, in := range t.GetInputs().GetParameters() {
		up[in.GetTaskOutputParameter().GetProducerTask()] = true
		up[in.GetTaskFinalStatus().GetProducerTask()] = true
	}
	for _, in := range t.GetInputs().GetArtifacts() {
		up[in.GetTaskOutputArtifact().GetProducerTask()] = true
	}
	delete(up, "")
	return sortedKeys(up)
}

// outputs checks what the dag hands out against its tasks and against its own declarations.
func (d *dagLint) outputs(at place) {
	outs := d.outer.GetDag().GetOutputs()
	declared := d.outer.GetOutputDefinitions()
	for _, name := range sortedKeys(outs.GetParameters()) {
		here, o := at.at("parameters", name), outs.GetParameters()[name]
		if declared.GetParameters()[name] == nil {
			d.add(here, "output", "is not declared in outputDefinitions", oneOf(name, sortedKeys(declared.GetParameters())))
		}
		selectors := o.GetValueFromOneof().GetParameterSelectors()
		if one := o.GetValueFromParameter(); one != nil {
			selectors = append(selectors[:0:0], one)
		}
		if len(selectors) == 0 {
			d.add(here, "missing", "nothing", "valueFromParameter or valueFromOneof")
		}
		for _, s := range selectors {
			d.subtask(here, s.GetProducerSubtask(), "outputParameterKey", s.GetOutputParameterKey(), parameterOutputs)
		}
	}
	for _, name := range sortedKeys(outs.GetArtifacts()) {
		here := at.at("artifacts", name)
		if declared.GetArtifacts()[name] == nil {
			d.add(here, "output", "is not declared in outputDefinitions", oneOf(name, sortedKeys(declared.GetArtifacts())))
		}
		for _, s := range outs.GetArtifacts()[name].GetArtifactSelectors() {
			d.subtask(here, s.GetProducerSubtask(), "outputArtifactKey", s.GetOutputArtifactKey(), artifactOutputs)
		}
	}
	for _, name := range sortedKeys(declared.GetParameters()) {
		if outs.GetParameters()[name] == nil {
			d.add(at.at("parameters", name), "missing", "nothing", "a value: outputDefinitions declare it")
		}
	}
}

func (d *dagLint) subtask(at place, name, field, key string, outputsOf func(*pipelinespec.ComponentSpec) []string) {
	if d.tasks[name] == nil {
		d.add(at.at("producerSubtask"), "task", got(name)+" names no task of this dag", oneOf(name, sortedKeys(d.tasks)))
		return
	}
	d.producer(at, nil, name, field, key, outputsOf)
}
