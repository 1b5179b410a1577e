package csv

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/millrace-ml/millrace/shared/table"
)

// marker finds the bytes that matter to the splitter, eight at a time in a register: delimiter, quote, CR, LF.
type marker struct {
	delimiter uint64 // the byte, eight times
}

const (
	ones  = 0x0101010101010101
	low7  = 0x7f7f7f7f7f7f7f7f
	feeds = '\n' * ones
	rets  = '\r' * ones
	quots = '"' * ones
)

// append adds the positions of marks in p[from:] to dst.
func (m marker) append(dst []uint32, p []byte, from int) []uint32 {
	i := from
	for ; i+8 <= len(p); i += 8 {
		w := binary.LittleEndian.Uint64(p[i:])
		a, b, c, d := w^m.delimiter, w^feeds, w^rets, w^quots
		// The high bit of each byte of (x&low7 + low7) | x is off only where that byte is zero; no carry crosses bytes.
		a, b, c, d = (a&low7+low7)|a, (b&low7+low7)|b, (c&low7+low7)|c, (d&low7+low7)|d
		hits := ^(a & b & c & d) &^ low7
		if hits == 0 {
			continue
		}
		n := len(dst)
		dst = slices.Grow(dst, 8)[:n+8]
		room := (*[8]uint32)(dst[n:])
		k := 0
		for ; hits != 0; hits &= hits - 1 {
			room[k&7] = uint32(i + bits.TrailingZeros64(hits)>>3)
			k++
		}
		dst = dst[:n+k]
	}
	for ; i < len(p); i++ {
		if c := p[i]; c == byte(m.delimiter) || c == '"' || c == '\n' || c == '\r' {
			dst = append(dst, uint32(i))
		}
	}
	return dst
}

// span is a field in the buffer, without its quotes, as one word: where it begins, its size, and in the lowest bit
// whether two quotes stand for one in it.
type span uint64

func newSpan(begin, end int) span { return span(begin)<<32 | span(end-begin)<<1 }

func (s span) begin() int    { return int(s >> 32) }
func (s span) size() int     { return int(uint32(s) >> 1) }
func (s span) doubled() bool { return s&1 != 0 }

// text is the field in buf; it is to be changed by nobody.
func (s span) text(buf []byte) []byte { return buf[s.begin() : s.begin()+s.size()] }

// defect is why a row cannot be split.
type defect struct {
	kind  defectKind
	field int // 0-based
	at    int // position in the buffer
}

type defectKind uint8

const (
	sound defectKind = iota
	bareQuote
	textAfterQuote
	openQuote
)

// row is one row in the buffer.
type row struct {
	begin, end int // without the line end
	next       int // where the next row begins
	count      int // fields; not all of them are kept if the header has fewer
	defect     defect
}

// field keeps the next field of the row that is being split. A row of too many fields is a bad row: no use to keep a
// million of them.
func (r *Reader) field(line *row, f span) {
	if line.count < r.keep {
		r.fields = append(r.fields, f)
	}
	line.count++
}

// split finds the row that begins at begin and the marks from mark on, and its fields. It answers false if the buffer
// ends before the row surely does.
func (r *Reader) split(begin, mark int) (row, int, bool) {
	buf, marks := r.buf[:r.end], r.marks
	r.fields = r.fields[:0]
	field := begin
	line := row{begin: begin}
	for ; mark < len(marks); mark++ {
		p := int(marks[mark])
		switch buf[p] {
		case byte(r.marker.delimiter):
			r.field(&line, newSpan(field, p))
			field = p + 1
		case '"':
			return r.splitQuoted(line, mark, field)
		default:
			r.field(&line, newSpan(field, p))
			return r.endOfRow(line, mark)
		}
	}
	return row{}, mark, false
}

// endOfRow takes the LF, CR or CRLF at mark.
func (r *Reader) endOfRow(line row, mark int) (row, int, bool) {
	p := int(r.marks[mark])
	line.end, line.next = p, p+1
	if r.buf[p] == '\r' {
		if line.next == r.end {
			return row{}, mark, false // an LF may follow
		}
		if r.buf[line.next] == '\n' {
			line.next++
			mark++
		}
	}
	return line, mark + 1, true
}

// splitQuoted goes on with a row at its first quote. The first defect counts; the row still ends where it ends.
func (r *Reader) splitQuoted(line row, mark, field int) (row, int, bool) {
	buf, marks := r.buf[:r.end], r.marks
	bad := func(kind defectKind, at int) {
		if line.defect.kind == sound {
			line.defect = defect{kind: kind, field: line.count, at: at}
		}
	}
	var closed span // the quoted field that has ended at the last quote; it begins at 1 or later
	for ; mark < len(marks); mark++ {
		p := int(marks[mark])
		switch {
		case buf[p] != '"':
		case closed != 0:
			bad(textAfterQuote, closed.begin()+closed.size()+1)
			continue
		case p != field:
			bad(bareQuote, p)
			continue
		default:
			var ok bool
			if closed, mark, ok = r.quotedField(p, mark); ok {
				continue
			}
			if !r.eof {
				return row{}, mark, false
			}
			line.defect = defect{kind: openQuote, field: line.count, at: p}
			line.end, line.next = len(buf)-1, len(buf) // the last byte is the reader's own line feed
			return line, len(marks), true
		}
		f := newSpan(field, p)
		if closed != 0 {
			if after := closed.begin() + closed.size() + 1; after != p {
				bad(textAfterQuote, after)
			}
			f, closed = closed, 0
		}
		r.field(&line, f)
		field = p + 1
		if buf[p] != byte(r.marker.delimiter) {
			return r.endOfRow(line, mark)
		}
	}
	return row{}, mark, false
}

// quotedField finds the end of the field that the quote at p opens; mark is that quote's, the answer the last quote's.
func (r *Reader) quotedField(p, mark int) (span, int, bool) {
	buf, marks := r.buf[:r.end], r.marks
	var doubled span
	for mark++; mark < len(marks); mark++ {
		q := int(marks[mark])
		if buf[q] != '"' {
			continue
		}
		if q+1 == len(buf) {
			break // a second quote may follow
		}
		if buf[q+1] != '"' {
			return newSpan(p+1, q) | doubled, mark, true
		}
		doubled = 1
		mark++
	}
	return 0, mark, false
}

// store copies the fields of a row into their columns.
func (r *Reader) store(columns []table.Column) {
	for j, f := range r.fields {
		c := &columns[j]
		text := f.text(r.buf)
		for f.doubled() {
			i := bytes.IndexByte(text, '"')
			if i < 0 {
				break
			}
			c.Data = append(c.Data, text[:i+1]...)
			text = text[i+2:]
		}
		c.Append(text)
	}
}
