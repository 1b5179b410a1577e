package catboost

import (
	"errors"
	"fmt"
	"math"

	"github.com/millrace-ml/millrace/shared/forest"
	"github.com/millrace-ml/millrace/shared/forest/document"
)

// knowTrees names the fields of trees, splits and nodes.
func (d *decoder) knowTrees() {
	d.of.tree = []document.Field{
		{Key: "leaf_values", Read: func() error {
			if d.IsNull() {
				return nil
			}
			return d.Doubles(&d.c.leaves)
		}},
		{Key: "leaf_weights"},
		{Key: "splits", Read: d.list(func(int) error { return d.split() })},
	}
	feature := func() error { return d.Int(&d.feature) }
	d.of.split = []document.Field{
		{Key: "border", Read: func() error { return d.Float(&d.border) }},
		{Key: "cat_feature_index", Read: feature},
		{Key: "ctr_target_border_idx", Read: d.refuse(errCTR)},
		{Key: "float_feature_index", Read: feature},
		{Key: "split_index", Read: func() error { return d.Int(&d.at) }},
		{Key: "split_type", Read: d.Word(&d.kind, floatSplit, oneHotSplit)},
		{Key: "value", Read: func() error { return d.Double(&d.value) }},
	}
	d.of.node = []document.Field{
		{Key: "left", Read: func() error { return d.below(true) }},
		{Key: "right", Read: func() error { return d.below(false) }},
		{Key: "split", Read: d.nodeSplit},
		{Key: "value", Read: d.nodeValue},
		{Key: "weight"},
	}
}

func (d *decoder) oblivious(i int) error {
	if i == forest.MaxTrees {
		return fmt.Errorf("more than %d trees", forest.MaxTrees)
	}
	splits, leaves := len(d.c.splits), len(d.c.leaves)
	if err := d.Object(d.of.tree); err != nil {
		return err
	}
	depth, values := len(d.c.splits)-splits, len(d.c.leaves)-leaves
	if depth > forest.MaxObliviousDepth || values == 0 || values%(1<<depth) != 0 {
		return fmt.Errorf("%d leaf_values for %d splits", values, depth)
	}
	d.c.sizes = append(d.c.sizes, int32(depth))
	return d.setDimensions(values >> depth)
}

// setDimensions notes the number of values of a leaf, the same for all.
func (d *decoder) setDimensions(n int) error {
	if d.c.dimensions == 0 {
		d.c.dimensions = n
	}
	if n != d.c.dimensions {
		return fmt.Errorf("%d values in a leaf, %d in those before", n, d.c.dimensions)
	}
	return nil
}

// split appends a split.
func (d *decoder) split() error {
	d.at, d.feature, d.kind, d.border, d.value = -1, -1, "", 0, 0
	if err := d.Object(d.of.split); err != nil {
		return err
	}
	s := said{feature: int32(min(max(d.feature, -1), math.MaxInt32))}
	switch d.kind {
	case floatSplit:
		s.value = float64(d.border)
	case oneHotSplit:
		s.oneHot, s.value = true, d.value
	case "OnlineCtr":
		return errCTR
	default:
		return fmt.Errorf("split_type is %s, expected %s or %s", document.Clip([]byte(d.kind)), floatSplit, oneHotSplit)
	}
	if d.at < 0 || d.at > math.MaxInt32 {
		return fmt.Errorf("split_index is %d", d.at)
	}
	d.c.splits, d.c.said = append(d.c.splits, int32(d.at)), append(d.c.said, s)
	return nil
}

// tree reads a tree that is not oblivious: nodes in nodes.
func (d *decoder) tree(i int) error {
	if i == forest.MaxTrees {
		return fmt.Errorf("more than %d trees", forest.MaxTrees)
	}
	first := len(d.c.steps)
	if err := d.node(); err != nil {
		return err
	}
	d.c.sizes = append(d.c.sizes, int32(len(d.c.steps)-first))
	return nil
}

// node appends a node and those below it.
func (d *decoder) node() error {
	c := d.c
	d.open = append(d.open, openNode{at: len(c.steps)})
	c.steps, c.leafOf = append(c.steps, step{}), append(c.leafOf, math.MaxUint32)
	c.splits, c.said = append(c.splits, 0), append(c.said, said{})
	if err := d.Object(d.of.node); err != nil {
		return err
	}
	last := len(d.open) - 1
	n := d.open[last]
	d.open = d.open[:last]
	switch {
	case n.leaf && !n.left && !n.right && !n.split:
		c.leafOf[n.at] = uint32(n.first)
		return d.setDimensions(len(c.leaves) - n.first)
	case n.leaf || !n.left || !n.right || !n.split:
		return errors.New("expected left, right and split, or value")
	}
	return nil
}

// below reads a child of the innermost open node.
func (d *decoder) below(left bool) error {
	n := &d.open[len(d.open)-1]
	distance := len(d.c.steps) - n.at
	if distance > math.MaxUint16 {
		return fmt.Errorf("more than %d nodes below one", math.MaxUint16)
	}
	if left {
		n.left, d.c.steps[n.at].left = true, uint16(distance)
	} else {
		n.right, d.c.steps[n.at].right = true, uint16(distance)
	}
	return d.node()
}

func (d *decoder) nodeSplit() error {
	n, c := &d.open[len(d.open)-1], d.c
	n.split = true
	if err := d.split(); err != nil {
		return err
	}
	last := len(c.splits) - 1
	c.splits[n.at], c.said[n.at] = c.splits[last], c.said[last]
	c.splits, c.said = c.splits[:last], c.said[:last]
	return nil
}

func (d *decoder) nodeValue() error {
	n, c := &d.open[len(d.open)-1], d.c
	n.leaf, n.first = true, len(c.leaves)
	if d.IsList() {
		return d.Doubles(&c.leaves)
	}
	c.leaves = append(c.leaves, 0)
	return d.Double(&c.leaves[n.first])
}
