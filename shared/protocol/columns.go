package protocol

import (
	"fmt"

	"github.com/millrace-ml/millrace/shared/fault"
)

// readColumns reads {name: […], …}; the first column says how many rows there are. The predecessor's clients also send
// {name: {index: value}}, as pandas writes a frame.
func (d *Decoder) readColumns() {
	first := true
	for ok := d.begin('{', '}'); ok && d.err == nil; ok = d.more('}') {
		raw := d.key()
		input, known := d.lookup(raw)
		if (!known || d.columns[input]) && d.full() {
			d.skip(2)
			continue
		}
		key := string(raw)
		switch {
		case !known:
			d.unknown("/"+d.data, key)
			d.skip(2)
			continue
		case d.columns[input]:
			d.problem("/"+d.data+pointer(key), "duplicate", "each input once", quote(key))
			d.skip(2)
			continue
		}
		d.columns[input] = true
		d.column(key, input, first)
		first = false
	}
}

// lookup finds an input. For a payload a name is also tried as the predecessor wrote it: spaces as underscores, then only
// letters, digits and underscores.
func (d *Decoder) lookup(key []byte) (int, bool) {
	if i, ok := d.contract.Lookup(key); ok || d.form != Payload || len(key) > longest {
		return i, ok
	}
	clean := make([]byte, 0, len(key))
	for i := range len(key) {
		switch c := key[i]; {
		case c == ' ':
			clean = append(clean, '_')
		case c == '_' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z':
			clean = append(clean, c)
		}
	}
	return d.contract.Lookup(clean)
}

func (d *Decoder) column(key string, input int, first bool) {
	n := 0
	switch kind := d.peek(); kind {
	case '[':
		for ok := d.begin('[', ']'); ok && d.err == nil; ok = d.more(']') {
			d.columnValue(n, input, first)
			n++
		}
	case '{':
		if d.form == Payload {
			n = d.indexed(key, input, first)
			break
		}
		fallthrough
	default: // a single value is a column of one
		d.columnValue(0, input, first)
		n = 1
	}
	if n != d.rows.Len() && d.err == nil {
		d.short[input] = true
		d.problem("/"+d.data+pointer(key), "length", fmt.Sprintf("%d values, as the first column has", d.rows.Len()), fmt.Sprintf("%d values", n))
	}
}

func (d *Decoder) columnValue(row, input int, first bool) {
	if first && d.addRow() < 0 {
		return
	}
	if row < d.rows.Len() {
		d.set(row, input)
	} else {
		d.skip(3)
	}
}

// indexed reads {index: value}; the first column's indexes name the rows.
func (d *Decoder) indexed(key string, input int, first bool) (n int) {
	if d.index == nil {
		d.index = map[string]int{}
	}
	for ok := d.begin('{', '}'); ok && d.err == nil; ok = d.more('}') {
		at := string(d.key())
		row, known := d.index[at]
		switch {
		case first && !known:
			if row = d.addRow(); row < 0 {
				return n
			}
			d.index[at] = row
		case (!known || d.rows.Has(row, input)) && d.full():
			d.skip(3)
			continue
		case !known || d.rows.Has(row, input):
			d.problem("/"+d.data+pointer(key)+pointer(at), "index", "each index of the first column once", quote(at))
			d.skip(3)
			continue
		}
		d.set(row, input)
		n++
	}
	return n
}

// collect turns the contract's problems into pointers and adds them to the decoder's own.
func (d *Decoder) collect() {
	inputs := d.contract.Inputs()
	missing := make([]bool, len(inputs))
	own := 0
	for _, p := range d.rows.Problems() {
		if p.Code == "missing" && d.form != Rows && p.Input >= 0 {
			switch {
			case d.short[p.Input]:
				continue
			case !d.columns[p.Input]: // the whole column is absent: say it once
				if !missing[p.Input] {
					missing[p.Input] = true
					d.problem("/"+d.data+pointer(p.Name), p.Code, p.Expected, p.Got)
				}
				continue
			}
		}
		if p.Code == "missing" && d.isBad(p.Row) {
			continue
		}
		own++
		d.problem(d.place(p.Row, p.Name), p.Code, p.Expected, p.Got)
	}
	if kept := len(d.rows.Problems()); own == kept { // none was folded: the contract's own count is exact
		d.count += d.rows.ProblemCount() - kept
	}
}

func (d *Decoder) isBad(row int) bool {
	for _, b := range d.badRows {
		if b == row {
			return true
		}
	}
	return false
}

// fault is the request's one error, nil when there is no problem.
func (d *Decoder) fault() error {
	if d.count == 0 {
		return nil
	}
	first := d.problems[0]
	got := "got " + first.Got
	if first.Code == "missing" {
		got = "missing"
	}
	more := ""
	if d.count > 1 {
		more = fmt.Sprintf(" (and %d more)", d.count-1)
	}
	err := fault.New(fault.Invalid, nil, "%s: %s, expected %s%s", dotted(first.Pointer), got, first.Expected, more)
	err.Problems = d.problems
	return err
}
