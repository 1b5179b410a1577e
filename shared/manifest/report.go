package manifest

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/millrace-ml/millrace/shared/fault"
)

// finding is what is wrong with one value: "got what; want".
type finding struct {
	code string // unknown, duplicate, missing, empty, type, value, range, conflict, syntax
	got  string // the value as found, may be empty
	what string // what is wrong with it
	want string // what would be right, may be empty
}

func (f finding) String() string {
	s := f.what
	if f.got != "" {
		s = f.got + " " + f.what
	}
	if f.want != "" {
		s += "; " + f.want
	}
	return s
}

type position struct{ line, column int }

type problem struct {
	file string
	at   position
	path string
	finding
}

// report gathers the problems of one manifest. A path is like inputs[2].type.
type report struct {
	file      string
	positions map[string]position // of the values that the file gives; nil without a file
	broken    map[string]bool     // paths that could not be read: what the checks say of them would be noise
	problems  []problem
}

func newReport(file string) *report {
	return &report{file: file, positions: map[string]position{}, broken: map[string]bool{}}
}

// given says whether the file gives the value.
func (r *report) given(path string) bool {
	_, ok := r.positions[path]
	return ok
}

// add notes a problem that a check found, unless the value or one around it could not even be read.
func (r *report) add(path string, f finding) {
	for p := path; ; p = parent(p) {
		if r.broken[p] {
			return
		}
		if p == "" {
			break
		}
	}
	r.addAt(r.find(path), path, f)
}

// unreadable notes a problem of reading.
func (r *report) unreadable(path string, at position, f finding) {
	r.broken[path] = true
	r.addAt(at, path, f)
}

func (r *report) addAt(at position, path string, f finding) {
	r.problems = append(r.problems, problem{r.file, at, path, f})
}

// find is the position of a value, or of what it should stand in.
func (r *report) find(path string) position {
	for p := path; p != ""; p = parent(p) {
		if at, ok := r.positions[p]; ok {
			return at
		}
	}
	if r.positions == nil {
		return position{}
	}
	return position{1, 1}
}

// err is nil, or every problem in the order of the file.
func (r *report) err() error { return asError(r.problems) }

func asError(problems []problem) error {
	if len(problems) == 0 {
		return nil
	}
	slices.SortStableFunc(problems, func(a, b problem) int {
		if c := strings.Compare(a.file, b.file); c != 0 {
			return c
		}
		if a.at.line != b.at.line {
			return a.at.line - b.at.line
		}
		return a.at.column - b.at.column
	})
	lines := make([]string, len(problems))
	list := make([]fault.Problem, len(problems))
	for i, p := range problems {
		lines[i] = p.line()
		list[i] = fault.Problem{Pointer: pointer(p.path), Code: p.code, Expected: p.want, Got: strings.TrimSpace(p.got + " " + p.what)}
	}
	err := fault.New(fault.Invalid, nil, "%s", strings.Join(lines, "\n"))
	err.Problems = list
	return err
}

func (p problem) line() string {
	where := p.file
	if p.at.line > 0 {
		where = fmt.Sprintf("%s:%d:%d", p.file, p.at.line, p.at.column)
	}
	for _, part := range []string{p.path, p.String()} {
		if part != "" {
			where += ": " + part
		}
	}
	return strings.TrimPrefix(where, ": ")
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func index(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// parent is the path around a path, "" at the top. Keys with dots only stand last, where they are unknown.
func parent(path string) string {
	if i := strings.LastIndexAny(path, ".["); i > 0 {
		return path[:i]
	}
	return ""
}

// pointer is a path as JSON Pointer.
func pointer(path string) string {
	if path == "" {
		return ""
	}
	path = strings.NewReplacer("~", "~0", "/", "~1", "[", "/", "]", "", ".", "/").Replace(path)
	return "/" + path
}

// quote shows a text, shortened.
func quote(s string) string {
	if r := []rune(s); len(r) > 60 {
		s = string(r[:60]) + "…"
	}
	return strconv.Quote(s)
}

func quoteAll(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = w
		if !strings.ContainsFunc(w, unicode.IsLetter) {
			quoted[i] = quote(w)
		}
	}
	return strings.Join(quoted, ", ")
}

func didYouMean(word string, among []string) string {
	if s := Suggest(word, among); s != "" {
		return "did you mean " + quote(s) + "?"
	}
	return ""
}

// fillDefaults sets what the file leaves out to the default of its tag.
func (r *report) fillDefaults(at string, v reflect.Value) {
	for i := range v.NumField() {
		field, value := v.Type().Field(i), v.Field(i)
		here := join(at, field.Tag.Get("yaml"))
		if text := field.Tag.Get("default"); text != "" && value.IsZero() && !r.given(here) {
			if err := setText(value, text); err != nil {
				panic(fmt.Sprintf("the default of %s: %v", here, err)) // a bug in a tag, found by the first test
			}
			continue
		}
		switch value.Kind() {
		case reflect.Struct:
			r.fillDefaults(here, value)
		case reflect.Pointer:
			if !value.IsNil() && value.Elem().Kind() == reflect.Struct && value.Elem().Type() != reflect.TypeFor[Value]() {
				r.fillDefaults(here, value.Elem())
			}
		case reflect.Slice:
			for j := range value.Len() {
				if e := value.Index(j); e.Kind() == reflect.Struct && e.Type() != reflect.TypeFor[Value]() {
					r.fillDefaults(index(here, j), e)
				}
			}
		}
	}
}
