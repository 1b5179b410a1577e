package onnx

import (
	"fmt"
	"math"
)

// Scratch is the working memory of one goroutine. It is made for one model and is not for concurrent use.
type Scratch struct {
	state   *state
	matrix  []float64 // of a block, as the graph takes it
	refused []Refusal
}

// NewScratch allocates all that Predict needs, so that it allocates nothing.
func (m *Model) NewScratch() *Scratch {
	s := &Scratch{state: m.c.newState(m.block)}
	if m.bound != nil && !m.bound.straight {
		s.matrix = make([]float64, m.block*len(m.columns))
	}
	return s
}

// Predict writes the outputs of rows rows: x is row-major, rows × Info().Features, NaN is missing; out is rows ×
// Info().Outputs. The result of a row does not depend on the rows around it. It gives the rows that the runtime would end
// the call for, in ascending order; their outputs are NaN. The list holds until the next call. Predict panics when x or out
// is too short, and when the graph takes strings and Bind has not said which.
func (m *Model) Predict(x []float64, rows int, out []float64, s *Scratch) []Refusal {
	s.refused = s.refused[:0]
	width := len(m.columns)
	for first := 0; first < rows; first += m.block {
		n := min(m.block, rows-first)
		m.blockOf(x[first*width:(first+n)*width], n, s)
		for _, run := range m.c.steps {
			run(s.state, n)
		}
		m.collect(out[first*m.info.Outputs:(first+n)*m.info.Outputs], n, s.state)
		m.refuse(first, n, out, s)
	}
	return s.refused
}

// blockOf fills the inputs with a block of the matrix.
func (m *Model) blockOf(x []float64, rows int, s *Scratch) {
	s.state.refused = s.state.refused[:0]
	if s.matrix != nil {
		x = m.bound.arrange(x, rows, s.matrix)
	}
	s.state.x = x
	first := 0
	for _, v := range m.c.inputs {
		m.fill(v, x, rows, first, s.state)
		first += v.width()
	}
}

// arrange puts the columns in the graph's order, numbers in place of codes.
func (b *binding) arrange(x []float64, rows int, to []float64) []float64 {
	width := len(b.from)
	for r := range rows {
		row := x[r*width : (r+1)*width]
		for i, from := range b.from {
			v := row[from]
			if list := b.numbers[i]; list != nil {
				v = element64(list, v)
			}
			to[r*width+i] = v
		}
	}
	return to[:rows*width]
}

// element64 is the number of a code; a missing or unknown category is not a number.
func element64(list []float64, code float64) float64 {
	if code >= 0 && code < float64(len(list)) {
		return list[int(code)]
	}
	return math.NaN()
}

// fill writes the columns of one input, which are those of the matrix from first on.
func (m *Model) fill(v *value, x []float64, rows, first int, s *state) {
	width, all := v.width(), len(m.columns)
	b := &s.bufs[v.buf]
	for r := range rows {
		row := x[r*all+first : r*all+first+width]
		to := r * width
		switch v.kind {
		case float:
			for i, value := range row {
				b.floats[to+i] = float32(value)
			}
		case double:
			copy(b.doubles[to:], row)
		case texts:
			for i, code := range row {
				b.texts[to+i] = m.text(first+i, code)
			}
		default:
			for i, value := range row {
				b.ints[to+i] = m.whole(v.kind, first+i, value, r, s)
			}
		}
	}
}

// text is the text of a category's code; a missing one is the empty text.
func (m *Model) text(column int, code float64) string {
	list := m.bound.texts[column]
	if code >= 0 && code < float64(len(list)) {
		return list[int(code)]
	}
	return ""
}

// whole is a value for an input of whole numbers or truth values.
func (m *Model) whole(k kind, column int, v float64, row int, s *state) int64 {
	limit := 0x1p63
	if k == int32s {
		limit = 0x1p31
	}
	if v != math.Trunc(v) || v < -limit || v >= limit || k == bools && v != 0 && v != 1 {
		s.refuse(row, fmt.Sprintf("input %q is %v, expected a value of type %s", m.columns[column].Name, v, k))
		return 0
	}
	return int64(v)
}

// collect writes the results of a block, one after the other for each row.
func (m *Model) collect(out []float64, rows int, s *state) {
	first, all := 0, m.info.Outputs
	for _, v := range m.result {
		width, b := v.width(), &s.bufs[v.buf]
		for r := range rows {
			to := out[r*all+first : r*all+first+width]
			switch v.kind {
			case float:
				for i := range to {
					to[i] = float64(b.floats[r*width+i])
				}
			case double:
				copy(to, b.doubles[r*width:])
			default:
				for i := range to {
					to[i] = float64(b.ints[r*width+i])
				}
			}
		}
		first += width
	}
}

// refuse notes the first reason of each refused row of a block and takes its outputs away.
func (m *Model) refuse(first, rows int, out []float64, s *Scratch) {
	if len(s.state.refused) == 0 {
		return
	}
	for r := range rows {
		for _, refusal := range s.state.refused {
			if refusal.Row != r {
				continue
			}
			s.refused = append(s.refused, Refusal{first + r, refusal.Reason})
			width := m.info.Outputs
			for i := range width {
				out[(first+r)*width+i] = math.NaN()
			}
			break
		}
	}
}
