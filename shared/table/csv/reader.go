package csv

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/table"
)

// Reader is a table.Reader of CSV text. It holds at most one row over RowLimit plus a chunk in memory.
type Reader struct {
	src       io.Reader
	o         Options
	header    []string
	delimiter byte
	marker    marker

	buf    []byte // the stream's bytes from base on; len(buf) is the memory, end the data
	end    int
	pos    int // begin of the next row in buf
	base   int64
	eof    bool // buf holds the last byte, and one line feed of ours behind it
	nul    bool // some byte in buf is NUL
	err    error
	marked bool // marks are those of the data
	marks  []uint32
	mark   int    // index in marks of the first at or after pos
	fields []span // of the row that is being split
	keep   int    // how many fields of a row are kept
	number int64  // of the next row
}

var _ table.Reader = (*Reader)(nil)

// NewReader reads the header, unless Options brings it, and refuses what is no CSV. Errors that the sender of the file
// can mend are of kind fault.Invalid; those of src are handed on.
func NewReader(src io.Reader, o Options) (*Reader, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	r := &Reader{src: src, o: o, base: o.Offset, number: o.FirstRow, header: o.Header, delimiter: o.Delimiter}
	r.marker.delimiter = uint64(o.Delimiter) * ones
	r.buf = make([]byte, max(2*o.chunk, sniffed+1))
	r.keep = o.RowLimit
	if r.header == nil {
		if err := r.begin(); err != nil {
			return nil, err
		}
	}
	r.keep = len(r.header)
	return r, checkHeader(r.header)
}

// begin takes the byte order mark and the header from the file's first bytes.
func (r *Reader) begin() error {
	for !r.eof && r.end < sniffed {
		if err := r.more(); err != nil {
			return err
		}
	}
	if err := sniff(r.data()); err != nil {
		return err
	}
	if bytes.HasPrefix(r.data(), bom) {
		r.pos = len(bom) // none of its bytes is a mark
	}
	for {
		r.findMarks()
		line, next, ok := r.split(r.pos, r.mark)
		switch {
		case !ok && r.eof:
			return errEmpty()
		case !ok && r.end-r.pos > r.o.RowLimit+2:
			return errHeaderTooLong(r.o.RowLimit)
		case !ok:
			if err := r.more(); err != nil {
				return err
			}
			continue
		}
		r.pos, r.mark = line.next, next
		if line.end == line.begin {
			continue
		}
		return r.takeHeader(line)
	}
}

func (r *Reader) takeHeader(line row) error {
	if line.end-line.begin > r.o.RowLimit {
		return errHeaderTooLong(r.o.RowLimit)
	}
	if line.defect.kind != sound {
		return fault.New(fault.Invalid, nil, "header: %s", r.words(line.defect))
	}
	for _, f := range r.fields {
		name := string(f.text(r.buf))
		if f.doubled() {
			name = strings.ReplaceAll(name, `""`, `"`)
		}
		r.header = append(r.header, name)
	}
	return nil
}

// Header is the names of the columns in the file's order.
func (r *Reader) Header() []string { return r.header }

// Next fills b with the next rows; io.EOF after the last.
func (r *Reader) Next(b *table.Block) error {
	b.Reset(r.header)
	b.First = r.number
	stop := r.base + int64(r.pos) + int64(r.o.BlockBytes)
	for r.err == nil && b.Rows+len(b.Bad) < r.o.BlockRows && r.base+int64(r.pos) < stop {
		if next := r.fast(b, r.pos, int(min(int64(r.end), stop-r.base))); next > r.pos {
			r.pos = next
			continue
		}
		r.findMarks()
		line, next, ok := r.split(r.pos, r.mark)
		switch {
		case ok:
			r.add(b, line)
			r.pos, r.mark = line.next, next
		case r.eof:
			r.err = io.EOF
		case r.end-r.pos > r.o.RowLimit+2:
			r.err = r.skip(b)
		default:
			r.err = r.more()
		}
	}
	if r.err != nil && !errors.Is(r.err, io.EOF) || b.Rows+len(b.Bad) == 0 {
		return r.err
	}
	return nil
}

