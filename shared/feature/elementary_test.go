package feature

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

// elementary is every function whose bits must not depend on the processor, with that of package math and the range in
// which features use it.
var elementary = []struct {
	name     string
	own, std func(float64) float64
	lo, hi   float64
}{
	{"exp", exp, math.Exp, -745, 709},
	{"log", log, math.Log, 0, 1e6},
	{"log1p", log1p, math.Log1p, -1, 1e6},
	{"sin", sin, math.Sin, -1e4, 1e4},
	{"cos", cos, math.Cos, -1e4, 1e4},
	{"square", func(x float64) float64 { return pow(x, 2) }, func(x float64) float64 { return x * x }, -1e6, 1e6},
	{"cube root", func(x float64) float64 { return pow(x, 1.0/3) }, func(x float64) float64 { return math.Pow(x, 1.0/3) }, 0, 1e6},
	{"to the 2.5", func(x float64) float64 { return pow(x, 2.5) }, func(x float64) float64 { return math.Pow(x, 2.5) }, 0, 1e6},
}

var specials = []float64{
	0, math.Copysign(0, -1), 1, -1, 0.5, -0.5, math.Inf(1), math.Inf(-1), math.NaN(), math.MaxFloat64, -math.MaxFloat64,
	5e-324, -5e-324, 1e-310, 0x1p-1022, 1e-17, 1e-9, -1e-9, 709.78, 709.79, -745.1, -745.2, 1 << 29, 1<<29 + 0.5, 1e22, 1e300,
	math.Pi, math.Pi / 2, math.Pi / 4, 3 * math.Pi / 4, math.Sqrt2, math.Sqrt2 / 2, math.Sqrt2 - 1, math.Sqrt2/2 - 1, 1 << 53, 1e-7,
}

// samples are the special values and, the same at each run, numbers over the range and near 0.
func samples(lo, hi float64, n int) []float64 {
	r := rand.New(rand.NewPCG(1, 2))
	all := append([]float64{}, specials...)
	for range n {
		all = append(all, lo+float64(r.Float64()*(hi-lo)), math.Ldexp(r.Float64()-0.5, -r.IntN(40)), math.Ldexp(r.Float64()-0.5, r.IntN(1000)))
	}
	return all
}

// ulps is how many floats lie between a and b.
func ulps(a, b float64) uint64 {
	if a == b || a != a && b != b {
		return 0
	}
	if math.IsNaN(a) || math.IsNaN(b) || math.Signbit(a) != math.Signbit(b) {
		return math.MaxUint64
	}
	x, y := math.Float64bits(a), math.Float64bits(b)
	return max(x, y) - min(x, y)
}

func TestElementaryIsCloseToMath(t *testing.T) {
	t.Parallel()
	for _, f := range elementary {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			limit := uint64(1)
			switch f.name {
			case "exp":
				limit = 2 // math's assembly is off by more than one itself, see TestExpIsBelowOneULP
			case "cube root", "to the 2.5":
				limit = 4
			}
			for _, x := range samples(f.lo, f.hi, 20_000) {
				size := math.Abs(x)
				if f.name == "log" && size < 0x1p-1022 || f.name == "exp" && x > 709 {
					continue // math's assembly is wrong there on amd64
				}
				if limit == 4 && (size < 1e-100 || size > 1e100) && !math.IsInf(x, 0) {
					continue // the rounding of the logarithm grows with it
				}
				if d := ulps(f.own(x), f.std(x)); d > limit {
					t.Fatalf("%s(%v) = %v, math has %v: %d ulp", f.name, x, f.own(x), f.std(x), d)
				}
			}
		})
	}
}

// bitsOf is the same for every NaN: which one it is, processors decide.
func bitsOf(y float64) uint64 {
	if y != y {
		y = null
	}
	return math.Float64bits(y)
}

