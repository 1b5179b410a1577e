package forest

import "math"

// float is the type a library compares and sums in.
type float interface{ float32 | float64 }

// lanes is how many walks run at once: eight independent loads hide the latency of one.
const lanes = 8

// node is one node of the flattened trees. The children of a split stand side by side: the right one is left + 1.
//
// A leaf loops on itself, so a walk may take more steps than its path has: left is its own index and slot is the pad,
// which holds -Inf and so never reaches thr. That leaves thr free to hold the leaf's value (or its row in vectors).
type node[T float] struct {
	thr  T
	left uint32
	slot uint32
}

// pad is the slot that leaves and categorical splits read.
const pad = 0

// slot is one prepared value of a row: a feature, with what stands for a missing one. Splits that send missing values
// left read a slot with -Inf, those that send them right one with +Inf: the step needs no test for NaN.
type slot[T float] struct {
	feature uint32
	zero    bool // zeros are missing too
	known   bool // holds 0 for all that is not missing, for splits that ask for nothing else
	missing T
}

// leafModel is the model of a linear leaf.
type leafModel struct {
	constant float64
	terms    []term
}

type term struct {
	coefficient float64
	feature     uint32
}

// kernel holds all trees of a model, breadth-first and one after the other, with dummy trees of one leaf -0 (which
// changes no sum) up to a multiple of eight.
type kernel[T float] struct {
	features int
	margins  int
	trees    int // without the dummies
	base     []T // margins before the first tree
	nodes    []node[T]
	roots    []uint32
	margin   []uint32 // the margin that a tree adds to, nil when there is one or leaves are vectors
	steps    []uint8  // per group of eight trees: the depth of its deepest
	vectors  []T      // rows of margins leaf values, nil for scalar leaves

	flush   bool                 // values of at most Tiny are 0
	rounded bool                 // features are rounded to float32
	linear  map[uint32]leafModel // per leaf node that has one, nil without linear leaves
	terms   []term

	slots []slot[T] // slot i of the row is slots[i-1]
	sets  []setTable
	words int      // words of category bits per row, 0 without categorical splits
	bits  []uint32 // per node the bit that decides a categorical split, 0 for all others; nil without categorical splits
	mixed []bool   // per group: has categorical splits
}

// block is the working memory for a number of prepared rows.
type block[T float] struct {
	rows  int
	slots []T
	words []uint64
}

// blockBytes of prepared rows stay in the first-level cache while all trees pass over them.
const blockBytes = 32 << 10

func (k *kernel[T]) newBlock() block[T] {
	per := (len(k.slots)+1)*8 + k.words*8
	n := min(max(blockBytes/per, 4), 64)
	return block[T]{rows: n, slots: make([]T, n*(len(k.slots)+1)), words: make([]uint64, n*k.words)}
}

// score writes the margins of n ≤ b.rows rows of x. Each row adds its leaves in the order of the trees.
func (k *kernel[T]) score(x []float64, n int, margins []T, b *block[T]) {
	stride := len(k.slots) + 1
	for r := range n {
		k.prepare(x[r*k.features:(r+1)*k.features], b.slots[r*stride:(r+1)*stride], b.words[r*k.words:(r+1)*k.words])
		copy(margins[r*k.margins:], k.base)
	}
	for g, steps := range k.steps {
		roots := (*[lanes]uint32)(k.roots[g*lanes:])
		mixed := k.mixed != nil && k.mixed[g]
		for r := range n {
			row := b.slots[r*stride : (r+1)*stride]
			var at [lanes]uint32
			if mixed {
				walkSets(k, row, b.words[r*k.words:(r+1)*k.words], roots, steps, &at)
			} else if steps > first {
				walkDeep(k.nodes, row, roots, steps, &at)
			} else {
				walk(k.nodes, row, roots, steps, &at)
			}
			switch {
			case k.linear != nil:
				k.addLinear(margins[r*k.margins:(r+1)*k.margins], k.margin, g, &at, x[r*k.features:(r+1)*k.features])
			case k.vectors != nil:
				k.addVectors(margins[r*k.margins:(r+1)*k.margins], &at)
			case k.margin != nil:
				k.addMany(margins[r*k.margins:(r+1)*k.margins], k.margin[g*lanes:(g+1)*lanes], &at)
			default:
				sum := margins[r]
				for _, i := range at {
					sum += k.nodes[i].thr
				}
				margins[r] = sum
			}
		}
	}
}

