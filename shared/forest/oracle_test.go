package forest

import (
	"math"
	"math/rand/v2"
	"slices"
)

// slow is the oracle: what the trees of a file mean, said as plainly as possible.
func slow(c Config, trees []Tree, x []float64) []float32 {
	sums := make([]float32, len(c.Base))
	for i, b := range c.Base {
		sums[i] = float32(b)
	}
	for _, t := range trees {
		n := t.Nodes[0]
		for n.Left >= 0 {
			v := float32(x[n.Feature])
			left := v < float32(n.Threshold)
			if n.Categorical {
				left = !(v >= 0 && v < 1<<24 && slices.Contains(n.Set, uint32(v)))
			}
			if v != v {
				left = n.DefaultLeft
			}
			if left {
				n = t.Nodes[n.Left]
			} else {
				n = t.Nodes[n.Right]
			}
		}
		if !c.Vectors {
			sums[t.Margin] += float32(n.Value)
			continue
		}
		for k := range sums {
			sums[k] += float32(t.Vectors[int(n.Vector)*len(sums)+k])
		}
	}
	return sums
}

// sample makes random forests and rows that meet in the awkward values.
type sample struct {
	*rand.Rand
	values []float64 // thresholds and inputs come from here
}

func newSample(seed uint64, extra float64) sample {
	s := sample{Rand: rand.New(rand.NewPCG(seed, 1))}
	s.values = []float64{0, math.Copysign(0, -1), 1, 2, 3, 39, 40, 0.9, 3.5, -0.5, 1e-45, -1e-45, 1e-35, math.MaxFloat32, -math.MaxFloat32, 1<<24 - 1, 1 << 24, 1e9}
	if finite[float32](extra) {
		s.values = append(s.values, float64(float32(extra)))
	}
	for range 6 {
		v := float32(s.NormFloat64())
		s.values = append(s.values, float64(v), float64(math.Nextafter32(v, -100)), float64(math.Nextafter32(v, 100)))
	}
	return s
}

func (s sample) value() float64 { return s.values[s.IntN(len(s.values))] }

func (s sample) input() float64 {
	switch s.IntN(8) {
	case 0:
		return math.NaN()
	case 1:
		return []float64{math.Inf(1), math.Inf(-1), 1e300, -1e300, 1e-300}[s.IntN(5)]
	}
	return s.value()
}

func (s sample) rows(n, features int) []float64 {
	x := make([]float64, n*features)
	for i := range x {
		x[i] = s.input()
	}
	return x
}

func (s sample) config() Config {
	c := Config{Info: Info{Format: "test", Features: 1 + s.IntN(6), BestIteration: -1}, Vectors: s.IntN(4) == 0}
	for range 1 + s.IntN(3) {
		c.Base = append(c.Base, s.NormFloat64())
	}
	if s.IntN(4) == 0 {
		c.Base[0] = math.Copysign(0, -1)
	}
	return c
}

// tree makes a tree of at most depth splits; its nodes stand in depth-first order, with dead ones at the end.
func (s sample) tree(c Config, depth int, categorical bool) Tree {
	t := Tree{Margin: s.IntN(len(c.Base))}
	if c.Vectors {
		t.Margin = 0
	}
	var grow func(depth int) int32
	grow = func(depth int) int32 {
		at := len(t.Nodes)
		t.Nodes = append(t.Nodes, Node{Left: -1, Right: -1, Value: s.NormFloat64()})
		if depth == 0 || s.IntN(5) == 0 {
			if c.Vectors {
				t.Nodes[at].Vector = int32(len(t.Vectors) / len(c.Base))
				for range c.Base {
					t.Vectors = append(t.Vectors, s.NormFloat64())
				}
			}
			return int32(at)
		}
		n := Node{Feature: int32(s.IntN(c.Features)), DefaultLeft: s.IntN(2) == 0, Threshold: s.value()}
		if categorical && n.Feature%2 == 0 {
			n.Categorical = true
			for code := range uint32(42) {
				if s.IntN(4) == 0 {
					n.Set = append(n.Set, code)
				}
			}
			if s.IntN(8) == 0 {
				n.Set = append(n.Set, 1<<24-1)
			}
		}
		n.Left = grow(depth - 1)
		n.Right = grow(depth - 1)
		t.Nodes[at] = n
		return int32(at)
	}
	grow(depth)
	if s.IntN(4) == 0 {
		t.Nodes = append(t.Nodes, Node{Left: 0, Right: 0})
		t.Deleted = 1
	}
	return t
}

func (s sample) trees(c Config) []Tree {
	categorical := s.IntN(3) == 0
	trees := make([]Tree, 1+s.IntN(20))
	for i := range trees {
		depth := s.IntN(8)
		if s.IntN(8) == 0 {
			depth = first + s.IntN(5) // lopsided, as each split is a leaf with one chance in five
		}
		trees[i] = s.tree(c, depth, categorical)
	}
	return trees
}
