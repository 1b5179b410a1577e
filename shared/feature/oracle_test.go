package feature

import (
	"math"
	"testing"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"

	"github.com/millrace-ml/millrace/shared/manifest"
)

// runLibrary evaluates an expression on the row of monday with the library's own compiler and machine, our functions put in.
func runLibrary(source string) (any, error) {
	env := map[string]any{
		"time": time.Date(2011, 1, 31, 17, 5, 0, 0, time.UTC), "season": "spring", "weathersit": 3.0, "temp": 20.5, "windspeed": -7.0,
		"seats": 5.0, "holiday": true, "sepal length (cm)": 5.1, "origin": "fall", hidden + "%": remainder,
	}
	for _, f := range functions {
		switch {
		case f.takes == moment:
			env[hidden+f.name] = func(at time.Time) float64 { return f.unary(float64(at.Unix())) }
		case f.unary != nil:
			env[hidden+f.name] = f.unary
		default:
			env[hidden+f.name] = func(x float64, more ...float64) float64 {
				for _, y := range more {
					x = f.binary(x, y)
				}
				return x
			}
		}
	}
	program, err := expr.Compile(source, expr.Env(env), expr.DisableAllBuiltins(), expr.Patch(written{}))
	if err != nil {
		return nil, err
	}
	return expr.Run(program, env)
}

// written is asFloats with ranges written out, since the library's hold integers.
type written struct{ asFloats }

func (w written) Visit(node *ast.Node) {
	n, ok := (*node).(*ast.BinaryNode)
	if !ok || n.Operator != ".." {
		w.asFloats.Visit(node)
		return
	}
	array := &ast.ArrayNode{}
	for x := bound(n.Left); x <= bound(n.Right) && len(array.Nodes) < 100; x++ {
		array.Nodes = append(array.Nodes, &ast.FloatNode{Value: x})
	}
	ast.Patch(node, array)
}

func bound(n ast.Node) float64 {
	switch n := n.(type) {
	case *ast.FloatNode:
		return n.Value
	case *ast.UnaryNode:
		if n.Operator == "-" {
			return -bound(n.Node)
		}
		return bound(n.Node)
	}
	return math.NaN() // a range of nothing
}

// FuzzExpr: no source makes the compiler panic, and where ours gives a value the library gives the same.
func FuzzExpr(f *testing.F) {
	for _, source := range []string{
		"hour(time) + 1", `season == "spring" ? temp : -windspeed`, "6 <= hour(time) < 18 and not holiday", "temp in [1, 2.5] or seats in 1..5",
		"min(1, temp, 3) ** 2 % 7 / 0", "log1p(abs(windspeed)) - exp(0.5)", "weathersit != 4.5", `$env["sepal length (cm)"] * 2`, "temp | max(30)",
		"(0 < (0 < temp < 1 ? 1 : 0) < 1 ? 1 : 0)", "if holiday {season} else {origin}", "let x = 1; x", "filter([1], # > 0)", "a?.b[1:2]", "\"\\u00e9\" ?? nil",
	} {
		f.Add(source)
	}
	f.Fuzz(func(t *testing.T, source string) {
		if source == "" {
			return
		}
		c, err := New(&manifest.Manifest{Inputs: weather(), Features: []manifest.Feature{expression(source)}})
		if err != nil {
			return
		}
		r := c.NewRows()
		for range blockRows + 2 { // more than one block, with nulls between
			monday(r)
			allNull(r)
		}
		r.Finish()
		got := c.Matrix(r, nil)
		for i, v := range got {
			if math.Float64bits(v) != math.Float64bits(got[i%2]) && v == v {
				t.Fatalf("%q: row %d is %v, row %d is %v", source, i, v, i%2, got[i%2])
			}
		}
		if got[0] != got[0] {
			return // the library knows no null
		}
		theirs, err := runLibrary(source)
		if err != nil {
			t.Fatalf("%q: we take it, the library says %v", source, err)
		}
		switch v := theirs.(type) {
		case float64:
			if ulps(got[0], v) > 1<<12 && !(got[0] == 0 && v == 0) { // its power is math's
				t.Errorf("%q = %v, the library has %v", source, got[0], v)
			}
		case bool:
			if got[0] != truth(v) {
				t.Errorf("%q = %v, the library has %v", source, got[0], v)
			}
		}
	})
}

// TestLibraryHasTheLastWord: the library's checker is asked too, though our own rules come first.
func TestLibraryHasTheLastWord(t *testing.T) {
	t.Parallel()
	b := newBuilder(contract(t))
	for _, source := range []string{"temp + season", "hour(temp)", "tmep", "log(1, 2)", "holiday % 2", "temp ? 1 : 2", "season in [1]", "1 +"} {
		if err := b.crossCheck(source); err == nil {
			t.Errorf("it takes %q", source)
		}
	}
	if err := b.crossCheck("0 < hour(time) < 5 and seats % 2 in 0..1"); err != nil {
		t.Error(err)
	}
}
