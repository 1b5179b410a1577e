package onnx

import "fmt"

// modeMember asks whether a value is one of a set; it becomes a chain of questions for one value each.
const modeMember mode = 100

// fiveModes are the modes by their numbers in version 5.
var fiveModes = []mode{modeLessEqual, modeLess, modeGreaterEqual, modeGreater, modeEqual, modeNotEqual, modeMember}

// fivePosts are the transforms by their numbers in version 5, as ONNX Runtime has them: the standard has the first two of
// LOGISTIC and SOFTMAX the other way round.
var fivePosts = []int{transformNone, transformLogistic, transformSoftmax, transformSoftmaxZero, transformProbit}

// fiveReader reads a TreeEnsemble of version 5, whose leaves are no nodes, into the form of the older versions.
type fiveReader struct {
	n        *node
	e        *ensemble
	features int

	roots, feature, yes, no, yesLeaf, noLeaf, missing, targets []int64
	modes                                                      []byte
	splits, leaves, members                                    []float64
	sets                                                       [][]float64 // per node of the mode member
	used                                                       int         // nodes that have a place
}

func buildTreeEnsemble(c *compiler, n *node, in []*value) ([]*value, error) {
	v, err := input(in, 0, float, double)
	if err != nil {
		return nil, err
	}
	if v, err = c.table([]*value{v}); err != nil {
		return nil, err
	}
	if err := n.only("aggregate_function", "leaf_targetids", "leaf_weights", "membership_values", "n_targets", "nodes_falseleafs", "nodes_falsenodeids",
		"nodes_featureids", "nodes_hitrates", "nodes_missing_value_tracks_true", "nodes_modes", "nodes_splits", "nodes_trueleafs", "nodes_truenodeids",
		"post_transform", "tree_roots"); err != nil {
		return nil, err
	}
	var numbers [3]int64
	for i, name := range []string{"aggregate_function", "post_transform", "n_targets"} {
		if numbers[i], err = n.int(name, []int64{aggregateSum, 0, 1}[i]); err != nil {
			return nil, err
		}
		if most := []int64{aggregateMost, transformProbit, maxTargets}[i]; numbers[i] < 0 || numbers[i] > most || numbers[2] == 0 && i == 2 {
			return nil, fmt.Errorf("attribute %s is %d", name, numbers[i])
		}
	}
	e := &ensemble{double: v.kind == double, wide: v.kind == double, aggregate: int(numbers[0]), post: fivePosts[numbers[1]], targets: int(numbers[2])}
	r := &fiveReader{n: n, e: e, features: v.width()}
	if err := r.lists(); err != nil {
		return nil, err
	}
	for t := range r.roots {
		if err := r.tree(t); err != nil {
			return nil, fmt.Errorf("tree %d: %w", t, err)
		}
	}
	if r.used != len(r.feature) {
		return nil, fmt.Errorf("%d of %d nodes cannot be reached", len(r.feature)-r.used, len(r.feature))
	}
	if err := e.checkShape(func(i int32) string { return fmt.Sprintf("node %d", i) }); err != nil {
		return nil, err
	}
	out, err := c.ensemble(v, e, nil)
	return []*value{out}, err
}

// lists reads the attributes and compares their lengths.
func (r *fiveReader) lists() (err error) {
	for _, a := range []struct {
		name string
		to   *[]int64
	}{{"tree_roots", &r.roots}, {"nodes_featureids", &r.feature}, {"nodes_truenodeids", &r.yes}, {"nodes_falsenodeids", &r.no},
		{"nodes_trueleafs", &r.yesLeaf}, {"nodes_falseleafs", &r.noLeaf}, {"nodes_missing_value_tracks_true", &r.missing}, {"leaf_targetids", &r.targets}} {
		if *a.to, err = r.n.ints(a.name); err != nil {
			return err
		}
	}
	for _, a := range []struct {
		name string
		to   *[]float64
	}{{"nodes_splits", &r.splits}, {"leaf_weights", &r.leaves}, {"membership_values", &r.members}} {
		if *a.to, err = r.reals(a.name); err != nil {
			return err
		}
	}
	if r.modes, err = r.n.bytes("nodes_modes"); err != nil {
		return err
	}
	count := len(r.feature)
	for name, n := range map[string]int{"nodes_truenodeids": len(r.yes), "nodes_falsenodeids": len(r.no), "nodes_trueleafs": len(r.yesLeaf),
		"nodes_falseleafs": len(r.noLeaf), "nodes_splits": len(r.splits), "nodes_modes": len(r.modes)} {
		if n != count {
			return fmt.Errorf("%s has %d entries, nodes_featureids has %d", name, n, count)
		}
	}
	switch {
	case len(r.missing) != 0 && len(r.missing) != count:
		return fmt.Errorf("nodes_missing_value_tracks_true has %d entries, nodes_featureids has %d", len(r.missing), count)
	case len(r.roots) == 0 || count == 0:
		return fmt.Errorf("no trees")
	case len(r.leaves) != len(r.targets):
		return fmt.Errorf("leaf_weights has %d entries, leaf_targetids has %d", len(r.leaves), len(r.targets))
	}
	return r.split()
}

