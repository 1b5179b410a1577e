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
	reduceSum       = reduction{total[float32], total[float64], total[int64]}
	reduceMean      = reduction{mean[float32], mean[float64], nil}
	reduceProduct   = reduction{multiplied[float32], multiplied[float64], multiplied[int64]}
	reduceL1        = reduction{sizes[float32], sizes[float64], sizes[int64]}
	reduceL2        = reduction{length, nil, nil}
	reduceSquares   = reduction{squares, nil, nil}
	reduceLogSumExp = reduction{logSumExp, nil, nil}
	reduceMost      = reduction{highest[float32], highest[float64], highest[int64]}
	reduceLeast     = reduction{lowest[float32], lowest[float64], lowest[int64]}
)

func total[T float32 | float64 | int64](x []T, at, step, n int) T {
	var sum T
	for i := range n {
		sum += x[at+i*step]
	}
	return sum
}

func mean[T float32 | float64](x []T, at, step, n int) T { return total(x, at, step, n) / T(n) }

func multiplied[T float32 | float64 | int64](x []T, at, step, n int) T {
	out := T(1)
	for i := range n {
		out *= x[at+i*step]
	}
	return out
}

func sizes[T float32 | float64 | int64](x []T, at, step, n int) T {
	var sum T
	for i := range n {
		sum += abs(x[at+i*step])
	}
	return sum
}

func squares(x []float32, at, step, n int) float32 {
	var sum float32
	for i := range n {
		sum += float32(x[at+i*step] * x[at+i*step])
	}
	return sum
}

func length(x []float32, at, step, n int) float32 { return sqrtf(squares(x, at, step, n)) }

// logSumExp takes the greatest out of the sum first.
func logSumExp(x []float32, at, step, n int) float32 {
	top := highest(x, at, step, n)
	if top-top != 0 {
		top = 0
	}
	var sum float32
	for i := range n {
		sum += expf(x[at+i*step] - top)
	}
	return logf(sum) + top
}

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
	if len(axes) == 0 && v.constant() {
		for d := range v.dims {
			axes = append(axes, int64(d))
		}
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
		case v.kind == double && o.double != nil:
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

// buildArg gives the place of the greatest or least number along an axis, the first one of equals.
func buildArg(f func(x, y float32) int64, d func(x, y float64) int64, i func(x, y int64) int64) func(*compiler, *node, []*value) ([]*value, error) {
	return func(c *compiler, n *node, in []*value) ([]*value, error) {
		v, a, out, err := c.arg(n, in)
		if err != nil {
			return nil, err
		}
		switch v.kind {
		case float:
			c.step(argStep(v, out, a, f))
		case double:
			c.step(argStep(v, out, a, d))
		default:
			c.step(argStep(v, out, a, i))
		}
		return []*value{out}, nil
	}
}

// arg reads what ArgMax and ArgMin share.
func (c *compiler) arg(n *node, in []*value) (v *value, a int, out *value, err error) {
	if err = n.only("axis", "keepdims", "select_last_index"); err != nil {
		return nil, 0, nil, err
	}
	if v, err = input(in, 0, float, double, int64s); err != nil {
		return nil, 0, nil, err
	}
	var numbers [3]int64
	for i, name := range []string{"axis", "keepdims", "select_last_index"} {
		if numbers[i], err = n.int(name, int64(i%2)); err != nil {
			return nil, 0, nil, err
		}
	}
	if numbers[2] != 0 {
		return nil, 0, nil, fmt.Errorf("select_last_index is %d", numbers[2])
	}
	if a, err = withoutRows(v, numbers[0]); err != nil {
		return nil, 0, nil, err
	}
	if v.dims[a] == 0 {
		return nil, 0, nil, fmt.Errorf("of nothing")
	}
	dims, rows := slices.Clone(v.dims), v.axis
	dims[a] = 1
	if numbers[1] == 0 {
		dims = slices.Delete(dims, a, a+1)
		if rows > a {
			rows--
		}
	}
	out, err = c.make(int64s, dims, rows)
	return v, a, out, err
}

func argStep[T element](v, out *value, axis int, better func(x, y T) int64) step {
	outer, n, inner := product(v.dims[:axis]), v.dims[axis], product(v.dims[axis+1:])
	return func(s *state, rows int) {
		x, y := vec[T](&s.bufs[v.buf]), s.bufs[out.buf].ints
		for o := range rows * outer {
			for i := range inner {
				at, best := o*n*inner+i, 0
				for k := range n {
					if better(x[at+k*inner], x[at+best*inner]) != 0 {
						best = k
					}
				}
				y[o*inner+i] = int64(best)
			}
		}
	}
}
