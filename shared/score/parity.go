package score

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/feature"
)

// ParityFile is the name of the recorded rows inside a model folder.
const ParityFile = "parity.jsonl"

// maxParity bounds the file: it is read at every start of a process.
const maxParity = 16 << 20

// expressionTolerance is how far a feature made by an expression may be from the trainer's, relative: libraries differ
// in the last digits of a logarithm.
const expressionTolerance = 1e-9

// parityRow is one line of the file.
type parityRow struct {
	line       int
	instance   map[string]any
	features   []float64 // nil when not recorded
	prediction []float64
}

// prove scores the recorded rows and compares: the engine on the recorded features, the contract's features from the
// recorded instances, and the predictions from the instances.
func (m *Model) prove(fsys fs.FS) error {
	data, err := readBounded(fsys, ParityFile, maxParity)
	if err != nil {
		return err
	}
	rows, err := m.parseParity(data)
	if err != nil {
		return err
	}
	m.loosen(rows)
	s := m.NewScorer()
	if err := fillRows(m.contract, s.rows, rows); err != nil {
		return err
	}
	if _, err := s.Score(); err != nil {
		return err
	}
	var first error
	wrong := 0
	for i := range rows {
		if err := m.compare(&rows[i], i, s); err != nil {
			if wrong++; wrong == 1 {
				first = err
			}
		}
	}
	if first != nil {
		return fault.New(fault.Invalid, nil, "%v (%d of %d rows differ)", first, wrong, len(rows))
	}
	return nil
}

// compare checks one row, whose scored form is row i of s.
func (m *Model) compare(p *parityRow, i int, s *Scorer) error {
	width, outputs := m.contract.Width(), m.engine.Info().Outputs
	got := s.raw[i*outputs : (i+1)*outputs]
	place := fmt.Sprintf("%s:%d", ParityFile, p.line)
	if p.features != nil {
		matrix := s.matrix[i*width : (i+1)*width]
		if f := m.firstDifference(matrix, p.features); f >= 0 {
			return fmt.Errorf("%s: feature %q is %s from the instance, %s in training; the prediction is %s, in training %s", place,
				m.contract.FeatureNames()[f], show(matrix[f]), show(p.features[f]), show(got...), show(p.prediction...))
		}
		engine := make([]float64, outputs)
		s.worker.predict(p.features, 1, engine)
		if !m.agree(engine, p.prediction, 0) {
			return fmt.Errorf("%s: from the recorded features the prediction is %s, in training %s: the artifact is another one, or the "+
				"recorded call used other trees than the file holds", place, show(engine...), show(p.prediction...))
		}
	}
	tolerance := 0.0
	if m.manifest.Parity != nil {
		tolerance = m.manifest.Parity.Tolerance
	}
	if !m.agree(got, p.prediction, tolerance) {
		return fmt.Errorf("%s: from the instance the prediction is %s, in training %s", place, show(got...), show(p.prediction...))
	}
	return nil
}

// firstDifference is the first feature that differs from training, -1 if none does.
func (m *Model) firstDifference(got, want []float64) int {
	for f := range got {
		tolerance := 0.0
		if m.manifest.Features[f].Expr != "" {
			tolerance = expressionTolerance
		}
		if !equalFeature(got[f], want[f], tolerance, m.engine.Info().Float64) {
			return f
		}
	}
	return -1
}

// equalFeature compares as the engine sees it, in float32 or float64: some value within the tolerance of got must be want.
func equalFeature(got, want, tolerance float64, double bool) bool {
	if math.IsNaN(got) || math.IsNaN(want) {
		return math.IsNaN(got) && math.IsNaN(want)
	}
	margin := math.Abs(got) * tolerance
	if double {
		return got-margin <= want && want <= got+margin
	}
	return float32(got-margin) <= float32(want) && float32(want) <= float32(got+margin)
}

// maxULP is how far the transform of an engine in float64 may be from the library's, whose exp depends on its platform.
const maxULP = 4

// same is the exactness of the engine: every bit in float32, which forgives how the number was written down, or maxULP in
// float64.
func (m *Model) same(a, b float64) bool {
	if m.engine.Info().Float64 {
		return a == b || math.Abs(a-b) <= maxULP*(math.Nextafter(math.Abs(b), math.Inf(1))-math.Abs(b))
	}
	return math.Float32bits(float32(a)) == math.Float32bits(float32(b))
}

