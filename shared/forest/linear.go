package forest

import (
	"fmt"

	"github.com/millrace-ml/millrace/shared/linear"
)

// linearRows are scored at once by a linear model.
const linearRows = 64

// FromLinear makes a Model of a linear model, with the links and the description of tree models: a library has both kinds
// behind one objective. Config.Base, Vectors, and what is float64's have no meaning here.
func FromLinear(c Config, l *linear.Model) (*Model, error) {
	if c.Float64 || c.Vectors || c.Average {
		return nil, fmt.Errorf("a linear model is summed in float32, without trees")
	}
	if c.Features != l.Features() {
		return nil, fmt.Errorf("weights of %d features for %d features", l.Features(), c.Features)
	}
	c.Base = make([]float64, l.Margins())
	if err := c.check(); err != nil {
		return nil, err
	}
	m := &Model{info: cloneInfo(c.Info), linear: l}
	if len(m.info.Categorical) == 0 {
		m.info.Categorical = make([]bool, c.Features)
	}
	if err := m.setTransform(&c); err != nil {
		return nil, err
	}
	return m, nil
}

// linearBlocks scores block after block, as blocks does.
func (m *Model) linearBlocks(x []float64, rows int, s *Scratch, yield func(first, n int, margins []float32)) {
	width := m.linear.Margins()
	for first := 0; first < rows; first += linearRows {
		n := min(linearRows, rows-first)
		margins := s.single.margins[:n*width]
		m.linear.Score(x[first*m.info.Features:(first+n)*m.info.Features], n, margins)
		yield(first, n, margins)
	}
}
