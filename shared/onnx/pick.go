package onnx

import (
	"fmt"
	"math"
	"slices"
)

func buildConcat(c *compiler, n *node, in []*value) ([]*value, error) {
	for i := range in {
		if _, err := input(in, i, in[0].kind); err != nil {
			return nil, err
		}
	}
	axis, err := n.int("axis", 1)
	if err != nil {
		return nil, err
	}
	a, err := axisOf(axis, len(in[0].dims))
	if err != nil {
		return nil, err
	}
	if len(in) == 1 {
		return []*value{c.alias(in[0], in[0].dims, in[0].axis)}, nil
	}
	out, err := c.concat(a, in)
	if err != nil {
		return nil, err
	}
	out.matrix = c.isMatrix(in)
	return []*value{out}, nil
}

// places turns indices, which may count from the end, into places.
func places(indices []int64, size int) ([]int, error) {
	out := make([]int, len(indices))
	for i, v := range indices {
		at, err := axisOf(v, size)
		if err != nil {
			return nil, fmt.Errorf("index %d of %d", v, size)
		}
		out[i] = at
	}
	return out, nil
}

func buildGather(c *compiler, n *node, in []*value) ([]*value, error) {
	v, err := input(in, 0)
	if err != nil {
		return nil, err
	}
	indices, err := input(in, 1, int64s, int32s)
	if err != nil {
		return nil, err
	}
	axis, err := n.int("axis", 0)
	if err != nil {
		return nil, err
	}
	if v.constant() && !indices.constant() && len(v.dims) == 1 {
		out, err := c.look(v, indices, indices.dims, indices.axis)
		return []*value{out}, err
	}
	a, err := withoutRows(v, axis)
	if err != nil {
		return nil, err
	}
	list, err := c.ints(indices, "the indices")
	if err != nil {
		return nil, err
	}
	at, err := places(list, v.dims[a])
	if err != nil {
		return nil, err
	}
	out, err := c.pick(v, a, at)
	if err != nil {
		return nil, err
	}
	rows := v.axis
	if rows > a {
		rows += len(indices.dims) - 1
	}
	shaped := c.alias(out, slices.Concat(v.dims[:a], indices.dims, v.dims[a+1:]), rows)
	if len(shaped.dims) > maxRank {
		return nil, fmt.Errorf("%d dimensions", len(shaped.dims))
	}
	return []*value{shaped}, nil
}

// look takes elements of a constant list at places that depend on the row.
func (c *compiler) look(list, at *value, dims []int, axis int) (*value, error) {
	out, err := c.make(list.kind, dims, axis)
	if err != nil {
		return nil, err
	}
	switch list.kind {
	case float:
		c.step(lookStep[float32](list, at, out))
	case double:
		c.step(lookStep[float64](list, at, out))
	case texts:
		c.step(lookStep[string](list, at, out))
	default:
		c.step(lookStep[int64](list, at, out))
	}
	return out, nil
}

func lookStep[T element](list, at, out *value) step {
	width := out.width()
	return func(s *state, rows int) {
		from, to, places := vec[T](&s.bufs[list.buf]), vec[T](&s.bufs[out.buf]), s.bufs[at.buf].ints
		for i := range rows * width {
			p := places[i]
			if p < 0 {
				p += int64(len(from))
			}
			if p < 0 || p >= int64(len(from)) {
				s.refuse(i/width, fmt.Sprintf("index %d of %d", places[i], len(from)))
				p = 0
			}
			to[i] = from[p]
		}
	}
}

func buildExtract(c *compiler, n *node, in []*value) ([]*value, error) {
	v, err := input(in, 0)
	if err != nil {
		return nil, err
	}
	indices, err := input(in, 1, int64s)
	if err != nil {
		return nil, err
	}
	if len(v.dims) == 0 || indices.width() == 0 {
		return nil, fmt.Errorf("%v of %v", indices, v)
	}
	if !indices.constant() {
		if !v.constant() || len(v.dims) != 1 || indices.width() != 1 {
			return nil, fmt.Errorf("%v of %v: places that depend on the row are read for constant lists only", indices, v)
		}
		out, err := c.look(v, indices, []int{1, 1}, 1)
		return []*value{out}, err
	}
	a, err := withoutRows(v, -1)
	if err != nil {
		return nil, err
	}
	list := c.bufs[indices.buf].ints
	for _, i := range list {
		if i < 0 || i >= int64(v.dims[a]) {
			return nil, fmt.Errorf("index %d of %d", i, v.dims[a])
		}
	}
	at, err := places(list, v.dims[a])
	if err != nil {
		return nil, err
	}
	out, err := c.pick(v, a, at)
	if err != nil {
		return nil, err
	}
	if len(out.dims) == 1 {
		out = c.alias(out, []int{1, len(at)}, -1)
	}
	return []*value{out}, nil
}

