package onnx

import (
	"math"

	"github.com/millrace-ml/millrace/shared/forest"
)

func expf(x float32) float32 { return forest.Expf(x) }

func logf(x float32) float32 { return forest.Logf(x) }

func exp(x float64) float64 { return forest.Exp64(x) }

// fma is x·y + z, rounded once. The product is exact in float64; the sum is rounded to odd, so that the second rounding does
// no harm.
func fma(x, y, z float32) float32 {
	p, c := float64(x)*float64(y), float64(z)
	s := p + c
	if math.Float64bits(s)&1 == 0 && s-s == 0 {
		part := s - p
		lost := (p - (s - part)) + (c - part)
		if lost != 0 {
			if (lost > 0) == (s > 0) {
				s = math.Float64frombits(math.Float64bits(s) + 1)
			} else {
				s = math.Float64frombits(math.Float64bits(s) - 1)
			}
		}
	}
	return float32(s)
}

// sigmoidf and tanhf are the quotients of polynomials that ONNX Runtime's MLAS takes (MlasComputeLogistic, MlasComputeTanh;
// Microsoft, MIT licence), fused as its x86-64 kernels are: near the ends they are far from the true functions.
func sigmoidf(x float32) float32 {
	if x != x {
		return x
	}
	x = max(-18, min(18, x))
	x2 := x * x
	p := fma(x2, 4.37031012579801e-11, 1.15627324459942e-07)
	p = fma(p, x2, 6.08574864600143e-05)
	p = fma(p, x2, 8.51377133304701e-03)
	p = fma(p, x2, 2.48287947061529e-01)
	p *= x
	q := fma(x2, 6.10247389755681e-13, 5.76102136993427e-09)
	q = fma(q, x2, 6.29106785017040e-06)
	q = fma(q, x2, 1.70198817374094e-03)
	q = fma(q, x2, 1.16817656904453e-01)
	q = fma(q, x2, 9.93151921023180e-01)
	return max(0, min(1, float32(p/q)+0.5))
}

func tanhf(x float32) float32 {
	if x != x {
		return x
	}
	x = max(-9, min(9, x))
	x2 := x * x
	p := fma(x2, -2.76076847742355e-16, 2.00018790482477e-13)
	p = fma(p, x2, -8.60467152213735e-11)
	p = fma(p, x2, 5.12229709037114e-08)
	p = fma(p, x2, 1.48572235717979e-05)
	p = fma(p, x2, 6.37261928875436e-04)
	p = fma(p, x2, 4.89352455891786e-03)
	p *= x
	q := fma(x2, 1.19825839466702e-06, 1.18534705686654e-04)
	q = fma(q, x2, 2.26843463243900e-03)
	q = fma(q, x2, 4.89352518554385e-03)
	return p / q
}

// sigmoid is the true function, which the runtime takes for float64.
func sigmoid(x float64) float64 { return 1 / (1 + exp(-x)) }

// logistic is the function that the runtime's tree ensembles and linear models take.
func logistic(x float32) float32 {
	v := 1 / (1 + expf(-abs(x)))
	if x < 0 {
		return 1 - v
	}
	return v
}

// probit is the runtime's approximation of the quantile of the normal distribution.
func probit(x float32) float32 {
	x = 2*x - 1
	sign := float32(1)
	if x < 0 {
		sign = -1
	}
	l := logf(float32(1-x) * float32(1+x))
	v := float32(2/(float32(math.Pi)*0.147)) + float32(0.5*l)
	v2 := float32(float32(1/0.147) * l)
	v3 := -v + sqrtf(float32(v*v)-v2)
	return math.Sqrt2 * float32(sign*sqrtf(v3))
}

// ln is the natural logarithm within 2 units in the last place, the same on every CPU. With x = 2^k·(1+f) and s = f/(2+f),
// log(1+f) = 2·(s + s³/3 + s⁵/5 + …).
func ln(x float64) float64 {
	const (
		ln2Hi = 0x1.62e42feep-1 // k·ln2Hi is exact
		ln2Lo = 0x1.a39ef35793c76p-33
	)
	switch {
	case x != x || x < 0:
		return math.NaN()
	case x == 0:
		return math.Inf(-1)
	case math.IsInf(x, 1):
		return x
	}
	m, k := math.Frexp(x) // m in [1/2, 1)
	if m < math.Sqrt2/2 {
		m, k = 2*m, k-1
	}
	f := m - 1
	s := f / (2 + f)
	s2 := s * s
	r := 0.0
	for i := 25; i >= 3; i -= 2 {
		r = float64(s2 * (r + 2/float64(i)))
	}
	half := float64(float64(0.5*f) * f)
	n := float64(k)
	return float64(n*ln2Hi) - ((half - (float64(s*(half+r)) + float64(n*ln2Lo))) - f)
}

// pow is x to the power y with the special cases of C. Its relative error grows with y·log x: it is for float32 and for
// exponents of a few units.
func pow(x, y float64) float64 {
	odd := math.Abs(y) < 1<<53 && math.Mod(y, 2) != 0 && math.Trunc(y) == y
	sign := 1.0
	switch {
	case y == 0 || x == 1 || x == -1 && math.IsInf(y, 0):
		return 1
	case x != x || y != y:
		return math.NaN()
	case x < 0 && math.Trunc(y) != y:
		return math.NaN()
	case math.Signbit(x) && odd:
		sign = -1
	}
	return sign * exp(float64(y*ln(math.Abs(x))))
}

func powf(x, y float32) float32 { return float32(pow(float64(x), float64(y))) }
