package forest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// slowOblivious is the oracle of the oblivious kernel: CatBoost's rules, said as plainly as possible.
func slowOblivious(c Config, trees []Oblivious, x []float64) []float64 {
	sums := slices.Clone(c.Base)
	for _, t := range trees {
		leaf := 0
		for d, q := range t.Splits {
			v := float32(x[q.Feature])
			yes := v > q.Border
			if v != v {
				yes = q.MissingTrue
			}
			if q.Categorical {
				yes = slices.ContainsFunc(q.Set, func(code uint32) bool { return x[q.Feature] == float64(code) })
			}
			if yes {
				leaf += 1 << d
			}
		}
		for m := range sums {
			sums[m] += t.Values[leaf*len(sums)+m]
		}
	}
	return slowAffine(c, sums)
}

func slowAffine(c Config, sums []float64) []float64 {
	for m := range sums {
		if c.Scale != 0 && c.Scale != 1 {
			sums[m] *= c.Scale
		}
		if slices.ContainsFunc(c.Bias, func(v float64) bool { return v != 0 }) {
			sums[m] += c.Bias[m]
		}
	}
	return sums
}

// affine gives a sample's configuration what float64 has after its sums.
func (s sample) affine(c *Config) {
	c.Float64 = true
	if s.IntN(2) == 0 {
		c.Scale = []float64{1, 0.3, -2}[s.IntN(3)]
	}
	if s.IntN(2) == 0 {
		c.Bias = make([]float64, len(c.Base))
		c.Bias[s.IntN(len(c.Base))] = s.NormFloat64()
	}
}

// oblivious makes a tree of depth questions, or of any number with -1.
func (s sample) oblivious(c Config, categorical bool, depth int) Oblivious {
	var t Oblivious
	if depth < 0 {
		depth = []int{6, s.IntN(9), 0, s.IntN(12)}[s.IntN(4)]
	}
	for range depth {
		q := Question{Feature: int32(s.IntN(c.Features)), Border: float32(s.value()), MissingTrue: s.IntN(2) == 0}
		if categorical && q.Feature%2 == 0 {
			q.Categorical = true
			for code := range uint32(42) {
				if s.IntN(9) == 0 {
					q.Set = append(q.Set, code)
				}
			}
		}
		t.Splits = append(t.Splits, q)
	}
	for range len(c.Base) << depth {
		t.Values = append(t.Values, s.NormFloat64())
	}
	return t
}

