package onnx

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/forest"
)

// Model is a compiled graph. It never changes, so any number of goroutines may use it, each with a Scratch of its own.
type Model struct {
	info    forest.Info
	c       *compiler
	columns []Column
	result  []*value
	block   int // rows at once
	bound   *binding
}

// Column is a column of the graph's inputs.
type Column struct {
	Name  string // of the input; "" for a column of an input of several
	Text  bool   // takes strings
	Whole bool   // takes whole numbers or truth values, and so nothing that is missing
}

// Sniff is whether data is, by its fields, a ModelProto with a graph.
func Sniff(data []byte) bool {
	ir, graph := false, false
	err := fields(data, func(m *message) error {
		switch {
		case m.num == 1 && m.typ == protowire.VarintType:
			ir = true
		case m.num == 7 && m.typ == protowire.BytesType:
			graph = true
		case m.num > 26:
			return fmt.Errorf("field %d", m.num)
		}
		return nil
	})
	return err == nil && ir && graph
}

// Read reads and compiles a graph. It refuses what it does not know by name. An error is fault.Invalid and names the node,
// and of trees the tree, the node and the field.
func Read(data []byte) (*Model, error) {
	if len(data) > maxBytes {
		return nil, fault.New(fault.Invalid, nil, "onnx model: %d bytes, at most %d MiB are read", len(data), maxBytes>>20)
	}
	if len(data) > 1 && data[0] == 0x80 && data[1] <= 5 {
		return nil, fault.New(fault.Invalid, nil, "onnx model: it is a pickle, which is not read: load it in Python and write "+
			"skl2onnx.to_onnx(model, X[:1]).SerializeToString() to a file, or call from_sklearn of python/millrace_export.py")
	}
	m, err := read(data)
	if err != nil {
		return nil, fault.New(fault.Invalid, nil, "onnx model: %v", err)
	}
	return m, nil
}

func read(data []byte) (*Model, error) {
	f, err := parseFile(data)
	if err != nil {
		return nil, err
	}
	if err := f.checkNodes(); err != nil {
		return nil, err
	}
	outputs, err := f.results()
	if err != nil {
		return nil, err
	}
	need, wanted, err := f.needed(outputs)
	if err != nil {
		return nil, err
	}
	c := &compiler{opsets: f.opsets, values: map[string]*value{}, wanted: wanted, keys: map[int32][]string{}, wides: map[int]*shared{}, left: len(data) + 1<<16}
	m := &Model{c: c}
	if err := m.constants(f); err != nil {
		return nil, err
	}
	if err := m.inputs(f); err != nil {
		return nil, err
	}
	if err := c.compile(f, need); err != nil {
		return nil, err
	}
	if err := m.results(outputs); err != nil {
		return nil, err
	}
	m.describe(f, need)
	return m, nil
}

// constants takes the initializers. Their numbers stay in the file until a node asks for them by name, but a list of them
// may not be longer than the file.
func (m *Model) constants(f *file) error {
	for i := range f.tensors {
		t := &f.tensors[i]
		if !m.c.wanted[t.name] {
			continue
		}
		v, err := m.c.constantOf(t.kind, t.dims, t.data())
		if err == nil {
			err = m.c.define(t.name, v)
		}
		if err != nil {
			return fmt.Errorf("initializer %.60q: %w", t.name, err)
		}
	}
	return nil
}

// inputs makes values of the graph's inputs: rows of one column each, or of several.
func (m *Model) inputs(f *file) error {
	constants := map[string]bool{}
	for i := range f.tensors {
		constants[f.tensors[i].name] = true
	}
	for _, p := range f.inputs {
		if constants[p.name] {
			continue // older files list initializers too
		}
		if err := m.input(&p); err != nil {
			return fmt.Errorf("input %.60q: %w", p.name, err)
		}
	}
	if len(m.columns) == 0 {
		return fmt.Errorf("the graph has no inputs")
	}
	if len(m.c.inputs) == 1 && m.c.inputs[0].kind == float {
		m.c.inputs[0].matrix = true
	}
	return nil
}

// input makes the value of one input, and its columns.
func (m *Model) input(p *port) error {
	if p.kind == 0 {
		return fmt.Errorf("it is a %s of elements of type %d: expected a tensor of float, double, int32, int64, bool or string", p.what, p.elem)
	}
	width := 1
	if len(p.dims) == 2 {
		width = p.dims[1]
	}
	if len(p.dims) < 1 || len(p.dims) > 2 || width < 1 {
		return fmt.Errorf("it has the shape %v: expected rows of a known number of columns; convert with [None, N] and the number", p.dims)
	}
	if len(m.columns)+width > forest.MaxFeatures {
		return fmt.Errorf("more than %d columns", forest.MaxFeatures)
	}
	dims := make([]int, len(p.dims))
	dims[0], dims[len(dims)-1] = 1, width
	v, err := m.c.make(p.kind, dims, 0)
	if err != nil {
		return err
	}
	if err := m.c.define(p.name, v); err != nil {
		return err
	}
	m.c.inputs = append(m.c.inputs, v)
	for range width {
		if p.kind == texts {
			v.origin = append(v.origin, int32(len(m.columns)))
		}
		m.info.FeatureTypes = append(m.info.FeatureTypes, p.kind.String())
		column := Column{Text: p.kind == texts, Whole: p.kind == int64s || p.kind == int32s || p.kind == bools}
		if width == 1 {
			column.Name = p.name
		}
		m.columns = append(m.columns, column)
	}
	return nil
}

