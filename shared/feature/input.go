package feature

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/millrace-ml/millrace/shared/manifest"
)

// input is a manifest's input made ready: limits as plain numbers, categories as maps, layouts compiled.
type input struct {
	kind       manifest.Type
	nullable   bool
	hasDefault bool
	absent     float64 // value of a row that does not give the input
	min, max   float64 // ±MaxFloat64 where not set, so that one comparison refuses infinities and NaN
	texts      map[string]int
	numbers    map[float64]int
	values     []manifest.Value
	layouts    []layout
	nulls      []string // texts of files that mean null
	expected   string
}

func newInput(d *manifest.Input) (input, error) {
	in := input{kind: d.Type, nullable: d.Nullable, values: d.Values, min: -math.MaxFloat64, max: math.MaxFloat64, absent: null}
	if d.Min != nil {
		in.min = *d.Min
	}
	if d.Max != nil {
		in.max = *d.Max
	}
	in.nulls = d.NullStrings
	if in.nulls == nil {
		in.nulls = []string{""}
	}
	for i, v := range d.Values {
		if v.Kind == manifest.Numeric {
			if in.numbers == nil {
				in.numbers = make(map[float64]int, len(d.Values))
			}
			in.numbers[v.Number] = i
			continue
		}
		if in.texts == nil {
			in.texts = make(map[string]int, len(d.Values))
		}
		in.texts[v.Text] = i
		if v.Text == "" && d.NullStrings == nil { // the empty field is a category here
			in.nulls = nil
		}
	}
	for _, text := range d.Layouts {
		in.layouts = append(in.layouts, newLayout(text))
	}
	in.expected = in.describe(d)
	return in, in.setDefault(d.Default)
}

func (in *input) setDefault(v *manifest.Value) error {
	if v == nil {
		return nil
	}
	in.hasDefault = true
	got, code := 0.0, CodeType
	switch {
	case v.Kind == manifest.Bool && in.kind == manifest.Boolean:
		got, code = truth(v.Bool), ""
	case v.Kind == manifest.Text && in.kind == manifest.Categorical:
		got, code = in.textCode([]byte(v.Text))
	case v.Kind == manifest.Text && in.kind == manifest.Timestamp:
		got, code = in.parseTime([]byte(v.Text))
	case v.Kind == manifest.Numeric && in.kind == manifest.Categorical:
		got, code = in.numberCode(v.Number)
	case v.Kind == manifest.Numeric && in.kind == manifest.Timestamp:
		got, code = in.unixTime(v.Number)
	case v.Kind == manifest.Numeric && (in.kind == manifest.Number || in.kind == manifest.Integer):
		got, code = v.Number, in.checkNumber(v.Number, nil)
	}
	if code != "" {
		return fmt.Errorf("default: got %s, expected %s", v, in.expected)
	}
	in.absent = got
	return nil
}

// maxExactText is 2⁵³; a longer text that reads as 2⁵³ was rounded to it.
const maxExactText = "9007199254740992"

// checkNumber is the code of what is wrong with a number, or "".
func (in *input) checkNumber(v float64, token []byte) string {
	if in.kind == manifest.Integer {
		switch {
		case math.IsInf(v, 0) || math.Abs(v) > maxExact:
			return CodeRange
		case v != math.Floor(v):
			return CodeInteger
		case math.Abs(v) == maxExact && len(token) > 0 && strings.TrimLeft(string(token), "+-") != maxExactText:
			return CodeRange
		}
	}
	if !(v >= in.min && v <= in.max) {
		return CodeRange
	}
	return ""
}

func (in *input) textCode(s []byte) (float64, string) {
	if in.texts == nil {
		return 0, CodeType
	}
	if code, ok := in.texts[string(s)]; ok {
		return float64(code), ""
	}
	return 0, CodeCategory
}

func (in *input) numberCode(v float64) (float64, string) {
	if in.numbers == nil {
		return 0, CodeType
	}
	if code, ok := in.numbers[v]; ok {
		return float64(code), ""
	}
	return 0, CodeCategory
}

// describe says what the input takes.
func (in *input) describe(d *manifest.Input) string {
	var s string
	switch in.kind {
	case manifest.Number:
		s = "a number" + limits(d)
	case manifest.Integer:
		s = "a whole number" + limits(d)
	case manifest.Boolean:
		s = "true or false"
	case manifest.Timestamp:
		s = "a timestamp such as " + exampleTimes(in.layouts)
	case manifest.Categorical:
		s = "one of " + list(in.values)
	}
	if in.nullable {
		s += ", or null"
	}
	return s
}

func limits(d *manifest.Input) string {
	text := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	switch {
	case d.Min != nil && d.Max != nil:
		return " from " + text(*d.Min) + " to " + text(*d.Max)
	case d.Min != nil:
		return " of at least " + text(*d.Min)
	case d.Max != nil:
		return " of at most " + text(*d.Max)
	}
	return ""
}

// maxListed is how many values a message lists.
const maxListed = 10

func list(values []manifest.Value) string {
	words := make([]string, 0, maxListed+1)
	for i, v := range values {
		if i == maxListed {
			words = append(words, fmt.Sprintf("… (%d values)", len(values)))
			break
		}
		words = append(words, v.String())
	}
	return strings.Join(words, ", ")
}

// expectCategory is what the input takes and the value that a wrong one was perhaps meant to be.
func (in *input) expectCategory(got string) string {
	words := make([]string, 0, len(in.texts))
	for _, v := range in.values {
		if v.Kind == manifest.Text {
			words = append(words, v.Text)
		}
	}
	if s := manifest.Suggest(got, words); s != "" {
		return in.expected + "; did you mean " + strconv.Quote(s) + "?"
	}
	return in.expected
}
