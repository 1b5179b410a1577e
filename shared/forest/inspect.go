package forest

import "unsafe"

// Structure is what a model is made of.
type Structure struct {
	Depth  int   // of the deepest tree, in splits
	Splits []int // per feature
	Leaves int
	Bytes  int // in memory
}

// Structure looks at all trees; a linear model has none.
func (m *Model) Structure() Structure {
	s := Structure{Splits: make([]int, m.info.Features)}
	switch {
	case m.single != nil:
		m.single.inspect(&s)
	case m.double != nil:
		m.double.inspect(&s)
	case m.oblivious != nil:
		m.oblivious.inspect(&s)
	default:
		s.Bytes = 4 * (m.info.Features + 1) * m.info.Margins
	}
	return s
}

// Weights are what a linear model multiplies the values of a feature with, one per raw score; nil for trees.
func (m *Model) Weights(feature int) []float64 {
	if m.linear == nil {
		return nil
	}
	w := make([]float64, m.info.Margins)
	for i := range w {
		w[i] = float64(m.linear.Weight(feature, i))
	}
	return w
}

func bytesOf[E any](list []E) int {
	var e E
	return len(list) * int(unsafe.Sizeof(e))
}

func (k *kernel[T]) inspect(s *Structure) {
	depths := make([]int, len(k.nodes)) // parents come before their children
	for i, n := range k.nodes {
		if n.left == uint32(i) {
			s.Leaves++
			continue
		}
		s.Splits[k.featureOf(uint32(i))]++
		for c := n.left; c <= n.left+1; c++ {
			depths[c] = depths[i] + 1
			s.Depth = max(s.Depth, depths[c])
		}
	}
	s.Leaves -= k.dummies()
	s.Bytes = bytesOf(k.nodes) + bytesOf(k.roots) + bytesOf(k.margin) + bytesOf(k.vectors) + bytesOf(k.slots) + bytesOf(k.bits) + bytesOf(k.terms)
	for _, t := range k.sets {
		s.Bytes += bytesOf(t.codes) + bytesOf(t.bits)
	}
}

// dummies is the number of trees that fill up the last eight: leaves of -0, or of vectors of -0, at the end.
func (k *kernel[T]) dummies() int {
	return len(k.roots) - k.trees
}

// featureOf is the feature that a split asks for.
func (k *kernel[T]) featureOf(i uint32) uint32 {
	if t := k.setOf(i); t != nil {
		return t.feature
	}
	return k.slots[k.nodes[i].slot-1].feature
}

// setOf is the table of a categorical split, nil for others.
func (k *kernel[T]) setOf(i uint32) *setTable {
	if k.bits == nil || k.bits[i] == 0 {
		return nil
	}
	word := k.bits[i] / 64
	for t := range k.sets {
		if s := &k.sets[t]; word >= s.first && word < s.first+s.words {
			return s
		}
	}
	return nil
}

func (k *oblivious) inspect(s *Structure) {
	for _, u := range k.number {
		s.Splits[k.slots[k.slotOf(u)].feature]++
	}
	for _, t := range k.trees {
		s.Depth = max(s.Depth, int(t.depth))
		s.Leaves += 1 << t.depth
	}
	s.Bytes = bytesOf(k.values) + bytesOf(k.trees) + bytesOf(k.number) + bytesOf(k.uses) + bytesOf(k.slots) + bytesOf(k.scales)
	for _, c := range k.sets {
		s.Bytes += bytesOf(c)
	}
	for _, c := range k.scales {
		s.Bytes += bytesOf(c.borders) + bytesOf(c.buckets)
	}
}

// slotOf is the slot of a distinct question.
func (k *oblivious) slotOf(question uint32) int {
	i, n := 0, len(k.slots)
	for n > 1 { // the last slot whose first question is not behind
		half := n / 2
		if k.first[i+half] <= question {
			i, n = i+half, n-half
		} else {
			n = half
		}
	}
	return i
}