// slice is one axis of a Slice.
type slice struct{ start, end, step int64 }

// indices are the places that the slice takes of an axis.
func (s slice) indices(size int64) ([]int, error) {
	if s.step == 0 {
		return nil, fmt.Errorf("a step of 0")
	}
	clamp := func(v, least, most int64) int64 {
		if v < 0 {
			v += size
		}
		return max(least, min(v, most))
	}
	var out []int
	if s.step > 0 {
		from, to := clamp(s.start, 0, size), clamp(s.end, 0, size)
		for i := from; i < to; i += min(s.step, size) {
			out = append(out, int(i))
		}
		return out, nil
	}
	from, to := clamp(s.start, 0, size-1), clamp(s.end, -1, size-1)
	for i := from; i > to; i += max(s.step, -size) {
		out = append(out, int(i))
	}
	return out, nil
}

func buildSlice(c *compiler, n *node, in []*value) ([]*value, error) {
	v, err := input(in, 0)
	if err != nil {
		return nil, err
	}
	var lists [4][]int64 // starts, ends, axes, steps
	for i, name := range []string{"starts", "ends", "axes", "steps"} {
		if len(in) > i+1 && in[i+1] != nil {
			lists[i], err = c.ints(in[i+1], name)
		} else {
			lists[i], err = n.ints(name)
		}
		if err != nil {
			return nil, err
		}
	}
	starts, ends, axes, steps := lists[0], lists[1], lists[2], lists[3]
	if axes == nil {
		for i := range starts {
			axes = append(axes, int64(i))
		}
	}
	if len(starts) != len(ends) || len(starts) != len(axes) || steps != nil && len(steps) != len(starts) {
		return nil, fmt.Errorf("%d starts, %d ends, %d axes", len(starts), len(ends), len(axes))
	}
	for i := range starts {
		s := slice{starts[i], ends[i], 1}
		if steps != nil {
			s.step = steps[i]
		}
		a, err := axisOf(axes[i], len(v.dims))
		if err != nil {
			return nil, err
		}
		if a == v.axis && s.start == 0 && s.end >= math.MaxInt32 && s.step == 1 {
			continue // all rows
		}
		if a, err = withoutRows(v, axes[i]); err != nil {
			return nil, err
		}
		at, err := s.indices(int64(v.dims[a]))
		if err != nil {
			return nil, err
		}
		if v, err = c.pick(v, a, at); err != nil {
			return nil, err
		}
	}
	return []*value{c.alias(v, v.dims, v.axis)}, nil
}

func buildSplit(c *compiler, n *node, in []*value) ([]*value, error) {
	v, err := input(in, 0)
	if err != nil {
		return nil, err
	}
	axis, err := n.int("axis", 0)
	if err != nil {
		return nil, err
	}
	a, err := withoutRows(v, axis)
	if err != nil {
		return nil, err
	}
	var sizes []int64
	if len(in) > 1 && in[1] != nil {
		sizes, err = c.ints(in[1], "the sizes")
	} else {
		sizes, err = n.ints("split")
	}
	if err != nil {
		return nil, err
	}
	if sizes == nil { // equal parts, the last one may be shorter
		each := (v.dims[a] + len(n.outputs) - 1) / len(n.outputs)
		for left := v.dims[a]; len(sizes) < len(n.outputs); left -= each {
			sizes = append(sizes, int64(max(0, min(each, left))))
		}
	}
	var out []*value
	first := int64(0)
	for _, size := range sizes {
		if size < 0 || size > int64(v.dims[a])-first {
			return nil, fmt.Errorf("parts of %v of an axis of %d", sizes, v.dims[a])
		}
		at := make([]int, size)
		for i := range at {
			at[i] = int(first) + i
		}
		part, err := c.pick(v, a, at)
		if err != nil {
			return nil, err
		}
		out = append(out, part)
		first += size
	}
	if first != int64(v.dims[a]) || len(sizes) != len(n.outputs) {
		return nil, fmt.Errorf("parts of %v for %d outputs and an axis of %d", sizes, len(n.outputs), v.dims[a])
	}
	return out, nil
}
