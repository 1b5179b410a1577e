package forest

import "math"

// prepare turns a row of features into slots and category bits.
func (k *kernel[T]) prepare(x []float64, row []T, words []uint64) {
	row[pad] = T(math.Inf(-1))
	switch {
	case k.flush:
		k.fillFlushed(x, row[1:])
	case k.rounded:
		k.fillRounded(x, row[1:])
	default:
		k.fill(x, row[1:])
	}
	if len(words) > 0 {
		words[0] = 0 // bit 0 stands for "not categorical"
	}
	for i := range k.sets {
		t := &k.sets[i]
		copy(words[t.first:], t.row(float64(T(x[t.feature]))))
	}
}

func (k *kernel[T]) fill(x []float64, row []T) {
	for i, s := range k.slots {
		v := T(x[s.feature])
		if v != v {
			v = s.missing
		}
		row[i] = v
	}
}

// fillRounded is fill for formats that compare float32 and add float64.
func (k *kernel[T]) fillRounded(x []float64, row []T) {
	for i, s := range k.slots {
		v := float32(x[s.feature])
		if v != v {
			row[i] = s.missing
		} else {
			row[i] = T(v)
		}
	}
}

// fillFlushed is fill for formats that take tiny values for 0, and in some splits for missing.
func (k *kernel[T]) fillFlushed(x []float64, row []T) {
	for i, s := range k.slots {
		v := x[s.feature]
		if math.Abs(v) > Tiny {
			if s.known {
				v = 0
			}
			row[i] = T(v)
			continue
		}
		row[i] = 0
		if s.zero || v != v {
			row[i] = s.missing
		}
	}
}
