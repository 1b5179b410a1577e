package forest

import (
	"fmt"
	"slices"
)

// MaxObliviousDepth is how deep a tree of Builder.AddOblivious may be: its leaves double with each level.
const MaxObliviousDepth = 16

// Oblivious is a tree that asks the same question in all nodes of a level, so that the answers are the number of the leaf.
type Oblivious struct {
	Splits []Question // the answer to question d is bit d of the leaf's number
	Values []float64  // leaf by leaf, one per margin
}

// Question is a split of an oblivious tree. It is true above Border, or with Categorical for the codes of Set.
type Question struct {
	Feature     int32
	Border      float32
	MissingTrue bool // the answer for a missing value, of a numeric question; a categorical one answers false
	Categorical bool
	Set         []uint32 // ascending
}

// obliviousLayout is an oblivious model in the making.
type obliviousLayout struct {
	c      Config
	k      *oblivious
	slotOf map[obliviousSlot]uint32
	setOf  map[string]uint32
	asked  []question // tree by tree
	nodes  int
	codes  int
}

// obliviousSlot is one prepared value of a row: a feature as a number, or with set > 0 whether its code is in a set.
type obliviousSlot struct {
	feature     uint32
	set         uint32
	missingTrue bool
}

func newObliviousLayout(c Config) (*obliviousLayout, error) {
	for i, v := range c.Base {
		if !finite[float64](v) {
			return nil, fmt.Errorf("base score %d is %v", i, v)
		}
	}
	k := &oblivious{features: c.Features, margins: len(c.Base), base: slices.Clone(c.Base), sets: [][]uint32{nil}}
	return &obliviousLayout{c: c, k: k, slotOf: map[obliviousSlot]uint32{}, setOf: map[string]uint32{}}, nil
}

// AddOblivious is Add for the trees of a model with Config.Oblivious.
func (b *Builder) AddOblivious(t *Oblivious) error {
	if b.oblivious == nil {
		return fmt.Errorf("an oblivious tree in a model of others")
	}
	return b.oblivious.add(t)
}

func (b *obliviousLayout) add(t *Oblivious) error {
	depth, k := len(t.Splits), b.k
	if depth > MaxObliviousDepth {
		return fmt.Errorf("%d splits: at most %d are supported", depth, MaxObliviousDepth)
	}
	leaves := 1 << depth
	b.nodes += 2*leaves - 1
	switch {
	case len(k.trees) == MaxTrees:
		return fmt.Errorf("more than %d trees", MaxTrees)
	case b.nodes > MaxNodes:
		return fmt.Errorf("more than %d nodes in all", MaxNodes)
	case len(t.Values) != leaves*k.margins:
		return fmt.Errorf("%d leaf values, expected %d for %d splits and %d outputs", len(t.Values), leaves*k.margins, depth, k.margins)
	}
	for i, v := range t.Values {
		if !finite[float64](v) {
			return fmt.Errorf("leaf value %d is %v", i, v)
		}
	}
	for d := range t.Splits {
		q, err := b.question(&t.Splits[d])
		if err != nil {
			return fmt.Errorf("split %d: %w", d, err)
		}
		b.asked = append(b.asked, q)
	}
	k.trees = append(k.trees, obliviousTree{split: uint32(len(b.asked) - depth), value: uint32(len(k.values)), depth: uint8(depth)})
	k.values = append(k.values, t.Values...)
	return nil
}

func (b *obliviousLayout) question(s *Question) (question, error) {
	if s.Feature < 0 || int(s.Feature) >= b.c.Features {
		return question{}, fmt.Errorf("feature %d of %d", s.Feature, b.c.Features)
	}
	slot := obliviousSlot{feature: uint32(s.Feature), missingTrue: s.MissingTrue}
	border := s.Border
	if s.Categorical {
		if err := b.set(s.Set, &slot.set); err != nil {
			return question{}, err
		}
		slot.missingTrue, border = false, 0.5 // the slot holds 0 or 1
		b.c.Categorical[s.Feature] = true
	}
	if border-border != 0 {
		return question{}, fmt.Errorf("border is %v", border)
	}
	i, ok := b.slotOf[slot]
	if !ok {
		i = uint32(len(b.k.slots))
		b.slotOf[slot] = i
		b.k.slots = append(b.k.slots, slot)
	}
	return question{slot: i, border: border}, nil
}

// set finds or makes the number of a set of codes.
func (b *obliviousLayout) set(codes []uint32, number *uint32) error {
	id := make([]byte, 0, 4*len(codes))
	for i, c := range codes {
		if c >= maxCategory64 || i > 0 && c <= codes[i-1] {
			return fmt.Errorf("category %d at place %d of its set: expected ascending codes below %d", c, i, uint32(maxCategory64))
		}
		id = append(id, byte(c), byte(c>>8), byte(c>>16), byte(c>>24))
	}
	if b.codes += len(codes); b.codes > maxCodes {
		return fmt.Errorf("more than %d categories in all splits", maxCodes)
	}
	n, ok := b.setOf[string(id)]
	if !ok {
		n = uint32(len(b.k.sets))
		b.setOf[string(id)] = n
		b.k.sets = append(b.k.sets, slices.Clone(codes))
	}
	*number = n
	return nil
}

// finish numbers the distinct questions, slot by slot with ascending borders.
func (b *obliviousLayout) finish(m *Model) error {
	k := b.k
	if len(k.trees) == 0 {
		return fmt.Errorf("no trees")
	}
	distinct := slices.Clone(b.asked)
	slices.SortFunc(distinct, question.compare)
	distinct = slices.Compact(distinct)
	k.first = make([]uint32, len(k.slots)+1)
	for _, q := range distinct {
		k.first[q.slot+1]++
		k.most = max(k.most, int(k.first[q.slot+1]))
	}
	k.scales = make([]scale, len(k.slots))
	for i := range k.slots {
		n := k.first[i+1]
		k.first[i+1] += k.first[i]
		k.scales[i] = newScale(distinct[k.first[i]:][:n])
	}
	k.number = make([]uint32, len(b.asked))
	for i, q := range b.asked {
		at, _ := slices.BinarySearchFunc(distinct, q, question.compare)
		k.number[i] = uint32(at)
	}
	k.listUses(b.asked)
	k.sixes = !slices.ContainsFunc(k.trees, func(t obliviousTree) bool { return t.depth != 6 })
	k.values = append(k.values, make([]float64, 256)...)
	m.info = b.c.Info
	m.info.Trees, m.info.Nodes = len(k.trees), b.nodes
	return m.setTransform(&b.c)
}

// listUses notes slot by slot where questions are asked.
func (k *oblivious) listUses(asked []question) {
	k.firstOf = make([]uint32, len(k.slots)+1)
	for _, q := range asked {
		k.firstOf[q.slot+1]++
	}
	for i := range k.slots {
		k.firstOf[i+1] += k.firstOf[i]
	}
	next := slices.Clone(k.firstOf)
	k.uses = make([]use, len(asked))
	for i, q := range asked {
		k.uses[next[q.slot]] = use{place: uint32(i), border: k.number[i] - k.first[q.slot]}
		next[q.slot]++
	}
}