// results are the names of the outputs that hold the model's numbers: probabilities, where there is an output of that
// name; else all of float or double; else all of whole numbers. What ZipMap gives counts as float.
func (f *file) results() ([]string, error) {
	var real, whole, all []string
	zips := map[string]bool{}
	for i := range f.nodes {
		if n := &f.nodes[i]; n.op == "ZipMap" {
			zips[n.outputs[0]] = true
		}
	}
	for _, p := range f.outputs {
		switch {
		case p.name == "probabilities" || p.name == "output_probability":
			return []string{p.name}, nil
		case zips[p.name] || p.kind == float || p.kind == double:
			real = append(real, p.name)
		case p.kind == int64s || p.kind == int32s || p.kind == bools:
			whole = append(whole, p.name)
		}
		if len(all) == 20 {
			continue
		}
		all = append(all, fmt.Sprintf("%.60q (%s of %s)", p.name, p.what, p.kind))
	}
	switch {
	case real != nil:
		return real, nil
	case whole != nil:
		return whole, nil
	}
	return nil, fmt.Errorf("no output is a tensor of numbers: there are %s; convert with probabilities, or with labels that are numbers", strings.Join(all, ", "))
}

// results finds the values of the outputs.
func (m *Model) results(names []string) error {
	total := 0
	for _, name := range names {
		v, ok := m.c.values[name]
		switch {
		case !ok:
			return fmt.Errorf("output %.60q: no node gives it", name)
		case v.constant():
			return fmt.Errorf("output %.60q does not depend on the inputs", name)
		case v.kind == texts:
			return fmt.Errorf("output %.60q is of strings, expected numbers", name)
		case v.width() == 0:
			return fmt.Errorf("output %.60q is empty", name)
		}
		m.result = append(m.result, v)
		total += v.width()
	}
	if total > forest.MaxMargins {
		return fmt.Errorf("%d outputs, at most %d are read", total, forest.MaxMargins)
	}
	m.info.Outputs, m.info.Margins = total, total
	if len(m.result) == 1 && len(m.result[0].labels) == total {
		m.info.Classes = m.result[0].labels
	}
	return nil
}

// describe fills the Info and chooses the size of blocks.
func (m *Model) describe(f *file, need []bool) {
	m.info.Format, m.info.Features, m.info.BestIteration = "onnx", len(m.columns), -1
	m.info.Version = strings.TrimSpace(fmt.Sprintf("%.60s %.60s", f.producer, f.version))
	if m.info.Version == "" {
		m.info.Version = fmt.Sprintf("opset %d", f.opsets[""])
	}
	m.info.Trees, m.info.Nodes = m.c.trees, m.c.nodes
	m.info.Categorical, m.info.Categories = make([]bool, len(m.columns)), make([][]string, len(m.columns))
	for i := range f.nodes {
		if n := &f.nodes[i]; need[i] && (m.info.Objective == "" || strings.HasPrefix(n.op, "Tree") || strings.HasPrefix(n.op, "Linear")) {
			m.info.Objective = n.op
		}
	}
	names := make([]string, len(m.columns))
	named := true
	for i, c := range m.columns {
		names[i], named = c.Name, named && c.Name != ""
		m.info.Categorical[i] = c.Text
		m.info.Categories[i] = m.c.keys[int32(i)]
	}
	if named && len(m.columns) > 1 {
		m.info.FeatureNames = names
	}
	for _, v := range append(slices.Clone(m.result), m.c.inputs...) {
		m.info.Float64 = m.info.Float64 || v.kind == double
	}
	total := 0
	for _, w := range m.c.widths {
		total += w
	}
	m.block = max(1, min(64, blockNumbers/max(total, 1)))
}

// blockNumbers of all values of a block's rows stay in the second-level cache.
const blockNumbers = 32 << 10

// Info describes the model. FeatureNames is set when all inputs are single columns; Categories has the texts that encoders
// know of inputs of strings, which Bind does not ask for; Classes are those whose probabilities the outputs are.
func (m *Model) Info() forest.Info { return m.info }

// Columns are the columns of the graph's inputs, in order.
func (m *Model) Columns() []Column { return m.columns }

// Exact is whether the runtime defines every bit of the result; else a few units in the last place are open.
func (m *Model) Exact() bool { return !m.c.inexact }
