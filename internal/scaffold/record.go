package scaffold

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/millrace-ml/millrace/internal/folder"
	"github.com/millrace-ml/millrace/shared/feature"
	"github.com/millrace-ml/millrace/shared/manifest"
	"github.com/millrace-ml/millrace/shared/protocol"
	"github.com/millrace-ml/millrace/shared/score"
	"github.com/millrace-ml/millrace/shared/table"
)

const (
	parityRows = 64           // spread over the file; extremes come on top
	sampleRows = 200          // of sample.csv
	madeUpRows = 16           // without any data
	mostRows   = 100_000      // of a CSV that are used
	mostCells  = 50 << 20     // of the matrix in memory
	predColumn = "prediction" // of a CSV: what the training library gives
)

// recorder predicts instances of a new model's contract. Its features are its inputs, in their order, so that the matrix
// holds the inputs too.
type recorder struct {
	engine   engine
	contract *feature.Contract
	manifest *manifest.Manifest
}

// rows is what a CSV gave.
type rows struct {
	matrix  []float64
	numbers []int64   // of each row in the file
	given   []float64 // the CSV's own predictions, nil if it has none
	refused int
	problem string // of the first refused row
	cut     bool   // there were more
}

// predictionColumns are the names of the columns that may hold the training library's outputs.
func predictionColumns(outputs int) []string {
	if outputs == 1 {
		return []string{predColumn}
	}
	names := make([]string, outputs)
	for i := range names {
		names[i] = predColumn + "_" + strconv.Itoa(i)
	}
	return names
}

// recordRows adds parity.jsonl, sample.csv and, from a CSV, baseline.json.
func recordRows(ctx context.Context, o Options, r recorder, files tree, v *artifactView, result *Result) error {
	if o.CSV == "" {
		instances, err := r.finite(r.madeUp())
		if err != nil {
			return err
		}
		v.Parity, v.Rows = "made up", len(instances)
		result.Notes = append(result.Notes, "parity.jsonl and sample.csv are made-up rows with Millrace's own predictions: they notice changes, they do not prove that the training library agrees",
			"there is no baseline.json: it needs training data (--csv FILE, or python/millrace_export.py)")
		return r.write(instances, nil, files)
	}
	all, err := r.read(ctx, o.CSV)
	if err != nil {
		return fmt.Errorf("%s: %w", o.CSV, err)
	}
	width := r.contract.Width()
	n := len(all.numbers)
	predictions := r.predict(all.matrix, n)
	if i := slices.IndexFunc(predictions, math.IsNaN); i >= 0 {
		return fmt.Errorf("%s: row %d: the model gives no number for it", o.CSV, all.numbers[i/r.engine.Info().Outputs])
	}
	v.Parity = "engine"
	if all.given != nil {
		if err := r.agree(all, predictions); err != nil {
			return fmt.Errorf("%s: %w", o.CSV, err)
		}
		v.Parity = "trainer"
	} else {
		result.Notes = append(result.Notes, "the predictions in parity.jsonl are Millrace's own: they notice changes, they do not prove that the training library agrees (README.md of the model says how to get that)")
	}
	if all.refused > 0 {
		result.Notes = append(result.Notes, fmt.Sprintf("%d rows of the CSV do not fit and were left out; %s", all.refused, all.problem))
	}
	if all.cut {
		result.Notes = append(result.Notes, fmt.Sprintf("only the first %d rows of the CSV were used", n))
	}
	picked := spread(all.matrix, n, width)
	wanted := map[int64]bool{}
	for i := range n {
		if i < sampleRows || slices.Contains(picked, i) {
			wanted[all.numbers[i]] = true
		}
	}
	found, err := r.instances(ctx, o.CSV, wanted)
	if err != nil {
		return err
	}
	var parity []map[string]any
	var given []float64
	for _, i := range picked {
		parity = append(parity, found[all.numbers[i]])
		if k := r.engine.Info().Outputs; all.given != nil {
			given = append(given, all.given[i*k:(i+1)*k]...)
		}
	}
	v.Rows, v.BaselineRows = len(parity), n
	files[baselineFile] = baseline(r.manifest, all.matrix, predictions, n)
	if err := r.write(parity, given, files); err != nil {
		return err
	}
	var sample []map[string]any
	for _, number := range all.numbers[:min(n, sampleRows)] {
		sample = append(sample, found[number])
	}
	files[sampleFile], err = r.csv(sample)
	return err
}

