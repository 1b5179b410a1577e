package csv

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestWriter(t *testing.T) {
	t.Parallel()
	var buf bytes.Buffer
	w, err := NewWriter(&buf, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"plain", "a,b", `say "x"`, "two\nlines", "cr\r", " edge", ""} {
		w.String(s)
	}
	w.Int(math.MinInt64)
	w.Float(0.1)
	w.Float(float64(float32(0.1)))
	w.Float(1e300)
	w.EndRow()
	w.String("")
	w.EndRow()
	w.String("")
	w.String("")
	w.EndRow()
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	want := "plain,\"a,b\",\"say \"\"x\"\"\",\"two\nlines\",\"cr\r\",\" edge\",,-9223372036854775808,0.1,0.10000000149011612,1e+300\n\"\"\n,\n"
	if buf.String() != want {
		t.Errorf("wrote %q\nwant  %q", buf.String(), want)
	}
}

func TestWriterIsReadBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		delimiter := rapid.SampledFrom([]byte{',', ';', '\t', '|', ' '}).Draw(t, "delimiter")
		columns := rapid.IntRange(1, 4).Draw(t, "columns")
		field := rapid.StringMatching(`[ab ,;|"\n\r\té]{0,10}`)
		rows := rapid.SliceOfN(rapid.SliceOfN(field, columns, columns), 0, 20).Draw(t, "rows")
		var buf bytes.Buffer
		w, err := NewWriter(&buf, delimiter)
		if err != nil {
			t.Fatal(err)
		}
		for i := range columns {
			w.String(string(rune('a' + i)))
		}
		w.EndRow()
		for _, row := range rows {
			for _, s := range row {
				w.String(s)
			}
			w.EndRow()
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		got, err := readAll(&buf, Options{Delimiter: delimiter})
		if err != nil || len(got.Bad) > 0 || len(got.Rows) != len(rows) {
			t.Fatalf("wrote %q, read %+v, %v", rows, got, err)
		}
		for i, row := range rows {
			if _, text, _ := strings.Cut(got.Rows[i], ": "); text != strings.Join(row, "|") {
				t.Fatalf("row %d is %q, want %q", i+1, text, row)
			}
		}
	})
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestWriterKeepsTheError(t *testing.T) {
	t.Parallel()
	w, err := NewWriter(fullDisk{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for range 100_000 {
		w.String("x")
		w.EndRow()
	}
	if err := w.Flush(); err == nil || err.Error() != "disk full" {
		t.Errorf("Flush says %v, want disk full", err)
	}
}
