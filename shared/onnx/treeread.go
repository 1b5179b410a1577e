package onnx

import "fmt"

// treeLists are the attributes of a tree ensemble of versions 1 and 3, node by node.
type treeLists struct {
	tree, id, feature, yes, no, missing list
	value                               numbers
}

// numbers walks a list of float, or a tensor of float or double.
type numbers struct {
	list   list
	tensor *buffer
	at     int
	double bool
	size   int
}

func (f *numbers) next() float64 {
	f.at++
	switch {
	case f.tensor == nil:
		return float64(f.list.float())
	case f.double:
		return f.tensor.doubles[f.at-1]
	}
	return float64(f.tensor.floats[f.at-1])
}

// numbers reads an attribute that is a list, or a tensor under another name.
func (n *node) numbers(name string) (numbers, error) {
	l, err := n.floatList(name)
	if err != nil {
		return numbers{}, err
	}
	f := numbers{list: l, size: l.count()}
	t, err := n.tensor(name + "_as_tensor")
	if err != nil || t == nil {
		return f, err
	}
	if f.size > 0 || t.kind != float && t.kind != double {
		return f, fmt.Errorf("attribute %s_as_tensor of %s beside %d numbers in %s", name, t.kind, f.size, name)
	}
	b := t.data()
	return numbers{tensor: &b, double: t.kind == double, size: t.size}, nil
}

// treeReader reads a tree ensemble of versions 1 and 3.
type treeReader struct {
	n   *node
	e   *ensemble
	ids nodeIDs
}

// read fills the ensemble from the attributes, whose names open with nodes_ and the prefix of the targets.
func (r *treeReader) read(targets string, features int) error {
	if err := r.readNodes(features); err != nil {
		return err
	}
	if err := r.readWeights(targets); err != nil {
		return err
	}
	return r.e.checkShape(r.ids.name)
}

func (r *treeReader) lists() (l treeLists, count int, err error) {
	named := []struct {
		name string
		to   *list
	}{{"nodes_treeids", &l.tree}, {"nodes_nodeids", &l.id}, {"nodes_featureids", &l.feature}, {"nodes_truenodeids", &l.yes}, {"nodes_falsenodeids", &l.no}}
	for i, a := range named {
		if *a.to, err = r.n.intList(a.name); err != nil {
			return l, 0, err
		}
		k := a.to.count()
		if i == 0 {
			count = k
		}
		if k != count {
			return l, 0, fmt.Errorf("%s has %d entries, nodes_treeids has %d", a.name, k, count)
		}
	}
	if count == 0 {
		return l, 0, fmt.Errorf("no nodes")
	}
	if l.missing, err = r.n.intList("nodes_missing_value_tracks_true"); err != nil {
		return l, 0, err
	}
	if k := l.missing.count(); k != 0 && k != count {
		return l, 0, fmt.Errorf("nodes_missing_value_tracks_true has %d entries, nodes_treeids has %d", k, count)
	}
	if l.value, err = r.n.numbers("nodes_values"); err != nil {
		return l, 0, err
	}
	if l.value.size != count {
		return l, 0, fmt.Errorf("nodes_values has %d entries, nodes_treeids has %d", l.value.size, count)
	}
	return l, count, nil
}

func (r *treeReader) readNodes(features int) error {
	l, count, err := r.lists()
	if err != nil {
		return err
	}
	modes, err := r.modes(count)
	if err != nil {
		return err
	}
	r.e.nodes = make([]treeNode, count)
	if err := r.ids.read(l.tree, l.id, count); err != nil {
		return err
	}
	links, last := l, int64(0)
	for i := range r.e.nodes {
		tree, id := l.tree.int(), l.id.int()
		n := treeNode{value: l.value.next(), mode: modes[i]}
		feature := l.feature.int()
		n.missing = l.missing.int() == 1
		if i == 0 || tree != last {
			r.e.roots = append(r.e.roots, int32(i))
		}
		last = tree
		if n.mode != modeLeaf && (feature < 0 || feature >= int64(features)) {
			return fmt.Errorf("tree %d: node %d: nodes_featureids is %d, the input has %d columns", tree, id, feature, features)
		}
		if n.mode != modeLeaf && n.value != n.value {
			return fmt.Errorf("tree %d: node %d: nodes_values is not a number", tree, id)
		}
		n.feature = int32(feature)
		r.e.nodes[i] = n
	}
	return r.link(links)
}

