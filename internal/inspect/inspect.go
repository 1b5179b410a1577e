// Package inspect looks into a model folder's artifact: what it is made of, which features it uses and how much, and what a
// tree of it says. It explains no single prediction.
package inspect

import (
	"fmt"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/millrace-ml/millrace/shared/forest"
	"github.com/millrace-ml/millrace/shared/forest/lightgbm"
	"github.com/millrace-ml/millrace/shared/forest/xgboost"
	"github.com/millrace-ml/millrace/shared/manifest"
	"github.com/millrace-ml/millrace/shared/score"
)

// Report is what there is to say of a model.
type Report struct {
	Model     string `json:"model"`
	Version   string `json:"version"`
	Artifact  string `json:"artifact"`
	FileBytes int    `json:"file_bytes"`
	Digest    string `json:"digest"`

	Format    string   `json:"format"`
	Library   string   `json:"library_version"` // empty where the file does not say it
	Objective string   `json:"objective"`       // empty where the file does not say it
	Classes   []string `json:"classes,omitempty"`
	Precision string   `json:"precision"` // "float32" or "float64", of the sums
	Margins   int      `json:"raw_scores"`
	Outputs   int      `json:"outputs"`

	Trees  int `json:"trees"`
	Depth  int `json:"depth"`
	Leaves int `json:"leaves"`
	Bytes  int `json:"bytes_in_memory"` // 0 when it is not known

	Importance string    `json:"importance"` // what the features are ordered by: "gain", "splits", "weight", or "" when nothing is known
	Features   []Feature `json:"features"`
	Tree       string    `json:"tree,omitempty"`
}

// Feature is how much a model uses a feature.
type Feature struct {
	Name    string    `json:"name"`
	Splits  int       `json:"splits"`
	Gain    *float64  `json:"gain,omitempty"`    // in training, summed over its splits
	Weights []float64 `json:"weights,omitempty"` // of a linear model
	Share   float64   `json:"share"`             // of the sum over all features
}

// Used is the number of features that the model looks at.
func (r *Report) Used() int {
	n := 0
	for i := range r.Features {
		if r.Features[i].Splits > 0 || slices.ContainsFunc(r.Features[i].Weights, func(w float64) bool { return w != 0 }) {
			n++
		}
	}
	return n
}

// Inspect opens the model of that name in the folder models, checks it as a deployment does, and looks at it. tree is the
// number of the tree to write out, -1 for none.
func Inspect(models, name string, tree int) (*Report, error) {
	dir := os.DirFS(filepath.Join(models, name))
	if _, err := fs.Stat(dir, manifest.File); err != nil {
		return nil, fmt.Errorf("model %q: there is no %s", name, filepath.Join(models, name, manifest.File))
	}
	m, err := score.Open(dir)
	if err != nil {
		return nil, err
	}
	info, artifact := m.Info(), m.Manifest().Artifact
	r := &Report{
		Model: m.Manifest().Name, Version: m.Manifest().Version, Artifact: artifact.Path, Digest: m.Digest(),
		Format: info.Format, Library: info.Version, Objective: info.Objective, Classes: info.Classes, Precision: "float32",
		Margins: info.Margins, Outputs: info.Outputs, Trees: info.Trees,
	}
	if info.Float64 {
		r.Precision = "float64"
	}
	if r.Artifact == "" { // fetched from its URI
		object, _, _ := strings.Cut(artifact.URI, "#")
		r.Artifact = path.Join("artifact", path.Base(object))
	}
	data, err := fs.ReadFile(dir, r.Artifact)
	if err != nil {
		return nil, err
	}
	r.FileBytes = len(data)
	for _, f := range m.Contract().FeatureNames() {
		r.Features = append(r.Features, Feature{Name: f})
	}
	if f := m.Forest(); f != nil {
		if err := r.look(f, data, tree); err != nil {
			return nil, err
		}
	} else if tree > 0 {
		return nil, fmt.Errorf("tree %d: a model of the format %s is not made of trees alone", tree, info.Format)
	}
	return r, nil
}

// look fills in what is known of trees and linear models.
func (r *Report) look(f *forest.Model, data []byte, tree int) error {
	s := f.Structure()
	r.Depth, r.Leaves, r.Bytes = s.Depth, s.Leaves, s.Bytes
	gains, err := gainsOf(r.Format, data)
	if err != nil {
		return err
	}
	for i := range r.Features {
		u := &r.Features[i]
		u.Splits, u.Weights = s.Splits[i], f.Weights(i)
		if gains != nil {
			gain := 0.0
			if i < len(gains) {
				gain = gains[i]
			}
			u.Gain = &gain
		}
	}
	r.order(gains != nil)
	if tree >= 0 && r.Trees > 0 {
		r.Tree, err = f.Render(tree)
	} else if tree > 0 {
		err = fmt.Errorf("tree %d: a linear model has none", tree)
	}
	return err
}

// gainsOf are the gains in training by feature, nil where the format records none.
func gainsOf(format string, data []byte) ([]float64, error) {
	switch format {
	case "xgboost":
		return xgboost.Gains(data)
	case "lightgbm":
		return lightgbm.Gains(data)
	}
	return nil, nil
}

// order puts the features that matter most first.
func (r *Report) order(gains bool) {
	measure := func(f *Feature) float64 { return float64(f.Splits) }
	switch {
	case r.Trees == 0:
		r.Importance = "weight"
		measure = func(f *Feature) float64 {
			sum := 0.0
			for _, w := range f.Weights {
				sum += math.Abs(w)
			}
			return sum
		}
	case gains:
		r.Importance = "gain"
		measure = func(f *Feature) float64 { return *f.Gain }
	default:
		r.Importance = "splits"
	}
	sum := 0.0
	for i := range r.Features {
		sum += measure(&r.Features[i])
	}
	for i := range r.Features {
		if sum > 0 {
			r.Features[i].Share = measure(&r.Features[i]) / sum
		}
	}
	slices.SortStableFunc(r.Features, func(a, b Feature) int {
		switch x, y := measure(&a), measure(&b); {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
}
