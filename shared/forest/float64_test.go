package forest

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// slow64 is the oracle of the float64 path: LightGBM's rules, said as plainly as possible.
func slow64(c Config, trees []Tree, row []float64) []float64 {
	x := slices.Clone(row)
	for i, v := range x {
		if c.Flush && math.Abs(v) <= Tiny {
			x[i] = 0
		}
	}
	sums := slices.Clone(c.Base)
	for _, t := range trees {
		n := t.Nodes[0]
		for n.Left >= 0 {
			v := x[n.Feature]
			var left bool
			switch {
			case n.Categorical:
				left = v > -1 && v < 1<<31 && slices.Contains(n.Set, uint32(math.Trunc(v)))
			case n.Missing == MissingNone && v != v:
				left = 0 < n.Threshold || n.AllLeft
			case v != v, n.Missing == MissingZero && v == 0:
				left = n.DefaultLeft
			case n.AllLeft:
				left = true
			default:
				left = v < n.Threshold
			}
			if left {
				n = t.Nodes[n.Left]
			} else {
				n = t.Nodes[n.Right]
			}
		}
		sums[t.Margin] += slowLeaf(n, x)
	}
	return sums
}

func slowLeaf(n Node, x []float64) float64 {
	if n.Linear == nil {
		return n.Value
	}
	v := n.Linear.Const
	for i, f := range n.Linear.Features {
		if x[f] != x[f] {
			return n.Value
		}
		v += float64(n.Linear.Coefficients[i] * x[f])
	}
	return v
}

// config64 is config for a forest in float64.
func (s sample) config64() Config {
	c := s.config()
	c.Float64, c.Flush, c.Vectors, c.Sigma = true, true, false, 0.7
	return c
}

// trees64 gives the trees of a sample what only the float64 path has. Numeric splits of a feature that is somewhere split
// by categories stay, as in files.
func (s sample) trees64(c Config) []Tree {
	trees := s.trees(c)
	linear := s.IntN(3) == 0
	for i := range trees {
		for j := range trees[i].Nodes {
			n := &trees[i].Nodes[j]
			n.Missing = Missing(s.IntN(3))
			if n.Categorical {
				n.SetLeft = true
				continue
			}
			n.Threshold = math.Nextafter(n.Threshold, math.Inf(1))
			n.AllLeft = s.IntN(8) == 0
			if n.Left < 0 && linear && s.IntN(2) == 0 {
				n.Linear = &Linear{Const: s.NormFloat64()}
				for range s.IntN(4) {
					n.Linear.Features = append(n.Linear.Features, int32(s.IntN(c.Features)))
					n.Linear.Coefficients = append(n.Linear.Coefficients, s.NormFloat64()*[]float64{1, 1e36}[s.IntN(2)]) // tiny values must count as 0
				}
			}
		}
	}
	return trees
}

func FuzzKernel64(f *testing.F) {
	for seed := range uint64(200) {
		f.Add(seed, float64(seed)/7)
	}
	f.Fuzz(func(t *testing.T, seed uint64, extra float64) {
		s := newSample(seed, extra)
		s.values = append(s.values, Tiny, math.Nextafter(Tiny, 1), math.Nextafter(Tiny, 0), -Tiny, 0.1, math.Nextafter(0.1, 1), 1<<31-1, 1<<31)
		c := s.config64()
		trees := s.trees64(c)
		m := build(t, c, trees)
		const rows = 70
		x := s.rows(rows, c.Features)
		got := make([]float64, rows*len(c.Base))
		m.Margin(x, rows, got, m.NewScratch())
		for r := range rows {
			row := x[r*c.Features : (r+1)*c.Features]
			for i, want := range slow64(c, trees, row) {
				if v := got[r*len(c.Base)+i]; math.Float64bits(v) != math.Float64bits(want) && !(v != v && want != want) {
					t.Fatalf("row %d output %d: kernel %v, oracle %v; row %v", r, i, v, want, row)
				}
			}
		}
	})
}

func TestPredictInFloat64AllocatesNothing(t *testing.T) {
	s := newSample(3, 0)
	c := Config{Info: Info{Features: 4, Float64: true}, Base: []float64{0}, Flush: true, Link: Logistic}
	m := build(t, c, []Tree{s.tree(c, 5, false), s.tree(c, 5, false)})
	x, out, scratch := s.rows(100, 4), make([]float64, 100), m.NewScratch()
	if n := testing.AllocsPerRun(20, func() { m.Predict(x, 100, out, scratch) }); n != 0 {
		t.Errorf("100 rows: %v allocations", n)
	}
}

