package score

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/millrace-ml/millrace/shared/feature"
	"github.com/millrace-ml/millrace/shared/forest"
	"github.com/millrace-ml/millrace/shared/manifest"
)

const (
	benchFeatures = 28
	benchRows     = 8192 // distinct: a repeated row would teach the branch predictor
)

// benchModel is trees full to depth 6 over 28 numbers, without a folder.
func benchModel(b *testing.B, trees int) *Model {
	b.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	man := &manifest.Manifest{Name: "bench", Version: "1", Outputs: []manifest.Output{{Name: "y"}}}
	for i := range benchFeatures {
		name := fmt.Sprintf("f%02d", i)
		man.Inputs = append(man.Inputs, manifest.Input{Name: name, Type: manifest.Number, Nullable: true})
		man.Features = append(man.Features, manifest.Feature{Name: name})
	}
	builder, err := forest.NewBuilder(forest.Config{Info: forest.Info{Features: benchFeatures}, Base: []float64{0}, Link: forest.Logistic})
	if err != nil {
		b.Fatal(err)
	}
	const splits = 1<<6 - 1
	for range trees {
		t := forest.Tree{Nodes: make([]forest.Node, 2*splits+1)}
		for i := range t.Nodes {
			n := forest.Node{Left: -1, Value: r.NormFloat64()}
			if i < splits {
				n = forest.Node{Left: int32(2*i + 1), Right: int32(2*i + 2), Feature: int32(r.IntN(benchFeatures)),
					Threshold: r.NormFloat64(), DefaultLeft: r.IntN(2) == 0}
			}
			t.Nodes[i] = n
		}
		if err := builder.Add(&t); err != nil {
			b.Fatal(err)
		}
	}
	m := &Model{manifest: man}
	model, err := builder.Model()
	if err != nil {
		b.Fatal(err)
	}
	m.engine = treeEngine{model}
	if m.contract, err = feature.New(man); err != nil {
		b.Fatal(err)
	}
	if m.rules, err = newRules(man.Outputs, m.engine.Info()); err != nil {
		b.Fatal(err)
	}
	return m
}

func benchValues() []float64 {
	r := rand.New(rand.NewPCG(3, 4))
	x := make([]float64, benchRows*benchFeatures)
	for i := range x {
		x[i] = r.NormFloat64()
	}
	return x
}

// set fills the rows buffer as a decoder does.
func set(s *Scorer, x []float64) {
	rows := s.Rows()
	rows.Reset()
	rows.Grow(len(x) / benchFeatures)
	for i, v := range x {
		rows.SetNumber(i/benchFeatures, i%benchFeatures, v, nil)
	}
	rows.Finish()
}

func benchmark(b *testing.B, rows int) {
	for _, trees := range []int{100, 500} {
		m, x := benchModel(b, trees), benchValues()
		s := m.NewScorer()
		b.Run(fmt.Sprintf("trees=%d", trees), func(b *testing.B) {
			b.ReportAllocs()
			at := 0
			for b.Loop() {
				set(s, x[at*benchFeatures:(at+rows)*benchFeatures])
				if _, err := s.Score(); err != nil {
					b.Fatal(err)
				}
				at = (at + rows) % benchRows
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(rows), "ns/row")
		})
	}
}

// BenchmarkSingleRow is one instance from its values to its prediction: contract, engine, link, output rules.
func BenchmarkSingleRow(b *testing.B) { benchmark(b, 1) }

// BenchmarkBatch is the same for 1024 rows a call, on one goroutine.
func BenchmarkBatch(b *testing.B) { benchmark(b, 1024) }
