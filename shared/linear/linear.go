// Package linear holds linear models: a weight for each feature and output. It gives their raw scores with the additions
// of the library that trained them, in its order and number type, so that the bits are the same.
//
// It is not for reading files (forest/xgboost does), nor for what becomes of raw scores (the links of package forest).
package linear

import "fmt"

// Limits on the size of a model.
const (
	MaxFeatures = 1 << 20
	MaxMargins  = 10_000
)

// Model is a linear model in float32. It never changes after New, so any number of goroutines may use it.
type Model struct {
	features int
	start    []float32 // per margin, before the first feature
	weights  []float32 // features × margins
}

// New makes a model that starts each margin at its value in start and adds, feature by feature, value × weight. The
// weights stand feature by feature, one per margin. New keeps both slices.
func New(features int, start, weights []float32) (*Model, error) {
	switch {
	case features < 1 || features > MaxFeatures:
		return nil, fmt.Errorf("%d features: from 1 to %d are supported", features, MaxFeatures)
	case len(start) < 1 || len(start) > MaxMargins:
		return nil, fmt.Errorf("%d outputs: from 1 to %d are supported", len(start), MaxMargins)
	case len(weights) != features*len(start):
		return nil, fmt.Errorf("%d weights for %d features and %d outputs", len(weights), features, len(start))
	}
	for i, v := range start {
		if v-v != 0 {
			return nil, fmt.Errorf("bias of output %d is %v", i, v)
		}
	}
	for i, v := range weights {
		if v-v != 0 {
			return nil, fmt.Errorf("weight of feature %d for output %d is %v", i/len(start), i%len(start), v)
		}
	}
	return &Model{features: features, start: start, weights: weights}, nil
}

// Features is the number of features.
func (m *Model) Features() int { return m.features }

// Margins is the number of raw scores of a row.
func (m *Model) Margins() int { return len(m.start) }

// Weight is what a feature's value is multiplied with for a margin.
func (m *Model) Weight(feature, margin int) float32 { return m.weights[feature*len(m.start)+margin] }

// Score writes the raw scores of rows rows: x is row-major, rows × Features, and rounded to float32 first; a missing value
// (NaN) adds nothing. margins is rows × Margins. The products are rounded before they are added, on every CPU.
func (m *Model) Score(x []float64, rows int, margins []float32) {
	width := len(m.start)
	for r := range rows {
		row, sums := x[r*m.features:(r+1)*m.features], margins[r*width:(r+1)*width]
		copy(sums, m.start)
		for f, value := range row {
			v := float32(value)
			if v != v {
				continue
			}
			for g, w := range m.weights[f*width : (f+1)*width] {
				sums[g] += float32(v * w)
			}
		}
	}
}
