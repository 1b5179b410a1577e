package onnx

import "fmt"

func buildConstant(c *compiler, n *node, _ []*value) ([]*value, error) {
	if len(n.attributes) != 1 {
		return nil, fmt.Errorf("%d attributes, expected one with the value", len(n.attributes))
	}
	k, dims, b, err := n.constant()
	if err != nil {
		return nil, err
	}
	out, err := c.constantOf(k, dims, b)
	return []*value{out}, err
}

// constant is what the node's one attribute holds.
func (n *node) constant() (k kind, dims []int, b buffer, err error) {
	name := n.attributes[0].name
	switch name {
	case "value":
		t, err := n.tensor(name)
		if err != nil {
			return 0, nil, b, err
		}
		return t.kind, t.dims, t.data(), nil
	case "value_float":
		v, err := n.float(name, 0)
		return float, nil, buffer{floats: []float32{v}}, err
	case "value_int":
		v, err := n.int(name, 0)
		return int64s, nil, buffer{ints: []int64{v}}, err
	case "value_string":
		v, err := n.text(name, "")
		return texts, nil, buffer{texts: []string{v}}, err
	case "value_floats":
		v, err := n.floats(name)
		return float, []int{len(v)}, buffer{floats: v}, err
	case "value_ints":
		v, err := n.ints(name)
		return int64s, []int{len(v)}, buffer{ints: v}, err
	case "value_strings":
		v, err := n.texts(name)
		return texts, []int{len(v)}, buffer{texts: v}, err
	}
	return 0, nil, b, fmt.Errorf("attribute %.60q is not known", name)
}

// buildConstantOfShape gives each row the same numbers where the shape has the rows in it.
func buildConstantOfShape(c *compiler, n *node, in []*value) ([]*value, error) {
	shape, err := input(in, 0, int64s)
	if err != nil {
		return nil, err
	}
	sizes, err := c.ints(shape, "the shape")
	if err != nil {
		return nil, err
	}
	if err := n.only("value"); err != nil {
		return nil, err
	}
	k, fill := float, buffer{floats: []float32{0}}
	if t, err := n.tensor("value"); err != nil {
		return nil, err
	} else if t != nil {
		if t.size != 1 {
			return nil, fmt.Errorf("attribute value has %d elements, expected 1", t.size)
		}
		k, fill = t.kind, t.data()
	}
	one, err := c.constantOf(k, nil, fill)
	if err != nil {
		return nil, err
	}
	out, err := c.spread(one, sizes, shape.rows)
	return []*value{out}, err
}

// spread repeats a value up to a shape, by the rules of broadcasting.
func (c *compiler) spread(v *value, sizes []int64, rows []bool) (*value, error) {
	target := &value{kind: v.kind, axis: -1}
	for i, s := range sizes {
		if rows != nil && rows[i] {
			target.axis, s = i, 1
		}
		if s < 0 || s > maxWidth || i == maxRank {
			return nil, fmt.Errorf("size %d is %d", i, s)
		}
		target.dims = append(target.dims, int(s))
	}
	dims, axis, err := broadcast(v, target)
	if err != nil {
		return nil, err
	}
	steps := steps(v, dims)
	m, err := c.strided(dims, steps)
	if err != nil {
		return nil, err
	}
	return c.move(dims, axis, m, v)
}

func buildExpand(c *compiler, n *node, in []*value) ([]*value, error) {
	v, err := input(in, 0)
	if err != nil {
		return nil, err
	}
	shape, err := input(in, 1, int64s)
	if err != nil {
		return nil, err
	}
	sizes, err := c.ints(shape, "the shape")
	if err != nil {
		return nil, err
	}
	out, err := c.spread(v, sizes, shape.rows)
	return []*value{out}, err
}
