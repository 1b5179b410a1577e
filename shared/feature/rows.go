package feature

import (
	"math"
	"strconv"

	"github.com/millrace-ml/millrace/shared/manifest"
)

// Rows is a reusable buffer of instances: the inputs by column, and the problems found while they were set. Set each
// value, call Finish, then look at the problems and make the matrix. A value that breaks the contract is reported and
// stands as null. It is not for concurrent use.
type Rows struct {
	c        *Contract
	n        int
	cols     [][]float64 // by input, each as long as capacity
	given    []bool      // row-major: the input was set in the row
	filled   []int32     // how many inputs were set in the row
	bad      []bool
	badRows  int
	problems []Problem
	found    int
	file     bool // text of a file: keep a problem of every bad row
	scratch  scratch
}

// NewRows makes an empty buffer.
func (c *Contract) NewRows() *Rows {
	return &Rows{c: c, cols: make([][]float64, len(c.inputs)), scratch: c.program.newScratch()}
}

// Reset empties the buffer and keeps its memory.
func (r *Rows) Reset() {
	r.n, r.badRows, r.found, r.file = 0, 0, 0, false
	clear(r.problems) // lets go of the texts
	r.problems = r.problems[:0]
}

// Len is the number of rows.
func (r *Rows) Len() int { return r.n }

// Append adds an empty row and returns its number.
func (r *Rows) Append() int {
	r.Grow(r.n + 1)
	return r.n - 1
}

// Grow adds empty rows until there are n.
func (r *Rows) Grow(n int) {
	if n <= r.n {
		return
	}
	if n > len(r.bad) {
		r.reserve(max(n, 2*len(r.bad), 16))
	}
	width := len(r.cols)
	clear(r.given[r.n*width : n*width])
	clear(r.filled[r.n:n])
	clear(r.bad[r.n:n])
	r.n = n
}

func (r *Rows) reserve(capacity int) {
	for i := range r.cols {
		r.cols[i] = append(make([]float64, 0, capacity), r.cols[i]...)[:capacity]
	}
	r.given = append(make([]bool, 0, capacity*len(r.cols)), r.given...)[:capacity*len(r.cols)]
	r.filled = append(make([]int32, 0, capacity), r.filled...)[:capacity]
	r.bad = append(make([]bool, 0, capacity), r.bad...)[:capacity]
}

// Has says whether the input was set in the row, also to null or to something wrong.
func (r *Rows) Has(row, input int) bool { return r.given[row*len(r.cols)+input] }

func (r *Rows) mark(row, input int) {
	at := row*len(r.cols) + input
	if !r.given[at] {
		r.given[at] = true
		r.filled[row]++
	}
}

// SetNumber sets a number; token is its text as sent, for a problem's Got, nil if it was not sent as text. NaN is null.
func (r *Rows) SetNumber(row, input int, v float64, token []byte) {
	r.mark(row, input)
	in := &r.c.inputs[input]
	if in.kind == manifest.Number && v >= in.min && v <= in.max { // the common case first
		r.cols[input][row] = v
		return
	}
	if math.IsNaN(v) {
		if len(token) == 0 {
			token = nanWord
		}
		r.null(row, input, token)
		return
	}
	set, code := v, CodeType
	switch in.kind {
	case manifest.Number, manifest.Integer:
		code = in.checkNumber(v, token)
	case manifest.Categorical:
		set, code = in.numberCode(v)
	case manifest.Timestamp:
		set, code = in.unixTime(v)
	}
	if code == "" {
		r.cols[input][row] = set
		return
	}
	if len(token) == 0 { // the number came in binary
		token = strconv.AppendFloat(nil, v, 'g', -1, 64)
	}
	r.problem(row, input, code, token, false)
}

// SetString sets a text: a category or a timestamp.
func (r *Rows) SetString(row, input int, s []byte) {
	r.mark(row, input)
	in := &r.c.inputs[input]
	v, code := 0.0, CodeType
	switch in.kind {
	case manifest.Categorical:
		v, code = in.textCode(s)
	case manifest.Timestamp:
		v, code = in.parseTime(s)
	}
	if code != "" {
		r.problem(row, input, code, s, true)
		return
	}
	r.cols[input][row] = v
}

// SetBool sets a truth value.
func (r *Rows) SetBool(row, input int, v bool) {
	r.mark(row, input)
	if r.c.inputs[input].kind != manifest.Boolean {
		word := "false"
		if v {
			word = "true"
		}
		r.problem(row, input, CodeType, []byte(word), false)
		return
	}
	r.cols[input][row] = truth(v)
}

// SetNull sets a null.
func (r *Rows) SetNull(row, input int) {
	r.mark(row, input)
	r.null(row, input, nullWord)
}

var nullWord, nanWord = []byte("null"), []byte("NaN")

func (r *Rows) null(row, input int, got []byte) {
	if !r.c.inputs[input].nullable {
		r.problem(row, input, CodeNull, got, false)
		return
	}
	r.cols[input][row] = null
}

// SetOther sets what no input takes, such as "an object" or "an array".
func (r *Rows) SetOther(row, input int, what string) {
	r.mark(row, input)
	r.problem(row, input, CodeType, []byte(what), false)
}

// Finish gives every input that was not set its default, or null if it is nullable, or else reports it as missing, and
// sorts the problems by row. Call it once, when all rows are set.
func (r *Rows) Finish() {
	width := len(r.cols)
	for row := range r.n {
		if int(r.filled[row]) == width {
			continue
		}
		for input, given := range r.given[row*width : (row+1)*width] {
			if given {
				continue
			}
			if in := &r.c.inputs[input]; in.hasDefault || in.nullable {
				r.cols[input][row] = in.absent
			} else {
				r.problem(row, input, CodeMissing, nothing, false)
			}
		}
	}
	r.order()
}

var nothing = []byte("nothing")

func truth(v bool) float64 {
	if v {
		return 1
	}
	return 0
}
