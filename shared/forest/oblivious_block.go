package forest

import (
	"encoding/binary"
	"math"
)

// block scores 1 to obliviousRows rows: first all answers to all distinct questions, a bit per row, then tree by tree the
// numbers of the leaves of eight rows at once.
func (k *oblivious) block(x []float64, n int, margins []float64, s *obliviousScratch) {
	for i := range k.slots {
		k.column(&k.slots[i], x, s.column[:n])
		k.answer(i, s.column[:n], s)
	}
	for at := 0; at < len(k.trees); at += obliviousTrees {
		trees := k.trees[at:min(at+obliviousTrees, len(k.trees))]
		for first := 0; first < n; first += 8 {
			answers := s.answers[first/8:] // each eighth byte is of these rows
			rows := min(8, n-first)
			switch {
			case k.margins == 1 && rows == 8 && k.sixes:
				k.eightOfSix(trees, answers, (*[8]float64)(margins[first:]))
			case k.margins == 1 && rows == 8:
				k.eight(trees, answers, (*[8]float64)(margins[first:]))
			default:
				k.some(trees, answers, margins[first*k.margins:(first+rows)*k.margins])
			}
		}
	}
}

// column prepares a slot of all rows.
func (k *oblivious) column(slot *obliviousSlot, x []float64, column []float32) {
	if slot.set > 0 {
		for r := range column {
			column[r] = k.value(slot, x[r*k.features+int(slot.feature)])
		}
		return
	}
	missing := k.value(slot, math.NaN())
	at := int(slot.feature)
	for r := range column {
		v := float32(x[at])
		if v != v {
			v = missing
		}
		column[r] = v
		at += k.features
	}
}

// answer fills the answers to the questions of slot i. A row answers yes to those with borders below its value, so it is
// enough to find how many these are.
func (k *oblivious) answer(i int, column []float32, s *obliviousScratch) {
	count := int(k.first[i+1] - k.first[i])
	starts := s.starts[:count+1] // the rows by the number of borders below their values
	clear(starts)
	k.scales[i].sort(column, starts)
	for j := count - 1; j > 0; j-- {
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

// eightOfSix is eight for trees of six questions, CatBoost's default: they stand evenly.
func (k *oblivious) eightOfSix(trees []obliviousTree, answers []uint8, sums *[8]float64) {
	a, b, c, d, e, f, g, h := sums[0], sums[1], sums[2], sums[3], sums[4], sums[5], sums[6], sums[7]
	answers = answers[48*(trees[0].split/6):]
	values := k.values[trees[0].value:]
	for range trees {
		q := (*[41]uint8)(answers)
		at := spread[q[0]] | spread[q[8]]<<1 | spread[q[16]]<<2 | spread[q[24]]<<3 | spread[q[32]]<<4 | spread[q[40]]<<5
		v := (*[64]float64)(values)
		a += v[at&63]
		b += v[at>>8&63]
		c += v[at>>16&63]
		d += v[at>>24&63]
		e += v[at>>32&63]
		f += v[at>>40&63]
		g += v[at>>48&63]
		h += v[at>>56&63]
		if len(answers) < 48 {
			break // the last of all trees
		}
		answers, values = answers[48:], values[64:]
	}
	*sums = [8]float64{a, b, c, d, e, f, g, h}
}

// eight adds the leaves of eight rows of a model with one margin.
func (k *oblivious) eight(trees []obliviousTree, answers []uint8, sums *[8]float64) {
	a, b, c, d, e, f, g, h := sums[0], sums[1], sums[2], sums[3], sums[4], sums[5], sums[6], sums[7]
	for _, t := range trees {
		var low, high uint64
		low, high = t.leaves(answers)
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