// show writes numbers for a message, null for missing.
func show(values ...float64) string {
	var b []byte
	for i, v := range values {
		if i > 0 {
			b = append(b, ", "...)
		}
		if i == 8 {
			b = append(b, "…"...)
			break
		}
		if math.IsNaN(v) {
			b = append(b, "null"...)
			continue
		}
		format := byte('f')
		if a := math.Abs(v); a != 0 && (a < 1e-6 || a >= 1e21) { // as in JSON
			format = 'e'
		}
		b = strconv.AppendFloat(b, v, format, -1, 64)
	}
	if len(values) == 1 {
		return string(b)
	}
	return "[" + string(b) + "]"
}

// parseParity reads the lines strictly; there must be at least one.
func (m *Model) parseParity(data []byte) ([]parityRow, error) {
	var rows []parityRow
	for line, text := range bytes.Split(data, []byte("\n")) {
		if len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		p, err := m.parseRow(text)
		if err != nil {
			return nil, fault.New(fault.Invalid, nil, "%s:%d: %v", ParityFile, line+1, err)
		}
		p.line = line + 1
		rows = append(rows, p)
	}
	if rows == nil {
		return nil, fault.New(fault.Invalid, nil, "%s has no rows: record some predictions of the training library", ParityFile)
	}
	return rows, nil
}

func (m *Model) parseRow(text []byte) (parityRow, error) {
	var raw struct {
		Instance   map[string]any  `json:"instance"`
		Features   []*float64      `json:"features"`
		Prediction json.RawMessage `json:"prediction"`
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	d.DisallowUnknownFields()
	if err := d.Decode(&raw); err != nil {
		return parityRow{}, fmt.Errorf("expected an object with instance, features and prediction: %w", err)
	}
	if d.More() {
		return parityRow{}, fmt.Errorf("something follows the object")
	}
	if raw.Instance == nil {
		return parityRow{}, fmt.Errorf("instance is missing")
	}
	p := parityRow{instance: raw.Instance}
	if raw.Features != nil {
		if len(raw.Features) != m.contract.Width() {
			return p, fmt.Errorf("%d features, the model has %d", len(raw.Features), m.contract.Width())
		}
		p.features = orNaN(raw.Features)
	}
	list := []*float64{nil}
	if json.Unmarshal(raw.Prediction, &list[0]) != nil && json.Unmarshal(raw.Prediction, &list) != nil || slices.Contains(list, nil) {
		return p, fmt.Errorf("prediction: expected a number or a list of numbers")
	}
	p.prediction = orNaN(list)
	if want := m.engine.Info().Outputs; len(p.prediction) != want {
		return p, fmt.Errorf("prediction has %d numbers, the artifact gives %d", len(p.prediction), want)
	}
	return p, nil
}

// orNaN turns null into NaN.
func orNaN(list []*float64) []float64 {
	out := make([]float64, len(list))
	for i, v := range list {
		out[i] = math.NaN()
		if v != nil {
			out[i] = *v
		}
	}
	return out
}

// fillRows puts the instances through the contract as a request would.
func fillRows(c *feature.Contract, rows *feature.Rows, parity []parityRow) error {
	rows.Reset()
	rows.Grow(len(parity))
	for i, p := range parity {
		for _, name := range slices.Sorted(maps.Keys(p.instance)) {
			input, ok := c.Lookup([]byte(name))
			if !ok {
				hint := ""
				if near := c.Suggest(name); near != "" {
					hint = fmt.Sprintf("; did you mean %q?", near)
				}
				return fault.New(fault.Invalid, nil, "%s:%d: instance.%s is no input%s", ParityFile, p.line, name, hint)
			}
			rows.Set(i, input, p.instance[name])
		}
	}
	rows.Finish()
	if problems := rows.Problems(); len(problems) > 0 {
		p := problems[0]
		return fault.New(fault.Invalid, nil, "%s:%d: instance.%s: %v", ParityFile, parity[p.Row].line, p.Name, p)
	}
	return nil
}
