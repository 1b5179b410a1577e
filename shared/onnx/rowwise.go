package onnx

import (
	"fmt"
	"math"
)

// lines applies f to each line of n floats: a row's elements from an axis on.
func (c *compiler) lines(v *value, n int, f func(x, y []float32)) ([]*value, error) {
	out, err := c.make(float, v.dims, v.axis)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, fmt.Errorf("of nothing")
	}
	from, to, width := v.buf, out.buf, v.width()
	c.step(func(s *state, rows int) {
		x, y := s.bufs[from].floats, s.bufs[to].floats
		for i := 0; i < rows*width; i += n {
			f(x[i:i+n], y[i:i+n])
		}
	})
	return []*value{out}, nil
}

// buildSoftmax works on the last axis since version 13, before on all from an axis on.
func buildSoftmax(c *compiler, n *node, in []*value) ([]*value, error) {
	v, err := input(in, 0, float)
	if err != nil {
		return nil, err
	}
	since := c.opsets[""] >= 13
	otherwise := int64(1)
	if since {
		otherwise = -1
	}
	axis, err := n.int("axis", otherwise)
	if err != nil {
		return nil, err
	}
	a, err := withoutRows(v, axis)
	if err != nil {
		return nil, err
	}
	if since && product(v.dims[a+1:]) != 1 || v.axis > a {
		return nil, fmt.Errorf("along axis %d of %v", a, v)
	}
	return c.lines(v, product(v.dims[a:]), softmax)
}

// softmax is the one of tree ensembles and linear models; the operator's own differs in the last bits.
func softmax(x, y []float32) {
	top := float32(-math.MaxFloat32)
	for _, v := range x {
		if v > top {
			top = v
		}
	}
	var sum float32
	for i, v := range x {
		y[i] = expf(v - top)
		sum += y[i]
	}
	for i := range y {
		y[i] /= sum
	}
}

// softmaxZero leaves out what is nearly 0.
func softmaxZero(x, y []float32) {
	top := float32(-math.MaxFloat32)
	for _, v := range x {
		if v > top {
			top = v
		}
	}
	factor := expf(-top)
	var sum float32
	for i, v := range x {
		if v > 0.0000001 || v < -0.0000001 {
			y[i] = expf(v - top)
			sum += y[i]
		} else {
			y[i] = v * factor
		}
	}
	for i := range y {
		y[i] /= sum
	}
}

func buildLpNormalization(c *compiler, n *node, in []*value) ([]*value, error) {
	v, err := input(in, 0, float)
	if err != nil {
		return nil, err
	}
	axis, err := n.int("axis", -1)
	if err != nil {
		return nil, err
	}
	p, err := n.int("p", 2)
	if err != nil {
		return nil, err
	}
	a, err := withoutRows(v, axis)
	if err != nil {
		return nil, err
	}
	if product(v.dims[a+1:]) != 1 || v.axis > a || p != 1 && p != 2 {
		return nil, fmt.Errorf("of degree %d along axis %d of %v", p, a, v)
	}
	return c.lines(v, v.dims[a], func(x, y []float32) { lpNormalize(x, y, p == 2) })
}

func lpNormalize(x, y []float32, squares bool) {
	var sum float32
	for _, v := range x {
		if squares {
			sum += float32(v * v)
		} else {
			sum += abs(v)
		}
	}
	if squares {
		sum = sqrtf(sum)
	}
	for i, v := range x {
		y[i] = 0
		if sum != 0 {
			y[i] = v / sum
		}
	}
}

// buildNormalizer divides each row by its norm; a row of norm 0 stays as it is.
func buildNormalizer(c *compiler, n *node, in []*value) ([]*value, error) {
	v, err := c.floats(in, 0)
	if err != nil {
		return nil, err
	}
	if err := n.only("norm"); err != nil {
		return nil, err
	}
	norm, err := n.choice("norm", "MAX", "MAX", "L1", "L2")
	if err != nil {
		return nil, err
	}
	if v.axis != 0 || len(v.dims) != 2 {
		return nil, fmt.Errorf("of %v, expected a table of rows", v)
	}
	out, err := c.lines(v, v.width(), []func(x, y []float32){normalizeMost, normalizeL1, normalizeL2}[norm])
	if err == nil {
		out[0].labels = v.labels
	}
	return out, err
}

// floats is an input as float32, which the runtime's older operators turn all numbers into.
func (c *compiler) floats(in []*value, i int) (*value, error) {
	v, err := input(in, i, float, double, int64s, int32s)
	if err != nil {
		return nil, err
	}
	return c.cast(v, float)
}

func normalizeMost(x, y []float32) {
	top := float32(-math.MaxFloat32)
	for _, v := range x {
		if top < v {
			top = v
		}
	}
	divide(x, y, top)
}

func normalizeL1(x, y []float32) {
	var sum float32
	for _, v := range x {
		sum += abs(v)
	}
	divide(x, y, sum)
}

func divide(x, y []float32, by float32) {
	if by == 0 {
		by = 1
	}
	for i, v := range x {
		y[i] = v / by
	}
}

func normalizeL2(x, y []float32) {
	var sum float32
	for _, v := range x {
		sum += float32(v * v)
	}
	for i, v := range x {
		switch {
		case sum == 0:
			y[i] = v
		case v < 0:
			y[i] = -sqrtf(float32(v*v) / sum)
		default:
			y[i] = sqrtf(float32(v*v) / sum)
		}
	}
}