func buildOblivious(t testing.TB, c Config, trees []Oblivious) *Model {
	t.Helper()
	b, err := NewBuilder(c)
	if err != nil {
		t.Fatal(err)
	}
	for i := range trees {
		if err := b.AddOblivious(&trees[i]); err != nil {
			t.Fatalf("tree %d: %v", i, err)
		}
	}
	m, err := b.Model()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// sameMargins compares the kernel with an oracle, in one call, in blocks of every small size and row by row.
func sameMargins(t *testing.T, c Config, m *Model, x []float64, oracle func(row []float64) []float64) {
	t.Helper()
	rows, width := len(x)/c.Features, len(c.Base)
	scratch := m.NewScratch()
	var want []float64
	for r := range rows {
		want = append(want, oracle(x[r*c.Features:(r+1)*c.Features])...)
	}
	for _, size := range []int{rows, 1, 2, 3, 7, 8, 9, 17, 64} {
		got := make([]float64, rows*width)
		for r := 0; r < rows; r += size {
			n := min(size, rows-r)
			m.Margin(x[r*c.Features:], n, got[r*width:], scratch)
		}
		for i := range got {
			if math.Float64bits(got[i]) != math.Float64bits(want[i]) && !(got[i] != got[i] && want[i] != want[i]) {
				t.Fatalf("%d rows at once: row %d output %d: kernel %v, oracle %v; row %v", size, i/width, i%width, got[i], want[i], x[i/width*c.Features:][:c.Features])
			}
		}
	}
}

func FuzzOblivious(f *testing.F) {
	for seed := range uint64(60) {
		f.Add(seed, float64(seed)/7)
	}
	f.Fuzz(func(t *testing.T, seed uint64, extra float64) {
		s := newSample(seed, extra)
		c := s.config()
		c.Vectors, c.Oblivious = false, true
		s.affine(&c)
		categorical := s.IntN(2) == 0
		depth := []int{-1, 6}[s.IntN(2)]
		trees := make([]Oblivious, 1+s.IntN(2*obliviousTrees)*s.IntN(2))
		for i := range trees {
			trees[i] = s.oblivious(c, categorical, depth)
		}
		m := buildOblivious(t, c, trees)
		sameMargins(t, c, m, s.rows(70, c.Features), func(row []float64) []float64 { return slowOblivious(c, trees, row) })
	})
}

// FuzzRounded is for trees of any shape with features of float32 and sums of float64, as CatBoost has them beside the
// oblivious ones.
func FuzzRounded(f *testing.F) {
	for seed := range uint64(60) {
		f.Add(seed, float64(seed)/7)
	}
	f.Fuzz(func(t *testing.T, seed uint64, extra float64) {
		s := newSample(seed, extra)
		c := s.config()
		c.Rounded = true
		s.affine(&c)
		trees := s.trees(c)
		m := build(t, c, trees)
		sameMargins(t, c, m, s.rows(70, c.Features), func(row []float64) []float64 {
			x := make([]float64, len(row))
			for i, v := range row {
				x[i] = float64(float32(v))
			}
			return slowAffine(c, slowVectors(c, trees, x))
		})
	})
}

// slowVectors is slow in float64.
func slowVectors(c Config, trees []Tree, x []float64) []float64 {
	sums := slices.Clone(c.Base)
	for _, t := range trees {
		n := t.Nodes[0]
		for n.Left >= 0 {
			v := x[n.Feature]
			left := v < n.Threshold
			if n.Categorical {
				left = !(v >= 0 && v < 1<<31 && slices.Contains(n.Set, uint32(v)))
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
			sums[t.Margin] += n.Value
			continue
		}
		for k := range sums {
			sums[k] += t.Vectors[int(n.Vector)*len(sums)+k]
		}
	}
	return sums
}

func TestObliviousRefuses(t *testing.T) {
	t.Parallel()
	inf := float32(math.Inf(1))
	values := make([]float64, 2)
	for _, c := range []struct {
		name, want string
		tree       Oblivious
	}{
		{"a value too few", "1 leaf values, expected 2 for 1 splits and 1 outputs", Oblivious{Splits: make([]Question, 1), Values: values[:1]}},
		{"too deep", "17 splits: at most 16", Oblivious{Splits: make([]Question, 17)}},
		{"a feature outside", "split 0: feature 2 of 2", Oblivious{Splits: []Question{{Feature: 2}}, Values: values}},
		{"a negative feature", "split 0: feature -1 of 2", Oblivious{Splits: []Question{{Feature: -1}}, Values: values}},
		{"an infinite border", "split 0: border is +Inf", Oblivious{Splits: []Question{{Border: inf}}, Values: values}},
		{"a border that is no number", "split 0: border is NaN", Oblivious{Splits: []Question{{Border: inf - inf}}, Values: values}},
		{"a leaf that is no number", "leaf value 1 is NaN", Oblivious{Splits: make([]Question, 1), Values: []float64{0, math.NaN()}}},
		{"codes that fall", "split 0: category 1 at place 1", Oblivious{Splits: []Question{{Categorical: true, Set: []uint32{2, 1}}}, Values: values}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b, err := NewBuilder(Config{Info: Info{Features: 2, Float64: true}, Base: []float64{0}, Oblivious: true})
			if err != nil {
				t.Fatal(err)
			}
			if err := b.AddOblivious(&c.tree); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
			if err := b.Add(&Tree{Nodes: []Node{leaf(1)}}); err == nil {
				t.Error("a tree of another kind is accepted")
			}
		})
	}
	b, err := NewBuilder(Config{Info: Info{Features: 2, Float64: true}, Base: []float64{0}, Oblivious: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Model(); err == nil || !strings.Contains(err.Error(), "no trees") {
		t.Errorf("no trees: error %v", err)
	}
}

func TestObliviousAllocatesNothing(t *testing.T) {
	s := newSample(3, 0)
	c := Config{Info: Info{Features: 4, Float64: true}, Base: []float64{0}, Oblivious: true, Link: Logistic, Scale: 2, Bias: []float64{1}}
	m := buildOblivious(t, c, []Oblivious{s.oblivious(c, true, -1), s.oblivious(c, true, 6)})
	x, out, scratch := s.rows(100, 4), make([]float64, 100), m.NewScratch()
	for _, rows := range []int{1, 100} {
		if n := testing.AllocsPerRun(20, func() { m.Predict(x, rows, out, scratch) }); n != 0 {
			t.Errorf("%d rows: %v allocations", rows, n)
		}
	}
}

// BenchmarkOblivious is of 500 trees of depth 6 over 28 features with 254 borders each.
func BenchmarkOblivious(b *testing.B) {
	const features, rows = 28, 8192
	r := rand.New(rand.NewPCG(1, 2))
	borders := make([]float32, features*254)
	for i := range borders {
		borders[i] = float32(r.NormFloat64())
	}
	trees := make([]Oblivious, 500)
	for i := range trees {
		for range 6 {
			f := r.IntN(features)
			trees[i].Splits = append(trees[i].Splits, Question{Feature: int32(f), Border: borders[f*254+r.IntN(254)]})
		}
		for range 64 {
			trees[i].Values = append(trees[i].Values, r.NormFloat64())
		}
	}
	m := buildOblivious(b, Config{Info: Info{Features: features, Float64: true}, Base: []float64{0}, Oblivious: true}, trees)
	x := make([]float64, rows*features)
	for i := range x {
		x[i] = r.NormFloat64()
	}
	out, s := make([]float64, rows), m.NewScratch()
	for _, batch := range []int{1, 2, 3, 4, 8, 64, 1024} {
		b.Run(fmt.Sprintf("rows=%d", batch), func(b *testing.B) {
			at := 0
			for b.Loop() {
				m.Margin(x[at*features:], batch, out, s)
				if at += batch; at+batch > rows {
					at = 0
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(batch), "ns/row")
		})
	}
}
