package forest

import (
	"fmt"
	"math"
	"slices"
)

// Config says what all trees of a model share. Of Info, a reader fills Format, Version, Objective, Features and the lists;
// the counts come from the trees.
type Config struct {
	Info
	Base    []float64 // margins before the first tree; their number is the model's number of margins
	Link    Link
	Vectors bool // leaves hold one value per margin
}

// Tree is one tree as its file has it. Node 0 is the root.
type Tree struct {
	Nodes   []Node
	Margin  int       // the margin that the leaves add to; 0 with vector leaves
	Vectors []float64 // vector leaves: rows of one value per margin
	Deleted int       // nodes that the trainer cut off and left in the file
}

// Node is a split, or a leaf when Left is negative.
type Node struct {
	Left, Right int32
	Feature     int32
	DefaultLeft bool     // where missing values go
	Categorical bool     // split by Set, not by Threshold
	Threshold   float64  // less goes left
	Set         []uint32 // ascending codes that go right; all other values go left
	Value       float64  // of a scalar leaf
	Vector      int32    // of a vector leaf: its row in Tree.Vectors
}

// Builder checks trees and lays them out.
type Builder struct {
	c      Config
	k      *kernel[float32]
	depth  []int
	slotOf map[slot[float32]]uint32
	sets   map[int32]*setIndex
	cats   []bool // per tree
	nodes  int    // as the files count them
	queue  []visit
	seen   []bool
}

// visit is a node of the file that waits for its place in the flattened tree.
type visit struct {
	node, at uint32
	depth    int
}

// NewBuilder checks what all trees share.
func NewBuilder(c Config) (*Builder, error) {
	margins := len(c.Base)
	switch {
	case c.Features < 1 || c.Features > MaxFeatures:
		return nil, fmt.Errorf("%d features: from 1 to %d are supported", c.Features, MaxFeatures)
	case margins < 1 || margins > MaxMargins:
		return nil, fmt.Errorf("%d outputs: from 1 to %d are supported", margins, MaxMargins)
	case !equalOrEmpty(c.FeatureNames, c.Features):
		return nil, fmt.Errorf("%d feature names for %d features", len(c.FeatureNames), c.Features)
	case !equalOrEmpty(c.FeatureTypes, c.Features):
		return nil, fmt.Errorf("%d feature types for %d features", len(c.FeatureTypes), c.Features)
	case !equalOrEmpty(c.Categorical, c.Features):
		return nil, fmt.Errorf("%d categorical flags for %d features", len(c.Categorical), c.Features)
	case !equalOrEmpty(c.Categories, c.Features):
		return nil, fmt.Errorf("categories of %d features for %d features", len(c.Categories), c.Features)
	}
	b := &Builder{c: c, slotOf: map[slot[float32]]uint32{}, sets: map[int32]*setIndex{}}
	b.c.Info = cloneInfo(c.Info)
	if len(b.c.Categorical) == 0 {
		b.c.Categorical = make([]bool, c.Features)
	}
	b.k = &kernel[float32]{features: c.Features, margins: margins}
	for i, v := range c.Base {
		if !finite(v) {
			return nil, fmt.Errorf("base score %d is %v", i, v)
		}
		b.k.base = append(b.k.base, float32(v))
	}
	return b, nil
}

// Add checks a tree and appends it. Errors name the node, and end the building. The tree's slices may be used again
// afterwards.
func (b *Builder) Add(t *Tree) error {
	b.nodes += len(t.Nodes)
	switch {
	case len(b.k.roots) == MaxTrees:
		return fmt.Errorf("more than %d trees", MaxTrees)
	case len(t.Nodes) == 0:
		return fmt.Errorf("no nodes")
	case b.nodes > MaxNodes:
		return fmt.Errorf("more than %d nodes in all", MaxNodes)
	case t.Margin < 0 || t.Margin >= b.k.margins:
		return fmt.Errorf("adds to output %d of %d", t.Margin, b.k.margins)
	case len(t.Vectors)%b.k.margins != 0 || len(t.Vectors)/b.k.margins > len(t.Nodes):
		return fmt.Errorf("%d leaf values for %d nodes and %d outputs", len(t.Vectors), len(t.Nodes), b.k.margins)
	}
	b.k.roots = append(b.k.roots, uint32(len(b.k.nodes)))
	b.k.margin = append(b.k.margin, uint32(t.Margin))
	b.cats = append(b.cats, false)
	depth, err := b.flatten(t)
	b.depth = append(b.depth, depth)
	return err
}

