package doctor

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestText(t *testing.T) {
	t.Parallel()
	report := Report{Project: "p", Region: "r", Findings: []Finding{
		{Check: "one", Status: Warn, Message: "w", Fix: do("# only if", "a")},
		{Check: "two", Status: Fail, Message: "x", Fix: do("b", "# then", "c")},
		{Check: "three", Status: Fail, Message: "y", Fix: do("c")},
		{Check: "four", Status: Fail, Message: "y2", Fix: do("c", "d")},
		{Check: "five", Status: Skip, Message: "because of two", root: "two"},
		{Check: "six", Status: Skip, Message: "because of two", root: "two"},
		{Check: "seven", Status: Fail, Message: "z", Fix: do("# by hand")},
		{Check: "eight", Status: Fail, Message: "q", Fix: do("b", "# then", "c")},
		{Check: "nine", Status: OK, Message: "fine"},
	}}
	var b strings.Builder
	if err := report.Text(&b); err != nil {
		t.Fatal(err)
	}
	const want = `project p, region r
warn  one    w
fail  two    x
fail  three  y
fail  four   y2
fail  seven  z
fail  eight  q
ok    nine   fine
skip  because of two: five, six

fix
# two, eight, three, four
  b
  # then
  c
# four
  d
# seven
  # by hand
# one
  # only if
  a

5 to mend, 1 to look at, 2 not looked at
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Error(diff)
	}
}