func TestLinksInFloat64(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		t    transform
		want []float64
	}{
		{"identity", transform{link: Identity}, []float64{-1, 2, 0.5}},
		{"the mean over two trees", transform{link: Identity, over: 2}, []float64{-0.5, 1, 0.25}},
		{"logistic", transform{link: Logistic}, []float64{0.2689414213699951, 0.8807970779778823, 0.6224593312018546}},
		{"logistic with sigma 2 of a mean", transform{link: Logistic, sigma: 2, over: 2}, []float64{0.2689414213699951, 0.8807970779778823, 0.6224593312018546}},
		{"exp", transform{link: Exp}, []float64{0.36787944117144233, 7.38905609893065, 1.6487212707001282}},
		{"softmax", transform{link: Softmax}, []float64{0.03911257, 0.78559703, 0.1752904}},
		{"argmax", transform{link: Argmax}, []float64{1}},
		{"step", transform{link: Step}, []float64{0, 1, 1}},
		{"square", transform{link: Square}, []float64{-1, 4, 0.25}},
		{"softplus", transform{link: Softplus}, []float64{0.31326168751822286, 2.1269280110429727, 0.9740769841801067}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.t.width = 3
			if c.t.over == 0 {
				c.t.over = 1
			}
			if c.t.sigma == 0 {
				c.t.sigma = 1
			}
			out := make([]float64, c.t.link.outputs(3))
			c.t.double([]float64{-1, 2, 0.5}, out)
			for i := range out {
				if math.Abs(out[i]-c.want[i]) > 1e-8 {
					t.Errorf("output %d is %v, want %v", i, out[i], c.want[i])
				}
			}
		})
	}
}

func TestBuilderInFloat64Refuses(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	linear := func(l Linear) Tree { return Tree{Nodes: []Node{{Left: -1, Linear: &l}}} }
	for _, c := range []struct {
		name, want string
		tree       Tree
	}{
		{"a feature outside", "leaf feature 2 of 2", linear(Linear{Features: []int32{2}, Coefficients: []float64{1}})},
		{"a negative feature", "leaf feature -1 of 2", linear(Linear{Features: []int32{-1}, Coefficients: []float64{1}})},
		{"a coefficient less", "1 coefficients for 2 features", linear(Linear{Features: []int32{0, 1}, Coefficients: []float64{1}})},
		{"a NaN coefficient", "leaf coefficient 0 is NaN", linear(Linear{Features: []int32{0}, Coefficients: []float64{nan}})},
		{"an infinite constant", "leaf constant is +Inf", linear(Linear{Const: math.Inf(1)})},
		{"a NaN leaf", "leaf value is NaN", Tree{Nodes: []Node{leaf(nan)}}},
		{"a threshold that no value is above", "threshold is +Inf", Tree{Nodes: []Node{{Left: 1, Right: 2, Threshold: math.Inf(1)}, leaf(0), leaf(0)}}},
		{"a code that int32 cannot hold", "category 2147483648", Tree{Nodes: []Node{{Left: 1, Right: 2, Categorical: true, SetLeft: true, Set: []uint32{1 << 31}}, leaf(0), leaf(0)}}},
		{"a split that asks for missing values, without flush", "asks only for missing values", Tree{Nodes: []Node{{Left: 1, Right: 2, AllLeft: true}, leaf(0), leaf(0)}}},
		{"sets of both sides", "feature 0: sets of both sides", Tree{Nodes: []Node{{Left: 1, Right: 2, Categorical: true, SetLeft: true}, leaf(0), {Left: 3, Right: 4, Categorical: true}, leaf(1), leaf(2)}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b, err := NewBuilder(Config{Info: Info{Features: 2, Float64: true}, Base: []float64{0}})
			if err != nil {
				t.Fatal(err)
			}
			if err := b.Add(&c.tree); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
	for want, c := range map[string]Config{
		"oblivious trees":        {Info: Info{Features: 1}, Base: []float64{0}, Oblivious: true},
		"rounded features":       {Info: Info{Features: 1}, Base: []float64{0}, Rounded: true},
		"scale is NaN":           {Info: Info{Features: 1, Float64: true}, Base: []float64{0}, Scale: nan},
		"2 biases for 1 outputs": {Info: Info{Features: 1, Float64: true}, Base: []float64{0}, Bias: []float64{0, 1}},
		"bias 0 is NaN":          {Info: Info{Features: 1, Float64: true}, Base: []float64{0}, Bias: []float64{nan}},
		"sigma of -1":            {Info: Info{Features: 1, Float64: true}, Base: []float64{0}, Sigma: -1},
		"sigma of NaN":           {Info: Info{Features: 1, Float64: true}, Base: []float64{0}, Sigma: nan},
	} {
		if _, err := NewBuilder(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	b, err := NewBuilder(Config{Info: Info{Features: 1}, Base: []float64{0}})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Add(&Tree{Nodes: []Node{{Left: -1, Linear: &Linear{}}}}); err == nil || !strings.Contains(err.Error(), "float64 only") {
		t.Errorf("a linear leaf in float32: error %v", err)
	}
}

func TestAverageNeedsFullIterations(t *testing.T) {
	t.Parallel()
	b, err := NewBuilder(Config{Info: Info{Features: 1, Float64: true}, Base: []float64{0, 0}, Average: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Add(&Tree{Nodes: []Node{leaf(1)}}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Model(); err == nil || !strings.Contains(err.Error(), "1 trees cannot be averaged over 2 outputs") {
		t.Errorf("error %v", err)
	}
}
