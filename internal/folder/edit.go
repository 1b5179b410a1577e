package folder

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/millrace-ml/millrace/shared/manifest"
)

// replacement is new source text for one scalar.
type replacement struct {
	from, to int
	text     string
}

// edit changes scalars of a manifest and nothing else: comments, order and layout stay, so that the diff shows what
// changed. values are by path, such as "artifact.sha256"; a path of rename gets another key. The result is read again and
// must say what was asked for.
func edit(data []byte, values, rename map[string]string) ([]byte, error) {
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, err
	}
	found := map[string][2]*token.Token{} // key and value
	for _, doc := range file.Docs {
		scalars("", doc.Body, found)
	}
	var all []replacement
	for path, value := range values {
		pair, ok := found[path]
		if !ok {
			return nil, fmt.Errorf("%s: the key %s cannot be found; write it as key: value", manifest.File, path)
		}
		at := offset(data, pair[1])
		all = append(all, replacement{at, at + extent(data[at:]), quoted(value)})
		if key, ok := rename[path]; ok {
			at := offset(data, pair[0])
			all = append(all, replacement{at, at + len(pair[0].Value), key})
		}
	}
	slices.SortFunc(all, func(a, b replacement) int { return b.from - a.from }) // the last first: offsets stay true
	out := data
	for _, r := range all {
		out = slices.Concat(out[:r.from], []byte(r.text), out[r.to:])
	}
	return out, nil
}

// scalars collects the keys and values of nested mappings by path.
func scalars(path string, n ast.Node, found map[string][2]*token.Token) {
	switch n := n.(type) {
	case *ast.MappingNode:
		for _, v := range n.Values {
			scalars(path, v, found)
		}
	case *ast.MappingValueNode:
		key := n.Key.GetToken().Value
		if path != "" {
			key = path + "." + key
		}
		switch n.Value.(type) {
		case *ast.MappingNode, *ast.MappingValueNode:
			scalars(key, n.Value, found)
		case *ast.SequenceNode:
		default:
			found[key] = [2]*token.Token{n.Key.GetToken(), n.Value.GetToken()}
		}
	}
}

// offset is where a token begins. The library counts columns in characters, from 1.
func offset(data []byte, t *token.Token) int {
	at := 0
	for range t.Position.Line - 1 {
		at += bytes.IndexByte(data[at:], '\n') + 1
	}
	for range t.Position.Column - 1 {
		_, n := utf8.DecodeRune(data[at:])
		at += n
	}
	return at
}

// extent is the length of the scalar at the beginning of text, its quotes included.
func extent(text []byte) int {
	if len(text) == 0 {
		return 0
	}
	if q := text[0]; q == '"' || q == '\'' {
		for i := 1; i < len(text); i++ {
			switch {
			case q == '"' && text[i] == '\\':
				i++
			case text[i] == q && q == '\'' && i+1 < len(text) && text[i+1] == q:
				i++
			case text[i] == q:
				return i + 1
			}
		}
		return len(text)
	}
	end := bytes.IndexAny(text, ",}\n\r")
	if end < 0 {
		end = len(text)
	}
	if c := bytes.Index(text[:end], []byte(" #")); c >= 0 {
		end = c
	}
	return len(bytes.TrimRight(text[:end], " \t"))
}

// quoted is text as a YAML scalar that every reader takes for text.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
