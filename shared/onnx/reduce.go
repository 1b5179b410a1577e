package onnx

import (
	"fmt"
	"slices"
)

// reduction folds the n numbers that stand step apart from at on into one.
type reduction struct {
	float  func(x []float32, at, step, n int) float32
	double func(x []float64, at, step, n int) float64
	ints   func(x []int64, at, step, n int) int64
}

var (
	reduceSum   = reduction{total[float32], total[float64], total[int64]}
	reduceMean  = reduction{mean[float32], mean[float64], nil}
	reduceMost  = reduction{highest[float32], highest[float64], highest[int64]}
	reduceLeast = reduction{lowest[float32], lowest[float64], lowest[int64]}
)

func total[T float32 | float64 | int64](x []T, at, step, n int) T {
	var sum T
	for i := range n {
		sum += x[at+i*step]
	}
	return sum
}

func mean[T float32 | float64](x []T, at, step, n int) T { return total(x, at, step, n) / T(n) }

func highest[T float32 | float64 | int64](x []T, at, step, n int) T {
	top := x[at]
	for i := range n {
		top = most(x[at+i*step], top)
	}
	return top
}

func lowest[T float32 | float64 | int64](x []T, at, step, n int) T {
	low := x[at]
	for i := range n {
		low = least(x[at+i*step], low)
	}
	return low
}

// reduced is the stretch of axes from first to last and what becomes of the shape.
func (c *compiler) reduced(n *node, in []*value) (v *value, first, last int, dims []int, axis int, err error) {
	if v, err = input(in, 0); err != nil {
		return
	}
	axes, err := c.axes(n, in, 1)
	if err != nil {
		return
	}
	keep, err := n.int("keepdims", 1)
	if err != nil {
		return
	}
	if len(axes) == 0 {
		err = fmt.Errorf("it reduces all axes of %v, the rows among them", v)
		return
	}
	gone := make([]bool, len(v.dims))
	for _, a := range axes {
		at, err := withoutRows(v, a)
		if err != nil {
			return v, 0, 0, nil, 0, err
		}
		gone[at] = true
	}
	first, last = slices.Index(gone, true), len(gone)
	for last > 0 && !gone[last-1] {
		last--
	}
	axis = -1
	for d, size := range v.dims {
		switch {
		case d > first && d < last && !gone[d] && size != 1:
			err = fmt.Errorf("axes %v of %v do not lie side by side", axes, v)
			return
		case gone[d] && keep == 0:
			continue
		case gone[d]:
			size = 1
		case d == v.axis:
			axis = len(dims)
		}
		dims = append(dims, size)
	}
	return v, first, last, dims, axis, nil
}

func buildReduce(o reduction) func(*compiler, *node, []*value) ([]*value, error) {
	return func(c *compiler, n *node, in []*value) ([]*value, error) {
		if err := n.only("axes", "keepdims", "noop_with_empty_axes"); err != nil {
			return nil, err
		}
		v, first, last, dims, axis, err := c.reduced(n, in)
		if err != nil {
			return nil, err
		}
		if v.width() == 0 {
			return nil, fmt.Errorf("of nothing")
		}
		out, err := c.make(v.kind, dims, axis)
		if err != nil {
			return nil, err
		}
		switch {
		case v.kind == float:
			c.step(reduceStep(v, out, first, last, o.float))
		case v.kind == double:
			c.step(reduceStep(v, out, first, last, o.double))
		case v.kind == int64s && o.ints != nil:
			c.step(reduceStep(v, out, first, last, o.ints))
		default:
			return nil, fmt.Errorf("not for %s", v.kind)
		}
		return []*value{out}, nil
	}
}

func reduceStep[T element](v, out *value, first, last int, f func(x []T, at, step, n int) T) step {
	outer, n, inner := product(v.dims[:first]), product(v.dims[first:last]), product(v.dims[last:])
	from, to := v.buf, out.buf
	return func(s *state, rows int) {
		x, y := vec[T](&s.bufs[from]), vec[T](&s.bufs[to])
		for o := range rows * outer {
			for i := range inner {
				y[o*inner+i] = f(x, o*n*inner+i, inner, n)
			}
		}
	}
}

// buildArgMax gives the place of the greatest number along an axis, the first one of equals.
func buildArgMax(c *compiler, n *node, in []*value) ([]*value, error) {
	if err := n.only("axis", "keepdims", "select_last_index"); err != nil {
		return nil, err
	}
	v, err := input(in, 0, float, double, int64s)
	if err != nil {
		return nil, err
	}
	axis, err := n.int("axis", 0)
	if err != nil {
		return nil, err
	}
	keep, err := n.int("keepdims", 1)
	if err != nil {
		return nil, err
	}
	later, err := n.int("select_last_index", 0)
	if err != nil {
		return nil, err
	}
	if later != 0 {
		return nil, fmt.Errorf("select_last_index is %d", later)
	}
	a, err := withoutRows(v, axis)
	if err != nil {
		return nil, err
	}
	if v.dims[a] == 0 {
		return nil, fmt.Errorf("of nothing")
	}
	dims, rows := slices.Clone(v.dims), v.axis
	dims[a] = 1
	if keep == 0 {
		dims = slices.Delete(dims, a, a+1)
		if rows > a {
			rows--
		}
	}
	out, err := c.make(int64s, dims, rows)
	if err != nil {
		return nil, err
	}
	switch v.kind {
	case float:
		c.step(argMax[float32](v, out, a))
	case double:
		c.step(argMax[float64](v, out, a))
	default:
		c.step(argMax[int64](v, out, a))
	}
	return []*value{out}, nil
}

func argMax[T float32 | float64 | int64](v, out *value, axis int) step {
	outer, n, inner := product(v.dims[:axis]), v.dims[axis], product(v.dims[axis+1:])
	return func(s *state, rows int) {
		x, y := vec[T](&s.bufs[v.buf]), s.bufs[out.buf].ints
		for o := range rows * outer {
			for i := range inner {
				at, best := o*n*inner+i, 0
				for k := range n {
					if x[at+k*inner] > x[at+best*inner] {
						best = k
					}
				}
				y[o*inner+i] = int64(best)
			}
		}
	}
}
