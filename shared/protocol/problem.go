package protocol

import (
	"strconv"
	"strings"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/feature"
)

// full says that the list of problems is full, and counts one more then: a body of nothing but faults must not cost more
// than one with a hundred.
func (d *Decoder) full() bool {
	if len(d.problems) < maxProblems {
		return false
	}
	d.count++
	return true
}

func (d *Decoder) problem(pointer, code, expected, got string) {
	d.count++
	if len(d.problems) < maxProblems {
		d.problems = append(d.problems, fault.Problem{Pointer: pointer, Code: code, Expected: expected, Got: got})
	}
}

// unknown reports a name that is no input, with the nearest one.
func (d *Decoder) unknown(parent, key string) {
	expected := "an input of the model: " + names(inputNames(d.contract))
	if s := d.contract.Suggest(key); s != "" {
		expected = "an input of the model; did you mean " + quote(s) + "?"
	}
	d.problem(parent+pointer(key), "unknown", expected, quote(key))
}

// at points to a row.
func (d *Decoder) at(row int) string { return "/" + d.data + "/" + strconv.Itoa(row) }

// place points to a cell, in the order that the request wrote it.
func (d *Decoder) place(row int, name string) string {
	if row < 0 {
		return "/" + d.data
	}
	if d.form == Rows {
		return d.at(row) + pointer(name)
	}
	return "/" + d.data + pointer(name) + "/" + strconv.Itoa(row)
}

// longest is how much of a caller's own text an answer repeats.
const longest = 64

func cut(s string) string {
	if len(s) > longest {
		return strings.ToValidUTF8(s[:longest], "") + "…"
	}
	return s
}

// pointer is one step of a JSON Pointer (RFC 6901).
func pointer(key string) string {
	return "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(cut(key))
}

func quote(s string) string { return strconv.Quote(cut(s)) }

// dotted writes a pointer as people do: instances[3].age.
func dotted(pointer string) string {
	var b strings.Builder
	for i, step := range strings.Split(strings.TrimPrefix(pointer, "/"), "/") {
		step = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
		_, err := strconv.Atoi(step)
		switch {
		case i > 0 && err == nil:
			b.WriteString("[" + step + "]")
		case i > 0:
			b.WriteString("." + step)
		default:
			b.WriteString(step)
		}
	}
	return b.String()
}

// name says what stood where the JSON value opened with this byte.
func name(kind byte) string {
	switch {
	case kind == '{':
		return "an object"
	case kind == '[':
		return "a list"
	case kind == '"':
		return "a string"
	case kind == 't' || kind == 'f':
		return "a boolean"
	case kind == 'n' || kind == 'N':
		return "null"
	case kind == 0:
		return "nothing"
	}
	return "a number"
}

func join(names []string) string { return strings.Join(names, ", ") }

func inputNames(c *feature.Contract) []string {
	inputs := c.Inputs()
	out := make([]string, len(inputs))
	for i, in := range inputs {
		out[i] = in.Name
	}
	return out
}
