package forest

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// A scale must count as comparing with each border does, by buckets and by search.
func TestScale(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	byBuckets, bySearch := 0, 0
	for round := range 300 {
		draw := []func() float64{r.NormFloat64, r.Float64, func() float64 { return math.Exp(3 * r.NormFloat64()) }, func() float64 { return float64(r.IntN(300)) }}[round%4]
		var borders []float32
		for range 1 + r.IntN([]int{3, 20, 300}[round%3]) {
			borders = append(borders, float32(draw()))
		}
		switch round % 7 {
		case 0:
			borders = append(borders, -math.MaxFloat32) // CatBoost's question whether a value is there
		case 1:
			borders = append(borders, math.MaxFloat32, 1e-45, float32(math.Copysign(0, -1)))
		}
		slices.Sort(borders)
		borders = slices.Compact(borders)
		questions := make([]question, len(borders))
		values := []float32{0, float32(math.Copysign(0, -1)), float32(math.Inf(1)), float32(math.Inf(-1)), math.MaxFloat32, -math.MaxFloat32, 1e-45}
		for i, b := range borders {
			questions[i].border = b
			values = append(values, b, math.Nextafter32(b, -2e38), math.Nextafter32(b, 2e38), float32(draw()))
		}
		s := newScale(questions)
		if s.buckets != nil {
			byBuckets++
		} else {
			bySearch++
		}
		for first := 0; first < len(values); first += obliviousRows {
			column := values[first:min(first+obliviousRows, len(values))]
			rows := make([]uint64, len(borders)+1)
			s.sort(column, rows)
			for i, v := range column {
				want := 0
				for _, b := range borders {
					if b < v {
						want++
					}
				}
				if got := s.below(v); got != want || s.search(v) != want || rows[want]>>i&1 != 1 {
					t.Fatalf("%v: %d by the scale, %d by search, want %d of %v", v, got, s.search(v), want, borders)
				}
			}
		}
	}
	if byBuckets < 100 || bySearch < 30 {
		t.Errorf("%d by buckets, %d by search", byBuckets, bySearch)
	}
}
