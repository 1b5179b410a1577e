package csv

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"github.com/millrace-ml/millrace/shared/table"
)

// fast reads rows straight into the columns for as long as they are plain: in memory as a whole, with the right number
// of fields, within the limit, quotes only around whole fields. At the first row that is not, it takes
// that row back and leaves it to split, which knows all the rules. It answers where it stopped.
func (r *Reader) fast(b *table.Block, pos, stop int) int {
	if r.nul {
		return pos
	}
	for pos < stop && b.Rows+len(b.Bad) < r.o.BlockRows {
		next, ok := r.fastRow(b.Columns, pos)
		if !ok || next-pos > r.o.RowLimit {
			for j := range b.Columns {
				b.Columns[j].Truncate(b.Rows)
			}
			return pos
		}
		b.Numbers = append(b.Numbers, r.number)
		b.Rows++
		r.number++
		pos = next
	}
	return pos
}

// fastRow takes one row and answers where the next begins; false leaves some columns a field longer than others.
func (r *Reader) fastRow(columns []table.Column, pos int) (int, bool) {
	buf := r.buf[:r.end]
	delimiter := r.marker.delimiter
	last := len(columns) - 1
	if c := buf[pos]; c == '\n' || c == '\r' {
		return 0, false // no row, though it looks like one in a file of one column
	}
	for j := range columns {
		if pos+8 > len(buf) {
			return 0, false
		}
		w := binary.LittleEndian.Uint64(buf[pos:])
		// As in marker.append, but one comparison for LF and CR: it also hits 08 to 0F, which are left to split.
		x, y, z := w^delimiter, w&^(7*ones)^(8*ones), w^quots
		x, y, z = (x&low7+low7)|x, (y&low7+low7)|y, (z&low7+low7)|z
		hits := ^(x & y & z) &^ low7
		c := &columns[j]
		n := len(c.Data)
		var end int
		if hits != 0 && n+8 <= cap(c.Data) {
			size := bits.TrailingZeros64(hits) >> 3
			end = pos + size
			binary.LittleEndian.PutUint64(c.Data[n:n+8], w) // one store instead of a call to copy
			c.Data = c.Data[:n+size]
		} else {
			if end = r.longField(pos); end < 0 {
				return 0, false
			}
			c.Data = append(c.Data, buf[pos:end]...)
		}
		mark := buf[end]
		if mark == '"' && end == pos {
			if end = r.quotedText(c, pos+1); end < 0 {
				return 0, false
			}
			mark = buf[end]
		}
		c.Ends = append(c.Ends, uint32(len(c.Data)))
		pos = end + 1
		if j == last {
			return r.behindRow(mark, pos)
		}
		if mark != r.delimiter {
			return 0, false
		}
	}
	return 0, false
}

// behindRow is where the next row begins, if mark, the byte before pos, ends this one.
func (r *Reader) behindRow(mark byte, pos int) (int, bool) {
	if mark == '\n' {
		return pos, true
	}
	if mark != '\r' || pos == r.end {
		return 0, false
	}
	if r.buf[pos] == '\n' {
		pos++
	}
	return pos, true
}

// quotedText copies a quoted field that begins at pos, behind its quote, and answers what stands behind its last quote,
// -1 if the data ends before that.
func (r *Reader) quotedText(c *table.Column, pos int) int {
	buf := r.buf[:r.end]
	for {
		i := bytes.IndexByte(buf[pos:], '"')
		q := pos + i
		switch {
		case i < 0 || q+1 == len(buf):
			return -1
		case buf[q+1] != '"':
			c.Data = append(c.Data, buf[pos:q]...)
			return q + 1
		}
		c.Data = append(c.Data, buf[pos:q+1]...)
		pos = q + 2
	}
}

// longField is the position of the first mark at or after pos, -1 if the data ends before it.
func (r *Reader) longField(pos int) int {
	for p := pos; p < r.end; p++ {
		if c := r.buf[p]; c == r.delimiter || c == '\n' || c == '\r' || c == '"' {
			return p
		}
	}
	return -1
}
