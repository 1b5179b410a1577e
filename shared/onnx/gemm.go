package onnx

import (
	"fmt"
	"slices"
)

func buildMatMul(c *compiler, _ *node, in []*value) ([]*value, error) {
	v, err := input(in, 0, float)
	if err != nil {
		return nil, err
	}
	w, err := input(in, 1, float)
	if err != nil {
		return nil, err
	}
	if w.constant() && len(w.dims) == 1 && len(v.dims) == 2 { // a list: the axis goes
		out, err := c.multiply(v, &product32{k: w.dims[0], m: 1, weights: c.bufs[w.buf].floats})
		if err != nil {
			return nil, err
		}
		return []*value{c.alias(out, []int{1}, 0)}, nil
	}
	if !w.constant() || len(w.dims) != 2 || len(v.dims) != 2 {
		return nil, fmt.Errorf("%v by %v, expected rows by a constant table", v, w)
	}
	out, err := c.multiply(v, &product32{k: w.dims[0], m: w.dims[1], weights: c.bufs[w.buf].floats})
	return []*value{out}, err
}

func buildGemm(c *compiler, n *node, in []*value) ([]*value, error) {
	v, err := input(in, 0, float)
	if err != nil {
		return nil, err
	}
	w, err := input(in, 1, float)
	if err != nil {
		return nil, err
	}
	if err := n.only("alpha", "beta", "transA", "transB"); err != nil {
		return nil, err
	}
	alpha, err := n.float("alpha", 1)
	if err != nil {
		return nil, err
	}
	beta, err := n.float("beta", 1)
	if err != nil {
		return nil, err
	}
	turnA, err := n.int("transA", 0)
	if err != nil {
		return nil, err
	}
	turnB, err := n.int("transB", 0)
	if err != nil {
		return nil, err
	}
	if !w.constant() || len(w.dims) != 2 || turnA != 0 || alpha != 1 || beta != 1 {
		return nil, fmt.Errorf("%v by %v with alpha %v, beta %v, transA %d: expected rows by a constant table, 1, 1 and 0", v, w, alpha, beta, turnA)
	}
	p := &product32{k: w.dims[0], m: w.dims[1], weights: c.bufs[w.buf].floats}
	if turnB != 0 {
		p = &product32{k: w.dims[1], m: w.dims[0], weights: transposed(p.weights, w.dims[0], w.dims[1])}
	}
	if len(in) > 2 && in[2] != nil {
		start := in[2]
		if !start.constant() || start.kind != float || start.width() != p.m && start.width() != 1 {
			return nil, fmt.Errorf("input C is %v, expected a constant of %d", start, p.m)
		}
		p.start = c.bufs[start.buf].floats
		if len(p.start) != p.m {
			p.start = slices.Repeat(p.start, p.m)
		}
	}
	out, err := c.multiply(v, p)
	return []*value{out}, err
}
