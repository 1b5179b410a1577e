package onnx

import (
	"fmt"
	"slices"
	"strings"
)

// op is an operator that is read.
type op struct {
	least, most int // inputs; most -1 for any number
	build       func(c *compiler, n *node, in []*value) ([]*value, error)
}

// ops are the operators by domain and name.
var ops = map[string]map[string]op{"": standard, "ai.onnx.ml": learned}

// opsets are the versions that are read, by domain.
var opsets = map[string][2]int64{"": {7, 25}, "ai.onnx.ml": {1, 5}}

// where names a node in an error.
func (n *node) where(i int) string {
	domain := n.domain
	if domain == "" {
		domain = "ai.onnx"
	}
	return fmt.Sprintf("node %d %.60q (%.60s of %.60s)", i, n.name, n.op, domain)
}

// checkNodes refuses what is not read, also where no result depends on it.
func (f *file) checkNodes() error {
	for i := range f.nodes {
		n := &f.nodes[i]
		o, ok := ops[n.domain][n.op]
		if !ok {
			return fmt.Errorf("%s: the operator is not read%s", n.where(i), advice(n.op))
		}
		version, ok := f.opsets[n.domain]
		if known := opsets[n.domain]; !ok || version < known[0] && n.op != "Identity" || version > known[1] {
			return fmt.Errorf("%s: opset_import has version %d of its domain; this reader knows %d to %d", n.where(i), version, known[0], known[1])
		}
		if len(n.inputs) < o.least || o.most >= 0 && len(n.inputs) > o.most || len(n.outputs) == 0 {
			return fmt.Errorf("%s: %d inputs and %d outputs", n.where(i), len(n.inputs), len(n.outputs))
		}
	}
	return nil
}

// shapers are the operators that may see the number of rows, which shapes are made of.
var shapers = []string{"Shape", "Gather", "Slice", "Concat", "Squeeze", "Unsqueeze", "Identity", "Cast", "Reshape", "ConstantOfShape", "Expand"}

// approximate are the operators that the runtime computes in an order, or with functions, that depend on the machine or on
// the number of rows.
var approximate = []string{"Exp", "Gemm", "LinearClassifier", "LinearRegressor", "Log", "LpNormalization", "MatMul", "Pow", "ReduceL1", "ReduceL2",
	"ReduceLogSumExp", "ReduceMean", "ReduceProd", "ReduceSum", "ReduceSumSquare", "Sigmoid", "Softmax", "Tanh"}

func advice(op string) string {
	if strings.HasPrefix(op, "SVM") {
		return ": support vector machines are not scored; use a tree ensemble or a linear model"
	}
	return ""
}

// define gives a value its name, which must be new.
func (c *compiler) define(name string, v *value) error {
	if _, twice := c.values[name]; twice {
		return fmt.Errorf("%.60q is defined twice", name)
	}
	c.values[name] = v
	return nil
}

// needed marks the nodes that the outputs depend on, and the names that they ask for.
func (f *file) needed(outputs []string) ([]bool, map[string]bool, error) {
	from := map[string]int{}
	for i := range f.nodes {
		for _, name := range f.nodes[i].outputs {
			if _, twice := from[name]; twice && name != "" {
				return nil, nil, fmt.Errorf("%s: its output %.60q is also another's", f.nodes[i].where(i), name)
			}
			from[name] = i
		}
	}
	delete(from, "")
	need, wanted := make([]bool, len(f.nodes)), map[string]bool{}
	for queue := slices.Clone(outputs); len(queue) > 0; {
		name := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		wanted[name] = true
		if i, ok := from[name]; ok && !need[i] {
			need[i] = true
			queue = append(queue, f.nodes[i].inputs...)
		}
	}
	return need, wanted, nil
}

// compile builds the steps of the nodes that are needed. Nodes that depend on no input are computed at once.
func (c *compiler) compile(f *file, need []bool) error {
	for i := range f.nodes {
		n := &f.nodes[i]
		if !need[i] {
			continue
		}
		in := make([]*value, len(n.inputs))
		constant := true
		for k, name := range n.inputs {
			if name == "" {
				continue
			}
			v, ok := c.values[name]
			if !ok {
				return fmt.Errorf("%s: its input %.60q is not defined before it", n.where(i), name)
			}
			if v.rows != nil && !slices.Contains(shapers, n.op) {
				return fmt.Errorf("%s: it calculates with the number of rows", n.where(i))
			}
			in[k] = v
			constant = constant && v.constant()
		}
		c.inexact = c.inexact || slices.Contains(approximate, n.op)
		firstStep, firstBuf, firstOwn := len(c.steps), len(c.bufs), len(c.own)
		out, err := ops[n.domain][n.op].build(c, n, in)
		if err != nil {
			return place(n.where(i), err)
		}
		if constant && !slices.ContainsFunc(out, func(v *value) bool { return !v.constant() }) {
			if err := c.fold(firstStep, firstBuf, firstOwn); err != nil {
				return place(n.where(i), err)
			}
		}
		for k, name := range n.outputs {
			if name == "" || k >= len(out) {
				continue
			}
			if err := c.define(name, out[k]); err != nil {
				return place(n.where(i), err)
			}
		}
	}
	return nil
}

// fold runs the steps from firstStep on, whose inputs are all constants, and makes constants of their results.
func (c *compiler) fold(firstStep, firstBuf, firstOwn int) error {
	if firstStep == len(c.steps) {
		return nil
	}
	s := &state{bufs: c.bufs, own: make([]any, len(c.own))}
	for i := firstBuf; i < len(c.bufs); i++ {
		if !c.fixed[i] {
			c.bufs[i], c.fixed[i] = newBuffer(c.kinds[i], c.widths[i]), true
		}
	}
	for i := firstOwn; i < len(s.own); i++ {
		s.own[i] = c.own[i](1)
	}
	for _, run := range c.steps[firstStep:] {
		run(s, 1)
	}
	c.steps = c.steps[:firstStep]
	if len(s.refused) > 0 {
		return fmt.Errorf("%s", s.refused[0].Reason)
	}
	return nil
}

// input is the value of an input of the node, which must be there and of one of the kinds.
func input(in []*value, i int, kinds ...kind) (*value, error) {
	if i >= len(in) || in[i] == nil {
		return nil, fmt.Errorf("input %d is missing", i)
	}
	if len(kinds) > 0 && !slices.Contains(kinds, in[i].kind) {
		return nil, fmt.Errorf("input %d is of %s, expected %v", i, in[i].kind, kinds)
	}
	return in[i], nil
}