// reals are the numbers of a tensor in the ensemble's type.
func (r *fiveReader) reals(name string) ([]float64, error) {
	t, err := r.n.tensor(name)
	if err != nil || t == nil {
		return nil, err
	}
	if t.kind != float && t.kind != double || (t.kind == double) != r.e.double {
		return nil, fmt.Errorf("attribute %s is of %s, which is not the input's kind", name, t.kind)
	}
	b := t.data()
	if t.kind == double {
		return b.doubles, nil
	}
	out := make([]float64, t.size)
	for i, v := range b.floats {
		out[i] = float64(v)
	}
	return out, nil
}

// bytes are the elements of a tensor of uint8.
func (n *node) bytes(name string) ([]byte, error) {
	a, err := n.find(name, typeTensor)
	if err != nil {
		return nil, err
	}
	if a == nil {
		return nil, fmt.Errorf("attribute %s is missing", name)
	}
	var out []byte
	kind := int64(0)
	err = fields(a.field(5).body, func(m *message) error {
		switch m.num {
		case 2:
			return m.int(&kind)
		case 5:
			for l := (list{fields: message{}, num: 5, packed: m.body}); len(l.packed) > 0; {
				v, ok := l.next()
				if !ok {
					return fmt.Errorf("field 5: cut off")
				}
				out = append(out, byte(min(v, 255)))
			}
		case 9:
			out = append(out, m.body...)
		}
		return nil
	})
	if err == nil && kind != 2 {
		err = fmt.Errorf("attribute %s is of elements of type %d, expected uint8", name, kind)
	}
	return out, err
}

// split cuts the members into the sets of the nodes that ask for them; what is not a number ends a set.
func (r *fiveReader) split() error {
	r.sets = make([][]float64, len(r.modes))
	rest := r.members
	for i, m := range r.modes {
		if int(m) >= len(fiveModes) {
			return fmt.Errorf("nodes_modes[%d] is %d", i, m)
		}
		if fiveModes[m] != modeMember {
			continue
		}
		n := 0
		for n < len(rest) && rest[n] == rest[n] {
			n++
		}
		if n == 0 {
			return fmt.Errorf("node %d: no membership_values", i)
		}
		r.sets[i] = rest[:n]
		rest = rest[min(n+1, len(rest)):]
	}
	if len(rest) > 0 {
		return fmt.Errorf("%d membership_values are left", len(rest))
	}
	return nil
}

// visitFive is a node, or a leaf, that waits for its place.
type visitFive struct {
	from int64
	leaf bool
	at   int32
}

// tree appends a tree from its root on. A node that is reached twice shows as more nodes than there are.
func (r *fiveReader) tree(t int) error {
	e, first := r.e, int32(len(r.e.nodes))
	e.roots = append(e.roots, first)
	e.nodes = append(e.nodes, treeNode{})
	queue := []visitFive{{r.roots[t], false, first}}
	for ; len(queue) > 0; queue = queue[1:] {
		v := queue[0]
		if v.leaf {
			if v.from < 0 || v.from >= int64(len(r.leaves)) || r.targets[v.from] < 0 || r.targets[v.from] >= int64(e.targets) {
				return fmt.Errorf("leaf %d: there are %d leaves for %d outputs", v.from, len(r.leaves), e.targets)
			}
			if w := r.leaves[v.from]; w-w != 0 {
				return fmt.Errorf("leaf %d: leaf_weights is %v", v.from, w)
			}
			e.nodes[v.at] = treeNode{yes: int32(len(e.weights)), no: 1}
			e.weights = append(e.weights, weight{r.leaves[v.from], int32(r.targets[v.from])})
			continue
		}
		if r.used++; v.from < 0 || v.from >= int64(len(r.feature)) || r.used > len(r.feature) {
			return fmt.Errorf("node %d: there are %d nodes, or one is reached twice", v.from, len(r.feature))
		}
		if s := r.splits[v.from]; s != s {
			return fmt.Errorf("node %d: nodes_splits is not a number", v.from)
		}
		if f := r.feature[v.from]; f < 0 || f >= int64(r.features) {
			return fmt.Errorf("node %d: nodes_featureids is %d, the input has %d columns", v.from, f, r.features)
		}
		yes, no := r.place(v)
		queue = append(queue, visitFive{r.yes[v.from], r.yesLeaf[v.from] != 0, yes}, visitFive{r.no[v.from], r.noLeaf[v.from] != 0, no})
	}
	return nil
}

// place writes a node, as a chain where it asks for members, and makes room for its children.
func (r *fiveReader) place(v visitFive) (yes, no int32) {
	e, i := r.e, v.from
	yes, no = int32(len(e.nodes)), int32(len(e.nodes)+1)
	e.nodes = append(e.nodes, treeNode{}, treeNode{})
	n := treeNode{value: r.splits[i], feature: int32(r.feature[i]), yes: yes, no: no, mode: fiveModes[r.modes[i]]}
	n.missing = len(r.missing) > 0 && r.missing[i] == 1
	if n.mode == modeMember {
		n.mode = modeEqual
		at := v.at
		for _, member := range r.sets[i][:len(r.sets[i])-1] {
			next := n
			next.value, next.no = member, int32(len(e.nodes))
			e.nodes[at] = next
			at = next.no
			e.nodes = append(e.nodes, treeNode{})
		}
		n.value = r.sets[i][len(r.sets[i])-1]
		e.nodes[at] = n
		return yes, no
	}
	e.nodes[v.at] = n
	return yes, no
}
