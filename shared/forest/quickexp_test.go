package forest

import (
	"math"
	"math/big"
	"testing"
)

// The table must be correctly rounded: it is checked against powers that are made by repeated square roots of 2.
func TestPower2048(t *testing.T) {
	t.Parallel()
	root := new(big.Float).SetPrec(200).SetInt64(2)
	for range 11 {
		root.Sqrt(root)
	}
	want := new(big.Float).SetPrec(200).SetInt64(1)
	for i := range 2048 {
		if w, _ := want.Float64(); power2048(i) != w {
			t.Fatalf("2^(%d/2048) is %x, want %x", i, power2048(i), w)
		}
		want.Mul(want, root)
	}
}

func TestQuickExp(t *testing.T) {
	t.Parallel()
	worst := 0.0
	for x := -8.0; x < 8; x += 0.0037 {
		got, want := quickExp(x), exp(x)
		worst = max(worst, math.Abs(got-want)/(math.Nextafter(want, math.Inf(1))-want))
	}
	if worst > 16 {
		t.Errorf("%v units in the last place off", worst)
	}
	if quickExp(-800) != 0 || !math.IsInf(quickExp(800), 1) || quickExp(0) != 1 {
		t.Errorf("ends: %v %v %v", quickExp(-800), quickExp(800), quickExp(0))
	}
}
