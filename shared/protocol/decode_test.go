package protocol

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/feature"
	"github.com/millrace-ml/millrace/shared/manifest"
)

func contract(t testing.TB) *feature.Contract {
	t.Helper()
	lowest := 0.0
	c, err := feature.New(&manifest.Manifest{
		Inputs: []manifest.Input{
			{Name: "age", Type: manifest.Number, Min: &lowest}, {Name: "a/b", Type: manifest.Number, Nullable: true}, {Name: "hat_size", Type: manifest.Number, Nullable: true},
		},
		Features: []manifest.Feature{{Name: "age"}, {Name: "a/b"}, {Name: "hat_size"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// decode gives the matrix, or the error.
func decode(t testing.TB, body string) ([]float64, Form, error) {
	t.Helper()
	c := contract(t)
	rows := c.NewRows()
	var d Decoder
	form, err := d.Decode([]byte(body), c, rows, 100)
	if err != nil {
		return nil, 0, err
	}
	return c.Matrix(rows, nil), form, nil
}

func TestDecode(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	for name, tc := range map[string]struct {
		body string
		want []float64
		form Form
	}{
		"objects, absent and null are missing":       {`{"instances":[{"age":1,"a/b":null},{"age":2.5e0,"hat_size":-0}]}`, []float64{1, nan, nan, 2.5, nan, math.Copysign(0, -1)}, Rows},
		"inputs as a list is rows":                   {`{"inputs":[[1,2,3]]}`, []float64{1, 2, 3}, Rows},
		"bare NaN":                                   {`{"instances":[[1,NaN,3]]}`, []float64{1, nan, 3}, Rows},
		"a row as a list of single objects":          {`{"inputs":[[{"age":5},{"hat_size":7}]]}`, []float64{5, nan, 7}, Rows},
		"one-element lists are values":               {`{"inputs":[{"age":[5],"a/b":[6]}]}`, []float64{5, 6, nan}, Rows},
		"columns":                                    {`{"inputs":{"hat_size":[1,2],"age":[3,4]}}`, []float64{3, nan, 1, 4, nan, 2}, Columns},
		"columns of one value":                       {`{"inputs":{"age":3}}`, []float64{3, nan, nan}, Columns},
		"payload with names as the predecessor read": {`{"payload":{"age":[3],"hat size":[4]}}`, []float64{3, nan, 4}, Payload},
		"payload by index, other order":              {`{"payload":{"age":{"x":3,"y":4},"hat_size":{"y":6,"x":5}}}`, []float64{3, nan, 5, 4, nan, 6}, Payload},
		"escaped names":                              {`{"\u0069nstances":[{"\u0061ge":1,"a\/b":2}]}`, []float64{1, 2, nan}, Rows},
		"tolerated keys, any order, white space":     {" {\"parameters\" : {\"a\":[[]]},\n\"id\":\"7\", \"instances\":[ [ 1 , 2 , 3 ] ] } ", []float64{1, 2, 3}, Rows},
		"none":                                       {`{"instances":[]}`, []float64{}, Rows},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, form, err := decode(t, tc.body)
			if err != nil || form != tc.form {
				t.Fatalf("Decode: form %v, %v", form, err)
			}
			if !cmp.Equal(tc.want, got, cmp.Comparer(func(a, b float64) bool {
				return a != a && b != b || math.Float64bits(a) == math.Float64bits(b)
			})) && len(tc.want)+len(got) > 0 {
				t.Errorf("matrix %v, want %v", got, tc.want)
			}
		})
	}
}

func TestDecodeProblems(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		body    string
		want    []string // pointer code
		message string
	}{
		"place in rows":          {`{"instances":[[1,2,3],{"age":-1,"a/b":"x"}]}`, []string{"/instances/1/age range", "/instances/1/a~1b type"}, `instances[1].age: got -1, expected a number of at least 0 (and 1 more)`},
		"place in columns":       {`{"inputs":{"age":[1,-1],"a/b":[1,true]}}`, []string{"/inputs/age/1 range", "/inputs/a~1b/1 type"}, ""},
		"a missing column, once": {`{"inputs":{"a/b":[1,2,3]}}`, []string{"/inputs/age missing"}, `inputs.age: missing, expected a number of at least 0`},
		"a short column":         {`{"inputs":{"age":[1,2,3],"a/b":[1]}}`, []string{"/inputs/a~1b length"}, ""},
		"a long column":          {`{"inputs":{"a/b":[1],"age":[1,2,3]}}`, []string{"/inputs/age length"}, ""},
		"a column twice":         {`{"inputs":{"age":[1],"age":[2]}}`, []string{"/inputs/age duplicate"}, ""},
		"an unknown column":      {`{"inputs":{"age":[1],"agee":[2]}}`, []string{"/inputs/agee unknown"}, `inputs.agee: got "agee", expected an input of the model; did you mean "age"?`},
		"a short row":            {`{"instances":[[1,2]]}`, []string{"/instances/0 length"}, `instances[0]: got 2 values, expected 3 values in the order age, a/b, hat_size`},
		"a long row":             {`{"instances":[[1,2,3,4]]}`, []string{"/instances/0 length"}, ""},
		"a row that is a number": {`{"instances":[7]}`, []string{"/instances/0 type"}, ""},
		"an unknown key":         {`{"instance":[[1,2,3]]}`, []string{"/instance unknown"}, ""},
		"instances as columns":   {`{"instances":{"age":[1]}}`, []string{"/instances type"}, ""},
		"an index of no row":     {`{"payload":{"age":{"x":3},"a/b":{"y":1}}}`, []string{"/payload/a~1b/y index", "/payload/a~1b length"}, ""},
		"several values":         {`{"instances":[{"age":[1,2]}]}`, []string{"/instances/0/age type"}, ""},
		"an input twice":         {`{"instances":[{"age":1,"age":2}]}`, []string{"/instances/0/age duplicate"}, ""},
		"a key twice":            {`{"instances":[[1,2,3]],"id":"a","id":"b"}`, []string{"/id duplicate"}, ""},
		"a nested object":        {`{"instances":[{"age":{"b64":"eA=="}}]}`, []string{"/instances/0/age type"}, ""},
		"infinite":               {`{"instances":[[Infinity,-Infinity,1e999]]}`, []string{"/instances/0/age range", "/instances/0/a~1b range", "/instances/0/hat_size range"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := decode(t, tc.body)
			if fault.KindOf(err) != fault.Invalid {
				t.Fatalf("Decode: %v, want an invalid fault", err)
			}
			var got []string
			for _, p := range fault.Public(err).Problems {
				got = append(got, p.Pointer+" "+p.Code)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if tc.message != "" && fault.Public(err).Message != tc.message {
				t.Errorf("message %q, want %q", fault.Public(err).Message, tc.message)
			}
		})
	}
}

func TestDepth(t *testing.T) {
	t.Parallel()
	nested := func(n int) string {
		return `{"instances":[],"parameters":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`
	}
	if _, _, err := decode(t, nested(maxDepth-1)); err != nil {
		t.Errorf("%d levels: %v", maxDepth, err)
	}
	if _, _, err := decode(t, nested(maxDepth)); err == nil || !strings.Contains(err.Error(), "nested deeper than 8 levels") {
		t.Errorf("%d levels: %v", maxDepth+1, err)
	}
}

func TestProblemsAreCountedBeyondTheList(t *testing.T) {
	t.Parallel()
	_, _, err := decode(t, `{"instances":[`+strings.Repeat(`{"x":1,"y":2,"age":1},`, 99)+`{"age":1}]}`)
	p := fault.Public(err)
	if len(p.Problems) != maxProblems || !strings.HasSuffix(p.Message, "(and 197 more)") {
		t.Errorf("%d problems listed, message %q", len(p.Problems), p.Message)
	}
}

// The limits hold before memory is taken, whatever the body's size.
func TestBombs(t *testing.T) {
	c := contract(t)
	rows := c.NewRows()
	var d Decoder
	for name, body := range map[string][]byte{
		"lists":        []byte(`{"instances":[` + strings.Repeat("[],", 11<<20) + `[]]}`),
		"columns":      []byte(`{"inputs":{"age":[` + strings.Repeat("1,", 16<<20) + `1]}}`),
		"unknown keys": []byte(`{"instances":[{` + strings.Repeat(`"x":1,`, 5<<20) + `"y":1}]}`),
		"top keys":     []byte(`{` + strings.Repeat(`"x":1,`, 5<<20) + `"y":1}`),
		"one string":   []byte(`{"instances":["` + strings.Repeat("x", 32<<20) + `"]}`),
		"depth":        []byte(`{"parameters":` + strings.Repeat("[", 32<<20)),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := d.Decode(body, c, rows, 10000)
		runtime.ReadMemStats(&after)
		if k := fault.KindOf(err); k != fault.Invalid && k != fault.TooLarge {
			t.Errorf("%s: %v", name, err)
		}
		if cost := after.TotalAlloc - before.TotalAlloc; cost > 64<<20 {
			t.Errorf("%s: %d bytes allocated for a body of %d", name, cost, len(body))
		}
	}
}

func TestSteadyRequestsDoNotAllocatePerRow(t *testing.T) {
	c := contract(t)
	rows := c.NewRows()
	var d Decoder
	cost := func(n int) float64 {
		body := []byte(`{"instances":[` + strings.Repeat(`{"age":1.5,"a/b":2,"hat_size":null},`, n) + `[1,2,3]]}`)
		return testing.AllocsPerRun(20, func() {
			if _, err := d.Decode(body, c, rows, 10000); err != nil {
				t.Fatal(err)
			}
		})
	}
	if few, many := cost(10), cost(1000); many > few {
		t.Errorf("%v allocations for 10 rows, %v for 1000", few, many)
	}
}

// FuzzScanner holds the scanner to encoding/json: it takes what that takes, as far as UTF-8, depth, lone surrogates and
// bare tokens go the same way, and reads the same numbers.
func FuzzScanner(f *testing.F) {
	for _, s := range []string{`{"a":[1,-2.5e-3,true,null,"x\n\u00e9\ud83d\ude00"]}`, `[01]`, `1.`, `-`, `"\ud800"`, `{"a":1,}`, `[1 2]`, `"\x"`, `1e400`, ``, `nul`, "\"\x01\"", `{"a" 1}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if !utf8.Valid(body) {
			return
		}
		var s scanner
		s.reset(body)
		s.skip(0)
		s.end()
		want := json.Valid(body)
		if want && s.err != nil && !strings.Contains(s.err.Error(), "deeper") && !strings.Contains(s.err.Error(), "surrogate") && !strings.Contains(s.err.Error(), "\\\\u") {
			t.Errorf("%q: %v, encoding/json takes it", body, s.err)
		}
		if !want && s.err == nil && !bytes.Contains(body, []byte("NaN")) && !bytes.Contains(body, []byte("Infinity")) {
			t.Errorf("%q is taken, encoding/json refuses it", body)
		}
		var v float64
		if json.Unmarshal(body, &v) == nil && string(bytes.TrimSpace(body)) != "null" {
			s.reset(body)
			if kind, got, _ := s.value(); kind != 'n' || math.Float64bits(got) != math.Float64bits(v) {
				t.Errorf("%q reads as %v, want %v", body, got, v)
			}
		}
		var text string
		if json.Unmarshal(body, &text) == nil && bytes.HasPrefix(bytes.TrimSpace(body), []byte{'"'}) {
			s.reset(body)
			if kind, _, got := s.value(); s.err == nil && (kind != 's' || string(got) != text) {
				t.Errorf("%q reads as %q, want %q", body, got, text)
			}
		}
	})
}

// FuzzDecode looks for bodies that make the decoder panic, hang, or accept a row that it has not filled.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{"instances":[{"age":1}]}`, `{"inputs":{"age":[1,2],"a/b":[3]}}`, `{"payload":{"age":{"0":1}}}`, `{"inputs":[[{"age":1}]]}`, `{"instances":[[1,2,3]],"inputs":1}`} {
		f.Add(s)
	}
	c := contract(f)
	f.Fuzz(func(t *testing.T, body string) {
		rows := c.NewRows()
		var d Decoder
		if _, err := d.Decode([]byte(body), c, rows, 50); err != nil {
			if p := fault.Public(err); p.Kind == fault.Internal || p.Message == "" || !utf8.ValidString(p.Message) {
				t.Errorf("%q: %v", body, err)
			}
			return
		}
		m := c.Matrix(rows, nil)
		for i := 0; i < len(m); i += c.Width() {
			if m[i] != m[i] {
				t.Errorf("%q is accepted without the required input: %v", body, m)
			}
		}
	})
}

func BenchmarkDecode100Rows(b *testing.B) {
	c := contract(b)
	rows := c.NewRows()
	var d Decoder
	var body strings.Builder
	body.WriteString(`{"instances":[`)
	for i := range 100 {
		fmt.Fprintf(&body, `%s{"age":%v,"a/b":%v,"hat_size":%v}`, ",,"[:min(i, 1)], float64(i)*1.37, float64(i)/7, i)
	}
	body.WriteString(`]}`)
	text := []byte(body.String())
	b.Run("own", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := d.Decode(text, c, rows, 1000); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding/json", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		b.ReportAllocs()
		for b.Loop() {
			var v struct{ Instances []map[string]any }
			if err := json.Unmarshal(text, &v); err != nil {
				b.Fatal(err)
			}
		}
	})
}
