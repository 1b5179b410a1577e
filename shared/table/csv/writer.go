package csv

import (
	"bufio"
	"bytes"
	"io"
	"strconv"

	"github.com/millrace-ml/millrace/shared/fault"
)

// Writer writes rows a field at a time. Fields are quoted where a reader would take them otherwise, rows end with LF.
// Errors of the stream below are kept; Flush tells the first.
type Writer struct {
	w         *bufio.Writer
	delimiter byte
	special   string
	fields    int
	empty     bool // the row has one field so far and that is empty
	scratch   [32]byte
}

// NewWriter writes with the given delimiter, ',' if 0.
func NewWriter(w io.Writer, delimiter byte) (*Writer, error) {
	o, err := Options{Delimiter: delimiter}.withDefaults()
	if err != nil {
		return nil, fault.New(fault.Invalid, err, "cannot write with this delimiter")
	}
	return &Writer{w: bufio.NewWriterSize(w, 64<<10), delimiter: o.Delimiter, special: string([]byte{o.Delimiter}) + "\"\r\n"}, nil
}

// Bytes writes the next field.
func (w *Writer) Bytes(text []byte) {
	w.next(len(text) == 0)
	if !w.mustQuote(text) {
		w.w.Write(text)
		return
	}
	w.w.WriteByte('"')
	for {
		i := bytes.IndexByte(text, '"')
		if i < 0 {
			break
		}
		w.w.Write(text[:i+1])
		w.w.WriteByte('"')
		text = text[i+1:]
	}
	w.w.Write(text)
	w.w.WriteByte('"')
}

// String writes the next field.
func (w *Writer) String(text string) { w.Bytes([]byte(text)) }

// Int writes the next field.
func (w *Writer) Int(v int64) {
	w.next(false)
	w.w.Write(strconv.AppendInt(w.scratch[:0], v, 10)) // no delimiter can stand in a number
}

// Float writes the next field as the shortest text that reads back as the same number.
func (w *Writer) Float(v float64) {
	w.next(false)
	w.w.Write(strconv.AppendFloat(w.scratch[:0], v, 'g', -1, 64))
}

// EndRow ends the row.
func (w *Writer) EndRow() {
	if w.fields == 1 && w.empty {
		w.w.WriteString(`""`) // an empty line would be no row
	}
	w.w.WriteByte('\n')
	w.fields = 0
}

// Reset begins a new stream; what was not flushed is dropped.
func (w *Writer) Reset(to io.Writer) {
	w.w.Reset(to)
	w.fields = 0
}

// Flush hands everything to the stream below and answers the first error.
func (w *Writer) Flush() error { return w.w.Flush() }

func (w *Writer) next(empty bool) {
	if w.fields > 0 {
		w.w.WriteByte(w.delimiter)
	}
	w.fields++
	w.empty = empty
}

// mustQuote also covers edges of space, which some readers drop.
func (w *Writer) mustQuote(text []byte) bool {
	return bytes.ContainsAny(text, w.special) ||
		len(text) > 0 && (text[0] == ' ' || text[len(text)-1] == ' ')
}
