package catboost

import (
	"encoding/binary"
	"math/bits"
)

// Ported from CityHash, version 1, by Geoff Pike and Jyrki Alakuijala. Later versions give other values.
//
// Copyright (c) 2011 Google, Inc.
// SPDX-License-Identifier: MIT
//
// Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
// documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
// rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
// persons to whom the Software is furnished to do so, subject to the following conditions:
//
// The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
// Software.
//
// THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
// WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
// COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
// OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.

const (
	k0 = 0xc3a5c85c97cb3127
	k1 = 0xb492b66fbe98f273
	k2 = 0x9ae16a3b2f90404f
	k3 = 0xc949d7c7509e6557
)

// categoryHash is the number by which CatBoost knows a category.
func categoryHash(s string) uint32 { return uint32(cityHash64([]byte(s))) }

func load64(s []byte, at int) uint64 { return binary.LittleEndian.Uint64(s[at:]) }

func load32(s []byte, at int) uint64 { return uint64(binary.LittleEndian.Uint32(s[at:])) }

func rotate(v uint64, n int) uint64 { return bits.RotateLeft64(v, -n) }

func shiftMix(v uint64) uint64 { return v ^ v>>47 }

func hashLen16(u, v uint64) uint64 {
	const mul = 0x9ddfea08eb382d69
	a := shiftMix((u ^ v) * mul)
	return shiftMix((v^a)*mul) * mul
}

func cityHash64(s []byte) uint64 {
	n := len(s)
	switch {
	case n <= 16:
		return hashTo16(s)
	case n <= 32:
		a, b := load64(s, 0)*k1, load64(s, 8)
		c, d := load64(s, n-8)*k2, load64(s, n-16)*k0
		return hashLen16(rotate(a-b, 43)+rotate(c, 30)+d, a+rotate(b^k3, 20)-c+uint64(n))
	case n <= 64:
		return hashTo64(s)
	}
	x, y, z := load64(s, 0), load64(s, n-16)^k1, load64(s, n-56)^k0
	v1, v2 := weakHash32(s[n-64:], uint64(n), y)
	w1, w2 := weakHash32(s[n-32:], uint64(n)*k1, k0)
	z += shiftMix(v2) * k1
	x = rotate(z+x, 39) * k1
	y = rotate(y, 33) * k1
	for rest := (n - 1) &^ 63; rest > 0; rest -= 64 {
		x = rotate(x+y+v1+load64(s, 16), 37) * k1
		y = rotate(y+v2+load64(s, 48), 42) * k1
		x ^= w2
		y ^= v1
		z = rotate(z^w1, 33)
		v1, v2 = weakHash32(s, v2*k1, x+w1)
		w1, w2 = weakHash32(s[32:], z+w2, y)
		z, x = x, z
		s = s[64:]
	}
	return hashLen16(hashLen16(v1, w1)+shiftMix(y)*k1+z, hashLen16(v2, w2)+x)
}

func hashTo16(s []byte) uint64 {
	n := len(s)
	switch {
	case n > 8:
		a, b := load64(s, 0), load64(s, n-8)
		return hashLen16(a, rotate(b+uint64(n), n)) ^ b
	case n >= 4:
		return hashLen16(uint64(n)+load32(s, 0)<<3, load32(s, n-4))
	case n > 0:
		y := uint64(s[0]) + uint64(s[n>>1])<<8
		z := uint64(n) + uint64(s[n-1])<<2
		return shiftMix(y*k2^z*k3) * k2
	}
	return k2
}

func hashTo64(s []byte) uint64 {
	n := len(s)
	half := func(a, z uint64, at, at2 int) (uint64, uint64) {
		b, c := rotate(a+z, 52), rotate(a, 37)
		a += load64(s, at)
		c += rotate(a, 7)
		a += load64(s, at2)
		return a + z, b + rotate(a, 31) + c
	}
	vf, vs := half(load64(s, 0)+(uint64(n)+load64(s, n-16))*k0, load64(s, 24), 8, 16)
	wf, ws := half(load64(s, 16)+load64(s, n-32), load64(s, n-8), n-24, n-16)
	r := shiftMix((vf+ws)*k2 + (wf+vs)*k0)
	return shiftMix(r*k0+vs) * k2
}

func weakHash32(s []byte, a, b uint64) (uint64, uint64) {
	w, x, y, z := load64(s, 0), load64(s, 8), load64(s, 16), load64(s, 24)
	a += w
	b = rotate(b+a+z, 21)
	c := a
	a += x + y
	b += rotate(a, 44)
	return a + z, b + c
}
