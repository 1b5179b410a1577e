package onnx

import (
	"fmt"
	"slices"
)

// axes are those of an attribute, or of an input since a later version of the operator; nil if neither is there.
func (c *compiler) axes(n *node, in []*value, at int) ([]int64, error) {
	if len(in) > at && in[at] != nil {
		return c.ints(in[at], "axes")
	}
	return n.ints("axes")
}

func buildIdentity(c *compiler, n *node, in []*value) ([]*value, error) {
	v, err := input(in, 0)
	if err != nil {
		return nil, err
	}
	return []*value{c.alias(v, v.dims, v.axis)}, nil
}

// buildReshape keeps the order of a row's elements: the rows may move only past axes of length 1.
func buildReshape(c *compiler, n *node, in []*value) ([]*value, error) {
	v, err := input(in, 0)
	if err != nil {
		return nil, err
	}
	shape, err := input(in, 1, int64s)
	if err != nil {
		return nil, err
	}
	sizes, err := c.ints(shape, "the shape")
	if err != nil {
		return nil, err
	}
	zero, err := n.int("allowzero", 0)
	if err != nil {
		return nil, err
	}
	if zero != 0 {
		return nil, fmt.Errorf("attribute allowzero is %d", zero)
	}
	dims, axis, err := reshape(v, sizes, shape.rows)
	if err != nil {
		return nil, fmt.Errorf("%v in the shape %v: %w", v, sizes, err)
	}
	return []*value{c.alias(v, dims, axis)}, nil
}

func reshape(v *value, sizes []int64, rows []bool) (dims []int, axis int, err error) {
	if len(sizes) > maxRank {
		return nil, 0, fmt.Errorf("%d dimensions", len(sizes))
	}
	axis, open, rest := -1, -1, 1
	dims = make([]int, len(sizes))
	for i, s := range sizes {
		switch {
		case rows != nil && rows[i], s == 0 && i == v.axis && v.axis >= 0:
			if axis >= 0 {
				return nil, 0, fmt.Errorf("the rows stand there twice")
			}
			axis, dims[i] = i, 1
		case s == 0 && i < len(v.dims):
			dims[i] = v.dims[i]
		case s == -1 && open < 0:
			open, dims[i] = i, 1
		case s < 1 || s > maxWidth:
			return nil, 0, fmt.Errorf("size %d is %d", i, s)
		default:
			dims[i] = int(s)
		}
		if rest *= dims[i]; rest > maxWidth {
			return nil, 0, fmt.Errorf("too many elements")
		}
	}
	if open >= 0 && axis < 0 && !v.constant() {
		axis = open
	} else if open >= 0 && rest > 0 {
		dims[open] = v.width() / rest
	}
	switch {
	case product(dims) != v.width():
		return nil, 0, fmt.Errorf("another number of elements")
	case v.constant() && axis >= 0:
		return nil, 0, fmt.Errorf("a constant has no rows")
	case v.constant():
		return dims, -1, nil
	case axis < 0:
		return nil, 0, fmt.Errorf("no axis is left for the rows")
	case product(dims[:axis]) != product(v.dims[:v.axis]):
		return nil, 0, fmt.Errorf("it mixes rows")
	}
	return dims, axis, nil
}

func buildSqueeze(c *compiler, n *node, in []*value) ([]*value, error) {
	v, err := input(in, 0)
	if err != nil {
		return nil, err
	}
	axes, err := c.axes(n, in, 1)
	if err != nil {
		return nil, err
	}
	drop := make([]bool, len(v.dims))
	for _, a := range axes {
		at, err := withoutRows(v, a)
		if err != nil {
			return nil, err
		}
		if v.dims[at] != 1 {
			return nil, fmt.Errorf("axis %d of %v is not 1 long", at, v)
		}
		drop[at] = true
	}
	var dims []int
	axis := -1
	for d, size := range v.dims {
		if drop[d] || axes == nil && size == 1 && d != v.axis {
			continue
		}
		if d == v.axis {
			axis = len(dims)
		}
		dims = append(dims, size)
	}
	return []*value{c.alias(v, dims, axis)}, nil
}

func buildUnsqueeze(c *compiler, n *node, in []*value) ([]*value, error) {
	v, err := input(in, 0)
	if err != nil {
		return nil, err
	}
	axes, err := c.axes(n, in, 1)
	if err != nil {
		return nil, err
	}
	rank := len(v.dims) + len(axes)
	if rank > maxRank {
		return nil, fmt.Errorf("%d dimensions", rank)
	}
	dims := make([]int, rank)
	for _, a := range axes {
		at, err := axisOf(a, rank)
		if err != nil || dims[at] != 0 {
			return nil, fmt.Errorf("axes %v for %v", axes, v)
		}
		dims[at] = -1
	}
	axis, from := -1, 0
	for d := range dims {
		if dims[d] == -1 {
			dims[d] = 1
			continue
		}
		if from == v.axis {
			axis = d
		}
		dims[d] = v.dims[from]
		from++
	}
	return []*value{c.alias(v, dims, axis)}, nil
}

func buildFlatten(c *compiler, n *node, in []*value) ([]*value, error) {
	v, err := input(in, 0)
	if err != nil {
		return nil, err
	}
	axis, err := n.int("axis", 1)
	if err != nil {
		return nil, err
	}
	if axis < 0 {
		axis += int64(len(v.dims))
	}
	if axis < 0 || axis > int64(len(v.dims)) {
		return nil, fmt.Errorf("axis %d of %v", axis, v)
	}
	a := int(axis)
	dims := []int{product(v.dims[:a]), product(v.dims[a:])}
	if v.constant() {
		return []*value{c.alias(v, dims, -1)}, nil
	}
	rows := 0
	if v.axis >= a {
		rows = 1
	}
	if dims[rows] != 1 || product(v.dims[:v.axis]) != product(dims[:rows]) {
		return nil, fmt.Errorf("it mixes the rows of %v", v)
	}
	return []*value{c.alias(v, dims, rows)}, nil
}

func buildShape(c *compiler, n *node, in []*value) ([]*value, error) {
	v, err := input(in, 0)
	if err != nil {
		return nil, err
	}
	if err := n.only(); err != nil {
		return nil, err
	}
	b := newBuffer(int64s, len(v.dims))
	for i, d := range v.dims {
		b.ints[i] = int64(d)
	}
	out, err := c.constantOf(int64s, []int{len(v.dims)}, b)
	if err != nil {
		return nil, err
	}
	if !v.constant() {
		out.rows = make([]bool, len(v.dims))
		out.rows[v.axis] = true
	}
	return []*value{out}, nil
}

func buildTranspose(c *compiler, n *node, in []*value) ([]*value, error) {
	v, err := input(in, 0)
	if err != nil {
		return nil, err
	}
	perm, err := n.ints("perm")
	if err != nil {
		return nil, err
	}
	if perm == nil {
		for d := range v.dims {
			perm = append(perm, int64(d))
		}
		slices.Reverse(perm)
	}
	out, err := c.permute(v, perm)
	return []*value{out}, err
}
