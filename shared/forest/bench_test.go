package forest

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// benchTree is a full tree of the depth, or with leaves > 0 a lopsided one of so many leaves.
func benchTree(r *rand.Rand, features, depth, leaves int) Tree {
	var t Tree
	t.Nodes = []Node{{Left: -1, Value: r.NormFloat64()}}
	open := []int{0}
	for n := 1; leaves == 0 && n < 1<<depth || leaves > 0 && n < leaves; n++ {
		pick := 0 // the oldest leaf: a full tree
		if leaves > 0 {
			pick = len(open) - 1 - r.IntN(min(len(open), 9)) // a young one: deep
		}
		at := open[pick]
		open = append(open[:pick], open[pick+1:]...)
		left := int32(len(t.Nodes))
		t.Nodes = append(t.Nodes, Node{Left: -1, Value: r.NormFloat64()}, Node{Left: -1, Value: r.NormFloat64()})
		t.Nodes[at] = Node{Left: left, Right: left + 1, Feature: int32(r.IntN(features)), Threshold: r.NormFloat64(), DefaultLeft: r.IntN(2) == 0}
		open = append(open, int(left), int(left+1))
	}
	return t
}

// BenchmarkKernel rotates over 8192 distinct rows, as a repeated row would teach the branch predictor.
func BenchmarkKernel(b *testing.B) {
	const features, rows = 28, 8192
	for _, shape := range []struct {
		name                 string
		trees, depth, leaves int
		double               bool
	}{{"100 of depth 6", 100, 6, 0, false}, {"500 of depth 6", 500, 6, 0, false}, {"500 of depth 8", 500, 8, 0, false},
		{"500 of 31 leaves", 500, 0, 31, false}, {"500 of depth 6 in float64", 500, 6, 0, true}, {"500 of 31 leaves in float64", 500, 0, 31, true}} {
		r := rand.New(rand.NewPCG(1, 2))
		trees := make([]Tree, shape.trees)
		for i := range trees {
			trees[i] = benchTree(r, features, shape.depth, shape.leaves)
		}
		m := build(b, Config{Info: Info{Features: features, Float64: shape.double}, Flush: shape.double, Base: []float64{0}}, trees)
		x := make([]float64, rows*features)
		for i := range x {
			x[i] = r.NormFloat64()
		}
		out, s := make([]float64, rows), m.NewScratch()
		for _, batch := range []int{1, 1024} {
			b.Run(fmt.Sprintf("%s/rows=%d", shape.name, batch), func(b *testing.B) {
				at := 0
				for b.Loop() {
					m.Margin(x[at*features:], batch, out, s)
					at = (at + batch) % rows
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(batch), "ns/row")
			})
		}
	}
}
