package document

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// seen is what the test's document has.
type seen struct {
	Name, Kind, Copy string
	Whole            int64
	Real             float64
	Single           float32
	Truth            bool
	Ints             []int32
	Wides            []int64
	Floats           []float32
	Doubles          []float64
	Texts            []string
	Null, List, Text bool
}

func (s *seen) read(d *Decoder) func() error {
	return func() error {
		return d.Object([]Field{
			{Key: "copy", Read: d.Word(&s.Copy, "other")},
			{Key: "doubles", Read: func() error { s.List = d.IsList(); return d.Doubles(&s.Doubles) }},
			{Key: "floats", Read: func() error { return d.Floats(&s.Floats) }},
			{Key: "ints", Read: func() error { return d.Ints(&s.Ints) }},
			{Key: "kind", Read: d.Word(&s.Kind, "leaf", "split")},
			{Key: "name", Read: d.Text(&s.Name)},
			{Key: "null", Read: func() error { s.Null = d.IsNull(); return d.Skip() }},
			{Key: "real", Read: func() error { return d.Double(&s.Real) }},
			{Key: "rest"},
			{Key: "single", Read: func() error { return d.Float(&s.Single) }},
			{Key: "texts", Read: d.Texts(&s.Texts)},
			{Key: "truth", Read: func() error { s.Text = d.IsText(); return d.Bool(&s.Truth) }},
			{Key: "whole", Read: func() error { return d.Int(&s.Whole) }},
			{Key: "wides", Read: func() error { return d.Wides(&s.Wides) }},
		})
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	d := NewJSON([]byte(`{"whole": -7, "real": 0.1, "single": 0.1, "truth": true, "name": "a\u00e9", "kind": "split", "copy": "more", "null": null,
		"ints": [1, -2], "wides": [1099511627776], "floats": [0.5, NaN, -Infinity], "doubles": [], "texts": ["x", ""], "rest": {"a": [{}]}}`), "us")
	var got seen
	if err := d.Whole(got.read(d)); err != nil {
		t.Fatal(err)
	}
	if len(got.Floats) != 3 || got.Floats[1] == got.Floats[1] || got.Floats[2] > 0 {
		t.Errorf("floats %v", got.Floats)
	}
	got.Floats = nil
	want := seen{Name: "aé", Kind: "split", Copy: "more", Whole: -7, Real: 0.1, Single: 0.1, Truth: true, Ints: []int32{1, -2}, Wides: []int64{1 << 40},
		Texts: []string{"x", ""}, Null: true, List: true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("document (-want +got):\n%s", diff)
	}
}

func TestJSONRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"whole": 1.5}`:             `byte 13: whole: expected a whole number, got "1.5"`,
		`{"real": "1"}`:              "real: expected a number, got a text",
		`{"real": 1e999}`:            `real: "1e999" is not a float64`,
		`{"single": 1e39}`:           `single: "1e39" is not a float32`,
		`{"truth": 1}`:               "truth: expected true or false, got a number",
		`{"kind": 1}`:                "kind: expected a text, got a number",
		`{"ints": [1, 99999999999]}`: "ints[1]: 99999999999 is out of range",
		`{"ints": {}}`:               "ints: expected an array, got an object",
		`{"texts": ["a", 1]}`:        "texts[1]: expected a text, got a number",
		`{"scale": 1}`:               "scale: unknown field; this reader knows files of us",
		`{"whole": 1, "whole": 1}`:   "whole: stands there twice",
		`[]`:                         "expected an object, got an array",
		`{} {}`:                      "something follows the document",
		`{"doubles": [1,,2]}`:        `doubles: ",2]}", expected a value`,
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			d := NewJSON([]byte(text), "us")
			if err := d.Whole(new(seen).read(d)); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want one with %q", err, want)
			}
		})
	}
}

// A list's room is made once, and never more than its text can hold.
func TestListsAreMadeAtOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text string
		most       int
	}{
		{"a list", `[1,2,3,4,5,6,7,8,9,10]`, 10},
		{"commas alone", `[` + strings.Repeat(",", 1000) + `]`, 501},
		{"no end", `[` + strings.Repeat("1,", 1000), 4096},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := NewJSON([]byte(c.text), "us")
			var list []float64
			err := d.Whole(func() error { return d.Doubles(&list) })
			if (err != nil) != (c.name != "a list") || cap(list) > c.most+16 {
				t.Errorf("room for %d, %v", cap(list), err)
			}
		})
	}
}
