// Copyright 2009 The Go Authors. All rights reserved.
// Use of the functions in this file is governed by the BSD-style license in LICENSE-Go.txt.
//
// exp, log and log1p come from FreeBSD's /usr/src/lib/msun/src/{e_exp,e_log,s_log1p}.c by way of Go's package math, with
// this notice:
//
// ====================================================
// Copyright (C) 1993, 2004 by Sun Microsystems, Inc. All rights reserved.
//
// Developed at SunPro, a Sun Microsystems, Inc. business.
// Permission to use, copy, modify, and distribute this
// software is freely granted, provided that this notice
// is preserved.
// ====================================================

package feature

import "math"

// The functions here are those of package math without its assembly and with every product that is then added rounded
// first. math's own give other bits on amd64 (assembly), on arm64 and on GOAMD64=v3 (fused multiply-add); these give the
// same bits everywhere. Errors are below 1 ulp, those of pow below 4 for the small exponents that features have.

const (
	ln2Hi = 6.93147180369123816490e-01 // 3fe62e42 fee00000: ln 2 in two parts, k*ln2Hi is exact
	ln2Lo = 1.90821492927058770002e-10 // 3dea39ef 35793c76
)

func exp(x float64) float64 {
	const (
		log2e     = 1.44269504088896338700e+00
		overflow  = 7.09782712893383973096e+02
		underflow = -7.45133219101941108420e+02
		nearZero  = 1.0 / (1 << 28)

		p1 = 1.66666666666666657415e-01  // 0x3FC55555; 0x55555555
		p2 = -2.77777777770155933842e-03 // 0xBF66C16C; 0x16BEBD93
		p3 = 6.61375632143793436117e-05  // 0x3F11566A; 0xAF25DE2C
		p4 = -1.65339022054652515390e-06 // 0xBEBBBD41; 0xC5D26BF1
		p5 = 4.13813679705723846039e-08  // 0x3E663769; 0x72BEA4D0
	)
	switch {
	case x != x:
		return x
	case x > overflow:
		return math.Inf(1)
	case x < underflow:
		return 0
	case -nearZero < x && x < nearZero:
		return 1 + x
	}
	// e**x = e**r * 2**k with r = hi - lo, |r| ≤ ln(2)/2.
	k := int(float64(log2e*x) + math.Copysign(0.5, x))
	hi := x - float64(float64(k)*ln2Hi)
	lo := float64(float64(k) * ln2Lo)
	r := hi - lo
	t := float64(r * r)
	c := p4 + float64(t*p5)
	c = p3 + float64(t*c)
	c = p2 + float64(t*c)
	c = p1 + float64(t*c)
	c = r - float64(t*c)
	y := 1 - ((lo - float64(r*c)/(2-c)) - hi)
	return math.Ldexp(y, k)
}

// logSeries is the part of log(1+f) that log and log1p share, R(s) for s = f/(2+f).
const (
	l1 = 6.666666666666735130e-01 // 3FE55555 55555593
	l2 = 3.999999999940941908e-01 // 3FD99999 9997FA04
	l3 = 2.857142874366239149e-01 // 3FD24924 94229359
	l4 = 2.222219843214978396e-01 // 3FCC71C5 1D8E78AF
	l5 = 1.818357216161805012e-01 // 3FC74664 96CB03DE
	l6 = 1.531383769920937332e-01 // 3FC39A09 D078C69F
	l7 = 1.479819860511658591e-01 // 3FC2F112 DF3E5244
)

func log(x float64) float64 {
	switch {
	case x != x || x > math.MaxFloat64:
		return x
	case x < 0:
		return null
	case x == 0:
		return math.Inf(-1)
	}
	f1, ki := math.Frexp(x)
	if f1 < math.Sqrt2/2 {
		f1 *= 2
		ki--
	}
	f := f1 - 1
	k := float64(ki)

	s := f / (2 + f)
	s2 := float64(s * s)
	s4 := float64(s2 * s2)
	t1 := l5 + float64(s4*l7)
	t1 = l3 + float64(s4*t1)
	t1 = float64(s2 * (l1 + float64(s4*t1)))
	t2 := l4 + float64(s4*l6)
	t2 = float64(s4 * (l2 + float64(s4*t2)))
	r := t1 + t2
	hfsq := float64(0.5 * f * f)
	return float64(k*ln2Hi) - ((hfsq - (float64(s*(hfsq+r)) + float64(k*ln2Lo))) - f)
}

