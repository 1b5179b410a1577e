package forest

import (
	"cmp"
	"encoding/binary"
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
	values []float64 // leaf by leaf

	number  []uint32 // tree by tree: the distinct questions that it asks
	uses    []use    // slot by slot: where its questions are asked
	firstOf []uint32 // per slot its first use, and the end

	borders []float32 // of the distinct questions, slot by slot, ascending
	first   []uint32  // per slot the number of its first question, and the end
	most    int       // borders of a slot
	ladder  []float32 // the same, filled up with infinities to the same number for each slot,
	rungs   int       // which is a power of two above most, or 0 where that would be a waste
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
func (k *oblivious) value(s obliviousSlot, x float64) float32 {
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
	answers := s.answers[:len(k.borders)]
	i := 0
	for ; i+4 <= len(k.slots) && k.rungs > 0; i += 4 {
		k.fourSlots(i, x, answers, s.stairs)
	}
	for ; i < len(k.slots); i++ {
		from, to := k.first[i], k.first[i+1]
		yes := below(k.borders[from:to], k.value(k.slots[i], x[k.slots[i].feature]))
		copy(answers[from:to], s.stairs[k.most-yes:])
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

// fourSlots fills the answers of the slots from i on. Their searches run at once, which hides the wait for each border.
func (k *oblivious) fourSlots(i int, x []float64, answers, stairs []uint8) {
	slots := (*[4]obliviousSlot)(k.slots[i:])
	va, vb := k.value(slots[0], x[slots[0].feature]), k.value(slots[1], x[slots[1].feature])
	vc, vd := k.value(slots[2], x[slots[2].feature]), k.value(slots[3], x[slots[3].feature])
	n := k.rungs
	ladder := k.ladder[i*n : (i+4)*n]
	la, lb, lc, ld := ladder[:n], ladder[n:2*n], ladder[2*n:3*n], ladder[3*n:4*n]
	var a, b, c, d int
	for half := n / 2; half > 0; half /= 2 {
		a += half & -int(bit(la[a+half-1] < va))
		b += half & -int(bit(lb[b+half-1] < vb))
		c += half & -int(bit(lc[c+half-1] < vc))
		d += half & -int(bit(ld[d+half-1] < vd))
	}
	first := (*[5]uint32)(k.first[i:])
	copy(answers[first[0]:first[1]], stairs[k.most-a:])
	copy(answers[first[1]:first[2]], stairs[k.most-b:])
	copy(answers[first[2]:first[3]], stairs[k.most-c:])
	copy(answers[first[3]:first[4]], stairs[k.most-d:])
}

// rowOfOne is for models with one margin, which it starts from sum.
func (k *oblivious) rowOfOne(a []uint8, sum float64) float64 {
	for _, t := range k.trees {
		var leaf uint32
		if t.depth == 6 { // CatBoost's default
			q := (*[6]uint32)(k.number[t.split:])
			leaf = uint32(a[q[0]]) | uint32(a[q[1]])<<1 | uint32(a[q[2]])<<2 | uint32(a[q[3]])<<3 | uint32(a[q[4]])<<4 | uint32(a[q[5]])<<5
		} else {
			leaf = k.leaf(t, a)
		}
		sum += k.values[t.value+leaf]
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

// below is how many of the ascending borders are below v, found without a branch that depends on v.
func below(borders []float32, v float32) int {
	at, size := 0, len(borders)
	for size > 1 {
		half := size / 2
		at += half & -int(bit(borders[at+half-1] < v))
		size -= half
	}
	if size == 1 {
		at += int(bit(borders[at] < v))
	}
	return at
}

// fourBelow is below for four values at once, which hides the wait for each border.
func fourBelow(borders []float32, v *[4]float32) (a, b, c, d int) {
	size := len(borders)
	for size > 1 {
		half := size / 2
		from := borders[half-1:]
		a += half & -int(bit(from[a] < v[0]))
		b += half & -int(bit(from[b] < v[1]))
		c += half & -int(bit(from[c] < v[2]))
		d += half & -int(bit(from[d] < v[3]))
		size -= half
	}
	if size == 1 {
		a += int(bit(borders[a] < v[0]))
		b += int(bit(borders[b] < v[1]))
		c += int(bit(borders[c] < v[2]))
		d += int(bit(borders[d] < v[3]))
	}
	return a, b, c, d
}

// block scores 1 to obliviousRows rows: first all answers to all distinct questions, a bit per row, then tree by tree the
// numbers of the leaves of eight rows at once.
func (k *oblivious) block(x []float64, n int, margins []float64, s *obliviousScratch) {
	for i, slot := range k.slots {
		column := s.column[:n]
		for r := range column {
			column[r] = k.value(slot, x[r*k.features+int(slot.feature)])
		}
		k.answer(i, column, s)
	}
	for at := 0; at < len(k.trees); at += obliviousTrees {
		trees := k.trees[at:min(at+obliviousTrees, len(k.trees))]
		for first := 0; first < n; first += 8 {
			answers := s.answers[first/8:] // each eighth byte is of these rows
			rows := min(8, n-first)
			if k.margins == 1 && rows == 8 {
				k.eight(trees, answers, (*[8]float64)(margins[first:]))
			} else {
				k.some(trees, answers, margins[first*k.margins:(first+rows)*k.margins])
			}
		}
	}
}

// answer fills the answers to the questions of slot i. A row answers yes to those with borders below its value, so it is
// enough to find how many these are.
func (k *oblivious) answer(i int, column []float32, s *obliviousScratch) {
	borders := k.borders[k.first[i]:k.first[i+1]]
	starts := s.starts[:len(borders)+1] // the rows by the number of borders below their values
	clear(starts)
	r := 0
	for ; r+4 <= len(column); r += 4 {
		a, b, c, d := fourBelow(borders, (*[4]float32)(column[r:]))
		starts[a] |= 1 << r
		starts[b] |= 2 << r
		starts[c] |= 4 << r
		starts[d] |= 8 << r
	}
	for ; r < len(column); r++ {
		starts[below(borders, column[r])] |= 1 << r
	}
	for j := len(borders) - 1; j > 0; j-- {
		starts[j] |= starts[j+1] // the rows with more than j-1 borders below
	}
	for _, u := range k.uses[k.firstOf[i]:k.firstOf[i+1]] {
		binary.LittleEndian.PutUint64(s.answers[8*u.place:], starts[u.border+1])
	}
}

// spread has the eight bits of a byte as the lowest bits of eight bytes.
var spread = func() (t [256]uint64) {
	for i := range t {
		for b := range 8 {
			t[i] |= uint64(i>>b&1) << (8 * b)
		}
	}
	return t
}()

// leaves are the numbers of the leaves of eight rows, a byte each: the lowest eight bits, and the rest.
func (t obliviousTree) leaves(answers []uint8) (low, high uint64) {
	for d := range int(t.depth) {
		answer := spread[answers[8*(int(t.split)+d)]]
		if d < 8 {
			low |= answer << d
		} else {
			high |= answer << (d - 8)
		}
	}
	return low, high
}

// eight adds the leaves of eight rows of a model with one margin.
func (k *oblivious) eight(trees []obliviousTree, answers []uint8, sums *[8]float64) {
	a, b, c, d, e, f, g, h := sums[0], sums[1], sums[2], sums[3], sums[4], sums[5], sums[6], sums[7]
	for _, t := range trees {
		var low, high uint64
		if t.depth == 6 { // CatBoost's default
			q := (*[41]uint8)(answers[8*t.split:])
			low = spread[q[0]] | spread[q[8]]<<1 | spread[q[16]]<<2 | spread[q[24]]<<3 | spread[q[32]]<<4 | spread[q[40]]<<5
		} else {
			low, high = t.leaves(answers)
		}
		if high != 0 {
			v := k.values[t.value:]
			a, b, c, d = a+v[wide(low, high, 0)], b+v[wide(low, high, 1)], c+v[wide(low, high, 2)], d+v[wide(low, high, 3)]
			e, f, g, h = e+v[wide(low, high, 4)], f+v[wide(low, high, 5)], g+v[wide(low, high, 6)], h+v[wide(low, high, 7)]
			continue
		}
		v := (*[256]float64)(k.values[t.value:])
		a, b, c, d = a+v[uint8(low)], b+v[uint8(low>>8)], c+v[uint8(low>>16)], d+v[uint8(low>>24)]
		e, f, g, h = e+v[uint8(low>>32)], f+v[uint8(low>>40)], g+v[uint8(low>>48)], h+v[uint8(low>>56)]
	}
	*sums = [8]float64{a, b, c, d, e, f, g, h}
}

// wide is the number of row r's leaf.
func wide(low, high uint64, r int) uint16 {
	return uint16(uint8(low>>(8*r))) | uint16(uint8(high>>(8*r)))<<8
}

// some adds the leaves of up to eight rows.
func (k *oblivious) some(trees []obliviousTree, answers []uint8, sums []float64) {
	rows := len(sums) / k.margins
	for _, t := range trees {
		low, high := t.leaves(answers)
		for r := range rows {
			leaf := int(t.value) + int(wide(low, high, r))*k.margins
			row := sums[r*k.margins : (r+1)*k.margins]
			for m, v := range k.values[leaf : leaf+k.margins] {
				row[m] += v
			}
		}
	}
}
