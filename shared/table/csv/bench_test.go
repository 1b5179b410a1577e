package csv

import (
	"bytes"
	stdcsv "encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/millrace-ml/millrace/shared/table"
)

// repeated gives a text n times.
type repeated struct {
	text string
	n    int
	rest string
}

func (r *repeated) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if r.rest == "" {
			if r.n == 0 {
				break
			}
			r.n--
			r.rest = r.text
		}
		k := copy(p[n:], r.rest)
		r.rest = r.rest[k:]
		n += k
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func count(t testing.TB, r *Reader, add func(rows int64, bad string)) {
	t.Helper()
	var b table.Block
	for {
		err := r.Next(&b)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		bad := ""
		for _, row := range b.Bad {
			bad += row.Reason
		}
		add(int64(b.Rows+len(b.Bad)), bad)
	}
}

// numbers is rows like those of flights and bikes: 16 columns of short numbers and codes, one in quotes if asked.
func numbers(rows int, quotes bool) []byte {
	rng := rand.New(rand.NewPCG(1, 2))
	var buf bytes.Buffer
	for i := range 16 {
		fmt.Fprintf(&buf, "%scolumn_%d", map[bool]string{true: ","}[i > 0], i)
	}
	for i := range rows {
		fmt.Fprintf(&buf, "\n%d,2012-%02d-%02d", i, rng.IntN(12)+1, rng.IntN(28)+1)
		for range 12 {
			fmt.Fprintf(&buf, ",%.4g", rng.NormFloat64())
		}
		if quotes {
			fmt.Fprintf(&buf, `,"clear, ""cold""","x"`)
		} else {
			buf.WriteString(",winter,clear")
		}
	}
	return buf.Bytes()
}

func BenchmarkRead(b *testing.B) {
	for _, kind := range []string{"plain", "quoted"} {
		data := numbers(100_000, kind == "quoted")
		b.Run("ours/"+kind, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				r, err := NewReader(bytes.NewReader(data), Options{})
				if err != nil {
					b.Fatal(err)
				}
				count(b, r, func(int64, string) {})
			}
		})
		b.Run("encoding-csv/"+kind, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				r := stdcsv.NewReader(bytes.NewReader(data))
				r.ReuseRecord = true
				for {
					if _, err := r.Read(); errors.Is(err, io.EOF) {
						break
					} else if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
		b.Run("scan/"+kind, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if _, err := Scan(bytes.NewReader(data), Options{}, 1<<20); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkWrite(b *testing.B) {
	w, err := NewWriter(io.Discard, 0)
	if err != nil {
		b.Fatal(err)
	}
	values := make([]float64, 4096)
	for i := range values {
		values[i] = rand.ExpFloat64() * 100
	}
	i := 0
	for b.Loop() {
		w.String("2012-01-01")
		w.Int(int64(i))
		w.Float(values[i&4095])
		w.String("2011")
		w.EndRow()
		i++
	}
}
