package scaffold

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"

	"github.com/millrace-ml/millrace/internal/folder"
	"github.com/millrace-ml/millrace/shared/manifest"
	"github.com/millrace-ml/millrace/shared/table/csv"
)

const (
	sampleFile   = "sample.csv"
	baselineFile = "baseline.json"
	bins         = 10
)

// madeUp are instances without any data: small and large numbers, every category and both truth values, in changing company.
func (r recorder) madeUp() []map[string]any {
	numbers := []string{"0", "1", "-1", "0.5", "10", "100", "-10", "1000"}
	whole := []string{"0", "1", "2", "5", "10", "100", "3", "1000"}
	out := make([]map[string]any, madeUpRows)
	for i := range out {
		out[i] = map[string]any{}
		for j, in := range r.contract.Inputs() {
			k := i*(j%7+1) + j
			switch in.Type {
			case manifest.Boolean:
				out[i][in.Name] = k%2 == 1
			case manifest.Categorical:
				if v := in.Values[k%len(in.Values)]; v.Kind == manifest.Text {
					out[i][in.Name] = v.Text
				} else {
					out[i][in.Name] = json.Number(v.String())
				}
			case manifest.Integer:
				out[i][in.Name] = json.Number(whole[k%len(whole)])
			default:
				out[i][in.Name] = json.Number(numbers[k%len(numbers)])
			}
		}
	}
	return out
}

// finite leaves out the instances whose predictions no row can hold: e to the power of a made-up row of a linear model
// easily is infinite.
func (r recorder) finite(instances []map[string]any) ([]map[string]any, error) {
	buffer := r.contract.NewRows()
	buffer.Grow(len(instances))
	for i, instance := range instances {
		folder.Fill(buffer, r.contract, i, instance)
	}
	buffer.Finish()
	width := r.engine.Info().Outputs
	predictions := r.predict(r.contract.Matrix(buffer, nil), len(instances))
	var out []map[string]any
	for i, instance := range instances {
		if !slices.ContainsFunc(predictions[i*width:(i+1)*width], func(v float64) bool { return v-v != 0 }) {
			out = append(out, instance)
		}
	}
	if out == nil {
		return nil, errors.New("the model gives no number for any made-up row: give rows (--csv FILE)")
	}
	return out, nil
}

// spread are rows over the whole of the data, and for every column its extremes and a missing value: the rows that show a
// mistake. python/millrace_export.py chooses the same way.
func spread(matrix []float64, n, width int) []int {
	picked := map[int]bool{}
	for i := range min(parityRows, n) {
		picked[i*(n-1)/max(min(parityRows, n)-1, 1)] = true
	}
	for f := range width {
		least, most, missing := -1, -1, -1
		for i := range n {
			switch v := matrix[i*width+f]; {
			case math.IsNaN(v):
				if missing < 0 {
					missing = i
				}
			default:
				if least < 0 || v < matrix[least*width+f] {
					least = i
				}
				if most < 0 || v > matrix[most*width+f] {
					most = i
				}
			}
		}
		for _, i := range []int{least, most, missing} {
			if i >= 0 {
				picked[i] = true
			}
		}
	}
	var out []int
	for i := range picked {
		out = append(out, i)
	}
	slices.Sort(out)
	return out
}

// csv writes instances as a file that the contract reads.
func (r recorder) csv(instances []map[string]any) ([]byte, error) {
	var b bytes.Buffer
	w, err := csv.NewWriter(&b, 0)
	if err != nil {
		return nil, err
	}
	for _, in := range r.contract.Inputs() {
		w.String(in.Name)
	}
	w.EndRow()
	for _, instance := range instances {
		for _, in := range r.contract.Inputs() {
			switch v := instance[in.Name]; v.(type) {
			case nil:
				w.String("")
			default:
				w.String(fmt.Sprint(v))
			}
		}
		w.EndRow()
	}
	err = w.Flush() // before the bytes are taken
	return b.Bytes(), err
}

