package folder

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace-ml/millrace/shared/feature"
	"github.com/millrace-ml/millrace/shared/manifest"
	"github.com/millrace-ml/millrace/shared/protocol"
	"github.com/millrace-ml/millrace/shared/table"
	"github.com/millrace-ml/millrace/shared/table/csv"
)

// Row is one instance with its number in the file, from 1.
type Row struct {
	Number   int64
	Instance map[string]any // as encoding/json decodes it with UseNumber
}

// Fill sets one instance in a row of the buffer, as a request would. Names that are no input of this version are left out:
// they may be another version's.
func Fill(rows *feature.Rows, c *feature.Contract, row int, instance map[string]any) {
	for name, v := range instance {
		if input, ok := c.Lookup([]byte(name)); ok {
			rows.Set(row, input, v)
		}
	}
}

// Cell is the field of a file as a request carries it: nil for null. The text must have passed the contract.
func Cell(in *manifest.Input, text []byte) any {
	word := strings.TrimSpace(string(text))
	textual := in.Type == manifest.Categorical && in.Values[0].Kind == manifest.Text
	if textual {
		word = string(text)
	}
	nulls := in.NullStrings
	if nulls == nil && !(textual && slices.Contains(in.Values, manifest.TextValue(""))) {
		nulls = []string{""}
	}
	switch {
	case slices.Contains(nulls, word):
		return nil
	case in.Type == manifest.Boolean:
		return word == "1" || strings.EqualFold(word, "true")
	case in.Type == manifest.Timestamp, textual:
		return word
	}
	f, err := strconv.ParseFloat(word, 64)
	if err != nil {
		return word // the contract will say what is wrong
	}
	return json.Number(protocol.AppendNumber(nil, f))
}

// readRows reads the rows of a file: CSV through the contract, which drops and counts what it refuses; a request, a list or
// a single instance as JSON; or lines with an instance each, as parity.jsonl has them.
func readRows(name string, data []byte, m *manifest.Manifest, c *feature.Contract) (rows []Row, refused int, err error) {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".csv":
		o := csv.Options{}
		if m.Batch != nil {
			o.Delimiter = m.Batch.Delimiter[0] // one byte: the manifest is checked
		}
		rows, refused, err = readCSV(data, o, c)
	case ".jsonl":
		rows, err = readLines(data)
	case ".json":
		rows, err = readJSON(data)
	default:
		err = errors.New("expected a file called .csv, .json or .jsonl")
	}
	if err == nil && len(rows) == 0 {
		err = errors.New("has no rows to compare")
		if refused > 0 {
			err = fmt.Errorf("has no rows to compare: all %d break the contract", refused)
		}
	}
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", name, err)
	}
	return rows, refused, nil
}

func readCSV(data []byte, o csv.Options, c *feature.Contract) (rows []Row, refused int, err error) {
	r, err := csv.NewReader(bytes.NewReader(data), o)
	if err != nil {
		return nil, 0, err
	}
	binding, err := c.Columns(r.Header())
	if err != nil {
		return nil, 0, err
	}
	var block table.Block
	checked := c.NewRows()
	for {
		if err := r.Next(&block); errors.Is(err, io.EOF) {
			return rows, refused, nil
		} else if err != nil {
			return nil, 0, err
		}
		binding.Fill(checked, &block)
		refused += len(block.Bad)
		for i := range block.Rows {
			if checked.Bad(i) {
				refused++
				continue
			}
			rows = append(rows, Row{block.Numbers[i], Instance(c, &block, i)})
		}
	}
}

// Instance is a row of a block as a request carries it; nulls are left out.
func Instance(c *feature.Contract, block *table.Block, row int) map[string]any {
	instance := map[string]any{}
	inputs := c.Inputs()
	for k := range block.Columns {
		column := &block.Columns[k]
		if i, ok := c.Lookup([]byte(column.Name)); ok {
			if v := Cell(&inputs[i], column.Text(row)); v != nil {
				instance[column.Name] = v
			}
		}
	}
	return instance
}

// strangers are the names in the rows that are no input of the contract.
func strangers(rows []Row, c *feature.Contract) []string {
	found := map[string]bool{}
	for _, r := range rows {
		for name := range r.Instance {
			if _, ok := c.Lookup([]byte(name)); !ok {
				found[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

func readLines(data []byte) ([]Row, error) {
	var rows []Row
	for i, line := range bytes.Split(data, []byte("\n")) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		var p struct {
			Instance map[string]any `json:"instance"`
		}
		if err := decode(line, &p); err != nil || p.Instance == nil {
			return nil, fmt.Errorf("line %d: expected an object with the key instance", i+1)
		}
		rows = append(rows, Row{int64(i + 1), p.Instance})
	}
	return rows, nil
}

func readJSON(data []byte) ([]Row, error) {
	var list []map[string]any
	if decode(data, &list) != nil {
		var one map[string]json.RawMessage
		if err := decode(data, &one); err != nil {
			return nil, fmt.Errorf("expected a list of instances, a request or one instance: %w", err)
		}
		inner, ok := one["instances"]
		if !ok {
			inner = append(append([]byte("["), data...), ']')
		}
		if err := decode(inner, &list); err != nil {
			return nil, fmt.Errorf("instances: expected a list of objects: %w", err)
		}
	}
	rows := make([]Row, len(list))
	for i, instance := range list {
		rows[i] = Row{int64(i + 1), instance}
	}
	return rows, nil
}

func decode(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(v); err != nil {
		return err
	}
	if d.More() {
		return errors.New("something follows the value")
	}
	return nil
}
