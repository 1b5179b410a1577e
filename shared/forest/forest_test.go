package forest

import (
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func build(t testing.TB, c Config, trees []Tree) *Model {
	t.Helper()
	b, err := NewBuilder(c)
	if err != nil {
		t.Fatal(err)
	}
	for i := range trees {
		if err := b.Add(&trees[i]); err != nil {
			t.Fatalf("tree %d: %v", i, err)
		}
	}
	m, err := b.Model()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func FuzzKernel(f *testing.F) {
	for seed := range uint64(300) {
		f.Add(seed, float64(seed)/7)
	}
	f.Fuzz(func(t *testing.T, seed uint64, extra float64) {
		s := newSample(seed, extra)
		c := s.config()
		trees := s.trees(c)
		m := build(t, c, trees)
		const rows = 70 // more than a block
		x := s.rows(rows, c.Features)
		got := make([]float64, rows*len(c.Base))
		m.Margin(x, rows, got, m.NewScratch())
		for r := range rows {
			for i, want := range slow(c, trees, x[r*c.Features:(r+1)*c.Features]) {
				if v := float32(got[r*len(c.Base)+i]); math.Float32bits(v) != math.Float32bits(want) {
					t.Fatalf("row %d output %d: kernel %v, oracle %v; row %v", r, i, v, want, x[r*c.Features:(r+1)*c.Features])
				}
			}
		}
	})
}

func TestBatchEqualsSingleRowEqualsGoroutines(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		s := newSample(seed, 0)
		c := s.config()
		c.Link = Link(seed % 7)
		if seed%2 == 1 {
			c = s.config64()
			c.Link = []Link{Identity, Logistic, Exp, Softmax, Argmax, Step, Square, Softplus}[seed/2%8]
		}
		m := build(t, c, s.trees(c))
		const rows = 333
		x := s.rows(rows, c.Features)
		width := m.Info().Outputs
		batch := make([]float64, rows*width)
		m.Predict(x, rows, batch, m.NewScratch())

		single, scratch := make([]float64, rows*width), m.NewScratch()
		for r := range rows {
			m.Predict(x[r*c.Features:], 1, single[r*width:], scratch)
		}
		same(t, "single rows", batch, single)
		for _, workers := range []int{2, 3, 7} {
			split := make([]float64, rows*width)
			var wg sync.WaitGroup
			for w := range workers {
				wg.Go(func() {
					lo, hi := w*rows/workers, (w+1)*rows/workers
					m.Predict(x[lo*c.Features:hi*c.Features], hi-lo, split[lo*width:hi*width], m.NewScratch())
				})
			}
			wg.Wait()
			same(t, "goroutines", batch, split)
		}
	}
}

func same(t *testing.T, what string, want, got []float64) {
	t.Helper()
	for i := range want {
		if math.Float64bits(want[i]) != math.Float64bits(got[i]) {
			t.Fatalf("%s: value %d is %v, in one batch %v", what, i, got[i], want[i])
		}
	}
}

func TestPredictAllocatesNothing(t *testing.T) {
	s := newSample(3, 0)
	c := Config{Info: Info{Features: 4}, Base: []float64{0.5}, Link: Logistic}
	m := build(t, c, []Tree{s.tree(c, 5, true), s.tree(c, 5, false)})
	x, out, scratch := s.rows(100, 4), make([]float64, 100), m.NewScratch()
	if n := testing.AllocsPerRun(20, func() { m.Predict(x, 100, out, scratch) }); n != 0 {
		t.Errorf("100 rows: %v allocations", n)
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	row := []float32{-1, 2, 0.5}
	for _, c := range []struct {
		name string
		link Link
		want []float64
	}{
		{"identity", Identity, []float64{-1, 2, 0.5}},
		{"logistic", Logistic, []float64{float64(float32(0.26894143)), float64(float32(0.880797)), float64(float32(0.62245935))}},
		{"exp", Exp, []float64{float64(float32(0.36787945)), float64(float32(7.389056)), float64(float32(1.6487212))}},
		{"softmax", Softmax, []float64{float64(float32(0.03911258)), float64(float32(0.7855968)), float64(float32(0.1752904))}},
		{"argmax", Argmax, []float64{1}},
		{"step", Step, []float64{0, 1, 1}},
		{"ascending", Ascending, []float64{-1, 0.5, 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			out := make([]float64, c.link.outputs(3))
			transform{link: c.link, width: 3}.single(slices.Clone(row), out)
			for i := range out {
				if math.Abs(out[i]-c.want[i]) > 1e-6 {
					t.Errorf("output %d is %v, want %v", i, out[i], c.want[i])
				}
			}
		})
	}
	for _, x := range []float32{-88.71, -89, -200} {
		if got := logistic(x); got != 1/(expf(88.7)+1) {
			t.Errorf("logistic(%v) = %v: the exponent is not capped", x, got)
		}
	}
	if got := argmax([]float32{1, 3, 3}); got != 1 {
		t.Errorf("argmax of a tie = %d, want the first, 1", got)
	}
}

func leaf(v float64) Node { return Node{Left: -1, Right: -1, Value: v} }

func TestBuilderRefuses(t *testing.T) {
	t.Parallel()
	split := func(l, r int32) Node { return Node{Left: l, Right: r, Threshold: 1} }
	cat := func(set ...uint32) Node { return Node{Left: 1, Right: 2, Categorical: true, Set: set} }
	deep := Tree{}
	for i := range int32(MaxDepth + 1) { // node 2i splits into the leaf 2i+1 and the next split 2i+2
		deep.Nodes = append(deep.Nodes, split(2*i+1, 2*i+2), leaf(0))
	}
	deep.Nodes = append(deep.Nodes, leaf(0))
	for _, c := range []struct {
		name, want string
		tree       Tree
	}{
		{"a tree without nodes", "no nodes", Tree{}},
		{"a cycle to the root", "node 0: left child 0 is also reached another way", Tree{Nodes: []Node{split(0, 1), leaf(1)}}},
		{"a child that is its own parent", "node 1: right child 1 is also reached", Tree{Nodes: []Node{split(1, 2), split(3, 1), leaf(1), leaf(1)}}},
		{"a shared child", "node 0: right child 1 is also reached", Tree{Nodes: []Node{split(1, 1), leaf(1)}}},
		{"a child outside", "node 0: right child 3: the tree has 3 nodes", Tree{Nodes: []Node{split(1, 3), leaf(1), leaf(1)}}},
		{"a split with one child", "node 0: right child -1", Tree{Nodes: []Node{split(1, -1), leaf(1)}}},
		{"a node that nothing leads to", "1 nodes cannot be reached (the first is 1), 0 are declared deleted", Tree{Nodes: []Node{leaf(1), leaf(2)}}},
		{"more deleted than there are", "0 nodes cannot be reached", Tree{Nodes: []Node{leaf(1)}, Deleted: 1}},
		{"a feature outside", "node 0: splits by feature 2 of 2", Tree{Nodes: []Node{{Left: 1, Right: 2, Feature: 2}, leaf(1), leaf(1)}}},
		{"a negative feature", "node 0: splits by feature -1 of 2", Tree{Nodes: []Node{{Left: 1, Right: 2, Feature: -1}, leaf(1), leaf(1)}}},
		{"a NaN threshold", "node 0: threshold is NaN", Tree{Nodes: []Node{{Left: 1, Right: 2, Threshold: math.NaN()}, leaf(1), leaf(1)}}},
		{"an infinite threshold", "node 0: threshold is -Inf", Tree{Nodes: []Node{{Left: 1, Right: 2, Threshold: math.Inf(-1)}, leaf(1), leaf(1)}}},
		{"an infinite leaf", "node 0: leaf value is +Inf", Tree{Nodes: []Node{leaf(math.Inf(1))}}},
		{"a set out of order", "node 0: category 1 at place 1", Tree{Nodes: []Node{cat(2, 1), leaf(1), leaf(1)}}},
		{"a set with a code twice", "node 0: category 2 at place 1", Tree{Nodes: []Node{cat(2, 2), leaf(1), leaf(1)}}},
		{"a code that float32 cannot tell", "node 0: category 16777216", Tree{Nodes: []Node{cat(1 << 24), leaf(1), leaf(1)}}},
		{"an output outside", "adds to output 1 of 1", Tree{Nodes: []Node{leaf(1)}, Margin: 1}},
		{"more leaf rows than nodes", "2 leaf values for 1 nodes", Tree{Nodes: []Node{leaf(1)}, Vectors: []float64{1, 2}}},
		{"too deep", "deeper than 255 splits", deep},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b, err := NewBuilder(Config{Info: Info{Features: 2}, Base: []float64{0}})
			if err != nil {
				t.Fatal(err)
			}
			if err := b.Add(&c.tree); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestBuilderRefusesConfig(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, want string
		config     Config
	}{
		{"no features", "0 features", Config{Base: []float64{0}}},
		{"too many features", "features: from 1", Config{Info: Info{Features: MaxFeatures + 1}, Base: []float64{0}}},
		{"no outputs", "0 outputs", Config{Info: Info{Features: 1}}},
		{"an infinite base", "base score 0 is +Inf", Config{Info: Info{Features: 1}, Base: []float64{math.Inf(1)}}},
		{"too few names", "1 feature names for 2 features", Config{Info: Info{Features: 2, FeatureNames: []string{"a"}}, Base: []float64{0}}},
		{"too few types", "1 feature types for 2 features", Config{Info: Info{Features: 2, FeatureTypes: []string{"c"}}, Base: []float64{0}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if _, err := NewBuilder(c.config); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestVectorLeafOutside(t *testing.T) {
	t.Parallel()
	b, err := NewBuilder(Config{Info: Info{Features: 1}, Base: []float64{0, 0}, Vectors: true})
	if err != nil {
		t.Fatal(err)
	}
	err = b.Add(&Tree{Nodes: []Node{{Left: -1, Vector: 1}}, Vectors: []float64{1, 2}})
	if err == nil || !strings.Contains(err.Error(), "node 0: leaf 1: the tree has 1 leaves") {
		t.Errorf("error %v", err)
	}
}

// A few huge sets must be refused by their size and not by the machine's memory.
func TestSetTablesAreBounded(t *testing.T) {
	t.Parallel()
	b, err := NewBuilder(Config{Info: Info{Features: 1}, Base: []float64{0}})
	if err != nil {
		t.Fatal(err)
	}
	all := make([]uint32, 100_000)
	for i := range all {
		all[i] = uint32(i)
	}
	tree := Tree{Nodes: []Node{{Left: 1, Right: 2, Categorical: true}, leaf(0), leaf(1)}}
	for i := range 30_000 {
		tree.Nodes[0].Set = all[i : i+1]
		if i == 0 {
			tree.Nodes[0].Set = all
		}
		if err := b.Add(&tree); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Model(); err == nil || !strings.Contains(err.Error(), "100000 categories in 30000 distinct splits need more than 256 MiB") {
		t.Errorf("error %v", err)
	}
}

func TestInfoCounts(t *testing.T) {
	t.Parallel()
	c := Config{Info: Info{Format: "test", Features: 2, BestIteration: -1}, Base: []float64{0, 0}, Link: Argmax}
	m := build(t, c, []Tree{
		{Nodes: []Node{{Left: 1, Right: 2, Feature: 1, Categorical: true, Set: []uint32{1}}, leaf(1), leaf(2)}},
		{Nodes: []Node{leaf(1)}, Margin: 1},
	})
	want := Info{Format: "test", Features: 2, Trees: 2, Nodes: 4, Margins: 2, Outputs: 1, Categorical: []bool{false, true}, BestIteration: -1}
	if diff := cmp.Diff(want, m.Info()); diff != "" {
		t.Errorf("info (-want +got):\n%s", diff)
	}
}
