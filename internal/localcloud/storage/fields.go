package storage

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
)

// answer writes a resource, cut down to what the fields parameter asks for.
func answer(w http.ResponseWriter, r *http.Request, v any) error {
	spec := r.URL.Query().Get("fields")
	if spec == "" {
		writeJSON(w, http.StatusOK, v)
		return nil
	}
	m, rest, err := parseMask(spec)
	if err != nil || rest != "" {
		return invalid("Invalid field selection %q", spec)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var tree any
	if err := d.Decode(&tree); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, m.cut(tree))
	return nil
}

// mask is a field selection such as nextPageToken,items(name,size): the fields to keep, each with its own selection, empty
// for all of it.
type mask map[string]mask

func parseMask(s string) (mask, string, error) {
	m := mask{}
	for {
		end := strings.IndexAny(s, ",()/")
		name := s
		if end >= 0 {
			name = s[:end]
		}
		if name == "" {
			return nil, s, invalid("empty field name")
		}
		s = s[len(name):]
		sub := mask{}
		var err error
		switch {
		case strings.HasPrefix(s, "/"): // a/b,c selects b in a, and c beside a
			next, rest := s[1:], ""
			if i := strings.IndexAny(next, ",)"); i >= 0 && !strings.Contains(next[:i], "(") {
				next, rest = next[:i], next[i:]
			}
			var left string
			if sub, left, err = parseMask(next); err != nil {
				return nil, s, err
			}
			s = left + rest
		case strings.HasPrefix(s, "("):
			if sub, s, err = parseMask(s[1:]); err != nil {
				return nil, s, err
			}
			if !strings.HasPrefix(s, ")") {
				return nil, s, invalid("( without )")
			}
			s = s[1:]
		}
		m.add(name, sub)
		if !strings.HasPrefix(s, ",") {
			return m, s, nil
		}
		s = s[1:]
	}
}

func (m mask) add(name string, sub mask) {
	old, ok := m[name]
	if !ok || len(old) == 0 || len(sub) == 0 {
		m[name] = sub
		if ok {
			m[name] = mask{} // all of it was asked for once
		}
		return
	}
	for k, v := range sub {
		old.add(k, v)
	}
}

func (m mask) cut(v any) any {
	if len(m) == 0 {
		return v
	}
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = m.cut(v[i])
		}
		return v
	case map[string]any:
		out := map[string]any{}
		for k, e := range v {
			sub, ok := m[k]
			if !ok {
				sub, ok = m["*"]
			}
			if ok {
				out[k] = sub.cut(e)
			}
		}
		return out
	}
	return v
}
