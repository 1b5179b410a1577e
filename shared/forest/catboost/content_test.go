package catboost

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
	"testing"
)

// contentOf reads a golden's .cbm, for tests to bend what it says.
func contentOf(t *testing.T, model string) *content {
	t.Helper()
	var c content
	if err := c.readBinary(file(t, testFolder, model+".cbm")); err != nil {
		t.Fatal(err)
	}
	return &c
}

// What both formats lead to is checked once more, wherever it came from.
func TestContentRefuses(t *testing.T) {
	t.Parallel()
	leafy := func(c *content) (at int) { // the first leaf
		for c.steps[at] != (step{}) {
			at++
		}
		return at
	}
	for _, m := range []struct {
		name, model, want string
		bend              func(c *content)
	}{
		{"a leaf's values used twice", "lossguide", "its values stand at", func(c *content) { c.leafOf[leafy(c)+1] = c.leafOf[leafy(c)] }},
		{"values between leaves", "lossguide_multi", "expected a multiple of 3", func(c *content) { c.leafOf[leafy(c)]++ }},
		{"values behind all", "lossguide", "its values stand at 4294967295", func(c *content) { c.leafOf[leafy(c)] = math.MaxUint32 }},
		{"values of no one", "lossguide", "of 46 leaf values the first that no node has is 45", func(c *content) { c.leaves = append(c.leaves, 1) }},
		{"a child behind the tree", "lossguide", "tree 0: node 0: goes on to node", func(c *content) { c.steps[0].left = 9999 }},
		{"a child reached twice", "lossguide", "is also reached another way", func(c *content) { c.steps[0].left = c.steps[0].right }},
		{"a tree of no nodes", "lossguide", "tree 1: 0 nodes", func(c *content) { c.sizes[1] = 0 }},
		{"a tree of negative size", "lossguide", "tree 1: -1 nodes", func(c *content) { c.sizes[1] = -1 }},
		{"a tree too large", "lossguide", "expected at least one and", func(c *content) { c.sizes[4] += 9 }},
		{"a node of no tree", "lossguide", "nodes belong to no tree", func(c *content) { c.sizes = c.sizes[:4] }},
		{"a step less", "lossguide", "splits, ", func(c *content) { c.steps = c.steps[1:] }},
		{"a negative depth", "rmse", "tree 2: -1 splits", func(c *content) { c.sizes[2] = -1 }},
		{"a depth of 40", "rmse", "tree 2: 40 splits", func(c *content) { c.sizes[2] = 40 }},
		{"a split of no tree", "rmse", "1 splits and 0 leaf values belong to no tree", func(c *content) { c.splits = append(c.splits, 0) }},
		{"a leaf less", "rmse", "tree 4: leaf_values ends after 7 of its 8", func(c *content) { c.leaves = c.leaves[1:] }},
		{"a leaf that is no number", "rmse", "tree 0: leaf value 0 is NaN", func(c *content) { c.leaves[0] = math.NaN() }},
		{"a question of no one", "rmse", "tree 0: split 0: split_index is 999", func(c *content) { c.splits[0] = 999 }},
		{"an infinite border", "rmse", "float feature 0: borders[0] is +Inf", func(c *content) { c.floats[0].borders[0] = float32(math.Inf(1)) }},
		{"no outputs", "rmse", "0 outputs", func(c *content) { c.dimensions = 0 }},
		{"a million outputs", "rmse", "1000000 outputs", func(c *content) { c.dimensions = 1_000_000 }},
		{"a bias too many", "rmse", "2 biases for 1 outputs", func(c *content) { c.bias = []float64{1, 2} }},
		{"an infinite scale", "rmse", "scale is +Inf", func(c *content) { c.scale = math.Inf(1) }},
		{"classes with one output", "rmse", "objective MultiClass with 1 outputs", func(c *content) { c.objective = "MultiClass" }},
		{"a mean and no variance", "rmse", "a mean and a variance of 1 outputs", func(c *content) { c.objective = "RMSEWithUncertainty" }},
		{"an objective of no one", "rmse", `objective "Mystery" is not supported`, func(c *content) { c.objective = "Mystery" }},
		{"one-hot values of no feature", "onehot", "one-hot feature 0: categorical feature 9 is not there", func(c *content) { c.oneHots[0].cat = 9 }},
		{"one-hot values of one feature twice", "onehot", "or has another one", func(c *content) { c.oneHots[1].cat = c.oneHots[0].cat }},
	} {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			c := contentOf(t, m.model)
			m.bend(c)
			if _, err := c.model(categoriesOf(t, m.model)); err == nil || !strings.Contains(err.Error(), m.want) {
				t.Errorf("error %v, want one with %q", err, m.want)
			}
		})
	}
}

// The starts of trees stand in .cbm beside their sizes, and must agree.
func TestStartsMustAgree(t *testing.T) {
	t.Parallel()
	data := file(t, testFolder, "rmse.cbm")
	starts := binary.LittleEndian.AppendUint32(nil, 5)
	for i := range uint32(5) {
		starts = binary.LittleEndian.AppendUint32(starts, 3*i)
	}
	at := bytes.Index(data, starts)
	if at < 0 {
		t.Fatal("no starts")
	}
	data[at+8]++
	if _, err := Read(data, nil); err == nil || !strings.Contains(err.Error(), "tree 1: TreeStartOffsets is 4, expected 3") {
		t.Errorf("error %v", err)
	}
}

// Vectors that overlap would let a small file ask for much memory.
func TestVectorsMayNotOverlap(t *testing.T) {
	t.Parallel()
	data := file(t, testFolder, "deep.cbm")
	core := data[8:]
	f := &flat{data: core, left: len(core)}
	root := f.table(f.u32(0, "model"), coreFields, "model")
	at, _ := root.field(coreTrees, 4)
	trees := f.table(at+f.u32(at, "trees"), treesFields, "trees")
	first, n := trees.vector(treesLeaves, 8, "LeafValues")
	if n != 2048 || len(first) != 8*n || f.err != nil {
		t.Fatalf("%d leaf values, %v", n, f.err)
	}
	for range 5 {
		trees.vector(treesLeaves, 8, "LeafValues")
	}
	if f.err == nil || !strings.Contains(f.err.Error(), "LeafValues: 2048 elements, more than the model has room for") {
		t.Errorf("error %v", f.err)
	}
	if again, n := trees.vector(treesLeaves, 8, "LeafValues"); n != 0 || len(again) != 0 {
		t.Errorf("%d elements after an error", n)
	}
}
