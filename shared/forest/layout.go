package forest

import (
	"fmt"
	"math"
	"slices"
)

// layout is a model of one number type in the making.
type layout[T float] struct {
	c      Config
	k      *kernel[T]
	depth  []int
	slotOf map[slot[T]]uint32
	sets   map[int32]*setIndex
	codes  int    // in all sets
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

func newLayout[T float](c Config) (*layout[T], error) {
	b := &layout[T]{c: c, slotOf: map[slot[T]]uint32{}, sets: map[int32]*setIndex{}}
	b.k = &kernel[T]{features: c.Features, margins: len(c.Base), flush: c.Flush, rounded: c.Rounded}
	for i, v := range c.Base {
		if !finite[T](v) {
			return nil, fmt.Errorf("base score %d is %v", i, v)
		}
		b.k.base = append(b.k.base, T(v))
	}
	return b, nil
}

func (b *layout[T]) add(t *Tree) error {
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
func (b *layout[T]) flatten(t *Tree) (depth int, err error) {
	vectors := len(b.k.vectors) / b.k.margins
	for i, v := range t.Vectors {
		if !finite[T](v) {
			return 0, fmt.Errorf("leaf value %d is %v", i, v)
		}
		b.k.vectors = append(b.k.vectors, T(v))
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

func (b *layout[T]) grow(n int) {
	b.k.nodes = append(b.k.nodes, make([]node[T], n)...)
}

func (b *layout[T]) leaf(n *Node, v visit, vectors, rows int) error {
	thr := T(n.Value)
	if b.c.Vectors {
		if n.Vector < 0 || int(n.Vector) >= rows {
			return fmt.Errorf("leaf %d: the tree has %d leaves", n.Vector, rows)
		}
		thr = T(vectors + int(n.Vector))
	} else if !finite[T](n.Value) {
		return fmt.Errorf("leaf value is %v", n.Value)
	}
	b.k.nodes[v.at] = node[T]{thr: thr, left: v.at, slot: pad}
	if n.Linear == nil {
		return nil
	}
	return b.linear(n.Linear, v.at)
}

// linear keeps the model of a leaf. Its terms stand behind those of all leaves before it.
func (b *layout[T]) linear(l *Linear, at uint32) error {
	if !b.c.Float64 || b.c.Vectors {
		return fmt.Errorf("linear leaves have one value and are summed in float64 only")
	}
	if len(l.Features) != len(l.Coefficients) {
		return fmt.Errorf("%d coefficients for %d features", len(l.Coefficients), len(l.Features))
	}
	if !finite[T](l.Const) {
		return fmt.Errorf("leaf constant is %v", l.Const)
	}
	if b.k.linear == nil {
		b.k.linear = map[uint32]leafModel{}
	}
	first := len(b.k.terms)
	for i, f := range l.Features {
		if f < 0 || int(f) >= b.c.Features {
			return fmt.Errorf("leaf feature %d of %d", f, b.c.Features)
		}
		if !finite[T](l.Coefficients[i]) {
			return fmt.Errorf("leaf coefficient %d is %v", i, l.Coefficients[i])
		}
		b.k.terms = append(b.k.terms, term{coefficient: l.Coefficients[i], feature: uint32(f)})
	}
	b.k.linear[at] = leafModel{constant: l.Const, terms: b.k.terms[first:len(b.k.terms):len(b.k.terms)]}
	return nil
}

func (b *layout[T]) split(t *Tree, n *Node, v visit) error {
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
	flat := node[T]{left: left, slot: pad}
	if n.Categorical {
		if err := b.addSet(n, v.at); err != nil {
			return err
		}
	} else {
		thr := T(n.Threshold)
		if n.AllLeft {
			if !b.c.Flush {
				return fmt.Errorf("a split that asks only for missing values")
			}
			thr = 1 // its slot holds 0, or an infinity
		}
		if !finite[T](float64(thr)) {
			return fmt.Errorf("threshold is %v", n.Threshold)
		}
		flat.thr, flat.slot = thr, b.slot(n)
	}
	b.k.nodes[v.at] = flat
	return nil
}

func (b *layout[T]) addSet(n *Node, at uint32) error {
	limit := uint32(maxCategory)
	if b.c.Float64 {
		limit = maxCategory64
	}
	for i, c := range n.Set {
		if c >= limit || i > 0 && c <= n.Set[i-1] {
			return fmt.Errorf("category %d at place %d of its set: expected ascending codes below %d", c, i, limit)
		}
	}
	if b.codes += len(n.Set); b.codes > maxCodes {
		return fmt.Errorf("more than %d categories in all splits", maxCodes)
	}
	x := b.sets[n.Feature]
	if x == nil {
		x = &setIndex{byID: map[string]int{}, left: n.SetLeft, limit: float64(limit)}
		b.sets[n.Feature] = x
	}
	if x.left != n.SetLeft {
		return fmt.Errorf("feature %d: sets of both sides", n.Feature)
	}
	x.add(at, n.Set, n.DefaultLeft && !n.SetLeft)
	b.cats[len(b.cats)-1] = true
	b.c.Categorical[n.Feature] = true
	return nil
}

// slot is the number of the prepared value that a numeric split reads.
func (b *layout[T]) slot(n *Node) uint32 {
	s := slot[T]{feature: uint32(n.Feature), missing: T(math.Inf(1)), zero: n.Missing == MissingZero, known: n.AllLeft}
	switch {
	case n.Missing == MissingNone:
		s.missing = 0
	case n.DefaultLeft:
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

// finite is whether a T holds v as a finite number.
func finite[T float](v float64) bool { return T(v)-T(v) == 0 }
