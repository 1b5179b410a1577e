package feature

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/manifest"
	"github.com/millrace-ml/millrace/shared/table"
)

// Binding is the contract bound to the columns of one file. It is for any number of goroutines.
type Binding struct {
	c       *Contract
	columns []int // by input: the file's column, -1 = none
}

// Columns binds the contract to a file's header. Columns that are no input are let be. The error is fault.Invalid and
// lists every column that is missing, with the name it perhaps has, and every one that is there twice.
func (c *Contract) Columns(header []string) (*Binding, error) {
	b := &Binding{c: c, columns: make([]int, len(c.inputs))}
	for i := range b.columns {
		b.columns[i] = -1
	}
	var others, problems []string
	for column, name := range header {
		i, ok := c.index[name]
		switch {
		case !ok:
			others = append(others, name)
		case b.columns[i] >= 0:
			problems = append(problems, fmt.Sprintf("column %q is there twice, as number %d and %d", name, b.columns[i]+1, column+1))
		default:
			b.columns[i] = column
		}
	}
	for i, column := range b.columns {
		if column >= 0 || !c.declared[i].Required() {
			continue
		}
		p := fmt.Sprintf("column %q is missing, expected %s", c.names[i], c.inputs[i].expected)
		if s := manifest.Suggest(c.names[i], others); s != "" {
			p += fmt.Sprintf("; is it the column %q?", shorten([]byte(s)))
		}
		problems = append(problems, p)
	}
	if problems != nil {
		return nil, fault.New(fault.Invalid, nil, "%s", strings.Join(problems, "\n"))
	}
	return b, nil
}

// Fill makes r the rows of the block, finished: row i of the buffer is row i of the block. An input without a column
// takes its default or null. An empty field of an input that is not nullable counts as not given.
func (b *Binding) Fill(r *Rows, blk *table.Block) {
	r.Reset()
	r.file = true
	r.Grow(blk.Rows)
	for input, column := range b.columns {
		if column < 0 {
			continue
		}
		c := &blk.Columns[column]
		for row := range blk.Rows {
			r.setText(row, input, c.Text(row))
		}
	}
	r.Finish()
}

// setText sets the text of a file's field. Spaces around it do not count, except in categories that are text.
func (r *Rows) setText(row, i int, text []byte) {
	in := &r.c.inputs[i]
	word := text
	if in.texts == nil {
		word = bytes.TrimSpace(text)
	}
	if in.isNull(word) {
		switch {
		case in.nullable:
			r.mark(row, i)
			r.cols[i][row] = null
		case len(word) > 0 && !in.hasDefault:
			r.mark(row, i)
			r.problem(row, i, CodeNull, text, true)
		} // else not given: Finish knows what to do
		return
	}
	r.mark(row, i)
	v, code := in.parseText(word)
	if code != "" {
		r.problem(row, i, code, text, true)
		return
	}
	r.cols[i][row] = v
}

func (in *input) isNull(word []byte) bool {
	for _, n := range in.nulls {
		if string(word) == n {
			return true
		}
	}
	return false
}

func (in *input) parseText(word []byte) (float64, string) {
	switch in.kind {
	case manifest.Timestamp:
		return in.parseTime(word)
	case manifest.Boolean:
		return parseBool(word)
	case manifest.Categorical:
		if in.texts != nil {
			return in.textCode(word)
		}
	}
	v, ok := parseDecimal(word)
	if !ok {
		if in.kind == manifest.Categorical {
			return 0, CodeCategory
		}
		return 0, CodeType
	}
	if in.kind == manifest.Categorical {
		return in.numberCode(v)
	}
	return v, in.checkNumber(v, word)
}

func parseBool(word []byte) (float64, string) {
	switch {
	case string(word) == "1", bytes.EqualFold(word, []byte("true")):
		return 1, ""
	case string(word) == "0", bytes.EqualFold(word, []byte("false")):
		return 0, ""
	}
	return 0, CodeType
}
