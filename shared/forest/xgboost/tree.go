package xgboost

import (
	"fmt"

	"github.com/millrace-ml/millrace/shared/forest"
)

// leafSize is the number of values in a leaf; 0 is the old way to write 1, and nonsense is found by checkCounts.
func (r *rawTree) leafSize() int {
	n, err := whole("size_leaf_vector", r.param.leafSize)
	if err != nil || n == 0 {
		return 1
	}
	return n
}

// tree checks that the arrays of a tree agree and makes nodes of them. Whether the nodes form a tree, the builder checks.
func (r *rawTree) tree(doc *content, c *forest.Config) (*forest.Tree, error) {
	if err := r.checkCounts(c); err != nil {
		return nil, err
	}
	t := &forest.Tree{Nodes: make([]forest.Node, len(r.left))}
	var err error
	if t.Deleted, err = whole("tree_param.num_deleted", r.param.numDeleted); err != nil {
		return nil, err
	}
	for i := range t.Nodes {
		if err := r.node(i, &t.Nodes[i], c.Vectors); err != nil {
			return nil, fmt.Errorf("node %d: %w", i, err)
		}
	}
	if err := r.sets(doc, t.Nodes); err != nil {
		return nil, err
	}
	if c.Vectors {
		return t, r.vectors(t, len(c.Base))
	}
	return t, nil
}

// checkCounts compares the lengths of all arrays with the number of nodes, and the parameters with the model's.
func (r *rawTree) checkCounts(c *forest.Config) error {
	n := len(r.left)
	nodes, err := whole("tree_param.num_nodes", r.param.numNodes)
	if err != nil {
		return err
	}
	features, err := whole("tree_param.num_feature", r.param.numFeature)
	if err != nil {
		return err
	}
	if nodes != n {
		return fmt.Errorf("left_children has %d entries, tree_param.num_nodes is %d", n, nodes)
	}
	if features != c.Features {
		return fmt.Errorf("tree_param.num_feature is %d, the model has %d features", features, c.Features)
	}
	for _, a := range [...]struct {
		name string
		len  int
	}{
		{"right_children", len(r.right)},
		{"split_indices", len(r.feature)},
		{"split_conditions", len(r.conditions)},
		{"default_left", len(r.defaultLeft)},
		{"split_type", len(r.splitType)},
	} {
		if a.len != n {
			return fmt.Errorf("%s has %d entries for %d nodes", a.name, a.len, n)
		}
	}
	width := 1
	if c.Vectors {
		width = len(c.Base)
	}
	if _, err := whole("tree_param.size_leaf_vector", r.param.leafSize); err != nil {
		return err
	}
	if r.leafSize() != width {
		return fmt.Errorf("tree_param.size_leaf_vector is %d, expected %d: all trees of a model have leaves of one kind, of one value per output",
			r.leafSize(), width)
	}
	return nil
}

func (r *rawTree) node(i int, n *forest.Node, vectors bool) error {
	*n = forest.Node{Left: r.left[i], Right: r.right[i], Value: float64(r.conditions[i])}
	if n.Left == -1 {
		if n.Right != -1 && !vectors {
			return fmt.Errorf("right_children is %d, expected -1 beside the -1 in left_children", n.Right)
		}
		return nil
	}
	if n.Left < 0 {
		return fmt.Errorf("left_children is %d, expected a node or -1", n.Left)
	}
	n.Feature = r.feature[i]
	n.Threshold, n.Value = n.Value, 0
	switch r.defaultLeft[i] {
	case 0, 1:
		n.DefaultLeft = r.defaultLeft[i] == 1
	default:
		return fmt.Errorf("default_left is %d, expected 0 or 1", r.defaultLeft[i])
	}
	switch r.splitType[i] {
	case 0, 1:
		n.Categorical = r.splitType[i] == 1
	default:
		return fmt.Errorf("split_type is %d, expected 0 or 1", r.splitType[i])
	}
	return nil
}

// sets gives the categorical splits their categories.
func (r *rawTree) sets(doc *content, nodes []forest.Node) error {
	if len(r.categorySegments) != len(r.categoryNodes) || len(r.categorySizes) != len(r.categoryNodes) {
		return fmt.Errorf("categories_nodes, categories_segments and categories_sizes have %d, %d and %d entries",
			len(r.categoryNodes), len(r.categorySegments), len(r.categorySizes))
	}
	for j, i := range r.categoryNodes {
		if i < 0 || int(i) >= len(nodes) || nodes[i].Left < 0 || !nodes[i].Categorical {
			return fmt.Errorf("categories_nodes[%d] is %d, which is no categorical split", j, i)
		}
		start, size := int64(r.categorySegments[j]), int64(r.categorySizes[j])
		if nodes[i].Set != nil {
			return fmt.Errorf("categories_nodes[%d]: node %d stands there twice", j, i)
		}
		if start < 0 || size < 1 || start+size > int64(len(r.categories)) {
			return fmt.Errorf("node %d: %d categories from %d on, categories has %d entries", i, size, start, len(r.categories))
		}
		set := make([]uint32, size)
		for k, c := range r.categories[start : start+size] {
			if c < 0 {
				return fmt.Errorf("node %d: category %d", i, c)
			}
			set[k] = uint32(c)
		}
		nodes[i].Set = set
	}
	for i := range nodes {
		if !nodes[i].Categorical {
			continue
		}
		if nodes[i].Set == nil {
			return fmt.Errorf("node %d: a categorical split without an entry in categories_nodes", i)
		}
		if !doc.atLeast(1, 7) { // they sent unseen categories elsewhere
			return fmt.Errorf("node %d: categorical splits of XGBoost %s are not supported; train with 1.7 or later", i, doc.release())
		}
	}
	return nil
}

// vectors gives the leaves their rows of values. Up to 3.1 these stand in base_weights by node, later in leaf_weights by
// leaf, with the number of the leaf in right_children.
func (r *rawTree) vectors(t *forest.Tree, width int) error {
	byLeaf := r.leafWeights != nil
	weights, name := r.baseWeights, "base_weights"
	if byLeaf {
		weights, name = r.leafWeights, "leaf_weights"
	} else if len(weights) != len(t.Nodes)*width {
		return fmt.Errorf("%s has %d entries for %d nodes with %d values", name, len(weights), len(t.Nodes), width)
	}
	leaves := 0
	taken := make([]bool, len(weights)/width)
	for i := range t.Nodes {
		n := &t.Nodes[i]
		if n.Left >= 0 {
			continue
		}
		row := i
		if byLeaf {
			row = int(n.Right)
		}
		if row < 0 || row >= len(taken) || taken[row] {
			return fmt.Errorf("node %d: right_children is %d, expected the number of a leaf, each once, below %d", i, row, len(taken))
		}
		taken[row] = true
		n.Right, n.Vector = -1, int32(leaves)
		leaves++
		for _, v := range weights[row*width : (row+1)*width] {
			t.Vectors = append(t.Vectors, float64(v))
		}
	}
	if byLeaf && len(weights) != leaves*width {
		return fmt.Errorf("%s has %d entries for %d leaves with %d values", name, len(weights), leaves, width)
	}
	return nil
}