// TestElementaryBits holds the results to recorded bits, which must be the same on every processor.
func TestElementaryBits(t *testing.T) {
	t.Parallel()
	const golden = "testdata/elementary.txt"
	var lines []string
	for _, f := range elementary {
		for _, x := range samples(f.lo, f.hi, 10) {
			lines = append(lines, fmt.Sprintf("%s %016x %016x", f.name, math.Float64bits(x), bitsOf(f.own(x))))
		}
		sum := sha256.New()
		for _, x := range samples(f.lo, f.hi, 20_000) {
			fmt.Fprintf(sum, "%016x", bitsOf(f.own(x)))
		}
		lines = append(lines, fmt.Sprintf("%s of 60,000: sha256 %x", f.name, sum.Sum(nil)))
	}
	if *update {
		if err := os.WriteFile(golden, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.Open(golden)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	scanner, n := bufio.NewScanner(file), 0
	for ; scanner.Scan(); n++ {
		if n >= len(lines) || scanner.Text() != lines[n] {
			t.Fatalf("line %d is %q, recorded %q", n+1, lines[min(n, len(lines)-1)], scanner.Text())
		}
	}
	if n != len(lines) || scanner.Err() != nil {
		t.Errorf("%d of %d lines are recorded, %v", n, len(lines), scanner.Err())
	}
}

// TestExpIsBelowOneULP compares with the series in 200 bits.
func TestExpIsBelowOneULP(t *testing.T) {
	t.Parallel()
	precise := func(x float64) *big.Float {
		const halvings = 12
		r := new(big.Float).SetPrec(200).SetFloat64(math.Ldexp(x, -halvings))
		sum, term := big.NewFloat(1).SetPrec(200), big.NewFloat(1).SetPrec(200)
		for n := 1; n < 40; n++ {
			term.Mul(term, r).Quo(term, new(big.Float).SetPrec(200).SetInt64(int64(n)))
			sum.Add(sum, term)
		}
		for range halvings {
			sum.Mul(sum, sum)
		}
		return sum
	}
	for _, x := range append(samples(-700, 709, 300), 480.0268767087639) {
		if x < -700 || x > 709 || x != x {
			continue
		}
		got := exp(x)
		off := new(big.Float).SetPrec(200).Sub(precise(x), new(big.Float).SetFloat64(got))
		ulp := math.Nextafter(got, math.Inf(1)) - got
		if f, _ := off.Float64(); math.Abs(f) >= ulp {
			t.Errorf("exp(%v) = %v is off by %v ulp", x, got, f/ulp)
		}
	}
}

// TestEnds covers what math is no oracle for.
func TestEnds(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name      string
		got, want float64
	}{
		{"log of the smallest float", log(5e-324), -744.4400719213812},
		{"log of a subnormal", log(1e-310), -713.8013788281542},
		{"exp just before it overflows", exp(709.78), 1.7928227943945155e308},
		{"exp to a subnormal", exp(-740), 4.2e-322},
		{"exp below all floats", exp(-746), 0},
	} {
		if d := ulps(tc.got, tc.want); d > 1 {
			t.Errorf("%s is %v, want %v", tc.name, tc.got, tc.want)
		}
	}
}

func TestPower(t *testing.T) {
	t.Parallel()
	values := append([]float64{2, -2, 3, 10, 1.5, -1.5, 7, 0.1, 1e10}, specials...)
	for _, x := range values {
		for _, y := range values {
			got, want := power(x, y), math.Pow(x, y)
			if math.Abs(x) < 0x1p-1022 && x != 0 {
				continue // math's logarithm is wrong there on amd64
			}
			if x != x || y != y {
				want = math.NaN() // null, also for null ** 0
			}
			if d := ulps(got, want); d > 1<<12 { // same algorithm; exp and log differ by an ulp, large exponents magnify that
				t.Errorf("%v ** %v = %v, math has %v", x, y, got, want)
			}
		}
	}
	for n, want := 0, 1.0; n < 300; n, want = n+1, want*2 {
		if got := power(2, float64(n)); got != want {
			t.Errorf("2 ** %d = %v, want %v", n, got, want)
		}
	}
	if got := power(3, 30); got != 205891132094649 {
		t.Errorf("3 ** 30 = %v", got)
	}
}
