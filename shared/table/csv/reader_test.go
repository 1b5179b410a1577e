package csv

import (
	stdcsv "encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/table"
)

// outcome is a whole file as the Reader tells it.
type outcome struct {
	Header []string
	Rows   []string // "number: field|field"
	Bad    []table.BadRow
}

func readAll(src io.Reader, o Options) (*outcome, error) {
	r, err := NewReader(src, o)
	if err != nil {
		return nil, err
	}
	out := &outcome{Header: r.Header()}
	var b table.Block
	next := max(o.FirstRow, 1)
	for {
		err := r.Next(&b)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		if b.First != next {
			return out, fmt.Errorf("block begins at row %d, want %d", b.First, next)
		}
		next += int64(b.Rows + len(b.Bad))
		for i := range b.Rows {
			fields := make([]string, len(b.Columns))
			for j := range b.Columns {
				fields[j] = string(b.Columns[j].Text(i))
			}
			out.Rows = append(out.Rows, fmt.Sprintf("%d: %s", b.Numbers[i], strings.Join(fields, "|")))
		}
		out.Bad = append(out.Bad, b.Bad...)
	}
}

func TestReader(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("y", 398)
	bad := func(row int64, value, reason string) table.BadRow {
		return table.BadRow{Row: row, Value: value, Reason: reason}
	}
	for name, tc := range map[string]struct {
		in   string
		o    Options
		rows []string
		bad  []table.BadRow
	}{
		"LF":                             {in: "a,b\n1,2\n3,4\n", rows: []string{"1: 1|2", "2: 3|4"}},
		"CRLF":                           {in: "a,b\r\n1,2\r\n3,4\r\n", rows: []string{"1: 1|2", "2: 3|4"}},
		"CRLF after long fields":         {in: "a,b\r\n1,some long text\r\n3,more long text\r\n5,6\r\n", rows: []string{"1: 1|some long text", "2: 3|more long text", "3: 5|6"}},
		"lone CR":                        {in: "a,b\r1,2\r3,4\r", rows: []string{"1: 1|2", "2: 3|4"}},
		"mixed line ends":                {in: "a,b\r1,2\n3,4\r\n5,6", rows: []string{"1: 1|2", "2: 3|4", "3: 5|6"}},
		"no last line end":               {in: "a,b\n1,2", rows: []string{"1: 1|2"}},
		"byte order mark":                {in: "\uFEFFa,b\n1,2\n", rows: []string{"1: 1|2"}},
		"byte order mark and quotes":     {in: "\uFEFF\"a\",b\n1,2\n", rows: []string{"1: 1|2"}},
		"quoted header":                  {in: "\"a\",\"b\"\n1,2\n", rows: []string{"1: 1|2"}},
		"header only":                    {in: "a,b\n"},
		"header only without line end":   {in: "a,b"},
		"empty lines are no rows":        {in: "\n\na,b\n\n1,2\n\r\n\r\n3,4\n\n", rows: []string{"1: 1|2", "2: 3|4"}},
		"empty fields":                   {in: "a,b\n,\n\"\",x\n", rows: []string{"1: |", "2: |x"}},
		"quotes":                         {in: "a,b\n\"1\",\"x,y\"\n", rows: []string{"1: 1|x,y"}},
		"doubled quotes":                 {in: "a,b\n\"he said \"\"no\"\"\",\"\"\"\"\n", rows: []string{`1: he said "no"|"`}},
		"line ends in quotes":            {in: "a,b\n\"1\n2\",\"x\r\ny\"\n3,4\n", rows: []string{"1: 1\n2|x\r\ny", "2: 3|4"}},
		"quoted last field, no line end": {in: "a,b\n1,\"2\"", rows: []string{"1: 1|2"}},
		"other delimiter":                {in: "a;b\n1,5;2\n", o: Options{Delimiter: ';'}, rows: []string{"1: 1,5|2"}},
		"tab":                            {in: "a\tb\n1\t\"x\ty\"\n", o: Options{Delimiter: '\t'}, rows: []string{"1: 1|x\ty"}},
		"part of a file":                 {in: "5,6\n7\n", o: Options{Header: []string{"a", "b"}, FirstRow: 3}, rows: []string{"3: 5|6"}, bad: []table.BadRow{bad(4, "7", "1 field, the header has 2")}},
		"too few fields": {in: "a,b\n1\n3,4\n", rows: []string{"2: 3|4"},
			bad: []table.BadRow{bad(1, "1", "1 field, the header has 2")}},
		"too many fields": {in: "a,b\n1,2,3\n3,4\n", rows: []string{"2: 3|4"},
			bad: []table.BadRow{bad(1, "1,2,3", "3 fields, the header has 2")}},
		"wrong count over lines": {in: "a,b\n\"1\n2\n3\"\n4,5\n", rows: []string{"2: 4|5"},
			bad: []table.BadRow{bad(1, "\"1\n2\n3\"", "1 field, the header has 2 (the row spans 3 lines, since a quoted field holds line ends)")}},
		"quote in an unquoted field": {in: "a,b\n1,5\" pipe\n3,4\n", rows: []string{"2: 3|4"},
			bad: []table.BadRow{bad(1, `1,5" pipe`, `column "b": a quote inside a field that does not begin with one (at byte 7); put the field in quotes and double the quote`)}},
		"text after the closing quote": {in: "a,b\n\"x\"y,2\n3,4\n", rows: []string{"2: 3|4"},
			bad: []table.BadRow{bad(1, `"x"y,2`, `column "a": text after the closing quote (at byte 7); a quote inside a quoted field is written twice`)}},
		"quote after text after the closing quote": {in: "a,b\n\"x\"y\"z,2\n3,4\n", rows: []string{"2: 3|4"},
			bad: []table.BadRow{bad(1, `"x"y"z,2`, `column "a": text after the closing quote (at byte 7); a quote inside a quoted field is written twice`)}},
		"open quote at the end": {in: "a,b\n1,2\n3,\"x\n5,6\n", rows: []string{"1: 1|2"},
			bad: []table.BadRow{bad(2, "3,\"x\n5,6\n", "the quote that opens at byte 10 of the file is never closed; the 6 bytes after it belong to it")}},
		"open quote in a part": {in: "3,\"x", o: Options{Header: []string{"a", "b"}, FirstRow: 9, Offset: 1000},
			bad: []table.BadRow{bad(9, "3,\"x", "the quote that opens at byte 1002 of the file is never closed; the 1 bytes after it belong to it")}},
		"over the limit": {in: "a,b\n1,2\n" + strings.Repeat("x", 500) + ",y\n3,4\n", o: Options{RowLimit: 400}, rows: []string{"1: 1|2", "3: 3|4"},
			bad: []table.BadRow{bad(2, strings.Repeat("x", 79)+"…", "the row has 502 bytes, more than the limit of 400")}},
		"at the limit": {in: "a,b\n" + long + ",9\r\n", o: Options{RowLimit: 400}, rows: []string{"1: " + long + "|9"}},
		"one over it":  {in: "a,b\n" + long + ",99\r\n", o: Options{RowLimit: 400}, bad: []table.BadRow{bad(1, long[:79]+"…", "the row has 401 bytes, more than the limit of 400")}},
		"quoted and over the limit": {in: "a,b\n1,\"" + strings.Repeat("x\n", 250) + "\"\n3,4\n", o: Options{RowLimit: 400}, rows: []string{"2: 3|4"},
			bad: []table.BadRow{bad(1, "1,\""+strings.Repeat("x\n", 38)+"…", "the row has 504 bytes, more than the limit of 400")}},
		"open and over the limit": {in: "a,b\n1,\"" + strings.Repeat("x\n", 250), o: Options{RowLimit: 400},
			bad: []table.BadRow{bad(1, "1,\""+strings.Repeat("x\n", 38)+"…", "the quote that opens at byte 6 of the file is never closed; the 500 bytes after it belong to it")}},
		"NUL far from the begin": {in: "a,b\n" + strings.Repeat("1,2\n", 2500) + "3,\x00\n5,long text\n", rows: append(many(2500, "1|2"), "2502: 5|long text"),
			bad: []table.BadRow{bad(2501, "3,\x00", "a NUL byte: this is no text")}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, size := range []int{1, 2, 3, 7, 64, 0} {
				o := tc.o
				o.chunk = size
				got, err := readAll(strings.NewReader(tc.in), o)
				if err != nil {
					t.Fatalf("chunks of %d: %v", size, err)
				}
				want := &outcome{Header: []string{"a", "b"}, Rows: tc.rows, Bad: tc.bad}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("chunks of %d (-want +got):\n%s", size, diff)
				}
			}
		})
	}
}

