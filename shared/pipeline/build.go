package pipeline

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/kubeflow/pipelines/api/v2alpha1/go/pipelinespec"
)

var (
	taskName  = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)
	valueName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,127}$`)
)

// New starts a pipeline. The name is checked by Spec; it is the pipelineInfo's name.
func New(name, description string) *Builder {
	b := &Builder{name: name, description: description}
	b.root = newDag(b, "root", nil)
	return b
}

func newDag(b *Builder, name string, t *Task) *Dag {
	return &Dag{b: b, name: name, task: t, imported: map[*Value]*Value{}, names: map[string]*Value{}}
}

// Root is the outermost scope.
func (b *Builder) Root() *Dag { return b.root }

// Parameter declares a parameter of the whole pipeline that each run must give.
func (b *Builder) Parameter(name string, t Type) *Value {
	return b.root.declare(&Value{scope: b.root, key: name, typ: t})
}

// Optional declares a parameter of the whole pipeline that is def when a run does not give it.
func (b *Builder) Optional(name string, t Type, def any) *Value {
	return b.root.declare(&Value{scope: b.root, key: name, typ: t, def: def, hasDef: true})
}

// Const is a value fixed in the spec. v is a string, bool, int, float64, []any or map[string]any.
func Const(v any) *Value {
	t := pipelinespec.ParameterType_PARAMETER_TYPE_ENUM_UNSPECIFIED
	switch v.(type) {
	case string:
		t = String
	case bool:
		t = Boolean
	case int:
		t = Integer
	case float64:
		t = Double
	case []any:
		t = List
	case map[string]any:
		t = Struct
	}
	return &Value{typ: t, constant: v}
}

func (b *Builder) fail(format string, args ...any) {
	b.errs = append(b.errs, fmt.Errorf(format, args...))
}

func (d *Dag) declare(v *Value) *Value {
	if !valueName.MatchString(v.key) {
		d.b.fail("%s: input %q: a name is letters, digits, - and _, and starts with no digit", d.name, v.key)
	}
	if d.names[v.key] != nil {
		d.b.fail("%s: input %q is declared twice", d.name, v.key)
	}
	d.names[v.key] = v
	d.inputs = append(d.inputs, v)
	return v
}

func (d *Dag) add(name string, in Inputs) *Task {
	if !taskName.MatchString(name) {
		d.b.fail("%s: task %q: a name is lower case letters, digits and -, and starts with a letter", d.name, name)
	}
	for _, t := range d.tasks {
		if t.name == name {
			d.b.fail("%s: two tasks are called %q", d.name, name)
		}
	}
	t := &Task{parent: d, name: name, inputs: Inputs{}}
	for k, v := range in {
		if v == nil {
			d.b.fail("task %s: input %q has no value", name, k)
			continue
		}
		t.inputs[k] = v
	}
	d.tasks = append(d.tasks, t)
	return t
}

// Task adds a container with its inputs. It is not retried and not cached unless Retry and Cache say so.
func (d *Dag) Task(name string, c Container, in Inputs) *Task {
	t := d.add(name, in)
	t.container = &c
	return t
}

// Group adds a dag: its tasks count as one for what waits for it.
func (d *Dag) Group(name string) *Dag {
	t := d.add(name, nil)
	t.dag = newDag(d.b, name, t)
	return t.dag
}

// When adds a dag that runs only if the CEL condition over the inputs holds: inputs.parameter_values['mode'] == 'x'.
func (d *Dag) When(name, condition string, in Inputs) *Dag {
	g := d.Group(name)
	g.task.condition = condition
	g.give(in)
	return g
}

// ForEach adds a dag that runs once for each element of items, a LIST, at most parallel at once (0 = no limit). Item gives
// the element, called itemName and of the given type.
func (d *Dag) ForEach(name string, items *Value, itemName string, itemType Type, parallel int) *Dag {
	g := d.Group(name)
	if items == nil || items.typ != List || items.schema != "" {
		d.b.fail("loop %s: what it loops over must be a parameter of type LIST", name)
		return g
	}
	g.task.items, g.task.parallel = "items", parallel
	g.give(Inputs{"items": items})
	g.task.item = g.declare(&Value{scope: g, key: itemName, typ: itemType})
	return g
}

// give declares inputs of a dag under the names given; the tasks inside then use them as the values they carry.
func (d *Dag) give(in Inputs) {
	for _, k := range sortedKeys(in) {
		v := in[k]
		if v == nil {
			d.b.fail("task %s: input %q has no value", d.name, k)
			continue
		}
		d.task.inputs[k] = v
		d.imported[v] = d.declare(&Value{scope: d, key: k, typ: v.typ, schema: v.schema, list: v.list})
	}
}

// Item is the element that an iteration of the loop works on.
func (d *Dag) Item() *Value {
	if d.task == nil || d.task.item == nil {
		d.b.fail("%s: is no loop, it has no item", d.name)
		return Const("")
	}
	return d.task.item
}

// Exit adds a container that runs when the dag of is over, whatever became of it. It gets how that ended under the input
// named status, as a PipelineTaskFinalStatus.
func (d *Dag) Exit(name string, of *Dag, status string, c Container, in Inputs) *Task {
	t := d.Task(name, c, in)
	if of == nil || of.task == nil || of.task.parent != d {
		d.b.fail("exit task %s: must stand beside the dag that it waits for", name)
		return t
	}
	t.exit = of.task
	t.inputs[status] = &Value{scope: d, producer: of.task, typ: pipelinespec.ParameterType_TASK_FINAL_STATUS}
	return t
}

// Parameter declares an output parameter of the task and gives it.
func (t *Task) Parameter(key string, typ Type) *Value { return t.output(&Value{key: key, typ: typ}) }

// Artifact declares an output artifact of the task, of a schema title such as system.Dataset, and gives it.
func (t *Task) Artifact(key, schemaTitle string) *Value {
	if schemaTitle == "" {
		t.parent.b.fail("task %s: artifact %q has no schema title, such as system.Dataset", t.name, key)
	}
	return t.output(&Value{key: key, schema: schemaTitle})
}

func (t *Task) output(v *Value) *Value {
	if !valueName.MatchString(v.key) {
		t.parent.b.fail("task %s: output %q: a name is letters, digits, - and _, and starts with no digit", t.name, v.key)
	}
	for _, o := range t.outputs {
		if o.key == v.key {
			t.parent.b.fail("task %s: two outputs are called %q", t.name, v.key)
		}
	}
	v.scope, v.producer = t.parent, t
	t.outputs = append(t.outputs, v)
	return v
}

// Retry makes a failed task run again.
func (t *Task) Retry(r Retry) *Task { t.retry = &r; return t }

// Cache lets the platform answer with the outputs of an earlier execution that had the same inputs.
func (t *Task) Cache() *Task { t.cache = true; return t }

// After makes the task wait for others whose outputs it does not take.
func (t *Task) After(others ...*Task) *Task { t.after = append(t.after, others...); return t }

// AsTask is the dag as a task of the scope around it, for After. The root is none: nil.
func (d *Dag) AsTask() *Task { return d.task }

// Export makes a value from inside the dag visible in the scope around it, as an output of the dag. Out of a loop it is
// the LIST of the iterations' values.
func (d *Dag) Export(key string, v *Value) *Value {
	if d.task == nil || v == nil || v.scope != d || v.producer == nil {
		d.b.fail("%s: output %q must be an output of a task in it", d.name, key)
		return Const("")
	}
	out := d.task.output(&Value{key: key, typ: v.typ, schema: v.schema, list: v.list})
	if d.task.item != nil {
		out.list = v.schema != ""
		if v.schema == "" {
			out.typ = List
		}
	}
	d.exports = append(d.exports, export{out, v})
	return out
}

// Spec compiles the graph and lints it.
func (b *Builder) Spec() (*pipelinespec.PipelineSpec, error) {
	spec := b.compile()
	if len(b.errs) > 0 {
		return nil, errors.Join(b.errs...)
	}
	return spec, Lint(spec)
}
