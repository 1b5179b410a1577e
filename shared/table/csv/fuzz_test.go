package csv

import (
	"bytes"
	stdcsv "encoding/csv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var seeds = []string{
	"a,b\n1,2\n3,4\n", "a,b\r\n1,\"2\r\n3\"\r\n", "a\rb\r\"c\r", "a,b\n\"x\"\"y\",\"\n\n\"\n5,6", "a,b\n\"\",\"\"\"\"\n",
	"a,b\nx\"y,\"z\"w\"\n\"open,\n1,2\n", "a\n\n\"\"\n\n1\n", "\uFEFFa,b\n1,2", "a,b\n\"1\"x\"y\n,\"\n",
}

// checkShards reads a file whole and shard by shard, in chunks that break it anywhere.
func checkShards(t interface{ Fatalf(string, ...any) }, in string, shardBytes, chunk, limit int) {
	o := Options{RowLimit: limit, chunk: chunk, BlockRows: 3}
	whole, err := readAll(strings.NewReader(in), o)
	index, scanErr := Scan(strings.NewReader(in), o, int64(shardBytes))
	if err != nil || scanErr != nil {
		if err == nil || scanErr == nil || err.Error() != scanErr.Error() {
			t.Fatalf("reading says %v, scanning %v", err, scanErr)
		}
		return
	}
	if rows := int64(len(whole.Rows) + len(whole.Bad)); index.Rows != rows || index.Bytes != int64(len(in)) {
		t.Fatalf("scan found %d rows and %d bytes, want %d and %d", index.Rows, index.Bytes, rows, len(in))
	}
	parts := &outcome{Header: whole.Header}
	next := int64(1)
	for _, s := range index.Shards {
		if s.FirstRow != next || s.Rows == 0 {
			t.Fatalf("shard %+v does not begin at row %d or is empty", s, next)
		}
		next += s.Rows
		o := Options{Header: index.Header, FirstRow: s.FirstRow, Offset: s.Offset, RowLimit: limit, chunk: chunk + 1}
		part, err := readAll(strings.NewReader(in[s.Offset:s.Offset+s.Length]), o)
		if err != nil {
			t.Fatalf("shard %+v: %v", s, err)
		}
		if rows := int64(len(part.Rows) + len(part.Bad)); rows != s.Rows {
			t.Fatalf("shard %+v has %d rows", s, rows)
		}
		parts.Rows, parts.Bad = append(parts.Rows, part.Rows...), append(parts.Bad, part.Bad...)
	}
	if diff := cmp.Diff(whole, parts); diff != "" {
		t.Fatalf("shards against the whole (-whole +shards):\n%s", diff)
	}
	if open := len(whole.Bad) > 0 && strings.Contains(whole.Bad[len(whole.Bad)-1].Reason, "never closed"); open != (index.Open != nil) {
		t.Fatalf("reading saw an open quote: %v, scanning: %+v", open, index.Open)
	}
}

func FuzzShards(f *testing.F) {
	for _, s := range seeds {
		f.Add(s, uint8(4), uint8(2), uint8(20))
	}
	f.Fuzz(func(t *testing.T, in string, shardBytes, chunk, limit uint8) {
		checkShards(t, in, int(shardBytes), int(chunk)+1, int(limit)+324)
	})
}

// fileText makes files dense in what matters.
func fileText() *rapid.Generator[string] {
	piece := rapid.SampledFrom([]string{"\"", "\"", "\"\"", ",", ",", "\n", "\n", "\r\n", "\r", "x", "12.5", strings.Repeat("long text ", 35), "\x00", "é", " "})
	return rapid.Custom(func(t *rapid.T) string {
		return "a,b\n" + strings.Join(rapid.SliceOfN(piece, 0, 60).Draw(t, "pieces"), "")
	})
}

func TestShardsAreTheWhole(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := strings.ReplaceAll(fileText().Draw(t, "file"), "\x00", "")
		checkShards(t, in, rapid.IntRange(1, 60).Draw(t, "shard"), rapid.IntRange(1, 40).Draw(t, "chunk"), rapid.IntRange(324, 400).Draw(t, "limit"))
	})
}

func FuzzReader(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(checkReference)
}

// checkReference: where encoding/csv reads a file, we read the same; where it finds a fault, we find bad rows or refuse.
// Known differences, kept out: it drops the CR of CRLF inside quotes and takes a lone CR for text.
func checkReference(t *testing.T, in string) {
	if strings.ContainsAny(in, "\r\x00") || strings.HasPrefix(in, "\uFEFF") {
		return
	}
	rows, ok := reference(in)
	got, err := readAll(strings.NewReader(in), Options{})
	if !ok {
		if err == nil && len(got.Bad) == 0 {
			t.Fatalf("encoding/csv finds a fault, we read %+v", got)
		}
		return
	}
	if err != nil {
		return // refused for its header or as foreign
	}
	var want []string
	i := 0
	for n, row := range rows[1:] {
		if len(row) == len(rows[0]) {
			want = append(want, strings.Join(row, "|"))
			continue
		}
		if i >= len(got.Bad) || got.Bad[i].Row != int64(n+1) {
			t.Fatalf("row %d has %d fields and is not among the bad rows %+v", n+1, len(row), got.Bad)
		}
		i++
	}
	for i := range got.Rows {
		_, got.Rows[i], _ = strings.Cut(got.Rows[i], ": ")
	}
	if diff := cmp.Diff(rows[0], got.Header); diff != "" {
		t.Fatalf("header (-encoding/csv +ours):\n%s", diff)
	}
	if diff := cmp.Diff(want, got.Rows); diff != "" || i != len(got.Bad) {
		t.Fatalf("rows (-encoding/csv +ours):\n%s\nbad: %+v", diff, got.Bad)
	}
}

func TestAsEncodingCSV(t *testing.T) {
	t.Parallel()
	t.Run("files of any pieces", func(t *testing.T) {
		t.Parallel()
		rapid.Check(t, func(rt *rapid.T) { checkReference(t, fileText().Draw(rt, "file")) })
	})
	t.Run("files that it wrote, CRLF too", func(t *testing.T) {
		t.Parallel()
		rapid.Check(t, func(rt *rapid.T) {
			field := rapid.StringMatching(`[ab1 ,"\n|é]{0,12}`)
			rows := rapid.SliceOfN(rapid.SliceOfN(field, 3, 3), 1, 20).Draw(rt, "rows")
			for _, crlf := range []bool{false, true} {
				var buf bytes.Buffer
				w := stdcsv.NewWriter(&buf)
				w.UseCRLF = crlf
				if err := w.WriteAll(append([][]string{{"x", "y", "z"}}, rows...)); err != nil {
					rt.Fatal(err)
				}
				got, err := readAll(&buf, Options{})
				if err != nil || len(got.Bad) > 0 || len(got.Rows) != len(rows) {
					rt.Fatalf("wrote %d rows, read %+v, %v", len(rows), got, err)
				}
				for i, row := range rows {
					_, text, _ := strings.Cut(got.Rows[i], ": ")
					if want := strings.Join(row, "|"); strings.ReplaceAll(text, "\r\n", "\n") != want {
						rt.Fatalf("row %d is %q, want %q", i+1, text, want)
					}
				}
			}
		})
	})
}
