package feature

import (
	"fmt"
	"math"
	"testing"

	"github.com/millrace-ml/millrace/shared/manifest"
)

// plain is a contract of n numbers, the first expressions of which are computed.
func plain(tb testing.TB, n, expressions int) *Contract {
	tb.Helper()
	m := &manifest.Manifest{Inputs: []manifest.Input{{Name: "time", Type: manifest.Timestamp, Layouts: []string{"rfc3339"}}}}
	sources := []string{"log1p(x%d) + 1", "hour(time) * x%d", "x%d > 0.5 ? x%d : 0", "sin(x%d)"}
	for i := range n {
		name := fmt.Sprint("x", i)
		m.Inputs = append(m.Inputs, manifest.Input{Name: name, Type: manifest.Number})
		f := manifest.Feature{Name: name}
		if i < expressions {
			source := sources[i%len(sources)]
			f = manifest.Feature{Name: "f" + name, Expr: fmt.Sprintf(source, i)}
			if i%len(sources) == 2 {
				f.Expr = fmt.Sprintf(source, i, i)
			}
		}
		m.Features = append(m.Features, f)
	}
	c, err := New(m)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func filled(c *Contract, rows int) *Rows {
	r := c.NewRows()
	for i := range rows {
		row := r.Append()
		r.SetString(row, 0, []byte("2011-01-31T17:05:00Z"))
		for input := 1; input < len(c.inputs); input++ {
			r.SetNumber(row, input, math.Abs(math.Sin(float64(i*31+input))), nil)
		}
	}
	r.Finish()
	return r
}

// BenchmarkMatrix makes 28 features of 1,024 rows.
func BenchmarkMatrix(b *testing.B) {
	for _, expressions := range []int{0, 8} {
		b.Run(fmt.Sprintf("%d expressions", expressions), func(b *testing.B) {
			c := plain(b, 28, expressions)
			r := filled(c, 1024)
			dst := c.Matrix(r, nil)
			b.ReportAllocs()
			for b.Loop() {
				dst = c.Matrix(r, dst)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*1024), "ns/row")
		})
	}
}

// BenchmarkRow is one row of a request: 28 values set, checked and made features, over rows that rotate.
func BenchmarkRow(b *testing.B) {
	for _, expressions := range []int{0, 8} {
		b.Run(fmt.Sprintf("%d expressions", expressions), func(b *testing.B) {
			c := plain(b, 28, expressions)
			at, token := []byte("2011-01-31T17:05:00Z"), []byte("0.5")
			values := make([]float64, 4096)
			for i := range values {
				values[i] = math.Abs(math.Sin(float64(i)))
			}
			r := c.NewRows()
			dst, n := make([]float64, 0, 28), 0
			b.ReportAllocs()
			for b.Loop() {
				r.Reset()
				row := r.Append()
				r.SetString(row, 0, at)
				for input := 1; input <= 28; input++ {
					r.SetNumber(row, input, values[(n+input)%4096], token)
				}
				n++
				r.Finish()
				dst = c.Matrix(r, dst)
			}
		})
	}
}

// BenchmarkFill reads 28 numbers and a time of 1,024 rows of a file.
func BenchmarkFill(b *testing.B) {
	c := plain(b, 28, 0)
	names := []string{"time"}
	for i := range 28 {
		names = append(names, fmt.Sprint("x", i))
	}
	var rows [][]string
	for i := range 1024 {
		row := []string{"2011-01-31T17:05:00Z"}
		for j := range 28 {
			row = append(row, fmt.Sprintf("%.6g", math.Sin(float64(i*31+j))))
		}
		rows = append(rows, row)
	}
	blk := block(names, rows...)
	binding, r := bind(b, c, names), c.NewRows()
	binding.Fill(r, blk)
	b.ReportAllocs()
	for b.Loop() {
		binding.Fill(r, blk)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*1024), "ns/row")
}
