package csv

import (
	"io"
	"runtime"
	"strings"
	"testing"
)

// endless gives n times the same byte.
type endless struct {
	c byte
	n int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.n == 0 {
		return 0, io.EOF
	}
	n := min(len(p), e.n)
	for i := range n {
		p[i] = e.c
	}
	e.n -= n
	return n, nil
}

// TestMemoryIsConstant is not parallel: it counts the allocations of the whole process.
func TestMemoryIsConstant(t *testing.T) {
	const size = 100 << 20
	const part = 16 << 20 // of what is slow under the race detector
	long := func(c byte, open string, n int) io.Reader {
		return io.MultiReader(strings.NewReader("a,b\n1,2\n"+open), &endless{c: c, n: n}, strings.NewReader("\n3,4\n"))
	}
	rows := func() io.Reader {
		return io.MultiReader(strings.NewReader("a,b\n"), &repeated{text: "12.5,some text\n", n: part / 15})
	}
	for name, tc := range map[string]struct {
		src  func() io.Reader
		rows int64 // 0 = many
		bad  string
	}{
		"one line of 100 MiB":    {func() io.Reader { return long('x', "", size) }, 3, "the row has 104857600 bytes, more than the limit of 1048576"},
		"a quote and 100 MiB":    {func() io.Reader { return long('x', `"`, size) }, 2, "the quote that opens at byte 8 of the file is never closed; the 104857605 bytes after it belong to it"},
		"one line of delimiters": {func() io.Reader { return long(',', "", part) }, 3, "the row has 16777216 bytes, more than the limit of 1048576"},
		"a line of quotes":       {func() io.Reader { return long('"', "", part) }, 3, "the row has 16777216 bytes, more than the limit of 1048576"},
		"short rows":             {rows, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			var total int64
			var reason string
			r, err := NewReader(tc.src(), Options{})
			if err != nil {
				t.Fatal(err)
			}
			count(t, r, func(rows int64, bad string) { total += rows; reason += bad })
			index, err := Scan(tc.src(), Options{}, 64<<20)
			if err != nil {
				t.Fatal(err)
			}
			runtime.ReadMemStats(&after)
			if tc.rows > 0 && total != tc.rows || index.Rows != total || reason != tc.bad {
				t.Errorf("read %d rows, scanned %d, want %d; bad: %s, want %s", total, index.Rows, tc.rows, reason, tc.bad)
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 48<<20 {
				t.Errorf("reading and scanning allocated %d MiB in all", used>>20)
			}
		})
	}
}
