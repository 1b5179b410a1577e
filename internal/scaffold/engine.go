package scaffold

import (
	"fmt"
	"os"
	"strconv"

	"github.com/millrace-ml/millrace/shared/forest"
	"github.com/millrace-ml/millrace/shared/forest/catboost"
	"github.com/millrace-ml/millrace/shared/forest/lightgbm"
	"github.com/millrace-ml/millrace/shared/forest/xgboost"
	"github.com/millrace-ml/millrace/shared/manifest"
	"github.com/millrace-ml/millrace/shared/onnx"
	"github.com/millrace-ml/millrace/shared/score"
)

func readModel(name string) ([]byte, engine, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, nil, err
	case !info.Mode().IsRegular():
		return nil, nil, fmt.Errorf("%s is no file", name)
	case info.Size() > maxArtifact:
		return nil, nil, fmt.Errorf("%s has %d bytes, at most %d MiB are read", name, info.Size(), maxArtifact>>20)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, nil, err
	}
	for _, r := range readers {
		if !r.sniff(data) {
			continue
		}
		model, err := r.read(data)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", name, err)
		}
		return data, model, nil
	}
	if len(data) > 1 && data[0] == 0x80 { // a pickle: its reader says how to convert it
		_, err := onnx.Read(data)
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	return nil, nil, fmt.Errorf("%s is no model file that is read: expected what save_model of XGBoost (JSON, UBJSON), LightGBM (text) or CatBoost (cbm, JSON) writes, or an ONNX model", name)
}

// readers of the formats that score opens.
var readers = []struct {
	sniff func([]byte) bool
	read  func([]byte) (engine, error)
}{
	{xgboost.Sniff, trees(xgboost.Read)},
	{lightgbm.Sniff, trees(lightgbm.Read)},
	{catboost.Sniff, trees(func(data []byte) (*forest.Model, error) { return catboost.Read(data, nil) })},
	{onnx.Sniff, readGraph},
}

// engine is what score makes of a model file: it predicts rows of the matrix of a manifest that it was bound to.
type engine interface {
	Info() forest.Info
	bind(m *manifest.Manifest) (engine, error)
	predict(x []float64, rows int, out []float64)
}

type forestEngine struct{ *forest.Model }

// trees makes an engine of what a reader gives.
func trees(read func([]byte) (*forest.Model, error)) func([]byte) (engine, error) {
	return func(data []byte) (engine, error) {
		m, err := read(data)
		return forestEngine{m}, err
	}
}

func (e forestEngine) bind(*manifest.Manifest) (engine, error) { return e, nil }

func (e forestEngine) predict(x []float64, rows int, out []float64) {
	e.Predict(x, rows, out, e.NewScratch())
}

type graphEngine struct{ *onnx.Model }

func readGraph(data []byte) (engine, error) {
	m, err := onnx.Read(data)
	return graphEngine{m}, err
}

func (e graphEngine) bind(m *manifest.Manifest) (engine, error) {
	bound, err := e.Bind(score.Features(m))
	return graphEngine{bound}, err
}

func (e graphEngine) predict(x []float64, rows int, out []float64) {
	e.Predict(x, rows, out, e.NewScratch())
}

// unknownTexts is an error for a graph that takes strings and does not say which.
func unknownTexts(info forest.Info) error {
	if info.Format != "onnx" {
		return nil
	}
	for i, texts := range info.Categories {
		if info.Categorical[i] && texts == nil {
			name := "column " + strconv.Itoa(i)
			if info.FeatureNames != nil {
				name = strconv.Quote(info.FeatureNames[i])
			}
			return fmt.Errorf("its input %s takes strings, and nothing in it says which: export the model with python/millrace_export.py", name)
		}
	}
	return nil
}
