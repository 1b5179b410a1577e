package forest

import (
	"encoding/binary"
	"math"
	"slices"
)

// maxSetBytes bounds the tables of category sets: codes × distinct sets grows faster than the file.
const maxSetBytes = 256 << 20

// maxCodes bounds the codes of all sets together, which a file writes shorter than they are held.
const maxCodes = 1 << 24

// maxCategory is the first code that no set can hold: float32 is exact below it. In float64 it is what an int32 holds.
const (
	maxCategory   = 1 << 24
	maxCategory64 = 1 << 31
)

// setTable answers, for one categorical feature, all its distinct splits at once: row(v) is one bit per split, set when
// v goes right. A split's bit number is fixed when the model is built.
type setTable struct {
	feature uint32
	first   uint32   // where this feature's words start in a row's words
	words   uint32   // words per code
	codes   []uint32 // ascending: the codes that stand in any set
	bits    []uint64 // words per code, then for all other values, then for missing
	above   float64  // codes are above this,
	below   float64  // and below this
}

// row is the words of the value v, as it was after the cast to the model's type.
func (t *setTable) row(v float64) []uint64 {
	at := uint32(len(t.codes)) // others
	switch {
	case math.IsNaN(v):
		at++
	case v > t.above && v < t.below:
		code := uint32(v) // fractions truncate
		if i := code; i < at && t.codes[i] == code {
			at = i // codes mostly count up from 0
		} else if i, ok := slices.BinarySearch(t.codes, code); ok {
			at = uint32(i)
		}
	}
	return t.bits[at*t.words : (at+1)*t.words]
}

// set is one distinct split of a feature.
type set struct {
	codes       []uint32 // ascending, go right, or left with setIndex.left
	defaultLeft bool
	nodes       []uint32 // flattened nodes that split by it
}

// setIndex collects the sets of one feature.
type setIndex struct {
	sets  []set
	byID  map[string]int
	left  bool    // the codes of a set go left, all others and missing values right
	limit float64 // of codes
}

// add records that node splits by the categories codes, which are ascending.
func (x *setIndex) add(node uint32, codes []uint32, defaultLeft bool) {
	id := make([]byte, 0, 4*len(codes)+1)
	for _, c := range codes {
		id = binary.LittleEndian.AppendUint32(id, c)
	}
	id = append(id, byte(bit(defaultLeft)))
	i, ok := x.byID[string(id)]
	if !ok {
		i = len(x.sets)
		x.byID[string(id)] = i
		x.sets = append(x.sets, set{codes: slices.Clone(codes), defaultLeft: defaultLeft})
	}
	x.sets[i].nodes = append(x.sets[i].nodes, node)
}

// codes are all codes in any set of the feature.
func (x *setIndex) codes() []uint32 {
	var all []uint32
	for _, s := range x.sets {
		all = append(all, s.codes...)
		if len(all) > 1<<20 {
			slices.Sort(all)
			all = slices.Compact(all)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// bytes is the size that table would have.
func (x *setIndex) bytes(codes int) int64 {
	return int64(codes+2) * int64((len(x.sets)+63)/64) * 8
}

// table lays the feature's sets out from word first on, and gives each of their nodes its bit.
func (x *setIndex) table(feature, first uint32, codes, bits []uint32) setTable {
	t := setTable{feature: feature, first: first, words: uint32(len(x.sets)+63) / 64, codes: codes}
	t.bits = make([]uint64, (len(codes)+2)*int(t.words))
	t.above, t.below = -math.SmallestNonzeroFloat64, x.limit
	if x.left {
		t.above = -1 // -0.5 truncates to 0
	}
	missing := uint32(len(codes)+1) * t.words
	for j, s := range x.sets {
		word, mask := uint32(j)/64, uint64(1)<<(j%64)
		for i := word; x.left && i < uint32(len(t.bits)); i += t.words {
			t.bits[i] |= mask
		}
		for _, c := range s.codes {
			i, _ := slices.BinarySearch(codes, c)
			t.bits[uint32(i)*t.words+word] ^= mask
		}
		if !s.defaultLeft {
			t.bits[missing+word] |= mask
		}
		for _, n := range s.nodes {
			bits[n] = first*64 + uint32(j)
		}
	}
	return t
}
