package feature

import (
	"math"
	"strconv"
	"unsafe"
)

// parseDecimal reads a decimal number as strconv does, but no hexadecimal, underscore, NaN or Infinity. A number beyond
// float64 is infinite.
func parseDecimal(word []byte) (float64, bool) {
	if v, ok := parseShort(word); ok {
		return v, true
	}
	if len(word) == 0 || len(word) > 1000 {
		return 0, false
	}
	for _, c := range word {
		if (c < '0' || c > '9') && c != '.' && c != '-' && c != '+' && c != 'e' && c != 'E' {
			return 0, false
		}
	}
	v, err := strconv.ParseFloat(unsafe.String(&word[0], len(word)), 64) // an error copies the text
	if err != nil && !math.IsInf(v, 0) {
		return 0, false
	}
	return v, true
}

// powers of ten that a float64 holds exactly
var powersOfTen = [...]float64{
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
}

// parseShort reads what most fields of files are: few digits and perhaps a point. Both the digits and the power of ten
// are then exact, so that the one division rounds as strconv does.
func parseShort(word []byte) (float64, bool) {
	if len(word) == 0 || len(word) > 20 {
		return 0, false
	}
	digits := word
	if word[0] == '-' || word[0] == '+' {
		digits = word[1:]
	}
	mantissa, point := uint64(0), -1
	for i, c := range digits {
		switch {
		case c >= '0' && c <= '9':
			mantissa = mantissa*10 + uint64(c-'0')
		case c == '.' && point < 0:
			point = i
		default:
			return 0, false
		}
	}
	n, scale := len(digits), 0
	if point >= 0 {
		n, scale = n-1, len(digits)-1-point
	}
	if n == 0 || n > 19 || mantissa > maxExact { // 19 digits fit into 64 bits
		return 0, false
	}
	v := float64(mantissa) / powersOfTen[scale]
	if word[0] == '-' {
		v = -v
	}
	return v, true
}
