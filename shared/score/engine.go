package score

import "github.com/millrace-ml/millrace/shared/forest"

// engine is an opened artifact. It never changes, so any number of goroutines may use it, each with a worker of its own.
type engine interface {
	Info() forest.Info
	newWorker() worker
}

// worker is an engine's working memory for one goroutine.
type worker interface {
	// predict writes the outputs of rows rows of the contract's matrix: out is rows × Info().Outputs. What it writes for a
	// row does not depend on the rows around it. Of the rows that it returns the outputs are NaN.
	predict(x []float64, rows int, out []float64) []refusal
}

// refusal is a row that an engine does not score, and why.
type refusal struct {
	row    int
	reason string
}

// treeEngine is the engine of tree ensembles. It refuses no row.
type treeEngine struct{ *forest.Model }

func (t treeEngine) newWorker() worker { return treeWorker{t.Model, t.NewScratch()} }

type treeWorker struct {
	m *forest.Model
	s *forest.Scratch
}

func (w treeWorker) predict(x []float64, rows int, out []float64) []refusal {
	w.m.Predict(x, rows, out, w.s)
	return nil
}
