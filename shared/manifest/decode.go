package manifest

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxFile is the largest manifest, and maxDepth the deepest: both far from any real one.
const (
	maxFile  = 1 << 20
	maxDepth = 16
)

// decoder fills Go types from a syntax tree. The library's own decoder stops at the first error; this one reports all.
type decoder struct {
	*report
}

// decode reads data into m and reports every value that cannot be read.
func (r *report) decode(data []byte, m *Manifest) {
	if len(data) > maxFile {
		r.unreadable("", position{1, 1}, finding{code: "syntax", what: fmt.Sprintf("has %d bytes", len(data)), want: "a manifest has at most 1 MiB"})
		return
	}
	root, f, at := parseYAML(data)
	if root == nil {
		r.broken[""] = true
		r.addAt(at, "", f)
		return
	}
	d := decoder{r}
	d.value("", root, reflect.ValueOf(m).Elem(), 0)
}

func parseYAML(data []byte) (ast.Node, finding, position) {
	syntax := func(what, want string) finding { return finding{code: "syntax", what: what, want: want} }
	file, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey()) // duplicates are ours to report
	if err != nil {
		var at interface { // what the library's errors have
			error
			GetToken() *token.Token
			GetMessage() string
		}
		if errors.As(err, &at) && at.GetToken() != nil {
			return nil, syntax(at.GetMessage(), ""), tokenPosition(at.GetToken().Position.Line, at.GetToken().Position.Column)
		}
		return nil, syntax(err.Error(), ""), position{1, 1}
	}
	var docs []ast.Node
	for _, doc := range file.Docs {
		if doc.Body != nil {
			docs = append(docs, doc.Body)
		}
	}
	switch len(docs) {
	case 0:
		return nil, syntax("is empty", "write at least name, version, serve, artifact, inputs, features and outputs"), position{1, 1}
	case 1:
		return docs[0], finding{}, position{}
	}
	return nil, syntax("holds several documents", "remove the lines --- and what follows"), nodePosition(docs[1])
}

func tokenPosition(line, column int) position { return position{max(line, 1), max(column, 1)} }

func nodePosition(n ast.Node) position {
	switch m := n.(type) {
	case *ast.MappingNode:
		if !m.IsFlowStyle && len(m.Values) > 0 {
			n = m.Values[0].Key
		}
	case *ast.MappingValueNode:
		n = m.Key
	}
	tk := n.GetToken()
	if tk == nil || tk.Position == nil {
		return position{1, 1}
	}
	return tokenPosition(tk.Position.Line, tk.Position.Column)
}

// value reads a node into v.
func (d decoder) value(path string, n ast.Node, v reflect.Value, depth int) {
	at := nodePosition(n)
	d.positions[path] = at
	bad := func(code, got, what, want string) { d.unreadable(path, at, finding{code, got, what, want}) }
	if depth > maxDepth {
		bad("syntax", "", "is nested too deep", "")
		return
	}
	switch n := n.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode:
		bad("syntax", "", "is an anchor or an alias", "write the value out: the other readers of the manifest do not follow them")
		return
	case *ast.TagNode:
		bad("syntax", "", "has a tag", "remove "+n.Start.Value)
		return
	case *ast.NullNode:
		want := "write a value or remove the key"
		if v.Kind() == reflect.Pointer && v.Type().Elem().Kind() == reflect.Struct && v.Type().Elem() != reflect.TypeFor[Value]() {
			want = "write {} for the defaults, or remove the key"
		}
		bad("empty", "", "has no value", want)
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	if f := d.into(path, n, v, depth); f.what != "" {
		bad(f.code, f.got, f.what, f.want)
	}
}

// into reads a node that stands for itself, and says what is wrong with it as a whole.
func (d decoder) into(path string, n ast.Node, v reflect.Value, depth int) finding {
	s, isScalar := scalarOf(n)
	if s.odd != "" {
		return finding{"type", s.text, s.odd, "write a plain decimal number, or text in quotes"}
	}
	switch p := v.Addr().Interface().(type) {
	case *Value:
		if !isScalar {
			return finding{"type", describe(n), "stands where text, a number or true or false should", ""}
		}
		*p = s.value()
		return finding{}
	case *Feature:
		if isScalar && s.kind == Text {
			*p = Feature{Name: s.text}
			return finding{}
		}
	case *Rejects:
		if !isScalar || s.kind == Bool {
			return finding{"type", describe(n), "is no limit", "write a percentage such as 5%, or a number of rows"}
		}
		if err := p.parse(s.text); err != nil {
			return finding{code: "value", got: quote(s.text), what: err.Error()}
		}
		return finding{}
	}
	switch v.Kind() {
	case reflect.Struct:
		return d.mapping(path, n, v, depth)
	case reflect.Slice:
		return d.sequence(path, n, v, depth)
	}
	if !isScalar {
		return finding{"type", describe(n), "stands where " + wanted(v) + " should", ""}
	}
	return s.set(v)
}

func (d decoder) sequence(path string, n ast.Node, v reflect.Value, depth int) finding {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		want := "write a list"
		if s, isScalar := scalarOf(n); isScalar {
			want = "write [" + s.show() + "]"
		}
		return finding{"type", describe(n), "stands where a list should", want}
	}
	v.Set(reflect.MakeSlice(v.Type(), len(list.Values), len(list.Values)))
	for i, e := range list.Values {
		d.value(index(path, i), e, v.Index(i), depth+1)
	}
	return finding{}
}

func (d decoder) mapping(path string, n ast.Node, v reflect.Value, depth int) finding {
	var pairs []*ast.MappingValueNode
	switch n := n.(type) {
	case *ast.MappingNode:
		pairs = n.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{n}
	default:
		return finding{"type", describe(n), "stands where keys and values should", "write {" + keysOf(v.Type())[0] + ": …}"}
	}
	seen := map[string]position{}
	for _, pair := range pairs {
		at := nodePosition(pair)
		s, isScalar := scalarOf(pair.Key)
		if !isScalar || s.kind != Text {
			d.addAt(at, path, finding{"unknown", pair.Key.String(), "is no key", "expected one of " + strings.Join(keysOf(v.Type()), ", ")})
			continue
		}
		here := join(path, s.text)
		if first, twice := seen[s.text]; twice {
			d.addAt(at, here, finding{"duplicate", "", "is there twice", fmt.Sprintf("remove this or the one in line %d", first.line)})
			continue
		}
		seen[s.text] = at
		field, ok := fieldOf(v, s.text)
		if !ok {
			d.addAt(at, here, finding{"unknown", "", "is no key here", suggestKey(s.text, v.Type())})
			continue
		}
		d.value(here, pair.Value, field, depth+1)
	}
	return finding{}
}

func suggestKey(key string, t reflect.Type) string {
	keys := keysOf(t)
	if s := didYouMean(key, keys); s != "" {
		return s
	}
	return "expected one of " + strings.Join(keys, ", ")
}

func fieldOf(v reflect.Value, key string) (reflect.Value, bool) {
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("yaml") == key {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

func keysOf(t reflect.Type) []string {
	keys := make([]string, t.NumField())
	for i := range keys {
		keys[i] = t.Field(i).Tag.Get("yaml")
	}
	return keys
}
