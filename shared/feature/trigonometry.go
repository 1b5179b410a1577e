// Copyright 2011, 2018 The Go Authors. All rights reserved.
// Use of the functions in this file is governed by the BSD-style license in LICENSE-Go.txt.
//
// sin and cos come from the Cephes Math Library Release 2.8, June 2000, by way of Go's package math, with this notice:
//
//	Copyright 1984, 1987, 1989, 1992, 2000 by Stephen L. Moshier
//	The readme file at http://netlib.sandia.gov/cephes/ says:
//	   Some software in this archive may be from the book _Methods and Programs for Mathematical Functions_
//	(Prentice-Hall or Simon & Schuster International, 1989) or from the Cephes Mathematical Library, a commercial
//	product. In either event, it is copyrighted by the author. What you see here may be used freely but it comes with no
//	support or guarantee.
//	  Stephen L. Moshier
//	  moshier@na-net.ornl.gov

package feature

import (
	"math"
	"math/bits"
)

// pi/4 in three parts.
const (
	pi4A = 7.85398125648498535156e-1  // 0x3fe921fb40000000
	pi4B = 3.77489470793079817668e-8  // 0x3e64442d00000000
	pi4C = 2.69515142907905952645e-15 // 0x3ce8469898cc5170
)

// reduceThreshold is where pi/4 in three parts is no longer exact enough, and Payne-Hanek reduction takes over.
const reduceThreshold = 1 << 29

func sin(x float64) float64 {
	switch {
	case x == 0 || x != x:
		return x
	case math.IsInf(x, 0):
		return null
	}
	j, z := octant(math.Abs(x))
	y := sinPart(z)
	if j&3 == 1 || j&3 == 2 {
		y = cosPart(z)
	}
	if (x < 0) != (j > 3) {
		y = -y
	}
	return y
}

func cos(x float64) float64 {
	if x != x || math.IsInf(x, 0) {
		return null
	}
	j, z := octant(math.Abs(x))
	y := cosPart(z)
	if j&3 == 1 || j&3 == 2 {
		y = sinPart(z)
	}
	if (j > 3) != (j&3 > 1) {
		y = -y
	}
	return y
}

// octant reduces x ≥ 0 to z near 0 in steps of pi/4, of which j counts modulo 8.
func octant(x float64) (j uint64, z float64) {
	if x >= reduceThreshold {
		return trigReduce(x)
	}
	j = uint64(float64(x * (4 / math.Pi)))
	y := float64(j)
	if j&1 == 1 { // zeros to the origin
		j++
		y++
	}
	return j & 7, ((x - float64(y*pi4A)) - float64(y*pi4B)) - float64(y*pi4C)
}

func sinPart(z float64) float64 {
	zz := float64(z * z)
	p := float64(1.58962301576546568060e-10*zz) + -2.50507477628578072866e-8
	p = float64(p*zz) + 2.75573136213857245213e-6
	p = float64(p*zz) + -1.98412698295895385996e-4
	p = float64(p*zz) + 8.33333333332211858878e-3
	p = float64(p*zz) + -1.66666666666666307295e-1
	return z + float64(float64(z*zz)*p)
}

func cosPart(z float64) float64 {
	zz := float64(z * z)
	p := float64(-1.13585365213876817300e-11*zz) + 2.08757008419747316778e-9
	p = float64(p*zz) + -2.75573141792967388112e-7
	p = float64(p*zz) + 2.48015872888517045348e-5
	p = float64(p*zz) + -1.38888888888730564116e-3
	p = float64(p*zz) + 4.16666666666665929218e-2
	return 1.0 - float64(0.5*zz) + float64(float64(zz*zz)*p)
}

// trigReduce is Payne-Hanek range reduction by pi/4, after "ARGUMENT REDUCTION FOR HUGE ARGUMENTS: Good to the Last Bit",
// K. C. Ng et al, March 24, 1992: the integer part modulo 8 of x/(pi/4), and the fraction times pi/4.
func trigReduce(x float64) (j uint64, z float64) {
	const (
		mask  = 0x7FF
		shift = 64 - 11 - 1
		bias  = 1023
	)
	ix := math.Float64bits(x)
	exponent := int(ix>>shift&mask) - bias - shift
	ix &^= mask << shift
	ix |= 1 << shift
	// Three digits of 4/pi whose product with the mantissa has its leading digit at -61.
	digit, bitshift := uint(exponent+61)/64, uint(exponent+61)%64
	z0 := (fourOverPi[digit] << bitshift) | (fourOverPi[digit+1] >> (64 - bitshift))
	z1 := (fourOverPi[digit+1] << bitshift) | (fourOverPi[digit+2] >> (64 - bitshift))
	z2 := (fourOverPi[digit+2] << bitshift) | (fourOverPi[digit+3] >> (64 - bitshift))
	z2hi, _ := bits.Mul64(z2, ix)
	z1hi, z1lo := bits.Mul64(z1, ix)
	z0lo := z0 * ix
	lo, carry := bits.Add64(z1lo, z2hi, 0)
	hi, _ := bits.Add64(z0lo, z1hi, carry)
	j = hi >> 61
	hi = hi<<3 | lo>>61
	lz := uint(bits.LeadingZeros64(hi))
	e := uint64(bias - (lz + 1))
	hi = (hi << (lz + 1)) | (lo >> (64 - (lz + 1)))
	hi >>= 64 - shift
	hi |= e << shift
	z = math.Float64frombits(hi)
	if j&1 == 1 { // zeros to the origin
		j++
		j &= 7
		z--
	}
	return j, float64(z * (math.Pi / 4))
}

// fourOverPi is 4/pi in binary: the sum of fourOverPi[i] * 2**(-64*i).
var fourOverPi = [...]uint64{
	0x0000000000000001, 0x45f306dc9c882a53, 0xf84eafa3ea69bb81, 0xb6c52b3278872083, 0xfca2c757bd778ac3,
	0x6e48dc74849ba5c0, 0x0c925dd413a32439, 0xfc3bd63962534e7d, 0xd1046bea5d768909, 0xd338e04d68befc82,
	0x7323ac7306a673e9, 0x3908bf177bf25076, 0x3ff12fffbc0b301f, 0xde5e2316b414da3e, 0xda6cfd9e4f96136e,
	0x9e8c7ecd3cbfd45a, 0xea4f758fd7cbe2f6, 0x7a0e73ef14a525d4, 0xd7f6bf623f1aba10, 0xac06608df8f6d757,
}
