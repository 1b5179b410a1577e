package scaffold

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"

	"github.com/millrace-ml/millrace/shared/feature"
	"github.com/millrace-ml/millrace/shared/manifest"
	"github.com/millrace-ml/millrace/shared/table"
	"github.com/millrace-ml/millrace/shared/table/csv"
)

// blocks calls f with each block of a CSV, until f gives false.
func blocks(ctx context.Context, name string, f func(header []string, b *table.Block) (bool, error)) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	r, err := csv.NewReader(file, csv.Options{})
	if err != nil {
		return err
	}
	var b table.Block
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.Next(&b); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if more, err := f(r.Header(), &b); err != nil || !more {
			return err
		}
	}
}

// findNulls makes the inputs nullable that are empty somewhere in the CSV. An input that has the empty text as a category
// is left as it is: the empty field means that one.
func findNulls(ctx context.Context, name string, inputs []manifest.Input) error {
	at := map[string]int{}
	for i, in := range inputs {
		if !slices.Contains(in.Values, manifest.TextValue("")) {
			at[in.Name] = i
		}
	}
	return blocks(ctx, name, func(_ []string, b *table.Block) (bool, error) {
		for k := range b.Columns {
			i, ok := at[b.Columns[k].Name]
			for row := 0; ok && !inputs[i].Nullable && row < b.Rows; row++ {
				inputs[i].Nullable = len(bytes.TrimSpace(b.Columns[k].Text(row))) == 0
			}
		}
		return true, nil
	})
}

// read takes the rows that fit the contract.
func (r recorder) read(ctx context.Context, name string) (*rows, error) {
	all := &rows{}
	buffer := r.contract.NewRows()
	width := r.contract.Width()
	columns := predictionColumns(r.engine.Info().Outputs)
	var binding *feature.Binding
	err := blocks(ctx, name, func(header []string, b *table.Block) (_ bool, err error) {
		if binding == nil {
			if binding, err = r.contract.Columns(header); err != nil {
				return false, err
			}
		}
		binding.Fill(buffer, b)
		all.refused += len(b.Bad)
		if p := buffer.Problems(); len(p) > 0 && all.problem == "" {
			all.problem = fmt.Sprintf("row %d: %s %v", b.Numbers[p[0].Row], p[0].Name, p[0])
		}
		matrix := r.contract.Matrix(buffer, nil)
		for i := range b.Rows {
			if buffer.Bad(i) {
				all.refused++
				continue
			}
			if len(all.numbers) == min(mostRows, mostCells/width) {
				all.cut = true
				return false, nil
			}
			all.matrix = append(all.matrix, matrix[i*width:(i+1)*width]...)
			all.numbers = append(all.numbers, b.Numbers[i])
			if all.given, err = appendGiven(all.given, b, i, header, columns); err != nil {
				return false, err
			}
		}
		return true, nil
	})
	if err == nil && len(all.numbers) == 0 {
		err = errors.New("it has no rows")
		if all.refused > 0 {
			err = fmt.Errorf("none of its %d rows fits the model: %s", all.refused, all.problem)
		}
	}
	return all, err
}

// appendGiven adds the CSV's own predictions of a row, if it has the columns.
func appendGiven(given []float64, b *table.Block, row int, header, columns []string) ([]float64, error) {
	if !slices.Contains(header, columns[0]) {
		return given, nil
	}
	for _, name := range columns {
		at := slices.Index(header, name)
		if at < 0 {
			return nil, fmt.Errorf("column %q is there, column %q is missing: the model gives %d numbers", columns[0], name, len(columns))
		}
		text := string(bytes.TrimSpace(b.Columns[at].Text(row)))
		p, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, fmt.Errorf("row %d: %s is %.40q, expected the number that the training library gives", b.Numbers[row], name, text)
		}
		given = append(given, p)
	}
	return given, nil
}