func many(n int, text string) []string {
	rows := make([]string, n)
	for i := range rows {
		rows[i] = fmt.Sprintf("%d: %s", i+1, text)
	}
	return rows
}

func TestRefused(t *testing.T) {
	t.Parallel()
	utf16 := func(s string) string {
		var b strings.Builder
		for _, c := range []byte(s) {
			b.WriteByte(c)
			b.WriteByte(0)
		}
		return b.String()
	}
	for name, tc := range map[string]struct {
		in   string
		o    Options
		want string
	}{
		"empty":                    {in: "", want: "the file is empty: its first row must name the columns"},
		"only line ends":           {in: "\n\r\n", want: "the file is empty: its first row must name the columns"},
		"only a byte order mark":   {in: "\uFEFF", want: "the file is empty: its first row must name the columns"},
		"UTF-16 with mark":         {in: "\xFF\xFE" + utf16("a,b\n1,2\n"), want: "the file is UTF-16 text (little endian), not CSV: save it as CSV UTF-8"},
		"UTF-16 without mark":      {in: utf16("a,b\n1,2\n"), want: "the file is UTF-16 text (a NUL byte at offset 1), not CSV: save it as CSV UTF-8"},
		"binary":                   {in: "\x7fELF\x02\x01\x01\x00\x00\x00", want: "the file is binary data (a NUL byte at offset 7), not CSV: send CSV text in UTF-8"},
		"gzip":                     {in: "\x1f\x8b\x08\x00", want: "the file is gzip data, not CSV: upload it unpacked"},
		"Excel":                    {in: "PK\x03\x04\x14", want: "the file is a ZIP archive or an Excel workbook, not CSV: export it as CSV UTF-8"},
		"duplicate names":          {in: "a,b,a,c,b\n", want: `header: column 3: the name "a" stands at column 1 already; column 5: the name "b" stands at column 2 already`},
		"header not UTF-8":         {in: "a,caf\xe9\n", want: `header: column 2: the name "caf\xe9" is not UTF-8 text; save the file as CSV UTF-8`},
		"open quote in the header": {in: "a,\"b\n1,2\n", want: "header: the quote that opens at byte 2 of the file is never closed; the 6 bytes after it belong to it"},
		"header over the limit":    {in: strings.Repeat("x", 500), o: Options{RowLimit: 400}, want: "the header is longer than 400 bytes: is this a text file with line ends?"},
		"quote as delimiter":       {in: "a\n", o: Options{Delimiter: '"'}, want: `'"' cannot be a delimiter of fields: give one ASCII character such as , ; | or a tab`},
		"digit as delimiter":       {in: "a\n", o: Options{Delimiter: '7'}, want: `'7' cannot be a delimiter of fields: give one ASCII character such as , ; | or a tab`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.o.chunk = 16
			_, err := NewReader(strings.NewReader(tc.in), tc.o)
			if err == nil || err.Error() != tc.want {
				t.Errorf("error is %v, want %s", err, tc.want)
			}
			if kind := fault.KindOf(err); kind != fault.Invalid {
				t.Errorf("kind is %v, want invalid", kind)
			}
		})
	}
}

