package onnx

import "fmt"

// broadcast is the shape of values that are combined element by element: axes are matched from the last one on, those of
// length 1 are repeated, and the rows of all must lie on the same axis.
func broadcast(vs ...*value) (dims []int, axis int, err error) {
	rank, fromEnd := 0, -1
	for _, v := range vs {
		rank = max(rank, len(v.dims))
		if v.constant() {
			continue
		}
		if at := len(v.dims) - v.axis; fromEnd >= 0 && at != fromEnd {
			return nil, 0, fmt.Errorf("%v with %v: the rows lie on different axes", vs[0], v)
		} else {
			fromEnd = at
		}
	}
	dims, axis = make([]int, rank), -1
	if fromEnd >= 0 {
		axis = rank - fromEnd
	}
	for d := range dims {
		dims[d] = 1
	}
	for _, v := range vs {
		for d, size := range v.dims {
			d += rank - len(v.dims)
			if d == axis && v.constant() && size != 1 {
				return nil, 0, fmt.Errorf("%v with %v: a constant along the rows", vs[0], v)
			}
			if size != 1 && dims[d] != 1 && size != dims[d] {
				return nil, 0, fmt.Errorf("%v with %v", vs[0], v)
			}
			if size != 1 {
				dims[d] = size
			}
		}
	}
	return dims, axis, nil
}

// steps is how far apart the elements of v lie along the axes of a shape that it is repeated to.
func steps(v *value, dims []int) []int {
	out, inner := make([]int, len(dims)), 1
	for d := len(v.dims) - 1; d >= 0; d-- {
		if v.dims[d] != 1 {
			out[d+len(dims)-len(v.dims)] = inner
		}
		inner *= v.dims[d]
	}
	return out
}

// index lists, for each element of the shape, the element of v that stands there; nil when they are the same.
func (c *compiler) index(v *value, dims []int) ([]int32, error) {
	if v.width() == product(dims) {
		return nil, nil
	}
	m, err := c.strided(dims, steps(v, dims))
	if err != nil {
		return nil, err
	}
	var out []int32
	for _, r := range m {
		for i := range r.length {
			out = append(out, r.start+i)
		}
	}
	return out, nil
}

// operand is an input of an elementwise step.
type operand struct {
	buf, stride int
	index       []int32
}

func (c *compiler) operand(v *value, dims []int) (operand, error) {
	index, err := c.index(v, dims)
	return operand{v.buf, v.stride(), index}, err
}

// at is the place of element e of row r.
func (o *operand) at(r, e int) int {
	if o.index != nil {
		return r*o.stride + int(o.index[e])
	}
	return r*o.stride + e
}

// pairwise makes a value of two, element by element.
func pairwise[T, R element](c *compiler, k kind, a, b *value, f func(x, y T) R) (*value, error) {
	dims, axis, err := broadcast(a, b)
	if err != nil {
		return nil, err
	}
	out, err := c.make(k, dims, axis)
	if err != nil {
		return nil, err
	}
	x, err := c.operand(a, dims)
	if err != nil {
		return nil, err
	}
	y, err := c.operand(b, dims)
	if err != nil {
		return nil, err
	}
	width, to := out.width(), out.buf
	c.step(func(s *state, rows int) {
		xs, ys, out := vec[T](&s.bufs[x.buf]), vec[T](&s.bufs[y.buf]), vec[R](&s.bufs[to])
		for r := range rows {
			for e := range width {
				out[r*width+e] = f(xs[x.at(r, e)], ys[y.at(r, e)])
			}
		}
	})
	return out, nil
}

// unary makes a value of one, element by element.
func unary[T, R element](c *compiler, k kind, v *value, f func(x T) R) (*value, error) {
	out, err := c.make(k, v.dims, v.axis)
	if err != nil {
		return nil, err
	}
	from, to, width := v.buf, out.buf, v.width()
	c.step(func(s *state, rows int) {
		xs, out := vec[T](&s.bufs[from]), vec[R](&s.bufs[to])
		for i, x := range xs[:rows*width] {
			out[i] = f(x)
		}
	})
	return out, nil
}

// choose makes a value of three: of x where the condition holds, else of y.
func choose[T element](c *compiler, cond, a, b *value) (*value, error) {
	dims, axis, err := broadcast(cond, a, b)
	if err != nil {
		return nil, err
	}
	out, err := c.make(a.kind, dims, axis)
	if err != nil {
		return nil, err
	}
	var o [3]operand
	for i, v := range []*value{cond, a, b} {
		if o[i], err = c.operand(v, dims); err != nil {
			return nil, err
		}
	}
	width, to := out.width(), out.buf
	c.step(func(s *state, rows int) {
		conds, xs, ys, out := s.bufs[o[0].buf].ints, vec[T](&s.bufs[o[1].buf]), vec[T](&s.bufs[o[2].buf]), vec[T](&s.bufs[to])
		for r := range rows {
			for e := range width {
				if conds[o[0].at(r, e)] != 0 {
					out[r*width+e] = xs[o[1].at(r, e)]
				} else {
					out[r*width+e] = ys[o[2].at(r, e)]
				}
			}
		}
	})
	return out, nil
}
