package protocol

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/feature"
)

// Form is how a request laid its rows out, and so how it wants its answer.
type Form uint8

// The forms of KServe V1, TensorFlow Serving's REST API, and the predecessor's payload.
const (
	Rows    Form = iota // {"instances": […]} or {"inputs": […]}; answered by predictions
	Columns             // {"inputs": {name: […]}}; answered by outputs
	Payload             // {"payload": {name: […]}}; answered by predictions
)

// tolerated are the keys beside the data that clients send and that change nothing here.
var tolerated = []string{"parameters", "signature_name", "id", "model_name"}

// maxProblems is how many problems an answer lists; the rest is counted.
const maxProblems = 100

// Decoder reads a request's body in one pass straight into the contract's buffer. It is reused, and not for concurrent use.
type Decoder struct {
	scanner
	contract *feature.Contract
	rows     *feature.Rows
	maxRows  int

	form     Form
	data     string // the key that held the data
	problems []fault.Problem
	count    int
	badRows  []int  // rows whose length was wrong: what they lack is not reported again
	columns  []bool // inputs that came as a column
	short    []bool // columns whose length was wrong
	index    map[string]int
}

// Decode fills rows, which it resets, from a body of at most maxRows rows. All problems of the request come in one
// fault.Invalid; too many rows are fault.TooLarge.
func (d *Decoder) Decode(body []byte, c *feature.Contract, rows *feature.Rows, maxRows int) (Form, error) {
	d.start(body, c, rows, maxRows)
	if !utf8.Valid(body) {
		return 0, fault.New(fault.Invalid, nil, "the body is not UTF-8")
	}
	if d.peek() != '{' {
		return 0, fault.New(fault.Invalid, nil, `the body is not a JSON object, expected for example {"instances": [{%q: …}]}`, d.example())
	}
	var seen []string
	for ok := d.begin('{', '}'); ok && d.err == nil; ok = d.more('}') {
		raw := d.key()
		if len(d.problems) == maxProblems && !known(raw) && d.full() {
			d.skip(1)
			continue
		}
		key := string(raw)
		if slices.Contains(seen, key) {
			d.problem(pointer(key), "duplicate", "each key once", quote(key))
			d.skip(1)
			continue
		}
		seen = append(seen, key)
		d.member(key)
	}
	d.end()
	switch {
	case d.err != nil:
		return 0, d.err
	case d.data == "" && d.count == 0:
		return 0, fault.New(fault.Invalid, nil, `either "payload" is missing or not structured properly: expected one of "instances", "inputs", "payload", for example {"instances": [{%q: …}]}`, d.example())
	}
	rows.Finish()
	d.collect()
	return d.form, d.fault()
}

func (d *Decoder) start(body []byte, c *feature.Contract, rows *feature.Rows, maxRows int) {
	d.reset(body)
	d.contract, d.rows, d.maxRows = c, rows, maxRows
	d.form, d.data, d.count = Rows, "", 0
	d.problems, d.badRows = d.problems[:0:0], d.badRows[:0]
	n := len(c.Inputs())
	d.columns = append(d.columns[:0], make([]bool, n)...)
	d.short = append(d.short[:0], make([]bool, n)...)
	clear(d.index)
	rows.Reset()
}

func (d *Decoder) example() string {
	if in := d.contract.Inputs(); len(in) > 0 {
		return in[0].Name
	}
	return "input"
}

// known says whether a body may have the key.
func known(key []byte) bool {
	return string(key) == "instances" || string(key) == "inputs" || string(key) == "payload" || slices.Contains(tolerated, string(key))
}

// member reads one key of the body.
func (d *Decoder) member(key string) {
	switch {
	case key == "instances" || key == "inputs" || key == "payload":
		if d.data != "" {
			d.problem(pointer(key), "duplicate", "only one of instances, inputs and payload", fmt.Sprintf("%s and %s", d.data, key))
			d.skip(1)
			return
		}
		d.data = key
		d.read(key, d.peek())
	case slices.Contains(tolerated, key):
		d.skip(1)
	default:
		d.problem(pointer(key), "unknown", "instances, inputs or payload, and parameters", quote(key))
		d.skip(1)
	}
}

