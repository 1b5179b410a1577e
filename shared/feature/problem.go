package feature

import (
	"slices"
	"strconv"
	"unicode/utf8"
)

// The codes of a Problem.
const (
	CodeMissing  = "missing"          // not given
	CodeNull     = "null"             // given as null, which the input does not take
	CodeType     = "type"             // a value of another kind
	CodeRange    = "range"            // below min, above max, or infinite
	CodeCategory = "unknown_category" // none of the values
	CodeFormat   = "format"           // a text that does not read as a value
	CodeInteger  = "integer"          // not a whole number
)

// MaxProblems is how many problems Rows keeps; the rest are counted.
const MaxProblems = 100

// Problem is one value that breaks the contract.
type Problem struct {
	Row      int    // row of the Rows, -1 = none in particular
	Input    int    // number of the input, -1 = none
	Name     string // of the input
	Code     string
	Expected string // what would be right
	Got      string // what stood there, shortened; text of requests in quotes, text of files bare
}

// String is the problem in words, without its place.
func (p Problem) String() string {
	switch p.Code {
	case CodeMissing:
		return "missing, expected " + p.Expected
	default:
		return "got " + p.Got + ", expected " + p.Expected
	}
}

// maxGot is how many characters of a value a problem repeats.
const maxGot = 40

// shorten makes a value fit for a message: at most maxGot characters, no control characters, valid UTF-8.
func shorten(text []byte) string {
	out, n := make([]byte, 0, maxGot+8), 0
	for len(text) > 0 {
		if n == maxGot {
			return string(out) + "…"
		}
		r, size := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && size == 1:
			out = append(out, `\x`...)
			out = append(out, "0123456789abcdef"[text[0]>>4], "0123456789abcdef"[text[0]&15])
		case !strconv.IsPrint(r):
			q := strconv.QuoteRune(r)
			out = append(out, q[1:len(q)-1]...)
		default:
			out = utf8.AppendRune(out, r)
		}
		text, n = text[size:], n+1
	}
	return string(out)
}

// Report adds a problem that the caller found in a row: a key given twice, a name that is no input (input -1). It counts
// like the contract's own.
func (r *Rows) Report(row, input int, name, code, expected, got string) {
	if r.keeps(row) {
		r.add(Problem{Row: row, Input: input, Name: name, Code: code, Expected: expected, Got: shorten([]byte(got))})
	}
	r.count(row)
}

// Problems are the problems kept, by row after Finish: the first MaxProblems found; from a file also the first of every
// row beyond those.
func (r *Rows) Problems() []Problem { return r.problems }

// ProblemCount is the number of problems found, also of those not kept.
func (r *Rows) ProblemCount() int { return r.found }

// Bad says whether the row has a problem.
func (r *Rows) Bad(row int) bool { return r.bad[row] }

// BadRows is the number of rows that have a problem.
func (r *Rows) BadRows() int { return r.badRows }

func (r *Rows) keeps(row int) bool {
	return len(r.problems) < MaxProblems || (r.file && row >= 0 && !r.bad[row])
}

func (r *Rows) add(p Problem) { r.problems = append(r.problems, p) }

func (r *Rows) count(row int) {
	r.found++
	if row >= 0 && !r.bad[row] {
		r.bad[row] = true
		r.badRows++
	}
}

// problem reports a value of an input. quoted says that the text came as a string.
func (r *Rows) problem(row, input int, code string, got []byte, quoted bool) {
	if r.keeps(row) {
		in := &r.c.inputs[input]
		p := Problem{Row: row, Input: input, Name: r.c.names[input], Code: code, Expected: in.expected, Got: shorten(got)}
		if quoted && !r.file {
			p.Got = `"` + p.Got + `"`
		}
		if code == CodeCategory && len(r.problems) < MaxProblems { // a file of only such rows would take the time of ten
			p.Expected = in.expectCategory(string(got))
		}
		r.add(p)
	}
	r.count(row)
	r.cols[input][row] = null
}

// order sorts the problems by row and leaves those of one row in the order found.
func (r *Rows) order() {
	slices.SortStableFunc(r.problems, func(a, b Problem) int { return a.Row - b.Row })
}
