package forest

import (
	"math"
	"os"
	"testing"
)

// The expected bits are glibc 2.36's on x86-64.
func TestExpfEqualsGlibc(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		x    float32
		want uint32
	}{
		{0, 0x3f800000}, {float32(math.Copysign(0, -1)), 0x3f800000}, {1, 0x402df854}, {-1, 0x3ebc5ab2}, {0.5, 0x3fd3094c},
		{32.5646324, 0x56fc9f1c}, {-63.0994606, 0x11fa2993}, // wrong when not fused
		{88.6999969, 0x7f7a37fc}, {88.7228317, 0x7f7fff84}, {88.7228394, 0x7f800000}, // greatest that does not overflow
		{-87.4000015, 0x00782140}, {-103, 1}, {-103.970001, 1}, {-103.972076, 1}, {-103.972099, 0}, // subnormal to nothing
		{1.40129846e-45, 0x3f800000}, {0.0009765625, 0x3f802004}, {10, 0x46ac14ee}, {-10, 0x383e6bce}, {20.2999992, 0x4e1c242b},
		{float32(math.Inf(1)), 0x7f800000}, {float32(math.Inf(-1)), 0},
	} {
		if got := math.Float32bits(expf(c.x)); got != c.want {
			t.Errorf("expf(%v) = %#08x, want %#08x", c.x, got, c.want)
		}
	}
	if v := expf(float32(math.NaN())); v == v {
		t.Errorf("expf(NaN) = %v", v)
	}
}

func TestLogfEqualsGlibc(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		x    float32
		want uint32
	}{
		{1, 0}, {0.5, 0xbf317218}, {2, 0x3f317218}, {0.100000001, 0xc0135d8e}, {9, 0x400c9f54},
		{1.40129846e-45, 0xc2ce8ed0}, {9.99999935e-39, 0xc2aeff18}, {1.17549435e-38, 0xc2aeac50}, // subnormal and the first normal
		{3.40282347e+38, 0x42b17218}, {0.99999994, 0xb3800000}, {1.00000012, 0x33ffffff}, {1.48148155, 0x3ec93ce2},
		{1.09999996e-06, 0xc15b85f1}, {999998.875, 0x415d0c54}, {0.25, 0xbfb17218}, {1.29999995, 0x3e86549b},
		{0, 0xff800000}, {float32(math.Inf(1)), 0x7f800000},
	} {
		if got := math.Float32bits(Logf(c.x)); got != c.want {
			t.Errorf("Logf(%v) = %#08x, want %#08x", c.x, got, c.want)
		}
	}
	for _, x := range []float32{-1, float32(math.Inf(-1)), float32(math.NaN())} {
		if v := Logf(x); v == v {
			t.Errorf("Logf(%v) = %v, want NaN", x, v)
		}
	}
}

// TestEveryFloat compares a hash over the results of all float32 with the hash of glibc 2.36's.
func TestEveryFloat(t *testing.T) {
	if os.Getenv("MILLRACE_EXHAUSTIVE") == "" {
		t.Skip("takes a minute: set MILLRACE_EXHAUSTIVE=1 to run it")
	}
	var exp, log uint64
	for i := range uint64(1 << 32) {
		if x := math.Float32frombits(uint32(i)); x == x {
			exp = exp*31 + uint64(math.Float32bits(expf(x)))
		}
	}
	for i := range uint64(0x7f800001) {
		log = log*31 + uint64(math.Float32bits(Logf(math.Float32frombits(uint32(i)))))
	}
	if exp != 0xf66ae802909ef9e3 {
		t.Errorf("expf: hash %#016x, want 0xf66ae802909ef9e3", exp)
	}
	if log != 0x2c7b89ec2240e386 {
		t.Errorf("Logf: hash %#016x, want 0x2c7b89ec2240e386", log)
	}
}
