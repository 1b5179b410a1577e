package forest

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRender(t *testing.T) {
	t.Parallel()
	named := Info{Features: 2, FeatureNames: []string{"size", "colour"}, Categories: [][]string{nil, {"red", "blue"}}}
	double := named
	double.Float64 = true
	below := math.Nextafter(0.1, math.Inf(1))
	for _, c := range []struct {
		name string
		m    *Model
		want string
	}{
		{"numbers and categories", build(t, Config{Info: named, Base: []float64{0}}, []Tree{{Nodes: []Node{
			{Left: 1, Right: 2, Threshold: float64(float32(0.1)), DefaultLeft: true}, {Left: -1, Value: float64(float32(0.3))},
			{Left: 3, Right: 4, Feature: 1, Categorical: true, Set: []uint32{1, 7}}, {Left: -1, Value: 1}, {Left: -1, Value: -2}}}}),
			"if size < 0.1 or missing\n  0.3\nelse\n  if colour not in {\"blue\", 7}\n    1\n  else\n    -2\n"},
		{"vectors without names", build(t, Config{Info: Info{Features: 1}, Base: []float64{0, 0}, Vectors: true}, []Tree{{Nodes: []Node{
			{Left: 1, Right: 2, Threshold: 4}, {Left: -1}, {Left: -1, Vector: 1}}, Vectors: []float64{1, 2, 3, 4}}}),
			"if f0 < 4\n  1, 2\nelse\n  3, 4\n"},
		{"float64 with linear leaves", build(t, Config{Info: double, Base: []float64{0}, Flush: true}, []Tree{{Nodes: []Node{
			{Left: 1, Right: 2, Threshold: below, DefaultLeft: true, Missing: MissingZero},
			{Left: -1, Value: 5, Linear: &Linear{Const: 1, Features: []int32{0}, Coefficients: []float64{2}}},
			{Left: 3, Right: 4, Feature: 1, Categorical: true, SetLeft: true, Set: []uint32{0}}, {Left: -1, Linear: &Linear{Const: 7}},
			{Left: 5, Right: 6, AllLeft: true}, {Left: -1, Value: 8}, {Left: -1, Value: 9}}}}),
			"if size <= 0.1 or missing or 0\n  1 + 2·size, or 5 where one of these is missing\nelse\n  if colour in {\"red\"}\n    7\n  else\n    if size is known\n      8\n    else\n      9\n"},
		{"rounded", build(t, Config{Info: double, Base: []float64{0}, Rounded: true}, []Tree{{Nodes: []Node{
			{Left: 1, Right: 2, Threshold: math.Nextafter(float64(float32(0.1)), 1)}, {Left: -1, Value: 0.3}, {Left: -1, Value: 1}}}}),
			"if size <= 0.1\n  0.3\nelse\n  1\n"},
		{"oblivious", buildOblivious(t, Config{Info: double, Base: []float64{0}, Oblivious: true}, []Oblivious{{
			Splits: []Question{{Border: 0.1, MissingTrue: true}, {Feature: 1, Categorical: true, Set: []uint32{1}}}, Values: []float64{0, 1, 2, 3}}}),
			"if size > 0.1 or missing\n  if colour in {\"blue\"}\n    3\n  else\n    1\nelse\n  if colour in {\"blue\"}\n    2\n  else\n    0\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := c.m.Render(0)
			if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
				t.Errorf("%v, text (-want +got):\n%s", err, diff)
			}
			if _, err := c.m.Render(1); err == nil || !strings.Contains(err.Error(), "tree 1: the model has 1") {
				t.Errorf("a tree too many: error %v", err)
			}
		})
	}
}

func TestRenderIsBounded(t *testing.T) {
	t.Parallel()
	s := newSample(1, 0)
	c := Config{Info: Info{Features: 3, Float64: true}, Base: []float64{0}, Oblivious: true}
	deep := Oblivious{Values: make([]float64, 1<<10), Splits: make([]Question, 10)}
	for i := range deep.Splits {
		deep.Splits[i] = Question{Feature: int32(i % 3), Border: float32(s.value())}
	}
	text, err := buildOblivious(t, c, []Oblivious{deep}).Render(0)
	if lines := strings.Count(text, "\n"); err != nil || lines != maxLines+1 || !strings.Contains(text, "… ") {
		t.Errorf("%d lines, %v", lines, err)
	}
}

func TestStructure(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		s := newSample(seed, 0)
		c := s.config()
		trees := s.trees(c)
		want := Structure{Splits: make([]int, c.Features)}
		for _, tree := range trees {
			var walk func(i int32, depth int)
			walk = func(i int32, depth int) {
				n := tree.Nodes[i]
				if n.Left < 0 {
					want.Leaves++
					want.Depth = max(want.Depth, depth)
					return
				}
				want.Splits[n.Feature]++
				walk(n.Left, depth+1)
				walk(n.Right, depth+1)
			}
			walk(0, 0)
		}
		got := build(t, c, trees).Structure()
		want.Bytes = got.Bytes
		if diff := cmp.Diff(want, got); diff != "" || got.Bytes == 0 {
			t.Errorf("seed %d (-want +got):\n%s", seed, diff)
		}
	}
}
