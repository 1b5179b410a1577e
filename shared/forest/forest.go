// Package forest is the one representation of tree ensembles and the kernel that scores it. Readers below it turn files
// of a training library into a Model through a Builder, which checks the shape of every tree, so that scoring needs no
// checks: a walk takes at most as many steps as its tree is deep and cannot hang. A library's linear models share the
// Model and its links (FromLinear).
//
// It is not for reading files, not for the meaning of features (package feature) and not for what is done with outputs
// after the training library's own transform (package score).
package forest

import "github.com/millrace-ml/millrace/shared/linear"

// Limits on what a Builder takes. They are far above real models and far below what would exhaust a small function.
const (
	MaxTrees    = 100_000
	MaxNodes    = 10_000_000 // below 2^24: a float32 holds every node number exactly
	MaxDepth    = 255        // trees that grow by leaf can be lopsided
	MaxFeatures = 1 << 20
	MaxMargins  = 10_000
)

// Info describes a model. Its slices belong to the model and are not to be changed.
type Info struct {
	Format    string // "xgboost", "lightgbm", "catboost"
	Version   string // of the library that wrote the file, or of the format where the file has only that
	Objective string
	Trees     int // 0 for a linear model
	Nodes     int
	Features  int
	Float64   bool // the library compares and sums in float64, else in float32
	Margins   int  // raw scores per row
	Outputs   int  // transformed outputs per row; 1 for a class index over several margins

	FeatureNames  []string   // nil when the file has none
	FeatureTypes  []string   // in the library's words; nil when the file has none
	Categorical   []bool     // one per feature
	Categories    [][]string // the training categories by code, as text; nil, or nil for a feature without them
	Classes       []string   // the names of the classes by number; nil when the file has none
	BestIteration int        // where early stopping would have cut, -1 when not recorded. All trees are used.
}

// Model is a scored ensemble. It never changes after Builder.Model, so any number of goroutines may use it, each with a
// Scratch of its own.
type Model struct {
	info      Info
	transform transform
	single    *kernel[float32] // one of the four
	double    *kernel[float64]
	oblivious *oblivious
	linear    *linear.Model
}

// Info describes the model.
func (m *Model) Info() Info { return m.info }

// Scratch is the working memory of one goroutine. It is made for one model and is not for concurrent use.
type Scratch struct {
	single    scratch[float32]
	double    scratch[float64]
	oblivious obliviousScratch
}

type scratch[T float] struct {
	block   block[T]
	margins []T
}

func newScratch[T float](k *kernel[T]) scratch[T] {
	b := k.newBlock()
	return scratch[T]{block: b, margins: make([]T, b.rows*k.margins)}
}

// NewScratch allocates all that Predict and Margin need, so that they allocate nothing.
func (m *Model) NewScratch() *Scratch {
	switch {
	case m.oblivious != nil:
		return &Scratch{oblivious: newObliviousScratch(m.oblivious)}
	case m.double != nil:
		return &Scratch{double: newScratch(m.double)}
	case m.linear != nil:
		return &Scratch{single: scratch[float32]{margins: make([]float32, linearRows*m.info.Margins)}}
	}
	return &Scratch{single: newScratch(m.single)}
}

// Predict writes the transformed outputs of rows rows: x is row-major, rows × Info().Features, NaN is missing; out is
// rows × Info().Outputs. The result of a row does not depend on the rows around it. It panics when x or out is too short.
func (m *Model) Predict(x []float64, rows int, out []float64, s *Scratch) {
	width := m.info.Outputs
	if m.info.Float64 {
		m.inDouble(x, rows, s, func(first, n int, margins []float64) {
			m.transform.double(margins, out[first*width:(first+n)*width])
		})
		return
	}
	m.inSingle(x, rows, s, func(first, n int, margins []float32) {
		m.transform.single(margins, out[first*width:(first+n)*width])
	})
}

// Margin is Predict without the transform: out is rows × Info().Margins raw scores.
func (m *Model) Margin(x []float64, rows int, out []float64, s *Scratch) {
	width := m.info.Margins
	if m.info.Float64 {
		m.inDouble(x, rows, s, func(first, n int, margins []float64) {
			copy(out[first*width:(first+n)*width], margins)
		})
		return
	}
	m.inSingle(x, rows, s, func(first, n int, margins []float32) {
		identity(margins, out[first*width:(first+n)*width])
	})
}

// inSingle scores block after block with what sums in float32.
func (m *Model) inSingle(x []float64, rows int, s *Scratch, yield func(first, n int, margins []float32)) {
	if m.linear != nil {
		m.linearBlocks(x, rows, s, yield)
		return
	}
	blocks(m.single, x, rows, &s.single, yield)
}

// inDouble is inSingle for what sums in float64.
func (m *Model) inDouble(x []float64, rows int, s *Scratch, yield func(first, n int, margins []float64)) {
	scaled := func(first, n int, sums []float64) {
		m.transform.affine(sums)
		yield(first, n, sums)
	}
	if m.oblivious != nil {
		m.oblivious.blocks(x, rows, &s.oblivious, scaled)
		return
	}
	blocks(m.double, x, rows, &s.double, scaled)
}

// blocks scores block after block; yield gets the first row, the number of rows and their margins.
func blocks[T float](k *kernel[T], x []float64, rows int, s *scratch[T], yield func(first, n int, margins []T)) {
	for first := 0; first < rows; first += s.block.rows {
		n := min(s.block.rows, rows-first)
		margins := s.margins[:n*k.margins]
		k.score(x[first*k.features:(first+n)*k.features], n, margins, &s.block)
		yield(first, n, margins)
	}
}
