package onnx

import (
	"fmt"
	"slices"
)

// value is what an edge of the graph carries: for each row a small tensor of dims, where the axis of the rows counts 1; or
// a constant, whose axis is -1.
type value struct {
	kind kind
	dims []int
	axis int
	buf  int // its place among the buffers of a state

	rows   []bool   // of a constant shape: the elements that stand for the number of rows
	matrix bool     // it is the engine's whole matrix in float32
	origin []int32  // of texts: the column of the matrix that each element is, -1 for others; nil where it is not known
	labels []string // of probabilities: the classes by column, where they are known
}

// width is the number of elements of a row, or of the constant.
func (v *value) width() int { return product(v.dims) }

func (v *value) constant() bool { return v.axis < 0 }

func product(dims []int) int {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return n
}

// String is the shape as people write it, N for the rows.
func (v *value) String() string {
	s := v.kind.String() + "["
	for i, d := range v.dims {
		if i > 0 {
			s += ","
		}
		if i == v.axis {
			s += "N"
		} else {
			s += fmt.Sprint(d)
		}
	}
	return s + "]"
}

// state is the working memory of one goroutine.
type state struct {
	bufs    []buffer
	own     []any // of steps that need more than buffers
	x       []float64
	refused []Refusal
}

// Refusal is a row that a graph does not score, as the runtime would end the whole call, and why.
type Refusal struct {
	Row    int
	Reason string
}

// refuse notes that a row of the block cannot be scored.
func (s *state) refuse(row int, reason string) {
	s.refused = append(s.refused, Refusal{row, reason})
}

// step computes one value for a block of rows.
type step func(s *state, rows int)

// isMatrix is whether the values are all inputs in their order, each float: what puts them side by side is the matrix.
func (c *compiler) isMatrix(vs []*value) bool {
	if len(vs) != len(c.inputs) {
		return false
	}
	for i, v := range vs {
		if v.kind != float || v.buf != c.inputs[i].buf {
			return false
		}
	}
	return true
}

// compiler turns the nodes of a graph into steps.
type compiler struct {
	opsets       map[string]int64
	values       map[string]*value
	bufs         []buffer // of constants; empty for others
	kinds        []kind
	widths       []int
	fixed        []bool // constants
	steps        []step
	own          []func(rows int) any
	left         int                // elements that may still be asked for, so that a small file cannot ask for much memory
	wanted       map[string]bool    // names that a node that is needed, or the result, asks for
	inputs       []*value           // of the graph
	wides        map[int]*shared    // by buffer
	keys         map[int32][]string // by column: the texts that encoders know
	inexact      bool               // some step adds up in another order than the runtime may
	ensembles    []*ensemble
	trees, nodes int // of all ensembles
}

// spend takes n elements from what the file may ask for.
func (c *compiler) spend(n int) error {
	if n < 0 || n > c.left {
		return fmt.Errorf("it needs %d numbers, more than a file of this size may ask for", n)
	}
	c.left -= n
	return nil
}

// make adds a value with a buffer of its own.
func (c *compiler) make(k kind, dims []int, axis int) (*value, error) {
	width := 1
	for _, d := range dims {
		if width *= max(d, 1); width > maxWidth || d < 0 {
			return nil, fmt.Errorf("a shape of %v", dims)
		}
	}
	if len(dims) > maxRank {
		return nil, fmt.Errorf("%d dimensions, at most %d are read", len(dims), maxRank)
	}
	v := &value{kind: k, dims: slices.Clone(dims), axis: axis, buf: len(c.bufs)}
	if err := c.spend(v.width()); err != nil {
		return nil, err
	}
	c.bufs = append(c.bufs, buffer{})
	c.kinds = append(c.kinds, k)
	c.widths = append(c.widths, v.width())
	c.fixed = append(c.fixed, false)
	return v, nil
}

// constantOf adds a constant that is there already.
func (c *compiler) constantOf(k kind, dims []int, b buffer) (*value, error) {
	v, err := c.make(k, dims, -1)
	if err != nil {
		return nil, err
	}
	c.bufs[v.buf], c.fixed[v.buf] = b, true
	return v, nil
}

// alias is the same numbers in another shape.
func (c *compiler) alias(v *value, dims []int, axis int) *value {
	return &value{kind: v.kind, dims: slices.Clone(dims), axis: axis, buf: v.buf, rows: v.rows, matrix: v.matrix, labels: v.labels, origin: v.origin}
}

func (c *compiler) step(s step) { c.steps = append(c.steps, s) }

// scratch asks for working memory of a step's own, and gives its place in state.own.
func (c *compiler) scratch(make func(rows int) any) int {
	c.own = append(c.own, make)
	return len(c.own) - 1
}

// newState makes room for blocks of up to rows rows.
func (c *compiler) newState(rows int) *state {
	s := &state{bufs: slices.Clone(c.bufs)}
	for i := range s.bufs {
		if !c.fixed[i] {
			s.bufs[i] = newBuffer(c.kinds[i], rows*c.widths[i])
		}
	}
	for _, make := range c.own {
		s.own = append(s.own, make(rows))
	}
	return s
}

// ints are the numbers of a constant of whole numbers.
func (c *compiler) ints(v *value, what string) ([]int64, error) {
	if !v.constant() || v.kind != int64s && v.kind != int32s {
		return nil, fmt.Errorf("%s is %v, expected whole numbers that do not depend on the rows", what, v)
	}
	return c.bufs[v.buf].ints, nil
}

// element is what a tensor holds.
type element interface {
	float32 | float64 | int64 | string
}

// vec is the list of a buffer.
func vec[T element](b *buffer) []T {
	var list any
	switch any(*new(T)).(type) {
	case float32:
		list = &b.floats
	case float64:
		list = &b.doubles
	case int64:
		list = &b.ints
	default:
		list = &b.texts
	}
	return *list.(*[]T)
}

// stride is how far a value's rows lie apart: 0 for a constant.
func (v *value) stride() int {
	if v.constant() {
		return 0
	}
	return v.width()
}
