package score

import (
	"math"

	"github.com/millrace-ml/millrace/shared/manifest"
	"github.com/millrace-ml/millrace/shared/onnx"
)

// graphEngine is the engine of ONNX graphs. It refuses the rows that the runtime would end a call for.
type graphEngine struct{ *onnx.Model }

func readGraph(data []byte, _ [][]string) (engine, error) {
	m, err := onnx.Read(data)
	if err != nil {
		return nil, err
	}
	return graphEngine{m}, nil
}

func (g graphEngine) newWorker() worker { return &graphWorker{m: g.Model, s: g.NewScratch()} }

type graphWorker struct {
	m       *onnx.Model
	s       *onnx.Scratch
	refused []refusal
}

func (w *graphWorker) predict(x []float64, rows int, out []float64) []refusal {
	w.refused = w.refused[:0]
	for _, r := range w.m.Predict(x, rows, out, w.s) {
		w.refused = append(w.refused, refusal{r.Row, r.Reason})
	}
	return w.refused
}

// bindGraph gives a graph's engine the manifest's features: which column is which input, and what codes stand for.
func bindGraph(e engine, m *manifest.Manifest) (engine, error) {
	g, ok := e.(graphEngine)
	if !ok {
		return e, nil
	}
	bound, err := g.Bind(Features(m))
	if err != nil {
		return nil, err
	}
	return graphEngine{bound}, nil
}

// Features are the manifest's features as a graph is given them.
func Features(m *manifest.Manifest) []onnx.Feature {
	out := make([]onnx.Feature, len(m.Features))
	for i, f := range m.Features {
		out[i] = onnx.Feature{Name: f.Name, Missing: f.Expr == ""}
		in := plainInput(m, i)
		if in == nil {
			continue
		}
		out[i].Type, out[i].Missing = string(in.Type), in.Nullable
		if in.Type != manifest.Categorical {
			continue
		}
		for _, v := range in.Values {
			if v.Kind == manifest.Numeric {
				out[i].Numbers = append(out[i].Numbers, v.Number)
			} else {
				out[i].Texts = append(out[i].Texts, v.Text)
			}
		}
	}
	return out
}

// looseness is how far, relative to the largest prediction of a column, a graph may be from the runtime, whose matrix
// products and exponentials depend on its machine and on the number of rows: 8 units in the last place of a float32.
const looseness = 0x1p-20

// loosen allows for what the runtime leaves open, by column of the predictions.
func (m *Model) loosen(rows []parityRow) {
	g, ok := m.engine.(graphEngine)
	if !ok || g.Exact() {
		return
	}
	m.loose = make([]float64, m.engine.Info().Outputs)
	for i := range rows {
		for k, v := range rows[i].prediction {
			m.loose[k] = max(m.loose[k], looseness*math.Abs(v))
		}
	}
}

// agree is whether predictions are the recorded ones, by the engine's exactness or within a relative tolerance.
func (m *Model) agree(got, want []float64, tolerance float64) bool {
	for k, v := range got {
		off := math.Abs(v - want[k])
		if !m.same(v, want[k]) && !(off <= tolerance*math.Abs(want[k])) && (m.loose == nil || !(off <= m.loose[k])) {
			return false
		}
	}
	return true
}
