package feature

import (
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
)

// TestDecimalsAsStrconv: digits up to 19, a point anywhere, signs.
func TestDecimalsAsStrconv(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	for range 100_000 {
		text := strconv.FormatUint(r.Uint64()>>r.IntN(64), 10)
		if len(text) > 1 && r.IntN(4) > 0 {
			at := r.IntN(len(text) + 1)
			text = text[:at] + "." + text[at:]
		}
		text = []string{"", "-", "+", "0", "-000"}[r.IntN(5)] + text
		want, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := parseDecimal([]byte(text)); !ok || math.Float64bits(got) != math.Float64bits(want) {
			t.Fatalf("%s reads as %v, %v, want %v", text, got, ok, want)
		}
	}
	for _, text := range []string{"", ".", "-", "+.", "1..2", "--1", "1-", "e5", "1e", "0x1", "1_0", "nan", "Infinity", " 1", "1 "} {
		if v, ok := parseDecimal([]byte(text)); ok {
			t.Errorf("%q reads as %v", text, v)
		}
	}
}
