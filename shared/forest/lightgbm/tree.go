package lightgbm

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"

	"github.com/millrace-ml/millrace/shared/forest"
)

var treeKeys = []string{"num_leaves", "num_cat", "split_feature", "threshold", "decision_type", "left_child", "right_child",
	"leaf_value", "cat_boundaries", "cat_threshold", "is_linear", "leaf_const", "num_features", "leaf_features", "leaf_coeff",
	"split_gain", "leaf_weight", "leaf_count", "internal_value", "internal_weight", "internal_count", "shrinkage"}

// treeReader reads one tree after the other with the same memory.
type treeReader struct {
	features int
	fields   fields
	tree     forest.Tree
	leaves   int

	feature, decision, left, right []int32
	threshold, value               []float64
	boundaries                     []int32
	words                          []uint32
	codes                          []uint32
	constants, coefficients        []float64
	counts, terms                  []int32
	linear                         []forest.Linear
	reached                        []bool
}

// place names the tree of an error.
func place(tree int, err error) error { return fmt.Errorf("tree %d: %w", tree, err) }

// read reads the tree number i, which opens at the current line. The result is good until the next read.
func (r *treeReader) read(s *scanner, i int) (*forest.Tree, error) {
	if got := string(s.line[len(treeMark):]); got != strconv.Itoa(i) {
		return nil, fmt.Errorf("it is called Tree=%s", clip([]byte(got)))
	}
	s.next()
	if r.fields.known == nil {
		r.fields = newFields(treeKeys)
	}
	if err := r.fields.read(s); err != nil {
		return nil, err
	}
	if err := r.lists(); err != nil {
		return nil, err
	}
	nodes := 2*r.leaves - 1
	if cap(r.tree.Nodes) < nodes {
		r.tree.Nodes = make([]forest.Node, nodes)
	}
	r.tree.Nodes = r.tree.Nodes[:nodes]
	r.reached = append(r.reached[:0], make([]bool, nodes)...)
	for n := range r.leaves - 1 {
		if err := r.split(n, &r.tree.Nodes[n]); err != nil {
			return nil, fmt.Errorf("node %d: %w", n, err)
		}
	}
	for n, v := range r.value {
		r.tree.Nodes[r.leaves-1+n] = forest.Node{Left: -1, Right: -1, Value: v}
	}
	return &r.tree, r.linearLeaves()
}

// lists reads the arrays, whose lengths follow from the number of leaves.
func (r *treeReader) lists() error {
	var err error
	if r.leaves, err = r.fields.whole("num_leaves", forest.MaxNodes/2); err != nil {
		return err
	}
	if r.leaves < 1 {
		return fmt.Errorf("num_leaves is 0")
	}
	if r.value, err = list(&r.fields, "leaf_value", r.leaves, r.value); err != nil {
		return err
	}
	splits := r.leaves - 1
	for _, a := range [...]struct {
		key string
		to  *[]int32
	}{{"split_feature", &r.feature}, {"decision_type", &r.decision}, {"left_child", &r.left}, {"right_child", &r.right}} {
		if splits == 0 {
			*a.to = (*a.to)[:0]
			continue // a tree of one leaf may have other arrays or none
		}
		if *a.to, err = list(&r.fields, a.key, splits, *a.to); err != nil {
			return err
		}
	}
	if splits > 0 {
		if r.threshold, err = listOf(&r.fields, "threshold", splits, r.threshold, parseThreshold, "a number"); err != nil {
			return err
		}
	}
	return r.sets()
}

// sets reads the bits of the categorical splits: set j is the words from boundary j to boundary j+1.
func (r *treeReader) sets() error {
	n, err := r.fields.whole("num_cat", forest.MaxNodes)
	r.boundaries, r.codes = r.boundaries[:0], r.codes[:0]
	if err != nil || n == 0 {
		return err
	}
	if n > r.leaves-1 {
		return fmt.Errorf("num_cat is %d, num_leaves %d", n, r.leaves)
	}
	if r.boundaries, err = list(&r.fields, "cat_boundaries", n+1, r.boundaries); err != nil {
		return err
	}
	last := int32(0)
	for i, v := range r.boundaries {
		if v < last || i == 0 && v != 0 {
			return fmt.Errorf("cat_boundaries[%d] is %d, expected numbers that rise from 0", i, v)
		}
		last = v
	}
	r.words, err = list(&r.fields, "cat_threshold", int(last), r.words)
	return err
}

