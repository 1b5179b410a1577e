package score

import (
	"slices"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/feature"
)

// Predictions are the outputs of a call of Score, by column. They belong to the Scorer and hold until its next call.
type Predictions struct {
	Rows    int
	Outputs []Output // in the manifest's order
}

// Output is one output of all rows: Labels if it has labels, else Values.
type Output struct {
	Name   string
	Values []float64
	Labels []string
}

// Scorer scores the rows of one goroutine at a time. Its buffers grow to the largest call and are used again, so that a
// row costs no allocation.
type Scorer struct {
	m      *Model
	rows   *feature.Rows
	matrix []float64
	raw    []float64
	worker worker
	out    Predictions
}

// NewScorer makes a scorer with empty buffers.
func (m *Model) NewScorer() *Scorer {
	s := &Scorer{m: m, rows: m.contract.NewRows(), worker: m.engine.newWorker()}
	for _, r := range m.rules {
		o := Output{Name: r.name}
		if r.choice != number {
			o.Labels = []string{} // not nil also without rows
		}
		s.out.Outputs = append(s.out.Outputs, o)
	}
	return s
}

// Rows is the input buffer: reset it, set values, call its Finish, look at its problems, then call Score.
func (s *Scorer) Rows() *feature.Rows { return s.rows }

// Score scores all rows of the buffer. Rows with problems get outputs without meaning: the caller skips them. A row's
// outputs do not depend on the rows around it. The error is for engines that can refuse a row while they score, as the
// graphs of ONNX can; those for tree ensembles cannot.
func (s *Scorer) Score() (*Predictions, error) {
	n := s.rows.Len()
	width := s.m.engine.Info().Outputs
	s.matrix = s.m.contract.Matrix(s.rows, s.matrix)
	s.raw = slices.Grow(s.raw[:0], n*width)[:n*width]
	for _, r := range s.worker.predict(s.matrix, n, s.raw) {
		if !s.rows.Bad(r.row) {
			return nil, fault.New(fault.Invalid, nil, "row %d: %s", r.row, r.reason)
		}
	}
	for i := range s.m.rules {
		s.m.rules[i].apply(s.raw, width, n, &s.out.Outputs[i])
	}
	s.out.Rows = n
	return &s.out, nil
}
