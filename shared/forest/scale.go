package forest

import (
	"math"
	"math/bits"
)

// scale finds how many of a slot's ascending borders are below a value: it multiplies the value into one of many buckets,
// and compares it with the borders from that bucket on, a few. Both multiplication and rounding keep the order of values, so the
// borders of lower buckets are below it, those of higher ones are not.
type scale struct {
	borders []float32 // with infinities behind them
	buckets []uint8   // the number of borders in those before; nil when the borders stand too unevenly
	low, by float32
	last    int32 // the greatest bucket, as the bits of a float32
	count   int
}

// maxCompares is how many borders a bucket may have: more would cost as much as a search.
const maxCompares = 4

func newScale(questions []question) scale {
	s := scale{count: len(questions), borders: make([]float32, len(questions)+maxCompares)}
	for i := range s.borders {
		s.borders[i] = float32(math.Inf(1))
	}
	for i, q := range questions {
		s.borders[i] = q.border
	}
	low, high := s.borders[0], s.borders[s.count-1]
	if low == -math.MaxFloat32 && s.count > 1 { // asks whether the value is there
		low = s.borders[1]
	}
	n := 4 << bits.Len(uint(s.count))
	s.low, s.by = low, float32(n-1)/(high-low)
	if s.count > math.MaxUint8 || !(s.by > 0 && s.by <= math.MaxFloat32) || !finite[float32](float64(high)-float64(low)) {
		return s // one border, or a span beyond float32
	}
	s.last = int32(math.Float32bits(float32(n - 1)))
	buckets := make([]uint8, n+1)
	for _, b := range s.borders[:s.count] {
		at := s.bucket(b) + 1
		if buckets[at]++; buckets[at] > maxCompares {
			return s
		}
	}
	for i := range n {
		buckets[i+1] += buckets[i]
	}
	s.buckets = buckets
	return s
}

// bucket is where v belongs. It is never NaN; infinities are clamped, by the bits, as floats of one sign are ordered so.
func (s *scale) bucket(v float32) int {
	at := int32(math.Float32bits((v - s.low) * s.by))
	return int(math.Float32frombits(uint32(min(max(at, 0), s.last))))
}

// below is the number of borders below v.
func (s *scale) below(v float32) int {
	if s.buckets == nil {
		return s.search(v)
	}
	at := int(s.buckets[s.bucket(v)])
	b := (*[maxCompares]float32)(s.borders[at:])
	return at + int(bit(b[0] < v)+bit(b[1] < v)+bit(b[2] < v)+bit(b[3] < v))
}

// sort adds each row of a column to those with as many borders below, as a bit.
func (s *scale) sort(column []float32, rows []uint64) {
	if s.buckets == nil {
		for r, v := range column {
			rows[s.search(v)] |= 1 << (r & 63)
		}
		return
	}
	// As below does it; the compiler does not put that one in here.
	borders, buckets, low, by, last := s.borders, s.buckets, s.low, s.by, s.last
	for r, v := range column {
		bucket := int32(math.Float32bits((v - low) * by))
		at := int(buckets[int32(math.Float32frombits(uint32(min(max(bucket, 0), last))))])
		b := (*[maxCompares]float32)(borders[at:])
		at += int(bit(b[0] < v) + bit(b[1] < v) + bit(b[2] < v) + bit(b[3] < v))
		rows[at] |= 1 << (r & 63)
	}
}

// search halves the borders, without a branch that depends on v.
func (s *scale) search(v float32) int {
	at, size := 0, s.count
	for size > 1 {
		half := size / 2
		at += half & -int(bit(s.borders[at+half-1] < v))
		size -= half
	}
	return at + int(bit(s.borders[at] < v))
}
