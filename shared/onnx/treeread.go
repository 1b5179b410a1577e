package onnx

import (
	"cmp"
	"fmt"
	"slices"
)

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

// nodeID is a node as files name it, and its place among the nodes.
type nodeID struct {
	tree, id int64
	at       int32
}

func (a nodeID) compare(b nodeID) int {
	return cmp.Or(cmp.Compare(a.tree, b.tree), cmp.Compare(a.id, b.id))
}

// treeReader reads a tree ensemble of versions 1 and 3.
type treeReader struct {
	n   *node
	e   *ensemble
	ids []nodeID // sorted
}

// read fills the ensemble from the attributes, whose names open with nodes_ and the prefix of the targets.
func (r *treeReader) read(targets string, features int) error {
	if err := r.readNodes(features); err != nil {
		return err
	}
	if err := r.readWeights(targets); err != nil {
		return err
	}
	return r.e.checkShape(func(i int32) string { return r.name(i) })
}

// name names a node for an error.
func (r *treeReader) name(i int32) string {
	for _, id := range r.ids {
		if id.at == i {
			return fmt.Sprintf("tree %d: node %d", id.tree, id.id)
		}
	}
	return fmt.Sprintf("node %d", i)
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
	r.e.nodes, r.ids = make([]treeNode, count), make([]nodeID, count)
	trees, links := map[int64]bool{}, l
	for i := range r.e.nodes {
		id := nodeID{l.tree.int(), l.id.int(), int32(i)}
		n := treeNode{value: l.value.next(), mode: modes[i]}
		feature := l.feature.int()
		n.missing = l.missing.int() == 1
		if i == 0 || id.tree != r.ids[i-1].tree {
			if trees[id.tree] {
				return fmt.Errorf("tree %d: its nodes do not stand together", id.tree)
			}
			trees[id.tree] = true
			r.e.roots = append(r.e.roots, int32(i))
		}
		if n.mode != modeLeaf && (feature < 0 || feature >= int64(features)) {
			return fmt.Errorf("tree %d: node %d: nodes_featureids is %d, the input has %d columns", id.tree, id.id, feature, features)
		}
		n.feature = int32(feature)
		r.e.nodes[i], r.ids[i] = n, id
	}
	if !slices.IsSortedFunc(r.ids, nodeID.compare) {
		slices.SortFunc(r.ids, nodeID.compare)
	}
	for i := range r.ids[1:] {
		if r.ids[i].compare(r.ids[i+1]) == 0 {
			return fmt.Errorf("tree %d: node %d stands there twice", r.ids[i].tree, r.ids[i].id)
		}
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
		n.yes, ok = r.find(tree, yes)
		n.no, ok2 = r.find(tree, no)
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

// find is the place of a node.
func (r *treeReader) find(tree, id int64) (int32, bool) {
	at, ok := slices.BinarySearchFunc(r.ids, nodeID{tree: tree, id: id}, nodeID.compare)
	if !ok {
		return 0, false
	}
	return r.ids[at].at, true
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
	type entry struct {
		weight
		at int32
	}
	all := make([]entry, 0, count)
	for range count {
		tree, id, target := trees.int(), ids.int(), targets.int()
		w := weight{value: values.next(), target: int32(target)}
		at, ok := r.find(tree, id)
		if !ok {
			return fmt.Errorf("tree %d: node %d, which %s_nodeids names, is no node", tree, id, prefix)
		}
		if target < 0 || target >= int64(r.e.targets) {
			return fmt.Errorf("tree %d: node %d: %s_ids is %d of %d", tree, id, prefix, target, r.e.targets)
		}
		if r.e.nodes[at].mode == modeLeaf { // weights of splits, which old converters wrote, count for nothing
			all = append(all, entry{w, at})
		}
	}
	slices.SortStableFunc(all, func(a, b entry) int { return cmp.Compare(a.at, b.at) })
	r.e.weights = make([]weight, len(all))
	for i, w := range all {
		r.e.weights[i] = w.weight
		n := &r.e.nodes[w.at]
		if n.no++; n.no == 1 {
			n.yes = int32(i)
		}
	}
	return nil
}
