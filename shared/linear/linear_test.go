package linear

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	nan := float32(math.NaN())
	for _, c := range []struct {
		name           string
		features       int
		start, weights []float32
		want           string
	}{
		{"no features", 0, []float32{1}, nil, "0 features: from 1 to"},
		{"too many features", MaxFeatures + 1, []float32{1}, nil, "features: from 1 to"},
		{"no outputs", 1, nil, nil, "0 outputs: from 1 to"},
		{"too many outputs", 1, make([]float32, MaxMargins+1), nil, "outputs: from 1 to"},
		{"a weight too few", 2, []float32{0, 0}, make([]float32, 3), "3 weights for 2 features and 2 outputs"},
		{"a weight too many", 2, []float32{0, 0}, make([]float32, 5), "5 weights for 2 features and 2 outputs"},
		{"a bias that is not a number", 1, []float32{0, nan}, make([]float32, 2), "bias of output 1 is NaN"},
		{"an infinite weight", 2, []float32{0, 0}, []float32{0, 0, 0, float32(math.Inf(-1))}, "weight of feature 1 for output 1 is -Inf"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if _, err := New(c.features, c.start, c.weights); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

// The sums are those of float32 in feature order: with another order, or in float64, the large values would not cancel so.
func TestScore(t *testing.T) {
	t.Parallel()
	m, err := New(3, []float32{0.5, -1}, []float32{1, 2, 1, -1, -1, 0})
	if err != nil {
		t.Fatal(err)
	}
	if m.Features() != 3 || m.Margins() != 2 || m.Weight(1, 1) != -1 {
		t.Errorf("%d features, %d margins, weight %v", m.Features(), m.Margins(), m.Weight(1, 1))
	}
	nan, inf := math.NaN(), math.Inf(1)
	x := []float64{
		1, 2, 3,
		1e8, 1, 1e8,
		nan, nan, nan,
		nan, 2, nan,
		1 + 1e-9, 0, 0,
		inf, 0, 0,
	}
	got := make([]float32, 12)
	m.Score(x, 6, got)
	want := []float32{0.5, -1, 0, 2e8, 0.5, -1, 2.5, -3, 1.5, 1, float32(inf), float32(inf)}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("margins (-want +got):\n%s", diff)
	}
}

func TestScoreAllocatesNothing(t *testing.T) {
	m, err := New(4, make([]float32, 3), make([]float32, 12))
	if err != nil {
		t.Fatal(err)
	}
	x, out := make([]float64, 40), make([]float32, 30)
	if n := testing.AllocsPerRun(20, func() { m.Score(x, 10, out) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