func (d *Decoder) read(key string, kind byte) {
	switch {
	case kind == '[' && key != "payload":
		d.form = Rows
		for ok := d.begin('[', ']'); ok && d.err == nil; ok = d.more(']') {
			if row := d.addRow(); row >= 0 {
				d.row(row)
			}
		}
	case kind == '{' && key != "instances":
		d.form = Columns
		if key == "payload" {
			d.form = Payload
		}
		d.readColumns()
	default:
		want := map[string]string{"instances": "a list of rows", "inputs": "a list of rows or an object of columns", "payload": "an object of columns"}[key]
		d.problem(pointer(key), "type", want, name(kind))
		d.skip(1)
	}
}

// addRow appends a row; beyond the limit it stops the whole request before more memory is taken, and gives -1.
func (d *Decoder) addRow() int {
	if d.rows.Len() >= d.maxRows {
		if d.err == nil {
			d.err = fault.New(fault.TooLarge, nil, "the request has more than %d rows: split it, or score a file", d.maxRows)
		}
		return -1
	}
	return d.rows.Append()
}

// row reads one instance: an object, a list of values in the order of the inputs, or, for a single input, the value.
func (d *Decoder) row(row int) {
	switch kind := d.peek(); {
	case kind == '{':
		d.object(row)
	case kind == '[':
		d.list(row)
	case len(d.contract.Inputs()) == 1:
		d.set(row, 0)
	default:
		d.badRows = append(d.badRows, row)
		d.problem(d.at(row), "type", "an object or a list of values", name(kind))
		d.skip(2)
	}
}

func (d *Decoder) object(row int) {
	for ok := d.begin('{', '}'); ok && d.err == nil; ok = d.more('}') {
		key := d.key()
		input, known := d.contract.Lookup(key)
		switch {
		case (!known || d.rows.Has(row, input)) && d.full():
			d.skip(3)
		case !known:
			d.unknown(d.at(row), string(key))
			d.skip(3)
		case d.rows.Has(row, input):
			d.problem(d.at(row)+pointer(string(key)), "duplicate", "each input once", quote(string(key)))
			d.skip(3)
		default:
			d.set(row, input)
		}
	}
}

// list reads a row given by position. KServe's clients also send a row as a list of objects with one key each.
func (d *Decoder) list(row int) {
	inputs := d.contract.Inputs()
	n, objects := 0, false
	for ok := d.begin('[', ']'); ok && d.err == nil; ok = d.more(']') {
		switch {
		case d.peek() == '{':
			objects = true
			d.object(row)
			continue
		case n < len(inputs):
			d.set(row, n)
		default:
			d.skip(3)
		}
		n++
	}
	if n != len(inputs) && !objects && d.err == nil {
		d.badRows = append(d.badRows, row)
		d.problem(d.at(row), "length", fmt.Sprintf("%d values in the order %s", len(inputs), names(inputNames(d.contract))), fmt.Sprintf("%d values", n))
	}
}

// set reads the value at the scanner into a cell. A list of one value counts as the value.
func (d *Decoder) set(row, input int) {
	kind, v, token := d.value()
	if kind == '[' {
		if !d.begin('[', ']') {
			d.rows.SetOther(row, input, "an empty list")
			return
		}
		kind, v, token = d.value()
		d.cell(row, input, kind, v, token)
		for extra := false; d.err == nil && d.more(']'); {
			d.skip(4)
			if !extra {
				extra = true
				d.rows.SetOther(row, input, "a list of several values")
			}
		}
		return
	}
	d.cell(row, input, kind, v, token)
}

func (d *Decoder) cell(row, input int, kind byte, v float64, token []byte) {
	switch kind {
	case 'n':
		d.rows.SetNumber(row, input, v, token)
	case 's':
		d.rows.SetString(row, input, token)
	case 't', 'f':
		d.rows.SetBool(row, input, kind == 't')
	case '0':
		d.rows.SetNull(row, input)
	case '{', '[':
		d.rows.SetOther(row, input, name(kind))
		d.skip(4)
	}
}

// names lists inputs for a message; many are cut.
func names(inputs []string) string {
	const most = 12
	if len(inputs) > most {
		return fmt.Sprintf("%s, … (%d in all)", join(inputs[:most]), len(inputs))
	}
	return join(inputs)
}