// modes are those of the nodes.
func (r *treeReader) modes(count int) ([]mode, error) {
	a, err := r.n.find("nodes_modes", typeStrings)
	if err != nil {
		return nil, err
	}
	if a == nil {
		return nil, fmt.Errorf("attribute nodes_modes is missing")
	}
	out := make([]mode, 0, count)
	err = fields(a.raw, func(m *message) error {
		if m.num != 9 {
			return nil
		}
		k, ok := modeNames[string(m.body)]
		if !ok || len(out) == count {
			return fmt.Errorf("nodes_modes[%d] is %.40q, of %d nodes", len(out), m.body, count)
		}
		out = append(out, k)
		return nil
	})
	if err == nil && len(out) != count {
		err = fmt.Errorf("nodes_modes has %d entries, nodes_treeids has %d", len(out), count)
	}
	return out, err
}

// link turns the ids of children into places.
func (r *treeReader) link(l treeLists) error {
	for i := range r.e.nodes {
		n, yes, no, tree, id := &r.e.nodes[i], l.yes.int(), l.no.int(), l.tree.int(), l.id.int()
		if n.mode == modeLeaf {
			continue
		}
		var ok, ok2 bool
		n.yes, ok = r.ids.find(tree, yes)
		n.no, ok2 = r.ids.find(tree, no)
		if !ok || !ok2 {
			field, child := "nodes_truenodeids", yes
			if ok {
				field, child = "nodes_falsenodeids", no
			}
			return fmt.Errorf("tree %d: node %d: %s is %d, which is no node of the tree", tree, id, field, child)
		}
	}
	return nil
}

// readWeights gives the leaves their weights, in the order in which they stand for a leaf.
func (r *treeReader) readWeights(prefix string) error {
	var trees, ids, targets list
	count := -1
	for i, to := range []*list{&trees, &ids, &targets} {
		name := prefix + []string{"_treeids", "_nodeids", "_ids"}[i]
		l, err := r.n.intList(name)
		if err != nil {
			return err
		}
		k := l.count()
		if count >= 0 && k != count {
			return fmt.Errorf("%s has %d entries, %s_treeids has %d", name, k, prefix, count)
		}
		*to, count = l, k
	}
	values, err := r.n.numbers(prefix + "_weights")
	if err != nil {
		return err
	}
	if values.size != count {
		return fmt.Errorf("%s_weights has %d entries, %s_treeids has %d", prefix, values.size, prefix, count)
	}
	if values.double && !r.e.double {
		return fmt.Errorf("%s_weights_as_tensor is of double for an input that is not", prefix)
	}
	if err := r.countWeights(trees, ids, count, prefix); err != nil {
		return err
	}
	for range count {
		tree, id, target, v := trees.int(), ids.int(), targets.int(), values.next()
		at, _ := r.ids.find(tree, id)
		if target < 0 || target >= int64(r.e.targets) {
			return fmt.Errorf("tree %d: node %d: %s_ids is %d of %d", tree, id, prefix, target, r.e.targets)
		}
		if v-v != 0 {
			return fmt.Errorf("tree %d: node %d: %s_weights is %v", tree, id, prefix, v)
		}
		if n := &r.e.nodes[at]; n.mode == modeLeaf {
			r.e.weights[n.yes+n.no] = weight{v, int32(target)}
			n.no++
		}
	}
	return nil
}

// countWeights makes room for the weights of each leaf, side by side. Weights of splits, which old converters wrote, count
// for nothing.
func (r *treeReader) countWeights(trees, ids list, count int, prefix string) error {
	for range count {
		tree, id := trees.int(), ids.int()
		at, ok := r.ids.find(tree, id)
		if !ok {
			return fmt.Errorf("tree %d: node %d, which %s_nodeids names, is no node", tree, id, prefix)
		}
		if n := &r.e.nodes[at]; n.mode == modeLeaf {
			n.no++
		}
	}
	total := int32(0)
	for i := range r.e.nodes {
		if n := &r.e.nodes[i]; n.mode == modeLeaf {
			n.yes, n.no, total = total, 0, total+n.no
		}
	}
	r.e.weights = make([]weight, total)
	return nil
}
