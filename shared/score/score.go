// Package score is the scoring path, the same for requests and files: it opens a model folder, proves that the model gives
// what its trainer recorded, and turns rows of the feature contract into predictions.
//
// It knows no wire format and no file format; it does not load over the network.
package score

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/feature"
	"github.com/millrace-ml/millrace/shared/forest"
	"github.com/millrace-ml/millrace/shared/manifest"
)

// Model is an opened model folder. It never changes, so any number of goroutines may use it, each with a Scorer.
type Model struct {
	manifest *manifest.Manifest
	contract *feature.Contract
	engine   engine
	digest   string
	rules    []rule
	loose    []float64 // how far a parity row may be off, by column; nil for engines that are exact
}

// Open opens the model folder fsys: it reads the manifest, checks the artifact's sha256, compiles the contract, reads the
// artifact, checks that contract, artifact and outputs fit each other, and proves the parity rows. A model that fails any
// of this is refused; the error says which file, row and feature.
func Open(fsys fs.FS) (*Model, error) {
	man, err := manifest.Load(fsys, manifest.File)
	if err != nil {
		return nil, err
	}
	m := &Model{manifest: man}
	if err := m.open(fsys); err != nil {
		var f *fault.Error
		if errors.As(err, &f) {
			return nil, fault.New(f.Kind, f.Unwrap(), "model %s: %s", man.Name, f.Message)
		}
		return nil, fmt.Errorf("model %s: %w", man.Name, err)
	}
	return m, nil
}

func (m *Model) open(fsys fs.FS) error {
	data, err := readArtifact(fsys, &m.manifest.Artifact)
	if err != nil {
		return err
	}
	if m.digest, err = checkDigest(data, &m.manifest.Artifact); err != nil {
		return err
	}
	if m.contract, err = feature.New(m.manifest); err != nil {
		return err
	}
	if m.engine, err = readEngine(data, m.manifest.Artifact.Format, categoriesOf(m.manifest)); err != nil {
		return err
	}
	if m.engine, err = bindGraph(m.engine, m.manifest); err != nil {
		return err
	}
	if err := checkFeatures(m.manifest, m.contract, m.engine.Info()); err != nil {
		return err
	}
	if m.rules, err = newRules(m.manifest.Outputs, m.engine.Info()); err != nil {
		return err
	}
	return m.prove(fsys)
}

// Manifest is the folder's model.yaml.
func (m *Model) Manifest() *manifest.Manifest { return m.manifest }

// Contract is the compiled inputs and features.
func (m *Model) Contract() *feature.Contract { return m.contract }

// Digest is "sha256:" and the hexadecimal sha256 of the artifact.
func (m *Model) Digest() string { return m.digest }

// Info describes the artifact.
func (m *Model) Info() forest.Info { return m.engine.Info() }

// Forest is the trees or the linear model behind the scores, nil for a model of another kind.
func (m *Model) Forest() *forest.Model {
	if t, ok := m.engine.(treeEngine); ok {
		return t.Model
	}
	return nil
}