func (r recorder) predict(matrix []float64, n int) []float64 {
	out := make([]float64, n*r.engine.Info().Outputs)
	r.engine.predict(matrix, n, out)
	return out
}

// agree holds the engine to the CSV's own predictions, about as exactly as score will; score has the last word.
func (r recorder) agree(all *rows, predictions []float64) error {
	width := r.engine.Info().Outputs
	first, differ := -1, 0
	for i := range predictions {
		equal := float32(predictions[i]) == float32(all.given[i])
		if r.engine.Info().Float64 {
			equal = math.Abs(predictions[i]-all.given[i]) <= 1e-15*math.Abs(all.given[i])
		}
		if !equal {
			if differ++; first < 0 {
				first = i
			}
		}
	}
	if first < 0 {
		return nil
	}
	return fmt.Errorf("row %d: %s is %v, the model gives %v (%d of %d numbers differ): the CSV is of another model, or its numbers are rounded; "+
		"write them with 17 digits, or rename the column to go without", all.numbers[first/width], predictionColumns(width)[first%width],
		all.given[first], predictions[first], differ, len(predictions))
}

// instances reads single rows again, by their number.
func (r recorder) instances(ctx context.Context, name string, wanted map[int64]bool) (map[int64]map[string]any, error) {
	found := map[int64]map[string]any{}
	err := blocks(ctx, name, func(_ []string, b *table.Block) (bool, error) {
		for i := range b.Rows {
			if wanted[b.Numbers[i]] {
				found[b.Numbers[i]] = folder.Instance(r.contract, b, i)
			}
		}
		return len(found) < len(wanted), nil
	})
	return found, err
}

// write makes parity.jsonl and sample.csv of instances, with the given predictions, or else the engine's.
func (r recorder) write(instances []map[string]any, given []float64, files tree) (err error) {
	buffer := r.contract.NewRows()
	buffer.Grow(len(instances))
	for i, instance := range instances {
		folder.Fill(buffer, r.contract, i, instance)
	}
	buffer.Finish()
	if p := buffer.Problems(); len(p) > 0 {
		return fmt.Errorf("parity row %d: %s %v", p[0].Row+1, p[0].Name, p[0])
	}
	predictions := given
	if predictions == nil {
		predictions = r.predict(r.contract.Matrix(buffer, nil), len(instances))
	}
	width := r.engine.Info().Outputs
	var b []byte
	for i, instance := range instances {
		b = append(r.object(append(b, `{"instance": `...), instance), `, "prediction": `...)
		if width == 1 {
			b = protocol.AppendNumber(b, predictions[i])
		} else {
			b = append(b, '[')
			for k, p := range predictions[i*width : (i+1)*width] {
				if k > 0 {
					b = append(b, ", "...)
				}
				b = protocol.AppendNumber(b, p)
			}
			b = append(b, ']')
		}
		b = append(b, "}\n"...)
	}
	files[score.ParityFile] = b
	files[sampleFile], err = r.csv(instances)
	return err
}

// object writes an instance in the order of the inputs.
func (r recorder) object(b []byte, instance map[string]any) []byte {
	b = append(b, '{')
	first := true
	for _, in := range r.contract.Inputs() {
		v, ok := instance[in.Name]
		if !ok {
			continue
		}
		if !first {
			b = append(b, ", "...)
		}
		first = false
		b = append(protocol.AppendString(b, in.Name), ": "...)
		switch v := v.(type) {
		case string:
			b = protocol.AppendString(b, v)
		case bool:
			b = strconv.AppendBool(b, v)
		case json.Number:
			b = append(b, v...)
		}
	}
	return append(b, '}')
}
