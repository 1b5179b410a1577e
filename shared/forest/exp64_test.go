package forest

import (
	"math"
	"testing"
)

// The expected bits are glibc 2.36's on x86-64.
func TestExpEqualsGlibc(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		x    float64
		want uint64
	}{
		{0, 0x3ff0000000000000}, {1, 0x4005bf0a8b145769}, {-1, 0x3fd78b56362cef38}, {0.5, 0x3ffa61298e1e069c},
		{-36.7, 0x3ca0998b04bdd190}, {700, 0x7f0d945df4f8ec8e}, {709.78, 0x7fefe9ce5c4c52b4}, {-600.25, 0x9d03fcf33f2b267},
		{709.782712893384, 0x7fefffffffffff2a}, {709.782712893385, 0x7ff0000000000000}, // the last that does not overflow
		{-708.4, 0xff15b469edf89}, {-712.5, 0x43a39552bd71}, {-745.1, 1}, {-745.133, 1}, {-745.14, 0}, // subnormal to nothing
		{5e-324, 0x3ff0000000000000}, {1e-17, 0x3ff0000000000000}, {-1e-17, 0x3ff0000000000000}, {1e-10, 0x3ff000000006df38},
		{20.3, 0x41c3848660139d52}, {600.25, 0x760f8256bde4abac}, {9.832135591176154, 0x40d22faba990829b},
		{19.342959140858355, 0x41adfb36bd770f21}, {23.615485245255734, 0x4210cb78940ab4dc}, {35.39602270216403, 0x4320bebe5dc2d166},
		{19.191885979194453, 0x41a9c70839e3c4c3}, {33.78599973323335, 0x42fac6c73703610b}, {-37.67958173731082, 0x3c88ee45865b4851},
		{-2.750187649751574, 0x3fb05cca4b639d06}, {35.468537359865095, 0x43220124b9b6cae4}, {11.917964250953936, 0x41024d8085c19be9},
		{math.Inf(1), 0x7ff0000000000000}, {math.Inf(-1), 0}, {1e300, 0x7ff0000000000000}, {-1e300, 0},
	} {
		if got := math.Float64bits(exp(c.x)); got != c.want {
			t.Errorf("exp(%v) = %#x, want %#x", c.x, got, c.want)
		}
	}
	if v := exp(math.NaN()); v == v {
		t.Errorf("exp(NaN) = %v", v)
	}
}

// The expected values are correctly rounded.
func TestLog1p(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		x    float64
		want uint64
	}{
		{0, 0}, {5e-324, 1}, {1e-17, 0x3c670ef54646d497}, {1e-9, 0x3e112e0be801f1d9}, {0.1, 0x3fb8663f793c46c7},
		{0.41421, 0x3fd62e386e3de810}, {0.41422, 0x3fd62e5616bc4029}, {0.5, 0x3fd9f323ecbf984c}, {0.99, 0x3fe60532ef13c385},
		{1, 0x3fe62e42fefa39ef}, {1.5, 0x3fed5240f0e0e078}, {3, 0x3ff62e42fefa39ef}, {7.389, 0x400103ef53b94aeb},
		{1000, 0x401ba2909ce4f864}, {1e16, 0x40426bb1bbb55516}, {1e17, 0x4043926cd770aa67}, {1e300, 0x4085963447f87fb5},
		{11.558153999121123, 0x40043e32b7f962ac}, {0.6007126365179214, 0x3fde1bd5d1f3bf9b}, {3.165616498416762, 0x3ff6d46fa496e71b},
		{1.415614623357127, 0x3fec38f715f156dd}, {3.923690877168693, 0x3ff9814368e3ac00}, {4.265889428674417, 0x3ffa947af25d0236},
		{0.06600469923727109, 0x3fb05ce9a1448bfe}, {1.221387800484644, 0x3fe98a4c67b57b1c}, {math.Inf(1), 0x7ff0000000000000},
	} {
		if got := math.Float64bits(log1p(c.x)); int64(got-c.want) > 1 || int64(c.want-got) > 1 {
			t.Errorf("log1p(%v) = %#x, want %#x within 1", c.x, got, c.want)
		}
	}
}