func (k *kernel[T]) addMany(margins []T, margin []uint32, at *[lanes]uint32) {
	for l, i := range at {
		margins[margin[l]] += k.nodes[i].thr
	}
}

// addLinear adds the leaves of eight trees of which some are linear.
func (k *kernel[T]) addLinear(margins []T, margin []uint32, group int, at *[lanes]uint32, x []float64) {
	for l, i := range at {
		v := float64(k.nodes[i].thr)
		if f, ok := k.linear[i]; ok {
			v = f.value(v, x, k.flush)
		}
		m := uint32(0)
		if margin != nil {
			m = margin[group*lanes+l]
		}
		margins[m] += T(v)
	}
}

// value adds up the terms; instead is the value where a feature is missing.
func (f *leafModel) value(instead float64, x []float64, flush bool) float64 {
	sum := f.constant
	for _, t := range f.terms {
		v := x[t.feature]
		if v != v {
			return instead
		}
		if flush && math.Abs(v) <= Tiny {
			v = 0
		}
		sum += float64(t.coefficient * v) // rounded before it is added, whatever the CPU
	}
	return sum
}

func (k *kernel[T]) addVectors(margins []T, at *[lanes]uint32) {
	for _, i := range at {
		leaf := int(k.nodes[i].thr) * len(margins)
		for m, v := range k.vectors[leaf : leaf+len(margins)] {
			margins[m] += v
		}
	}
}

// walk takes eight trees down at once.
func walk[T float](nodes []node[T], row []T, roots *[lanes]uint32, steps uint8, at *[lanes]uint32) {
	a, b, c, d := roots[0], roots[1], roots[2], roots[3]
	e, f, g, h := roots[4], roots[5], roots[6], roots[7]
	for ; steps > 0; steps-- {
		a = step(nodes, row, a)
		b = step(nodes, row, b)
		c = step(nodes, row, c)
		d = step(nodes, row, d)
		e = step(nodes, row, e)
		f = step(nodes, row, f)
		g = step(nodes, row, g)
		h = step(nodes, row, h)
	}
	*at = [lanes]uint32{a, b, c, d, e, f, g, h}
}

// A walk in trees deeper than first looks every more steps whether all eight have come to their leaves: trees that grow by
// leaf are lopsided, and most rows leave them early.
const (
	first = 8
	more  = 3
)

// walkDeep is walk for trees deeper than first.
func walkDeep[T float](nodes []node[T], row []T, roots *[lanes]uint32, steps uint8, at *[lanes]uint32) {
	walk(nodes, row, roots, first, at)
	for steps -= first; steps > 0; {
		if arrived(nodes, at) {
			return
		}
		now := min(steps, more)
		from := *at
		walk(nodes, row, &from, now, at)
		steps -= now
	}
}

// arrived is whether all walks are at leaves.
func arrived[T float](nodes []node[T], at *[lanes]uint32) bool {
	var open uint32
	for _, i := range at {
		open |= nodes[i].left ^ i // 0 for a leaf
	}
	return open == 0
}

// step goes to a child without a branch. Neither side of the comparison is ever NaN.
func step[T float](nodes []node[T], row []T, i uint32) uint32 {
	n := &nodes[i]
	return n.left + bit(row[n.slot] >= n.thr)
}

// walkSets is walk for groups with categorical splits: one more load and no more branches.
func walkSets[T float](k *kernel[T], row []T, words []uint64, roots *[lanes]uint32, steps uint8, at *[lanes]uint32) {
	*at = *roots
	nodes, bits := k.nodes, k.bits
	for done := range steps {
		if done >= first && done%more == 0 && arrived(nodes, at) {
			return
		}
		for l, i := range at {
			b := bits[i]
			at[l] = step(nodes, row, i) + uint32(words[b/64]>>(b%64)&1)
		}
	}
}

// bit compiles to a conditional set.
func bit(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}
