package feature

import (
	"strings"
	"testing"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/manifest"
)

func TestNewReportsAll(t *testing.T) {
	t.Parallel()
	inputs := weather()
	inputs[inSeats].Default = ptr(manifest.TextValue("four"))
	_, err := New(&manifest.Manifest{Inputs: inputs, Features: []manifest.Feature{
		{Name: "temp"}, {Name: "tmep"}, {Name: "time"}, {Name: "h", Expr: "hour(temp)"}, {Name: "ok", Expr: "hour(time)"},
	}})
	want := strings.Join([]string{
		`input "seats": default: got "four", expected a whole number`,
		`feature "tmep": is no input; did you mean "temp"?`,
		`feature "time": is a timestamp, which is no number: take a part of it, such as hour(time)`,
		`feature "h": hour takes a timestamp, not a number at character 6 of "hour(temp)"`,
	}, "\n")
	if err == nil || err.Error() != want || fault.KindOf(err) != fault.Invalid {
		t.Errorf("got %v (%s)\nwant %s", err, fault.KindOf(err), want)
	}
}

// TestNestedChains: a chain of comparisons stands in the syntax tree with its middle part twice, so nesting doubles.
func TestNestedChains(t *testing.T) {
	t.Parallel()
	source := "temp"
	for range 60 {
		source = "(0 < " + source + " < 1 ? 1 : 0)"
	}
	_, err := New(&manifest.Manifest{Inputs: weather(), Features: []manifest.Feature{expression(source)}})
	if err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("got %v", err)
	}
	deep := strings.Repeat("(", 2000) + "temp" + strings.Repeat(")", 2000)
	if _, err := New(&manifest.Manifest{Inputs: weather(), Features: []manifest.Feature{expression(deep)}}); err != nil {
		t.Errorf("parentheses: %v", err)
	}
}

func TestNamesOfFunctionsAndKeywords(t *testing.T) {
	t.Parallel()
	c, err := New(&manifest.Manifest{
		Inputs: []manifest.Input{
			{Name: "hour", Type: manifest.Timestamp, Layouts: []string{"rfc3339"}}, {Name: "sum", Type: manifest.Number}, {Name: "in", Type: manifest.Number},
		},
		Features: []manifest.Feature{{Name: "a", Expr: "hour(hour)"}, {Name: "b", Expr: `sum + $env["in"]`}},
	})
	if err != nil {
		t.Fatal(err)
	}
	r := c.NewRows()
	r.Append()
	r.SetString(0, 0, []byte("2011-01-31T17:05:00Z"))
	r.SetNumber(0, 1, 1, nil)
	r.SetNumber(0, 2, 2, nil)
	r.Finish()
	if got := c.Matrix(r, nil); got[0] != 17 || got[1] != 3 {
		t.Errorf("got %v, want 17 and 3", got)
	}
}

func TestSharedPartsAreComputedOnce(t *testing.T) {
	t.Parallel()
	c := contract(t,
		manifest.Feature{Name: "a", Expr: "hour(time) + 1"}, manifest.Feature{Name: "b", Expr: "(hour(time) + 1) * 2"},
		manifest.Feature{Name: "c", Expr: "hour(time) in [1, 2]"}, manifest.Feature{Name: "d", Expr: "hour(time) in [1, 3]"},
		manifest.Feature{Name: "e", Expr: "hour(time) in 1..2"}, manifest.Feature{Name: "f", Expr: "hour(time) in 1..3"})
	if n := len(c.program.ops); n != 7 { // hour, +, *, in, in, range, range
		t.Errorf("the program has %d operations, want 7", n)
	}
}