// flatten walks the tree breadth-first from its root, so that a cycle or a shared child shows as a second visit.
func (b *Builder) flatten(t *Tree) (depth int, err error) {
	vectors := len(b.k.vectors) / b.k.margins
	for i, v := range t.Vectors {
		if !finite(v) {
			return 0, fmt.Errorf("leaf value %d is %v", i, v)
		}
		b.k.vectors = append(b.k.vectors, float32(v))
	}
	b.seen = append(b.seen[:0], make([]bool, len(t.Nodes))...)
	b.seen[0] = true
	b.queue = append(b.queue[:0], visit{at: uint32(len(b.k.nodes))})
	b.grow(1)
	for head := 0; head < len(b.queue); head++ {
		v := b.queue[head]
		n := &t.Nodes[v.node]
		depth = max(depth, v.depth)
		if n.Left < 0 {
			err = b.leaf(n, v, vectors, len(t.Vectors)/b.k.margins)
		} else {
			err = b.split(t, n, v)
		}
		if err != nil {
			return 0, fmt.Errorf("node %d: %w", v.node, err)
		}
	}
	if loose := len(t.Nodes) - len(b.queue); loose != t.Deleted {
		first := slices.Index(b.seen, false)
		return 0, fmt.Errorf("%d nodes cannot be reached (the first is %d), %d are declared deleted", loose, first, t.Deleted)
	}
	return depth, nil
}

func (b *Builder) grow(n int) {
	b.k.nodes = append(b.k.nodes, make([]node[float32], n)...)
}

func (b *Builder) leaf(n *Node, v visit, vectors, rows int) error {
	thr := float32(n.Value)
	if b.c.Vectors {
		if n.Vector < 0 || int(n.Vector) >= rows {
			return fmt.Errorf("leaf %d: the tree has %d leaves", n.Vector, rows)
		}
		thr = float32(vectors + int(n.Vector))
	} else if !finite(n.Value) {
		return fmt.Errorf("leaf value is %v", n.Value)
	}
	b.k.nodes[v.at] = node[float32]{thr: thr, left: v.at, slot: pad}
	return nil
}

func (b *Builder) split(t *Tree, n *Node, v visit) error {
	if v.depth == MaxDepth {
		return fmt.Errorf("deeper than %d splits", MaxDepth)
	}
	if n.Feature < 0 || int(n.Feature) >= b.c.Features {
		return fmt.Errorf("splits by feature %d of %d", n.Feature, b.c.Features)
	}
	left := uint32(len(b.k.nodes))
	for i, child := range [2]int32{n.Left, n.Right} {
		side := [2]string{"left", "right"}[i]
		if child < 0 || int(child) >= len(t.Nodes) {
			return fmt.Errorf("%s child %d: the tree has %d nodes", side, child, len(t.Nodes))
		}
		if b.seen[child] {
			return fmt.Errorf("%s child %d is also reached another way: not a tree", side, child)
		}
		b.seen[child] = true
		b.queue = append(b.queue, visit{node: uint32(child), at: left + uint32(i), depth: v.depth + 1})
	}
	b.grow(2)
	flat := node[float32]{left: left, slot: pad}
	if n.Categorical {
		if err := b.addSet(n, v.at); err != nil {
			return err
		}
	} else {
		if !finite(n.Threshold) {
			return fmt.Errorf("threshold is %v", n.Threshold)
		}
		flat.thr, flat.slot = float32(n.Threshold), b.slot(n)
	}
	b.k.nodes[v.at] = flat
	return nil
}

func (b *Builder) addSet(n *Node, at uint32) error {
	for i, c := range n.Set {
		if c >= maxCategory || i > 0 && c <= n.Set[i-1] {
			return fmt.Errorf("category %d at place %d of its set: expected ascending codes below %d", c, i, maxCategory)
		}
	}
	x := b.sets[n.Feature]
	if x == nil {
		x = &setIndex{byID: map[string]int{}}
		b.sets[n.Feature] = x
	}
	x.add(at, n.Set, n.DefaultLeft)
	b.cats[len(b.cats)-1] = true
	b.c.Categorical[n.Feature] = true
	return nil
}

// slot is the number of the prepared value that a numeric split reads.
func (b *Builder) slot(n *Node) uint32 {
	s := slot[float32]{feature: uint32(n.Feature), missing: float32(math.Inf(1))}
	if n.DefaultLeft {
		s.missing = -s.missing
	}
	i, ok := b.slotOf[s]
	if !ok {
		b.k.slots = append(b.k.slots, s)
		i = uint32(len(b.k.slots))
		b.slotOf[s] = i
	}
	return i
}

// finite is whether a float32 holds v as a finite number.
func finite(v float64) bool { return math.Abs(v) <= math.MaxFloat32 }