// split makes node n.
func (r *treeReader) split(n int, node *forest.Node) error {
	*node = forest.Node{Feature: r.feature[n], SetLeft: true}
	if node.Feature < 0 || int(node.Feature) >= r.features {
		return fmt.Errorf("split_feature is %d, the model has %d features", node.Feature, r.features)
	}
	var err error
	if node.Left, err = r.child("left_child", r.left[n]); err != nil {
		return err
	}
	if node.Right, err = r.child("right_child", r.right[n]); err != nil {
		return err
	}
	d := r.decision[n]
	if d < 0 || d > 15 || d>>2 == 3 {
		return fmt.Errorf("decision_type is %d, expected two flags and one of three kinds of missing values", d)
	}
	node.Categorical, node.DefaultLeft = d&1 != 0, d&2 != 0
	if node.Categorical {
		return r.set(r.threshold[n], node)
	}
	node.Missing = [3]forest.Missing{forest.MissingNone, forest.MissingZero, forest.MissingNaN}[d>>2]
	// The file means "at most the threshold", which is "less than the next number".
	node.Threshold = math.Nextafter(r.threshold[n], math.Inf(1))
	node.AllLeft = math.IsInf(r.threshold[n], 1)
	return nil
}

// child is the number of a child among all nodes: those that split, then the leaves. Each is the child of one node.
func (r *treeReader) child(key string, c int32) (int32, error) {
	at := int64(c)
	if c < 0 {
		at = int64(r.leaves-1) + int64(^c)
	} else if int(c) >= r.leaves-1 {
		return 0, fmt.Errorf("%s is %d, the tree has %d nodes", key, c, r.leaves-1)
	}
	if at >= int64(len(r.reached)) {
		return 0, fmt.Errorf("%s is %d, which is leaf %d; the tree has %d leaves", key, c, ^c, r.leaves)
	}
	if at == 0 || r.reached[at] {
		return 0, fmt.Errorf("%s is %d, which is the root or has a parent already: not a tree", key, c)
	}
	r.reached[at] = true
	return int32(at), nil
}

// maxCodes bounds the categories of one tree.
const maxCodes = 1 << 24

// set gives a categorical split its codes.
func (r *treeReader) set(index float64, node *forest.Node) error {
	if index < 0 || index != math.Trunc(index) || index >= float64(len(r.boundaries)-1) {
		return fmt.Errorf("threshold is %v, expected the number of one of %d category sets", index, max(len(r.boundaries)-1, 0))
	}
	words := r.words[r.boundaries[int(index)]:r.boundaries[int(index)+1]]
	if len(words) > 1<<26 {
		return fmt.Errorf("categories above those of 32 bits")
	}
	first := len(r.codes)
	for i, w := range words {
		for ; w != 0; w &= w - 1 {
			if len(r.codes) == maxCodes {
				return fmt.Errorf("more than %d categories in the splits of a tree", maxCodes)
			}
			r.codes = append(r.codes, uint32(i)*32+uint32(bits.TrailingZeros32(w)))
		}
	}
	node.Set = r.codes[first:len(r.codes):len(r.codes)]
	return nil
}

// linearLeaves gives the leaves of a linear tree their models; their numbers stand one behind the other.
func (r *treeReader) linearLeaves() error {
	f := &r.fields
	if text := f.get("is_linear"); text == nil || string(text) == "0" {
		return nil
	} else if string(text) != "1" {
		return fmt.Errorf("is_linear is %s, expected 0 or 1", clip(text))
	}
	var err error
	if r.constants, err = list(f, "leaf_const", r.leaves, r.constants); err != nil {
		return err
	}
	if r.counts, err = list(f, "num_features", r.leaves, r.counts); err != nil {
		return err
	}
	total := 0
	for leaf, n := range r.counts {
		if total += int(n); n < 0 || total > math.MaxInt32 {
			return fmt.Errorf("num_features[%d] is %d", leaf, n)
		}
	}
	if r.terms, err = list(f, "leaf_features", total, r.terms); err != nil {
		return err
	}
	if r.coefficients, err = list(f, "leaf_coeff", total, r.coefficients); err != nil {
		return err
	}
	for i, v := range r.terms {
		if v < 0 || int(v) >= r.features {
			return fmt.Errorf("leaf_features[%d] is %d, the model has %d features", i, v, r.features)
		}
	}
	r.linear = append(r.linear[:0], make([]forest.Linear, r.leaves)...)
	at := 0
	for leaf, n := range r.counts {
		end := at + int(n)
		r.linear[leaf] = forest.Linear{Const: r.constants[leaf], Features: r.terms[at:end], Coefficients: r.coefficients[at:end]}
		r.tree.Nodes[r.leaves-1+leaf].Linear = &r.linear[leaf]
		at = end
	}
	return nil
}