// distribution is one entry of baseline.json, as python/millrace_export.py writes it.
type distribution struct {
	name string
	json string
}

// baseline is the distribution of inputs and predictions: ten quantile bins for numbers, counts for categories.
func baseline(m *manifest.Manifest, matrix, predictions []float64, n int) []byte {
	width := len(m.Inputs)
	var inputs, outputs []distribution
	for f, in := range m.Inputs {
		column := column(matrix, width, f, n)
		text := numberStats(column)
		switch in.Type {
		case manifest.Categorical:
			names := make([]string, len(in.Values))
			for k, v := range in.Values {
				names[k] = v.Text
				if v.Kind != manifest.Text {
					names[k] = v.String()
				}
			}
			text = countStats(column, names)
		case manifest.Boolean:
			text = countStats(column, []string{"false", "true"})
		}
		inputs = append(inputs, distribution{in.Name, fmt.Sprintf(`{"nulls": %d, %s}`, n-len(column), text)})
	}
	engine := len(predictions) / max(n, 1)
	k := 0
	for _, o := range m.Outputs {
		if o.Labels == nil {
			outputs = append(outputs, distribution{o.Name, "{" + numberStats(column(predictions, engine, k, n)) + "}"})
			k++
		}
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "{\n \"rows\": %d,\n \"inputs\": {\n%s\n },\n \"predictions\": {\n%s\n }\n}\n", n, lines(inputs), lines(outputs))
	return b.Bytes()
}

func lines(all []distribution) []byte {
	parts := make([][]byte, len(all))
	for i, d := range all {
		parts[i] = []byte("  " + quoted(d.name) + ": " + d.json)
	}
	return bytes.Join(parts, []byte(",\n"))
}

// column is what is known of a column, without the missing values.
func column(matrix []float64, width, f, n int) []float64 {
	var out []float64
	for i := range n {
		if v := matrix[i*width+f]; !math.IsNaN(v) {
			out = append(out, v)
		}
	}
	return out
}

// countStats counts codes by their names; names that do not occur are left out.
func countStats(codes []float64, names []string) string {
	counts := make([]int, len(names))
	for _, c := range codes {
		counts[int(c)]++
	}
	text := ""
	for i, n := range names {
		if counts[i] > 0 {
			if text != "" {
				text += ", "
			}
			text += quoted(n) + ": " + strconv.Itoa(counts[i])
		}
	}
	return `"counts": {` + text + "}"
}

func numberStats(values []float64) string {
	if len(values) == 0 {
		return `"count": 0`
	}
	slices.Sort(values)
	n, mean, spread := float64(len(values)), 0.0, 0.0
	for _, v := range values {
		mean += v
	}
	mean /= n
	for _, v := range values {
		spread += (v - mean) * (v - mean)
	}
	var edges []float64
	for i := range bins + 1 { // quantiles by linear interpolation, as numpy
		at := float64(i) / bins * float64(len(values)-1)
		low := int(at)
		v := values[low]
		if low+1 < len(values) {
			v += (at - float64(low)) * (values[low+1] - v)
		}
		if len(edges) == 0 || v > edges[len(edges)-1] {
			edges = append(edges, v)
		}
	}
	counts := []int{len(values)}
	if len(edges) > 1 {
		counts = counts[:0]
		from := 0
		for _, e := range edges[1 : len(edges)-1] {
			to := sort.SearchFloat64s(values, e)
			counts = append(counts, to-from)
			from = to
		}
		counts = append(counts, len(values)-from) // the last bin holds its upper edge
	}
	whole := func(c int) string { return strconv.Itoa(c) }
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	return fmt.Sprintf(`"count": %d, "mean": %s, "std": %s, "edges": %s, "counts": %s`, len(values), number(mean), number(math.Sqrt(spread/n)),
		list(edges, number), list(counts, whole))
}
