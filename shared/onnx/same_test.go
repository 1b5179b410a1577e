package onnx

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
)

// sameBits is an error unless two lists are the same, bit for bit.
func sameBits(t *testing.T, what string, got, want []float64) {
	t.Helper()
	for i := range want {
		if math.Float64bits(got[i]) != math.Float64bits(want[i]) && !(math.IsNaN(got[i]) && math.IsNaN(want[i])) {
			t.Errorf("%s: number %d is %v, want %v", what, i, got[i], want[i])
			return
		}
	}
}

// A row's bits are the same alone, in any company, and on any number of goroutines.
func TestBatchesAndGoroutines(t *testing.T) {
	t.Parallel()
	goldens(t, func(t *testing.T, folder string, c goldenCase) {
		m := bind(t, folder, c)
		few := numbersOf(t, folder, c.Model+".x.f64")
		var x []float64
		for len(x) < 150*c.Cols { // more than two blocks
			x = append(x, few...)
		}
		rows := len(x) / c.Cols
		want := make([]float64, rows*c.Outputs)
		m.Predict(x, rows, want, m.NewScratch())
		s := m.NewScratch()
		for _, size := range []int{1, 7, 64, 65} {
			got := make([]float64, rows*c.Outputs)
			for first := 0; first < rows; first += size {
				n := min(size, rows-first)
				m.Predict(x[first*c.Cols:(first+n)*c.Cols], n, got[first*c.Outputs:(first+n)*c.Outputs], s)
			}
			sameBits(t, fmt.Sprintf("in batches of %d", size), got, want)
		}
		var group sync.WaitGroup
		results := make([][]float64, 4)
		for i := range results {
			group.Go(func() {
				results[i] = make([]float64, rows*c.Outputs)
				m.Predict(x, rows, results[i], m.NewScratch())
			})
		}
		group.Wait()
		for _, got := range results {
			sameBits(t, "beside others", got, want)
		}
	})
}

// The kernel gives the bits of the walk from node to node.
func TestKernel(t *testing.T) {
	t.Parallel()
	goldens(t, func(t *testing.T, folder string, c goldenCase) {
		fast, slow := bind(t, folder, c), bind(t, folder, c)
		for _, e := range slow.c.ensembles {
			e.quick = nil
		}
		for _, e := range fast.c.ensembles {
			byHand := slices.Contains([]string{"regressor", "classifier", "five"}, c.Model[:strings.IndexByte(c.Model+"_", '_')])
			if e.quick == nil && !byHand && c.Model != "lightgbm_codes" { // its splits ask for single values
				t.Errorf("an exported ensemble without the kernel: %d trees of %d targets", len(e.roots), e.targets)
			}
		}
		if len(fast.c.ensembles) == 0 {
			return
		}
		x := numbersOf(t, folder, c.Model+".x.f64")
		r := rand.New(rand.NewPCG(1, uint64(len(c.Model))))
		for _, e := range fast.c.ensembles { // values on thresholds, where one is of the matrix's own columns
			for i := 0; len(x) < 400*c.Cols; i++ {
				row := x[r.IntN(c.Rows)*c.Cols:][:c.Cols]
				x = append(x, row...)
				n := e.nodes[r.IntN(len(e.nodes))]
				if at := len(x) - c.Cols + int(n.feature); int(n.feature) < c.Cols && fast.bound.texts[n.feature] == nil && !fast.columns[n.feature].Whole {
					x[at] = []float64{n.value, math.Nextafter(n.value, 9e9), float64(math.Nextafter32(float32(n.value), -9e9)), math.NaN(), math.Inf(1), math.Inf(-1)}[i%6]
				}
			}
		}
		rows := len(x) / c.Cols
		got, want := make([]float64, rows*c.Outputs), make([]float64, rows*c.Outputs)
		fast.Predict(x, rows, got, fast.NewScratch())
		slow.Predict(x, rows, want, slow.NewScratch())
		sameBits(t, "with the kernel", got, want)
	})
}

func TestNoAllocations(t *testing.T) {
	for _, c := range []goldenCase{{Model: "pipeline_forest", Texts: map[string][]string{"colour": {"red", ""}, "shape": {"flat"}}}, {Model: "hist_three"}, {Model: "shapes"}, {Model: "arithmetic"}} {
		m := bind(t, testFolder, c)
		x, out := make([]float64, 100*len(m.Columns())), make([]float64, 100*m.Info().Outputs)
		s := m.NewScratch()
		if n := testing.AllocsPerRun(5, func() { m.Predict(x, 100, out, s) }); n > 0 {
			t.Errorf("%s: %v allocations", c.Model, n)
		}
	}
}

// fma rounds once: the sum of an exact product is taken to the nearest float32, which two roundings miss.
func TestFMA(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		x, y := float32(r.NormFloat64()), float32(r.NormFloat64())
		z := float32(math.Ldexp(r.NormFloat64(), r.IntN(60)-30))
		got := fma(x, y, z)
		// The neighbours lie no nearer: the exact error of each is computed from an error-free sum.
		p := float64(x) * float64(y)
		s := p + float64(z)
		b := s - p
		lost := (p - (s - b)) + (float64(z) - b)
		off := func(v float32) float64 { return math.Abs((s - float64(v)) + lost) }
		if up, down := math.Nextafter32(got, 9e9), math.Nextafter32(got, -9e9); off(up) < off(got) || off(down) < off(got) {
			t.Fatalf("fma(%v, %v, %v) = %v, but a neighbour is nearer", x, y, z, got)
		}
	}
	for _, sign := range []float32{1, -1} {
		x, y, z := float32(0x1p-12*(1+0x1p-18)), sign*0x1p-12*(1-0x1p-18), sign*(1+0x1p-23)
		if got := fma(x, y, z); got != z || float32(float64(x)*float64(y)+float64(z)) == z {
			t.Errorf("fma(%v, %v, %v) = %v, want %v, which two roundings miss", x, y, z, got, z)
		}
	}
}
