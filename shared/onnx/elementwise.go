package onnx

import (
	"fmt"
	"math"
)

// number is a function of one number of a kind; f is nil where there is none.
type number[T element] struct{ f func(x T) T }

func abs[T float32 | float64 | int64](x T) T {
	if x < 0 || x == 0 {
		return 0 - x // 0 for both zeros
	}
	return x
}

func minus[T float32 | float64 | int64](x T) T { return -x }

func positive[T float32 | float64](x T) T {
	if x < 0 {
		return 0
	}
	return x
}

func inverse[T float32 | float64](x T) T { return 1 / x }

func sqrtf(x float32) float32 { return float32(math.Sqrt(float64(x))) }

// buildUnary applies a function to each number.
func buildUnary(f number[float32], d number[float64], i number[int64]) func(*compiler, *node, []*value) ([]*value, error) {
	return func(c *compiler, _ *node, in []*value) ([]*value, error) {
		v, err := input(in, 0)
		if err != nil {
			return nil, err
		}
		var out *value
		switch {
		case v.kind == float && f.f != nil:
			out, err = unary(c, float, v, f.f)
		case v.kind == double && d.f != nil:
			out, err = unary(c, double, v, d.f)
		case (v.kind == int64s || v.kind == int32s) && i.f != nil:
			out, err = unary(c, v.kind, v, i.f)
		default:
			err = fmt.Errorf("not for %s", v.kind)
		}
		return []*value{out}, err
	}
}

// comparison is a question about two elements, by kind.
type comparison struct {
	float  func(x, y float32) int64
	double func(x, y float64) int64
	ints   func(x, y int64) int64
	texts  func(x, y string) int64
}

func equal[T element](x, y T) int64    { return truth(x == y) }
func above[T element](x, y T) int64    { return truth(x > y) }
func below[T element](x, y T) int64    { return truth(x < y) }
func notBelow[T element](x, y T) int64 { return truth(x >= y) }
func notAbove[T element](x, y T) int64 { return truth(x <= y) }

func buildCompare(o comparison) func(*compiler, *node, []*value) ([]*value, error) {
	return func(c *compiler, _ *node, in []*value) ([]*value, error) {
		a, err := input(in, 0)
		if err != nil {
			return nil, err
		}
		b, err := input(in, 1, a.kind)
		if err != nil {
			return nil, err
		}
		var out *value
		switch {
		case a.kind == float:
			out, err = pairwise(c, bools, a, b, o.float)
		case a.kind == double:
			out, err = pairwise(c, bools, a, b, o.double)
		case a.kind == texts && o.texts != nil:
			out, err = pairwise(c, bools, a, b, o.texts)
		case a.kind == texts:
			err = fmt.Errorf("not for strings")
		default:
			out, err = pairwise(c, bools, a, b, o.ints)
		}
		return []*value{out}, err
	}
}

func buildLogic(f func(x, y int64) int64) func(*compiler, *node, []*value) ([]*value, error) {
	return func(c *compiler, _ *node, in []*value) ([]*value, error) {
		a, err := input(in, 0, bools)
		if err != nil {
			return nil, err
		}
		b, err := input(in, 1, bools)
		if err != nil {
			return nil, err
		}
		out, err := pairwise(c, bools, a, b, f)
		return []*value{out}, err
	}
}

func buildNot(c *compiler, _ *node, in []*value) ([]*value, error) {
	v, err := input(in, 0, bools)
	if err != nil {
		return nil, err
	}
	out, err := unary(c, bools, v, func(x int64) int64 { return 1 - x })
	return []*value{out}, err
}

func buildIsNaN(c *compiler, _ *node, in []*value) ([]*value, error) {
	v, err := input(in, 0, float, double)
	if err != nil {
		return nil, err
	}
	var out *value
	if v.kind == float {
		out, err = unary(c, bools, v, func(x float32) int64 { return truth(x != x) })
	} else {
		out, err = unary(c, bools, v, func(x float64) int64 { return truth(x != x) })
	}
	return []*value{out}, err
}

func buildWhere(c *compiler, _ *node, in []*value) ([]*value, error) {
	cond, err := input(in, 0, bools)
	if err != nil {
		return nil, err
	}
	a, err := input(in, 1)
	if err != nil {
		return nil, err
	}
	b, err := input(in, 2, a.kind)
	if err != nil {
		return nil, err
	}
	var out *value
	switch a.kind {
	case float:
		out, err = choose[float32](c, cond, a, b)
	case double:
		out, err = choose[float64](c, cond, a, b)
	case texts:
		out, err = choose[string](c, cond, a, b)
	default:
		out, err = choose[int64](c, cond, a, b)
	}
	return []*value{out}, err
}

// buildClip raises to the least and lowers to the most, which were attributes once and are inputs since version 11.
func buildClip(c *compiler, n *node, in []*value) ([]*value, error) {
	out, err := input(in, 0, float, double, int64s, int32s)
	if err != nil {
		return nil, err
	}
	bounds := [2]*value{}
	if out.kind == float { // without a bound, the type's own
		for i, v := range []float32{-math.MaxFloat32, math.MaxFloat32} {
			if bounds[i], err = c.constantOf(float, nil, buffer{floats: []float32{v}}); err != nil {
				return nil, err
			}
		}
	}
	for i, name := range []string{"min", "max"} {
		if len(in) > i+1 && in[i+1] != nil {
			bounds[i] = in[i+1]
		}
		a, err := n.find(name, typeFloat)
		if err != nil {
			return nil, err
		}
		if a != nil {
			v, _ := n.float(name, 0)
			if bounds[i], err = c.constantOf(float, nil, buffer{floats: []float32{v}}); err != nil {
				return nil, err
			}
		}
	}
	for i, o := range []arithmetic{clipLeast, clipMost} {
		if bounds[i] == nil {
			continue
		}
		if bounds[i].width() != 1 {
			return nil, fmt.Errorf("a bound of %v", bounds[i])
		}
		if out, err = o.apply(c, out, bounds[i]); err != nil {
			return nil, err
		}
	}
	return []*value{c.alias(out, out.dims, out.axis)}, nil
}

// A value that is not a number passes a Clip as it is.
var (
	clipLeast = arithmetic{raise[float32], raise[float64], raise[int64]}
	clipMost  = arithmetic{lower[float32], lower[float64], lower[int64]}
)

func raise[T float32 | float64 | int64](x, bound T) T {
	if x < bound {
		return bound
	}
	return x
}

func lower[T float32 | float64 | int64](x, bound T) T {
	if x > bound {
		return bound
	}
	return x
}
