package forest

import (
	"cmp"
	"math"
	"slices"
)

// oblivious holds all trees of a model of oblivious trees.
type oblivious struct {
	features, margins int

	base   []float64
	slots  []obliviousSlot
	sets   [][]uint32 // of codes; the first is of no one
	trees  []obliviousTree
	sixes  bool      // all trees have six questions
	values []float64 // leaf by leaf

	number  []uint32 // tree by tree: the distinct questions that it asks
	uses    []use    // slot by slot: where its questions are asked
	firstOf []uint32 // per slot its first use, and the end

	scales []scale  // per slot
	first  []uint32 // per slot the number of its first question, and the end
	most   int      // borders of a slot
}

type obliviousTree struct {
	split, value uint32 // the first of its questions and values
	depth        uint8
}

// question is true for what is above border in a slot of the row.
type question struct {
	slot   uint32
	border float32
}

func (q question) compare(r question) int {
	return cmp.Or(cmp.Compare(q.slot, r.slot), cmp.Compare(q.border, r.border))
}

// use is a place in number where a question is asked.
type use struct{ place, border uint32 } // the border's place among those of the slot

// obliviousRows are scored at once: the answers of as many rows to a question fill a word.
const obliviousRows = 64

// fewRows are quicker row by row than as a block.
const fewRows = 6

// obliviousTrees pass over a block at a time: the leaves of so many stay in the first-level cache.
const obliviousTrees = 40

// obliviousScratch is the working memory for a block.
type obliviousScratch struct {
	column  []float32 // of a slot, a value per row
	stairs  []uint8   // as many ones as a slot has borders at most, and as many zeros
	starts  []uint64
	answers []uint8 // tree by tree a bit for each row of a block, or per distinct question a byte for the only row
	margins []float64
}

func newObliviousScratch(k *oblivious) obliviousScratch {
	stairs := make([]uint8, 2*k.most)
	for i := range k.most {
		stairs[i] = 1
	}
	return obliviousScratch{
		column:  make([]float32, obliviousRows),
		stairs:  stairs,
		starts:  make([]uint64, k.most+1),
		answers: make([]uint8, obliviousRows/8*max(len(k.number), 1)),
		margins: make([]float64, obliviousRows*k.margins),
	}
}

// blocks scores block after block, as the function blocks does.
func (k *oblivious) blocks(x []float64, rows int, s *obliviousScratch, yield func(first, n int, margins []float64)) {
	for first := 0; first < rows; first += obliviousRows {
		n := min(obliviousRows, rows-first)
		margins := s.margins[:n*k.margins]
		for r := range n {
			copy(margins[r*k.margins:], k.base)
		}
		if n < fewRows {
			for r := range n {
				k.row(x[(first+r)*k.features:(first+r+1)*k.features], margins[r*k.margins:(r+1)*k.margins], s)
			}
		} else {
			k.block(x[first*k.features:(first+n)*k.features], n, margins, s)
		}
		yield(first, n, margins)
	}
}

// value is what a slot holds for a feature's value: it is never NaN.
func (k *oblivious) value(s *obliviousSlot, x float64) float32 {
	if s.set > 0 {
		code := uint32(min(max(x, 0), math.MaxUint32))
		if x == float64(code) {
			if _, ok := slices.BinarySearch(k.sets[s.set], code); ok {
				return 1
			}
		}
		return 0
	}
	v := float32(x)
	if v != v {
		v = float32(math.Inf(-1))
		if s.missingTrue {
			v = -v
		}
	}
	return v
}

// row scores one row: first the answers to all distinct questions, a byte each, then tree by tree.
func (k *oblivious) row(x []float64, margins []float64, s *obliviousScratch) {
	answers := s.answers[:k.first[len(k.slots)]]
	for i := range k.slots {
		slot := &k.slots[i]
		yes := k.scales[i].below(k.value(slot, x[slot.feature]))
		copy(answers[k.first[i]:k.first[i+1]], s.stairs[k.most-yes:])
	}
	if k.margins == 1 {
		margins[0] = k.rowOfOne(answers, margins[0])
		return
	}
	for _, t := range k.trees {
		leaf := int(t.value) + int(k.leaf(t, answers))*k.margins
		for m, v := range k.values[leaf : leaf+k.margins] {
			margins[m] += v
		}
	}
}

// rowOfOne is for models with one margin, which it starts from sum.
func (k *oblivious) rowOfOne(answers []uint8, sum float64) float64 {
	if k.sixes {
		return k.rowOfSix(answers, sum)
	}
	for _, t := range k.trees {
		sum += k.values[t.value+k.leaf(t, answers)]
	}
	return sum
}

// rowOfSix is rowOfOne for trees of six questions, CatBoost's default: they stand evenly.
func (k *oblivious) rowOfSix(a []uint8, sum float64) float64 {
	values := k.values
	for number := k.number; len(number) >= 6; number = number[6:] {
		q := (*[6]uint32)(number)
		leaf := uint32(a[q[0]]) | uint32(a[q[1]])<<1 | uint32(a[q[2]])<<2 | uint32(a[q[3]])<<3 | uint32(a[q[4]])<<4 | uint32(a[q[5]])<<5
		sum += (*[64]float64)(values)[leaf&63]
		values = values[64:]
	}
	return sum
}

// leaf is the number of the leaf that one row's answers make.
func (k *oblivious) leaf(t obliviousTree, answers []uint8) (leaf uint32) {
	for d, q := range k.number[t.split : t.split+uint32(t.depth)] {
		leaf |= uint32(answers[q]) << d
	}
	return leaf
}