func log1p(x float64) float64 {
	const (
		sqrt2M1     = 4.142135623730950488017e-01  // sqrt(2)-1
		sqrt2HalfM1 = -2.928932188134524755992e-01 // sqrt(2)/2-1
		small       = 1.0 / (1 << 29)
		tiny        = 1.0 / (1 << 54)
	)
	switch {
	case x < -1 || x != x:
		return null
	case x == -1:
		return math.Inf(-1)
	case x > math.MaxFloat64:
		return x
	}
	size := math.Abs(x)
	switch {
	case size < tiny:
		return x
	case size < small:
		return x - float64(x*x*0.5)
	case size < sqrt2M1 && x > sqrt2HalfM1:
		return log1pReduced(x, 0, 0, 1)
	}
	f, c, k, iu := log1pReduce(x)
	return log1pReduced(f, c, k, iu)
}

// log1pReduce finds 1+x = 2**k * (1+f), sqrt(2)/2 < 1+f < sqrt(2), with c the rounding error of 1+x; iu tells whether f
// is tiny.
func log1pReduce(x float64) (f, c float64, k int, iu uint64) {
	u := x
	if math.Abs(x) < 1<<53 {
		u = 1.0 + x
		k = int((math.Float64bits(u) >> 52) - 1023)
		if k > 0 {
			c = 1.0 - (u - x)
		} else {
			c = x - (u - 1.0)
		}
		c /= u
	} else {
		k = int((math.Float64bits(u) >> 52) - 1023)
	}
	iu = math.Float64bits(u) & 0x000fffffffffffff
	if iu < 0x0006a09e667f3bcd { // the mantissa of sqrt(2)
		u = math.Float64frombits(iu | 0x3ff0000000000000)
	} else {
		k++
		u = math.Float64frombits(iu | 0x3fe0000000000000)
		iu = (0x0010000000000000 - iu) >> 2
	}
	return u - 1.0, c, k, iu
}

func log1pReduced(f, c float64, exponent int, iu uint64) float64 {
	k := float64(exponent)
	hfsq := float64(0.5 * f * f)
	if iu == 0 { // |f| < 2**-20
		if f == 0 {
			if k == 0 {
				return 0
			}
			return float64(k*ln2Hi) + (c + float64(k*ln2Lo))
		}
		r := float64(hfsq * (1.0 - float64(0.66666666666666666*f)))
		if k == 0 {
			return f - r
		}
		return float64(k*ln2Hi) - ((r - (float64(k*ln2Lo) + c)) - f)
	}
	s := f / (2.0 + f)
	z := float64(s * s)
	r := l6 + float64(z*l7)
	r = l5 + float64(z*r)
	r = l4 + float64(z*r)
	r = l3 + float64(z*r)
	r = l2 + float64(z*r)
	r = float64(z * (l1 + float64(z*r)))
	if k == 0 {
		return f - (hfsq - float64(s*(hfsq+r)))
	}
	return float64(k*ln2Hi) - ((hfsq - (float64(s*(hfsq+r)) + (float64(k*ln2Lo) + c))) - f)
}

// pow is x**y for numbers, by repeated squaring for the whole part of y, so that x**2 is x*x.
func pow(x, y float64) float64 {
	switch {
	case y == 0 || x == 1:
		return 1
	case y == 1:
		return x
	case x == 0 || math.IsInf(x, 0) || math.IsInf(y, 0):
		return math.Pow(x, y) // special values, no arithmetic
	case y == 0.5:
		return math.Sqrt(x)
	case y == -0.5:
		return 1 / math.Sqrt(x)
	}
	yi, yf := math.Modf(math.Abs(y))
	if yf != 0 && x < 0 {
		return null
	}
	if yi >= 1<<63 {
		return math.Pow(x, math.Copysign(math.Inf(1), y))
	}
	a1, ae := 1.0, 0
	if yf != 0 {
		if yf > 0.5 {
			yf--
			yi++
		}
		a1 = exp(float64(yf * log(x)))
	}
	x1, xe := math.Frexp(x)
	for i := int64(yi); i != 0; i >>= 1 {
		if xe < -1<<12 || 1<<12 < xe { // the result is 0 or infinite, and shifting further could overflow
			ae += xe
			break
		}
		if i&1 == 1 {
			a1 = float64(a1 * x1)
			ae += xe
		}
		x1 = float64(x1 * x1)
		xe <<= 1
		if x1 < .5 {
			x1 += x1
			xe--
		}
	}
	if y < 0 {
		a1, ae = 1/a1, -ae
	}
	return math.Ldexp(a1, ae)
}
