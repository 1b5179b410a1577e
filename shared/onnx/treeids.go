package onnx

import (
	"cmp"
	"fmt"
	"slices"
)

// nodeID is a node as files name it, and its place among the nodes.
type nodeID struct{ tree, id, at int32 }

func (a nodeID) compare(b nodeID) int {
	return cmp.Or(cmp.Compare(a.tree, b.tree), cmp.Compare(a.id, b.id))
}

// nodeIDs find nodes by their names. Where the nodes of each tree are numbered in order, as converters do it, the roots are
// enough.
type nodeIDs struct {
	sorted  []nodeID // all nodes, or the roots
	inOrder bool
	count   int32
}

// read takes the names of count nodes. Those of a tree stand together.
func (d *nodeIDs) read(trees, ids list, count int) error {
	d.count, d.inOrder = int32(count), numbered(trees, ids, count)
	seen, last := map[int64]bool{}, int64(0)
	if !d.inOrder {
		d.sorted = make([]nodeID, 0, count)
	}
	for i := range count {
		tree, id := trees.int(), ids.int()
		n := nodeID{int32(tree), int32(id), int32(i)}
		if int64(n.tree) != tree || int64(n.id) != id {
			return fmt.Errorf("tree %d: node %d: a number that no 32 bits hold", tree, id)
		}
		first := i == 0 || tree != last
		if first && seen[tree] {
			return fmt.Errorf("tree %d: its nodes do not stand together", tree)
		}
		seen[tree], last = true, tree
		if first || !d.inOrder {
			d.sorted = append(d.sorted, n)
		}
	}
	if !slices.IsSortedFunc(d.sorted, nodeID.compare) {
		slices.SortFunc(d.sorted, nodeID.compare)
	}
	for i := range d.sorted[1:] {
		if a := d.sorted[i]; a.compare(d.sorted[i+1]) == 0 {
			return fmt.Errorf("tree %d: node %d stands there twice", a.tree, a.id)
		}
	}
	return nil
}

// numbered is whether the nodes of each tree are numbered 0, 1, 2, … and the trees stand in the order of their numbers.
func numbered(trees, ids list, count int) bool {
	last, next := int64(0), int64(0)
	for i := range count {
		tree, id := trees.int(), ids.int()
		if i == 0 || tree != last {
			next = 0
		}
		if id != next || i > 0 && tree < last {
			return false
		}
		last, next = tree, next+1
	}
	return true
}

// find is the place of a node.
func (d *nodeIDs) find(tree, id int64) (int32, bool) {
	want := nodeID{tree: int32(tree), id: int32(id)}
	if int64(want.tree) != tree || int64(want.id) != id {
		return 0, false
	}
	if d.inOrder {
		want.id = 0
	}
	i, ok := slices.BinarySearchFunc(d.sorted, want, nodeID.compare)
	if !ok || !d.inOrder {
		return d.at(i), ok
	}
	at := int64(d.sorted[i].at) + id
	return int32(at), id >= 0 && at < int64(d.end(i))
}

func (d *nodeIDs) at(i int) int32 {
	if i < len(d.sorted) {
		return d.sorted[i].at
	}
	return 0
}

// end is behind the last node of a root's tree.
func (d *nodeIDs) end(i int) int32 {
	if i+1 < len(d.sorted) {
		return d.sorted[i+1].at
	}
	return d.count
}

// name names a node for an error.
func (d *nodeIDs) name(at int32) string {
	best := nodeID{at: -1}
	for _, n := range d.sorted {
		if n.at <= at && n.at > best.at {
			best = n
		}
	}
	if d.inOrder {
		best.id = at - best.at
	}
	return fmt.Sprintf("tree %d: node %d", best.tree, best.id)
}
