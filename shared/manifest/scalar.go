package manifest

import (
	"encoding"
	"errors"
	"reflect"
	"regexp"
	"strconv"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// scalar is a text, number or truth value of the file.
type scalar struct {
	kind Kind
	text string
	odd  string // why a number is not taken
}

// plainNumber is a number that all readers of the file read alike, and that JSON has too. YAML's others, such as 0o17,
// 1_000 or .inf, are not taken.
var plainNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

func scalarOf(n ast.Node) (scalar, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		if n.Token.Type == token.StringType && plainNumber.MatchString(n.Value) {
			return scalar{kind: Numeric, text: n.Value}, true // 1e-9: the library wants a point in it, YAML 1.2 does not
		}
		return scalar{kind: Text, text: n.Value}, true
	case *ast.LiteralNode:
		return scalar{kind: Text, text: n.Value.Value}, true
	case *ast.BoolNode:
		return scalar{kind: Bool, text: strconv.FormatBool(n.Value)}, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		s := scalar{kind: Numeric, text: n.GetToken().Value}
		if _, err := strconv.ParseFloat(s.text, 64); err != nil || !plainNumber.MatchString(s.text) {
			s.odd = "is no plain number"
		}
		return s, true
	}
	return scalar{}, false
}

// show writes the scalar as the file does.
func (s scalar) show() string {
	if s.kind == Text {
		return quote(s.text)
	}
	return s.text
}

func (s scalar) value() Value {
	switch s.kind {
	case Numeric:
		f, _ := strconv.ParseFloat(s.text, 64) // a plain number, checked
		return NumberValue(f)
	case Bool:
		return BoolValue(s.text == "true")
	}
	return TextValue(s.text)
}

// set reads the scalar into a Go value of a simple type.
func (s scalar) set(v reflect.Value) finding {
	wrong := finding{code: "type", got: s.describe(), what: "stands where " + wanted(v) + " should"}
	_, isText := v.Addr().Interface().(encoding.TextUnmarshaler)
	switch {
	case s.kind == Text && (isText || v.Kind() == reflect.String):
	case s.kind == Numeric && !isText && v.Kind() != reflect.String && v.Kind() != reflect.Bool:
	case s.kind == Bool && v.Kind() == reflect.Bool:
	default:
		if v.Kind() == reflect.String {
			wrong.want = "write it in quotes, \"" + s.text + "\""
		}
		return wrong
	}
	if err := setText(v, s.text); err != nil {
		return finding{code: "value", got: s.show(), what: err.Error()}
	}
	return finding{}
}

func (s scalar) describe() string {
	switch s.kind {
	case Text:
		return "the text " + quote(s.text)
	case Numeric:
		return "the number " + s.text
	}
	return s.text
}

func describe(n ast.Node) string {
	if s, ok := scalarOf(n); ok {
		return s.describe()
	}
	if _, ok := n.(*ast.SequenceNode); ok {
		return "a list"
	}
	return "a mapping"
}

func wanted(v reflect.Value) string {
	switch v.Addr().Interface().(type) {
	case *Duration:
		return "a time such as 60s"
	case *Bytes:
		return "a size such as 64MiB"
	case *Percent:
		return "a percentage such as 10%"
	}
	switch v.Kind() {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Float64:
		return "a number"
	}
	return "a whole number"
}

// setText reads a text into a Go value of a simple type. The error reads on after the value: "is no …".
func setText(v reflect.Value, text string) error {
	switch p := v.Addr().Interface().(type) {
	case encoding.TextUnmarshaler:
		return p.UnmarshalText([]byte(text))
	case *Rejects:
		return p.parse(text)
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		v.SetBool(text == "true")
	case reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return errors.New("is no number")
		}
		v.SetFloat(f)
	default:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return errors.New("is no whole number that fits")
		}
		v.SetInt(n)
	}
	return nil
}
