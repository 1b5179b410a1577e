package pipeline

import (
	"fmt"
	"strings"

	"github.com/millrace-ml/millrace/shared/fault"
)

// maxShown bounds the alternatives that one problem names, and maxProblems the problems of one error.
const (
	maxShown    = 8
	maxProblems = 100
)

// place is where in a spec something stands, from the root.
type place []string

func (p place) at(more ...string) place { return append(p[:len(p):len(p)], more...) }

func (p place) String() string {
	if len(p) == 0 {
		return "the spec"
	}
	return strings.Join(p, ".")
}

func (p place) pointer() string {
	var b strings.Builder
	for _, s := range p {
		b.WriteByte('/')
		b.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(s))
	}
	return b.String()
}

// problems collects the faults of one input.
type problems struct{ list []fault.Problem }

func (p *problems) add(at place, code, got, expected string) {
	p.list = append(p.list, fault.Problem{Pointer: at.pointer(), Code: code, Expected: expected, Got: got})
}

// err is nil, or an Invalid fault whose message has every problem on a line of its own.
func (p *problems) err(of string) error {
	if len(p.list) == 0 {
		return nil
	}
	var b strings.Builder
	for i, q := range p.list {
		if i == maxProblems {
			fmt.Fprintf(&b, "\n%s: and %d more problems", of, len(p.list)-i)
			break
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s: %s: %s, expected %s", of, dotted(q.Pointer), q.Got, q.Expected)
	}
	e := fault.New(fault.Invalid, nil, "%s", b.String())
	e.Problems = p.list[:min(len(p.list), maxProblems)]
	return e
}

func dotted(pointer string) string {
	if pointer == "" {
		return "the whole"
	}
	return strings.NewReplacer("~1", "/", "~0", "~", "/", ".").Replace(pointer[1:])
}

// oneOf lists what would be right, with the nearest first if what stood there was only misspelt.
func oneOf(got string, names []string) string {
	if len(names) == 0 {
		return "none: there are none here"
	}
	if n := nearest(got, names); n != "" {
		return fmt.Sprintf("%q perhaps", n)
	}
	shown := names[:min(len(names), maxShown)]
	s := "one of " + strings.Join(shown, ", ")
	if len(names) > len(shown) {
		s += fmt.Sprintf(" and %d more", len(names)-len(shown))
	}
	return s
}

// nearest is the name within two edits of got, or "".
func nearest(got string, names []string) string {
	best, at := "", 3
	for _, n := range names {
		if d := distance(got, n, at); d < at {
			best, at = n, d
		}
	}
	return best
}

// distance is the Levenshtein distance, or limit if it is no less.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return min(row[len(b)], limit)
}
