package onnx

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// BenchmarkForest scores trees of depth 6 over 28 numbers, rotating over rows of its own.
func BenchmarkForest(b *testing.B) {
	const all = 8192
	r := rand.New(rand.NewPCG(3, 4))
	x := make([]float64, all*28)
	for i := range x {
		x[i] = r.NormFloat64()
	}
	for _, trees := range []int{100, 500} {
		m, err := Read(forestFile(trees, 6, 28))
		if err != nil {
			b.Fatal(err)
		}
		for _, rows := range []int{1, 1024} {
			b.Run(fmt.Sprintf("trees=%d/rows=%d", trees, rows), func(b *testing.B) {
				s, out, at := m.NewScratch(), make([]float64, rows), 0
				b.ReportAllocs()
				for b.Loop() {
					m.Predict(x[at*28:(at+rows)*28], rows, out, s)
					at = (at + rows) % all
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(rows), "ns/row")
			})
		}
	}
}

// BenchmarkPipeline scores exported pipelines on their golden rows.
func BenchmarkPipeline(b *testing.B) {
	texts := map[string][]string{"colour": {"red", "grün", "", "日本", "blue", "never seen"}, "shape": {"round", "square", "flat"}}
	for _, model := range []string{"pipeline_logistic", "pipeline_forest", "pipeline_ordinal"} {
		m := bind(b, testFolder, goldenCase{Model: model, Texts: texts})
		few := numbersOf(b, testFolder, model+".x.f64")
		var x []float64
		for len(x) < 1024*5 {
			x = append(x, few...)
		}
		for _, rows := range []int{1, 1024} {
			b.Run(fmt.Sprintf("%s/rows=%d", model, rows), func(b *testing.B) {
				s, out, at := m.NewScratch(), make([]float64, rows*m.Info().Outputs), 0
				b.ReportAllocs()
				for b.Loop() {
					m.Predict(x[at*5:(at+rows)*5], rows, out, s)
					at = (at + rows) % 1024
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(rows), "ns/row")
			})
		}
	}
}

// BenchmarkRead reads and compiles a forest of 500 trees.
func BenchmarkRead(b *testing.B) {
	data := forestFile(500, 6, 28)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := Read(data); err != nil {
			b.Fatal(err)
		}
	}
}
