package feature

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

const packageDoc = `// Package feature is the contract between what callers send and what a model sees: it takes instances of a request or
// column blocks of a file, reports every problem by its place, and makes the model's matrix. Requests and files go
// through the same code, so the same values give the same bits in both.
//
// It knows no wire format and no file format: protocol and table/* hand it values and text.
//
// # Values
//
// A null is NaN in every column. A timestamp is the wall clock as written, in seconds: 17:00+02:00 is hour 17. A
// categorical is its place in the manifest's values, from 0. A boolean is 0 or 1.
//
// # Expressions
//
// The syntax is that of github.com/expr-lang/expr. Numbers are float64, and a null operand makes the result null. This
// list is written by the package's tests from the tables in functions.go, like docs/reference/expressions.md.
//
`

func goDoc() string {
	var b strings.Builder
	b.WriteString(packageDoc)
	for _, o := range operators {
		fmt.Fprintf(&b, "//\t%-32s %s\n", o.usage, o.doc)
	}
	for _, f := range functions {
		fmt.Fprintf(&b, "//\t%-32s %s\n", f.usage, f.doc)
	}
	b.WriteString("package feature\n")
	return b.String()
}

const pageHead = `# Expressions of features

A feature in ` + "`model.yaml`" + ` is the name of an input, or a name and an expression over inputs:

` + "```yaml" + `
features:
  - temp
  - {name: hour, expr: hour(time)}
  - {name: rush, expr: "weekday(time) < 5 and hour(time) in [7, 8, 17, 18]"}
` + "```" + `

The syntax is that of [expr-lang/expr](https://github.com/expr-lang/expr), with the operators and functions below and no
others. Numbers are float64. A boolean becomes 0 or 1, a categorical its place in ` + "`values`" + ` from 0.

**Null.** An operand that is null makes the result null, in comparisons and in ` + "`and`" + `, ` + "`or`" + ` and ` + "`not`" + ` too, and the model
sees a null as missing. A result that is not a number is null as well.

**Timestamps** are the wall clock as written: ` + "`hour`" + ` of ` + "`2011-01-31T17:05:00+02:00`" + ` is 17.

**Same bits everywhere.** exp, log, log1p, sin, cos and powers are computed by Millrace itself without instructions that
differ from one processor to another. They are within 1 ulp of what C libraries give, powers with small exponents within
4; features of expressions are therefore compared with the trainer's within 1e-9, plain ones exactly.
`

func page() string {
	var b strings.Builder
	b.WriteString(pageHead)
	row := func(usage, doc string) {
		cell := strings.NewReplacer("|", `\|`)
		fmt.Fprintf(&b, "| `%s` | %s |\n", cell.Replace(usage), cell.Replace(doc))
	}
	b.WriteString("\n## Operators\n\n| Operator | Result |\n|---|---|\n")
	for _, o := range operators {
		row(o.usage, o.doc)
	}
	for _, k := range []kind{number, moment} {
		fmt.Fprintf(&b, "\n## Functions of %ss\n\n| Function | Result |\n|---|---|\n", strings.TrimPrefix(kindNames[k], "a "))
		for _, f := range functions {
			if f.takes == k {
				row(f.usage, f.doc)
			}
		}
	}
	return b.String()
}

func TestReferenceIsCurrent(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{"doc.go": goDoc(), "../../docs/reference/expressions.md": page()} {
		if *update {
			if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%s differs from the tables; run go test ./shared/feature -run Reference -update (-tables +file):\n%s", file, diff)
		}
	}
}
