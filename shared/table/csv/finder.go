package csv

import "bytes"

// finder finds the end of one row in a stream of pieces, without looking at fields. Scan cuts files with it, and the
// Reader skips rows over the limit with it.
type finder struct {
	delimiter byte
	state     finderState
	length    int64 // bytes of the row so far, without its line end
	open      int64 // offset in the row of the quote that opened the last quoted field
	lines     int64 // line feeds inside that field
	returns   int64 // carriage returns inside it, for files that have no line feeds
	previous  byte
}

type finderState uint8

const (
	atRowStart  finderState = iota
	outside                 // outside of quotes
	quoted                  // inside a quoted field
	afterQuote              // after a quote inside a quoted field: its end, or the first of two
	afterReturn             // after the CR that ends the row: an LF may belong to it
	rowDone
)

// reset begins the next row.
func (f *finder) reset() { *f = finder{delimiter: f.delimiter} }

// step takes the next piece of the stream and answers how much of it belongs to the row and whether the row has ended.
// A row that ends with the stream ends by the caller's word.
func (f *finder) step(p []byte) (n int, done bool) {
	i := 0
	for i < len(p) && f.state != rowDone {
		switch f.state {
		case quoted:
			i += f.inQuotes(p[i:])
		case afterQuote:
			if p[i] == '"' {
				f.state = quoted
				f.take(p[i:i+1], '"')
				i++
			} else {
				f.state = outside // the field has ended; what stands here is looked at again
			}
		case afterReturn:
			if p[i] == '\n' {
				i++
			}
			f.state = rowDone
		default:
			i += f.outsideQuotes(p[i:])
		}
	}
	return i, f.state == rowDone
}

func (f *finder) take(p []byte, last byte) {
	f.length += int64(len(p))
	f.previous = last
}

func (f *finder) inQuotes(p []byte) int {
	j := bytes.IndexByte(p, '"')
	n := j + 1
	if j < 0 {
		n = len(p)
	} else {
		f.state = afterQuote
	}
	if j != 0 {
		f.lines += int64(bytes.Count(p[:n], []byte{'\n'}))
		f.returns += int64(bytes.Count(p[:n], []byte{'\r'}))
	}
	f.take(p[:n], p[n-1])
	return n
}

// outsideQuotes goes to the next line end or to the next quote.
func (f *finder) outsideQuotes(p []byte) int {
	p = p[:min(len(p), 1024)] // else a file without line feeds is searched for one to its end, again for each row
	n := len(p)
	if j := bytes.IndexByte(p, '\n'); j >= 0 {
		n = j
	}
	if j := bytes.IndexByte(p[:n], '\r'); j >= 0 {
		n = j
	}
	if j := bytes.IndexByte(p[:n], '"'); j >= 0 {
		return f.quote(p, j)
	}
	if n > 0 {
		f.state = outside
		f.take(p[:n], p[n-1])
	}
	if n == len(p) {
		return n
	}
	f.state = rowDone
	if p[n] == '\r' {
		f.state = afterReturn
	}
	return n + 1
}

// quote takes p up to and with the quote at j, which opens a field only at the field's begin.
func (f *finder) quote(p []byte, j int) int {
	before := f.previous
	if j > 0 {
		before = p[j-1]
	}
	opens := before == f.delimiter || j == 0 && f.state == atRowStart
	f.state = outside
	if opens {
		f.state, f.open, f.lines, f.returns = quoted, f.length+int64(j), 0, 0
	}
	f.take(p[:j+1], '"')
	return j + 1
}

// unterminated says whether a stream that ends here ends inside quotes.
func (f *finder) unterminated() bool { return f.state == quoted }
