// Package csv reads, cuts and writes comma-separated text as RFC 4180 describes it: quoted fields, doubled quotes, line
// ends inside quotes, CRLF, LF or a lone CR between rows, a byte order mark, a missing last line end. It is for files of
// any size at constant memory, and for files that people made: a row that breaks the rules is reported and the stream goes
// on after it. It is not for other encodings than UTF-8, and it gives no types (shared/feature does).
//
// Two machines find the ends of rows: the Reader's, which splits fields too, and the finder of Scan and of rows over the
// limit. A fuzz test holds them to each other. Their one rule: a quote opens a quoted field only where the field begins, a
// quoted field ends at the next quote that is not doubled, and only outside of quoted fields does a line end end the row.
// Lines without any character are no rows.
package csv

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/table"
)

// Defaults of Options.
const (
	DefaultRowLimit   = 1 << 20   // longer rows are rejected: no table of numbers and categories comes near
	DefaultBlockRows  = 4096      // enough for the engines' block kernels
	DefaultBlockBytes = 512 << 10 // a block of wide rows stays in the second-level cache

	minRowLimit = 4 * (table.ShortRunes + 1) // the value of a report is in memory whatever the pieces of the stream
)

// Options of reading. The zero value reads a whole comma-separated file with its header.
type Options struct {
	Delimiter  byte // ',' if 0; not what stands in numbers and words, no quote, CR or LF
	RowLimit   int  // bytes of a row without its line end; at least 324
	BlockRows  int
	BlockBytes int
	// For a part of a file, as Scan cuts it:
	Header   []string // the file's header, if the part does not begin with it
	FirstRow int64    // number of the first row; 1 if 0
	Offset   int64    // where the part begins in the file, for messages

	chunk int // bytes that are read at once; tests make it small
}

func (o Options) withDefaults() (Options, error) {
	if o.Delimiter == 0 {
		o.Delimiter = ','
	}
	if strings.IndexByte("\"\r\n+-.", o.Delimiter) >= 0 || o.Delimiter >= utf8.RuneSelf || isAlphanumeric(o.Delimiter) {
		return o, fault.New(fault.Invalid, nil, "%q cannot be a delimiter of fields: give one ASCII character such as , ; | or a tab", o.Delimiter)
	}
	if o.RowLimit <= 0 {
		o.RowLimit = DefaultRowLimit
	}
	o.RowLimit = max(o.RowLimit, minRowLimit)
	if o.BlockRows <= 0 {
		o.BlockRows = DefaultBlockRows
	}
	if o.BlockBytes <= 0 {
		o.BlockBytes = DefaultBlockBytes
	}
	if o.chunk <= 0 {
		o.chunk = 256 << 10
	}
	if o.FirstRow <= 0 {
		o.FirstRow = 1
	}
	return o, nil
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

var bom = []byte("\xEF\xBB\xBF")

// foreign is what people drop by mistake, by the bytes it begins with.
var foreign = []struct{ magic, name, advice string }{
	{"\xFF\xFE", "UTF-16 text (little endian)", "save it as CSV UTF-8"},
	{"\xFE\xFF", "UTF-16 text (big endian)", "save it as CSV UTF-8"},
	{"\x1F\x8B", "gzip data", "upload it unpacked"},
	{"\x28\xB5\x2F\xFD", "Zstandard data", "upload it unpacked"},
	{"BZh", "bzip2 data", "upload it unpacked"},
	{"PK\x03\x04", "a ZIP archive or an Excel workbook", "export it as CSV UTF-8"},
	{"\xD0\xCF\x11\xE0", "an old Excel workbook", "export it as CSV UTF-8"},
	{"PAR1", "a Parquet file", "export it as CSV UTF-8"},
	{"%PDF-", "a PDF document", "export the table as CSV UTF-8"},
}

// sniffed is how many bytes sniff judges by, as git does; a NUL further on rejects its row only.
const sniffed = 8000

// sniff refuses by name what is no CSV, judged by the first bytes of a file.
func sniff(first []byte) error {
	first = first[:min(len(first), sniffed)]
	for _, f := range foreign {
		if bytes.HasPrefix(first, []byte(f.magic)) && !(f.magic == "BZh" && !hasControl(first)) {
			return fault.New(fault.Invalid, nil, "the file is %s, not CSV: %s", f.name, f.advice)
		}
	}
	if i := bytes.IndexByte(first, 0); i >= 0 {
		what, advice := "binary data", "send CSV text in UTF-8"
		if zerosEveryOther(first) {
			what, advice = "UTF-16 text", "save it as CSV UTF-8"
		}
		return fault.New(fault.Invalid, nil, "the file is %s (a NUL byte at offset %d), not CSV: %s", what, i, advice)
	}
	return nil
}

// hasControl is for magic numbers that are letters: text that begins with them has no control characters.
func hasControl(first []byte) bool {
	return bytes.ContainsFunc(first, func(r rune) bool { return r < ' ' && r != '\t' && r != '\r' && r != '\n' })
}

// zerosEveryOther recognises UTF-16 of mostly ASCII text without its mark.
func zerosEveryOther(first []byte) bool {
	var count [2]int
	for i, c := range first {
		if c == 0 {
			count[i&1]++
		}
	}
	half := len(first) / 2
	return half >= 2 && (count[0] > half*3/4) != (count[1] > half*3/4)
}

// checkHeader refuses a header that cannot name columns.
func checkHeader(header []string) error {
	var problems []string
	for i, name := range header {
		switch first := slices.Index(header, name); {
		case !utf8.ValidString(name):
			problems = append(problems, fmt.Sprintf("column %d: the name %q is not UTF-8 text; save the file as CSV UTF-8", i+1, name))
		case name != "" && first < i: // columns without a name are index columns and empty ends of lines
			problems = append(problems, fmt.Sprintf("column %d: the name %q stands at column %d already", i+1, table.Short([]byte(name)), first+1))
		}
		if len(problems) == 10 {
			problems = append(problems, "…")
			break
		}
	}
	if problems == nil {
		return nil
	}
	return fault.New(fault.Invalid, nil, "header: %s", strings.Join(problems, "; "))
}

func errEmpty() error {
	return fault.New(fault.Invalid, nil, "the file is empty: its first row must name the columns")
}

func errHeaderTooLong(limit int) error {
	return fault.New(fault.Invalid, nil, "the header is longer than %d bytes: is this a text file with line ends?", limit)
}
