package csv

import (
	"bytes"
	"fmt"

	"github.com/millrace-ml/millrace/shared/table"
)

// words says why a row cannot be split, for the file's owner.
func (r *Reader) words(d defect) string {
	offset := r.base + int64(d.at)
	switch d.kind {
	case bareQuote:
		return fmt.Sprintf(`%s: a quote inside a field that does not begin with one (at byte %d); put the field in quotes and double the quote`, r.column(d.field), offset)
	case textAfterQuote:
		return fmt.Sprintf(`%s: text after the closing quote (at byte %d); a quote inside a quoted field is written twice`, r.column(d.field), offset)
	case openQuote:
		return fmt.Sprintf("%s; the %d bytes after it belong to it", openWords(offset), r.end-1-d.at-1)
	}
	return ""
}

func openWords(offset int64) string {
	return fmt.Sprintf("the quote that opens at byte %d of the file is never closed", offset)
}

func (r *Reader) column(i int) string {
	if i < len(r.header) && r.header[i] != "" {
		return fmt.Sprintf("column %q", table.Short([]byte(r.header[i])))
	}
	return fmt.Sprintf("field %d", i+1)
}

func (r *Reader) wrongCount(line row) string {
	s := fmt.Sprintf("%d %s, the header has %d", line.count, plural(line.count, "field"), len(r.header))
	if n := bytes.Count(r.buf[line.begin:line.end], []byte{'\n'}); n > 0 {
		s += fmt.Sprintf(" (the row spans %d lines, since a quoted field holds line ends)", n+1)
	}
	return s
}

func tooLong(length int64, limit int) string {
	return fmt.Sprintf("the row has %d bytes, more than the limit of %d", length, limit)
}

func plural(n int, noun string) string {
	if n == 1 {
		return noun
	}
	return noun + "s"
}