// add puts a complete row into the block, as columns or as a bad row.
func (r *Reader) add(b *table.Block, line row) {
	length := line.end - line.begin
	if length == 0 {
		return
	}
	var reason string
	switch {
	case line.defect.kind == openQuote:
		reason = r.words(line.defect)
	case length > r.o.RowLimit:
		reason = tooLong(int64(length), r.o.RowLimit)
	case line.defect.kind != sound:
		reason = r.words(line.defect)
	case line.count != len(r.header):
		reason = r.wrongCount(line)
	case r.nul && bytes.IndexByte(r.buf[line.begin:line.end], 0) >= 0:
		reason = "a NUL byte: this is no text"
	default:
		r.store(b.Columns)
		b.Numbers = append(b.Numbers, r.number)
		b.Rows++
		r.number++
		return
	}
	r.reject(b, r.buf[line.begin:line.end], reason)
}

func (r *Reader) reject(b *table.Block, text []byte, reason string) {
	b.Bad = append(b.Bad, table.BadRow{Row: r.number, Value: table.Short(text), Reason: reason})
	r.number++
}

// skip goes past a row over the limit without holding it.
func (r *Reader) skip(b *table.Block) error {
	value := append([]byte(nil), r.buf[r.pos:min(r.end, r.pos+minRowLimit)]...)
	offset := r.base + int64(r.pos)
	f := finder{delimiter: r.delimiter}
	if _, err := r.pass(&f); err != nil {
		return err
	}
	r.renew()
	reason := tooLong(f.length, r.o.RowLimit)
	if f.unterminated() {
		reason = fmt.Sprintf("%s; the %d bytes after it belong to it", openWords(offset+f.open), f.length-f.open-1)
	}
	r.reject(b, value, reason)
	return nil
}

// data is what of the stream is in memory and not used yet, without our own line feed.
func (r *Reader) data() []byte {
	if r.eof {
		return r.buf[r.pos:max(r.pos, r.end-1)]
	}
	return r.buf[r.pos:r.end]
}

// more makes more of the stream ready; the row at pos keeps its bytes.
func (r *Reader) more() error {
	err := r.fill()
	r.renew()
	return err
}

// renew looks at the data from pos on as new.
func (r *Reader) renew() {
	r.nul = bytes.IndexByte(r.buf[r.pos:r.end], 0) >= 0
	r.marked = false
}

// findMarks finds the marks of the data, once, and the first of them at or after pos.
func (r *Reader) findMarks() {
	if !r.marked {
		r.marks, r.mark = r.marker.append(r.marks[:0], r.buf[:r.end], r.pos), 0
		r.marked = true
	}
	for r.mark < len(r.marks) && int(r.marks[r.mark]) < r.pos {
		r.mark++
	}
}

// fill drops what is used and reads on. At the stream's end it adds a line feed, so that the last row ends like all
// others.
func (r *Reader) fill() error {
	copy(r.buf, r.buf[r.pos:r.end])
	r.base += int64(r.pos)
	r.end -= r.pos
	r.pos = 0
	if len(r.buf)-r.end <= r.o.chunk { // one byte is kept for our own line feed
		grown := make([]byte, min(2*len(r.buf), r.o.RowLimit+2*r.o.chunk+4))
		copy(grown, r.buf[:r.end])
		r.buf = grown
	}
	for target := min(r.end+r.o.chunk, len(r.buf)-1); r.end < target; {
		n, err := r.src.Read(r.buf[r.end:target])
		r.end += n
		switch {
		case errors.Is(err, io.EOF): // not io.ReadFull: it would hide the ErrUnexpectedEOF of a body that broke off
			r.eof = true
			r.buf[r.end] = '\n'
			r.end++
			return nil
		case err != nil:
			return fmt.Errorf("read at byte %d: %w", r.base+int64(r.end), err)
		}
	}
	return nil
}
