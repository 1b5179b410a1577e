package onnx

import (
	"fmt"
	"slices"
)

// buildOneHot makes a column of each category.
func buildOneHot(c *compiler, n *node, in []*value) ([]*value, error) {
	v, err := input(in, 0, texts, int64s, float, double)
	if err != nil {
		return nil, err
	}
	cats, zeros, err := n.categories()
	if err != nil {
		return nil, err
	}
	size, k := max(len(cats.ints), len(cats.texts)), int64s
	if cats.texts != nil {
		k = texts
	}
	if size == 0 || len(cats.ints) > 0 && len(cats.texts) > 0 || (v.kind == texts) != (k == texts) || len(v.dims) > 2 {
		return nil, fmt.Errorf("of %v with %d strings and %d whole numbers as categories", v, len(cats.texts), len(cats.ints))
	}
	if k == int64s {
		if v, err = c.cast(v, int64s); err != nil {
			return nil, err
		}
	}
	at, err := c.make(int64s, v.dims, v.axis)
	if err != nil {
		return nil, err
	}
	out, err := c.make(float, append(slices.Clone(v.dims), size), v.axis)
	if err != nil {
		return nil, err
	}
	c.note(v, cats.texts)
	f, width := newFinder(k, cats, true), v.width()
	c.step(func(s *state, rows int) {
		places, y := s.bufs[at.buf].ints, s.bufs[out.buf].floats
		f.find(s, v, rows*width, places)
		clear(y[:rows*width*size])
		for i, p := range places[:rows*width] {
			if p >= 0 {
				y[i*size+int(p)] = 1
			} else if zeros == 0 {
				s.refuse(i/width, fmt.Sprintf("%.60q: a category that training did not have", n.name))
			}
		}
	})
	return []*value{out}, nil
}

// categories are those of a OneHotEncoder, and whether an unknown one is a row of zeros.
func (n *node) categories() (cats buffer, zeros int64, err error) {
	if err = n.only("cats_int64s", "cats_strings", "zeros"); err != nil {
		return cats, 0, err
	}
	if cats.ints, err = n.ints("cats_int64s"); err != nil {
		return cats, 0, err
	}
	if cats.texts, err = n.texts("cats_strings"); err != nil {
		return cats, 0, err
	}
	zeros, err = n.int("zeros", 1)
	return cats, zeros, err
}
