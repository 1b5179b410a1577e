package forest

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// finish lays out what needs all trees, and fills the model but for its kernel.
func (b *layout[T]) finish(m *Model) error {
	if len(b.k.roots) == 0 {
		return fmt.Errorf("no trees")
	}
	m.info = b.c.Info
	m.info.Trees, m.info.Nodes = len(b.k.roots), b.nodes
	if err := m.setTransform(&b.c); err != nil {
		return err
	}
	if err := b.layOutSets(); err != nil {
		return err
	}
	b.group()
	return nil
}

// setTransform fills what comes after the kernel. Info.Trees is known.
func (m *Model) setTransform(c *Config) error {
	margins := len(c.Base)
	m.info.Margins, m.info.Outputs = margins, c.Link.outputs(margins)
	m.transform = transform{link: c.Link, width: margins, sigma: c.Sigma, over: 1, scale: c.Scale, bias: slices.Clone(c.Bias), quick: c.Quick}
	if c.Sigma == 0 {
		m.transform.sigma = 1
	}
	if c.Scale == 0 {
		m.transform.scale = 1
	}
	if !slices.ContainsFunc(c.Bias, func(v float64) bool { return v != 0 }) {
		m.transform.bias = nil
	}
	if c.Average {
		m.transform.over = float64(m.info.Trees / margins)
		if m.info.Trees%margins != 0 {
			return fmt.Errorf("%d trees cannot be averaged over %d outputs", m.info.Trees, margins)
		}
	}
	if c.Link == MeanVariance && margins != 2 {
		return fmt.Errorf("a mean and a variance of %d outputs", margins)
	}
	return nil
}

// layOutSets turns the collected category sets into tables, feature by feature.
func (b *layout[T]) layOutSets() error {
	if len(b.sets) == 0 {
		return nil
	}
	b.k.bits = make([]uint32, len(b.k.nodes))
	words, left := uint32(1), int64(maxSetBytes) // word 0 is for nodes that are not categorical
	for _, f := range slices.Sorted(maps.Keys(b.sets)) {
		x := b.sets[f]
		codes := x.codes()
		if left -= x.bytes(len(codes)); left < 0 {
			return fmt.Errorf("feature %d: %d categories in %d distinct splits need more than %d MiB of tables; "+
				"train with fewer categories or with max_cat_to_onehot, or merge rare ones", f, len(codes), len(x.sets), maxSetBytes>>20)
		}
		t := x.table(uint32(f), words, codes, b.k.bits)
		b.k.sets = append(b.k.sets, t)
		words += t.words
	}
	b.k.words = int(words)
	return nil
}

// group fills up the last eight trees and notes what each eight need.
func (b *layout[T]) group() {
	k := b.k
	k.trees = len(k.roots)
	for len(k.roots)%lanes != 0 {
		at := uint32(len(k.nodes))
		dummy := node[T]{thr: T(math.Copysign(0, -1)), left: at, slot: pad}
		if b.c.Vectors {
			dummy.thr = T(len(k.vectors) / k.margins)
			for range k.margins {
				k.vectors = append(k.vectors, T(math.Copysign(0, -1)))
			}
		}
		k.nodes = append(k.nodes, dummy)
		k.roots, k.margin = append(k.roots, at), append(k.margin, 0)
		b.depth, b.cats = append(b.depth, 0), append(b.cats, false)
	}
	if k.bits != nil {
		k.bits = append(k.bits, make([]uint32, len(k.nodes)-len(k.bits))...)
		k.mixed = make([]bool, len(k.roots)/lanes)
	}
	k.steps = make([]uint8, len(k.roots)/lanes)
	for i, d := range b.depth {
		k.steps[i/lanes] = max(k.steps[i/lanes], uint8(d))
		if k.mixed != nil && b.cats[i] {
			k.mixed[i/lanes] = true
		}
	}
	if k.margins == 1 || b.c.Vectors {
		k.margin = nil
	}
	k.nodes = slices.Clip(k.nodes)
}
