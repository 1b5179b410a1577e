package feature

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/millrace-ml/millrace/shared/manifest"
	"github.com/millrace-ml/millrace/shared/table"
)

// FuzzRows sets whatever comes, as a request and as a file, and holds what every user of Rows relies on.
func FuzzRows(f *testing.F) {
	f.Add([]byte("2011-01-31T17:05:00Z\nspring\n3\n20.5\n-7\n5\ntrue\n5.1\nfall"))
	f.Add([]byte("1/31/2011 17:05\nsprnig\n4.50\n1e400\n\n9007199254740993\n1\n\x00\nNA"))
	f.Add([]byte("\xff\n\n\n\n\n\n\n\n\n-\n+\n.\n0x1\n1_0"))
	c := contract(f, manifest.Feature{Name: "season"}, manifest.Feature{Name: "weathersit"}, manifest.Feature{Name: "temp"},
		manifest.Feature{Name: "seats"}, manifest.Feature{Name: "holiday"}, expression("hour(time) * dayofyear(time)"))
	binding := bind(f, c, header())
	f.Fuzz(func(t *testing.T, data []byte) {
		width := len(c.Inputs())
		fields := bytes.Split(data, []byte("\n"))
		request, file := c.NewRows(), c.NewRows()
		blk := &table.Block{}
		blk.Reset(header())
		for len(fields) >= width {
			row := request.Append()
			blk.Columns[0].Append(nil)
			for input, text := range fields[:width] {
				blk.Columns[input+1].Append(text)
				setAny(request, row, input, text)
			}
			blk.Rows++
			fields = fields[width:]
		}
		request.Finish()
		binding.Fill(file, blk)
		for _, r := range []*Rows{request, file} {
			checkRows(t, c, r)
		}
		// What a request takes as a number, a file takes as the same number.
		for row := range request.Len() {
			for _, input := range []int{inTemp, inSeats} {
				a, b := request.cols[input][row], file.cols[input][row]
				if !request.Bad(row) && !file.Bad(row) && math.Float64bits(a) != math.Float64bits(b) {
					t.Errorf("row %d, input %d: the request has %v, the file %v", row, input, a, b)
				}
			}
		}
	})
}

// FuzzDecimal compares with strconv, which takes more notations but no other value.
func FuzzDecimal(f *testing.F) {
	for _, text := range []string{"0.1", "-0", "9007199254740993", "123456789.0123456789", "1e-7", ".5", "5.", "+1", "1.7976931348623159e308", "00000000000000000001", "0x1p-2", "1_0", "."} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := parseDecimal([]byte(text))
		want, err := strconv.ParseFloat(text, 64)
		if ok && (err != nil && !math.IsInf(want, 0) || math.Float64bits(got) != math.Float64bits(want)) {
			t.Errorf("%q reads as %v, strconv has %v, %v", text, got, want, err)
		}
		if !ok && err == nil && len(text) < 1000 && !strings.ContainsAny(text, "xXpP_iInN") {
			t.Errorf("%q is refused, strconv has %v", text, want)
		}
	})
}

// setAny sets a text as a decoder would: by its look, not by what the input wants.
func setAny(r *Rows, row, input int, text []byte) {
	v, isNumber := parseDecimal(text)
	switch {
	case string(text) == "null":
		r.SetNull(row, input)
	case string(text) == "true" || string(text) == "false":
		r.SetBool(row, input, text[0] == 't')
	case isNumber:
		r.SetNumber(row, input, v, text)
	case len(text) == 0: // absent
	case text[0] == '{':
		r.SetOther(row, input, "an object")
	default:
		r.SetString(row, input, text)
	}
}

func checkRows(t *testing.T, c *Contract, r *Rows) {
	bad := map[int]bool{}
	for i, p := range r.Problems() {
		bad[p.Row] = true
		if p.Row < 0 || p.Row >= r.Len() || p.Code == "" || p.Expected == "" || len([]rune(p.Got)) > 10*maxGot {
			t.Fatalf("problem %d is %+v", i, p)
		}
		if i > 0 && p.Row < r.Problems()[i-1].Row {
			t.Fatalf("problem %d is out of order", i)
		}
		for _, b := range []byte(p.Got) {
			if b < ' ' || b == 0x7f {
				t.Fatalf("problem %d repeats a control character: %q", i, p.Got)
			}
		}
	}
	count := 0
	for row := range r.Len() {
		if r.Bad(row) {
			count++
		}
		if r.ProblemCount() <= MaxProblems && r.Bad(row) != bad[row] {
			t.Fatalf("row %d: bad is %v, its problems say %v", row, r.Bad(row), bad[row])
		}
	}
	if count != r.BadRows() || r.ProblemCount() < len(r.Problems()) {
		t.Fatalf("%d bad rows, BadRows says %d; %d problems kept of %d", count, r.BadRows(), len(r.Problems()), r.ProblemCount())
	}
	matrix := c.Matrix(r, nil)
	for row := range r.Len() {
		x := matrix[row*c.Width() : (row+1)*c.Width()]
		switch {
		case r.Bad(row):
		case x[0] != 0 && x[0] != 1 && x[0] != 2 && x[0] != 3:
			t.Fatalf("row %d: the season is %v", row, x[0])
		case !(x[2] >= -50 && x[2] <= 60) || x[3] != math.Floor(x[3]) || (x[4] != 0 && x[4] != 1):
			t.Fatalf("row %d breaks the contract and is not bad: %v", row, x)
		}
	}
}
