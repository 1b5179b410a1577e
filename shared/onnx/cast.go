package onnx

import (
	"fmt"
	"math"
	"strconv"
)

func buildCast(c *compiler, n *node, in []*value) ([]*value, error) {
	v, err := input(in, 0)
	if err != nil {
		return nil, err
	}
	to, err := n.int("to", 0)
	if err != nil {
		return nil, err
	}
	k := kindOf(to)
	if k == 0 {
		return nil, fmt.Errorf("to elements of type %d", to)
	}
	out, err := c.cast(v, k)
	if err != nil {
		return nil, err
	}
	if out.buf != v.buf {
		out.rows = v.rows
	}
	return []*value{out}, nil
}

// cast gives the value in another kind.
func (c *compiler) cast(v *value, k kind) (*value, error) {
	switch {
	case k == v.kind, k == int64s && (v.kind == int32s || v.kind == bools), k == int32s && v.kind == bools:
		out := c.alias(v, v.dims, v.axis)
		out.kind = k
		return out, nil
	case v.kind == float:
		return castFrom(c, v, k, func(x float32) float64 { return float64(x) })
	case v.kind == double:
		return castFrom(c, v, k, func(x float64) float64 { return x })
	case v.kind == texts:
		return nil, fmt.Errorf("of strings to %s", k)
	case k == float:
		return unary(c, k, v, func(x int64) float32 { return float32(x) })
	case k == double:
		return unary(c, k, v, func(x int64) float64 { return float64(x) })
	case k == bools:
		return unary(c, k, v, func(x int64) int64 { return truth(x != 0) })
	case k == int32s:
		return unary(c, k, v, func(x int64) int64 { return int64(int32(x)) })
	}
	return unary(c, k, v, func(x int64) string { return strconv.FormatInt(x, 10) })
}

// castFrom casts a kind that a float64 holds.
func castFrom[T float32 | float64](c *compiler, v *value, k kind, wide func(x T) float64) (*value, error) {
	switch k {
	case float:
		return unary(c, k, v, func(x T) float32 { return float32(wide(x)) })
	case double:
		return unary(c, k, v, wide)
	case int64s:
		return unary(c, k, v, func(x T) int64 { return whole(wide(x)) })
	case int32s:
		return unary(c, k, v, func(x T) int64 { return int64(whole32(wide(x))) })
	case bools:
		return unary(c, k, v, func(x T) int64 { return truth(x != 0) })
	}
	return nil, fmt.Errorf("of %s to %s: numbers are not written as strings, whole ones aside", v.kind, k)
}

// whole truncates towards 0. What no int64 holds becomes the smallest one, as it does on x86-64.
func whole(v float64) int64 {
	if v >= -0x1p63 && v < 0x1p63 {
		return int64(v)
	}
	return math.MinInt64
}

// whole32 is whole for int32.
func whole32(v float64) int32 {
	if v > -0x1p31-1 && v < 0x1p31 {
		return int32(v)
	}
	return math.MinInt32
}