func TestHeaderThatIsTaken(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		in   string
		want []string
	}{
		"text that begins like bzip2":  {"BZh,b\n", []string{"BZh", "b"}},
		"columns without a name":       {",a,,\n", []string{"", "a", "", ""}},
		"doubled quotes":               {"\"a \"\"x\"\"\",b\n", []string{`a "x"`, "b"}},
		"delimiter and line in a name": {"\"a,1\",\"b\n2\"\n", []string{"a,1", "b\n2"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := NewReader(strings.NewReader(tc.in), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, r.Header()); diff != "" {
				t.Errorf("header (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStreamThatBreaks(t *testing.T) {
	t.Parallel()
	cause := errors.New("connection reset")
	text := "a,b\n1,2\n" + strings.Repeat("x", 500)
	for name, broken := range map[string]error{"an error": cause, "a short body": io.ErrUnexpectedEOF} {
		for at := range len(text) {
			src := io.MultiReader(strings.NewReader(text[:at]), iotest.ErrReader(broken))
			_, err := readAll(src, Options{RowLimit: 50, chunk: 16})
			if !errors.Is(err, broken) {
				t.Errorf("%s after %d bytes: error is %v", name, at, err)
			}
			if kind := fault.KindOf(err); kind != fault.Internal {
				t.Errorf("%s after %d bytes: kind is %v, want one that is tried again", name, at, kind)
			}
			_, err = Scan(io.MultiReader(strings.NewReader(text[:at]), iotest.ErrReader(broken)), Options{RowLimit: 50, chunk: 16}, 10)
			if !errors.Is(err, broken) {
				t.Errorf("%s after %d bytes: Scan's error is %v", name, at, err)
			}
		}
	}
}

// reference reads with encoding/csv; ok is false where it finds a fault.
func reference(in string) (rows [][]string, ok bool) {
	r := stdcsv.NewReader(strings.NewReader(in))
	r.FieldsPerRecord = -1
	rows, err := r.ReadAll()
	return rows, err == nil
}
