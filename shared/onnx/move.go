package onnx

import (
	"fmt"
	"slices"
)

// run is a stretch of elements that a move takes from one of its sources.
type run struct{ source, start, length int32 }

// moves collects runs, joining those that follow each other.
type moves []run

func (m *moves) add(source, start, length int) {
	if k := len(*m) - 1; k >= 0 {
		if last := &(*m)[k]; last.source == int32(source) && int(last.start+last.length) == start {
			last.length += int32(length)
			return
		}
	}
	*m = append(*m, run{int32(source), int32(start), int32(length)})
}

// move makes a value whose rows are put together from runs of the sources' rows.
func (c *compiler) move(dims []int, axis int, m moves, sources ...*value) (*value, error) {
	out, err := c.make(sources[0].kind, dims, axis)
	if err != nil {
		return nil, err
	}
	for _, v := range sources {
		if v.kind != out.kind {
			return nil, fmt.Errorf("%s beside %s", v.kind, out.kind)
		}
		if v.rows != nil && out.rows == nil {
			out.rows = make([]bool, out.width())
		}
	}
	if out.rows != nil {
		at := int32(0)
		for _, r := range m {
			if from := sources[r.source].rows; from != nil {
				copy(out.rows[at:at+r.length], from[r.start:r.start+r.length])
			}
			at += r.length
		}
	}
	out.trace(m, sources)
	switch out.kind {
	case float:
		c.step(moveStep[float32](out, m, sources))
	case double:
		c.step(moveStep[float64](out, m, sources))
	case texts:
		c.step(moveStep[string](out, m, sources))
	default:
		c.step(moveStep[int64](out, m, sources))
	}
	return out, nil
}

// trace notes where texts come from.
func (v *value) trace(m moves, sources []*value) {
	if v.kind != texts || v.constant() {
		return
	}
	for _, r := range m {
		for i := range r.length {
			at := int32(-1)
			if from := sources[r.source].origin; from != nil {
				at = from[r.start+i]
			}
			v.origin = append(v.origin, at)
		}
	}
}

// note keeps the texts that an encoder knows of a column.
func (c *compiler) note(v *value, keys []string) {
	for _, column := range v.origin {
		if column >= 0 && c.keys[column] == nil {
			c.keys[column] = keys
		}
	}
}

func moveStep[T element](out *value, m moves, sources []*value) step {
	strides, bufs := make([]int, len(sources)), make([]int, len(sources))
	for i, v := range sources {
		strides[i], bufs[i] = v.stride(), v.buf
	}
	to := out.buf
	return func(s *state, rows int) {
		all := vec[T](&s.bufs[to])
		at := 0
		for r := range rows {
			for _, run := range m {
				from := vec[T](&s.bufs[bufs[run.source]])
				base := r*strides[run.source] + int(run.start)
				if run.length == 1 {
					all[at] = from[base]
				} else {
					copy(all[at:at+int(run.length)], from[base:base+int(run.length)])
				}
				at += int(run.length)
			}
		}
	}
}

// axisOf turns a number of an axis, which may count from the end, into a place.
func axisOf(v int64, rank int) (int, error) {
	if v < 0 {
		v += int64(rank)
	}
	if v < 0 || v >= int64(rank) {
		return 0, fmt.Errorf("axis %d of %d", v, rank)
	}
	return int(v), nil
}

// withoutRows is axisOf for an axis that must not be that of the rows.
func withoutRows(v *value, axis int64) (int, error) {
	a, err := axisOf(axis, len(v.dims))
	if err == nil && a == v.axis {
		err = fmt.Errorf("it works along axis %d of %v, which is the rows: a row's result may not depend on other rows", a, v)
	}
	return a, err
}

// pick takes the elements at indices along an axis. The axis stays, as long as there are indices.
func (c *compiler) pick(v *value, axis int, indices []int) (*value, error) {
	outer, inner := product(v.dims[:axis]), product(v.dims[axis+1:])
	if err := c.spend(outer * len(indices)); err != nil {
		return nil, err
	}
	var m moves
	for o := range outer {
		for _, i := range indices {
			m.add(0, (o*v.dims[axis]+i)*inner, inner)
		}
	}
	dims := slices.Clone(v.dims)
	dims[axis] = len(indices)
	return c.move(dims, v.axis, m, v)
}

// concat puts values side by side along an axis.
func (c *compiler) concat(axis int, vs []*value) (*value, error) {
	dims := slices.Clone(vs[0].dims)
	rows := -1
	total := 0
	for _, v := range vs {
		if len(v.dims) != len(dims) {
			return nil, fmt.Errorf("%v beside %v", v, vs[0])
		}
		for d := range dims {
			if d != axis && v.dims[d] != dims[d] {
				return nil, fmt.Errorf("%v beside %v", v, vs[0])
			}
		}
		if v.axis >= 0 {
			if rows >= 0 && rows != v.axis {
				return nil, fmt.Errorf("%v beside %v", v, vs[0])
			}
			rows = v.axis
		}
		total += v.dims[axis]
	}
	if rows == axis {
		return nil, fmt.Errorf("it puts rows below rows")
	}
	for _, v := range vs {
		if v.constant() && rows >= 0 {
			return nil, fmt.Errorf("a constant %v beside rows %v: the number of rows is not known", v, vs[0])
		}
	}
	dims[axis] = total
	outer, inner := product(dims[:axis]), product(dims[axis+1:])
	if err := c.spend(outer * len(vs)); err != nil {
		return nil, err
	}
	var m moves
	for o := range outer {
		for i, v := range vs {
			m.add(i, o*v.dims[axis]*inner, v.dims[axis]*inner)
		}
	}
	return c.move(dims, rows, m, vs...)
}

// permute is a transposition.
func (c *compiler) permute(v *value, perm []int64) (*value, error) {
	rank := len(v.dims)
	if len(perm) != rank {
		return nil, fmt.Errorf("perm %v for %v", perm, v)
	}
	strides, inner := make([]int, rank), 1
	for d := rank - 1; d >= 0; d-- {
		strides[d] = inner
		inner *= v.dims[d]
	}
	dims, steps, axis := make([]int, rank), make([]int, rank), -1
	for d, p := range perm {
		a, err := axisOf(p, rank)
		if err != nil || slices.Contains(perm[:d], p) {
			return nil, fmt.Errorf("perm %v for %v", perm, v)
		}
		dims[d], steps[d] = v.dims[a], strides[a]
		if a == v.axis {
			axis = d
		}
	}
	m, err := c.strided(dims, steps)
	if err != nil {
		return nil, err
	}
	return c.move(dims, axis, m, v)
}

// strided lists the elements of a view: dims long, steps apart along each axis.
func (c *compiler) strided(dims, steps []int) (moves, error) {
	n := product(dims)
	if err := c.spend(n); err != nil {
		return nil, err
	}
	var m moves
	at := make([]int, len(dims))
	for range n {
		from := 0
		for d, i := range at {
			from += i * steps[d]
		}
		m.add(0, from, 1)
		for d := len(dims) - 1; d >= 0; d-- {
			if at[d]++; at[d] < dims[d] {
				break
			}
			at[d] = 0
		}
	}
	return m, nil
}
