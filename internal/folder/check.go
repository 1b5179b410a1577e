// Package folder works on model folders as people change them: it checks one against its neighbours, brings a new artifact
// in, and compares the predictions of two versions. What a model folder means is said by shared/manifest and shared/score.
package folder

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/millrace-ml/millrace/pipelines/batchscore"
	"github.com/millrace-ml/millrace/shared/manifest"
	"github.com/millrace-ml/millrace/shared/score"
)

// Check opens the model folder as a deployment does: manifest, contract, artifact, parity rows, and the pipeline of a
// batch model.
func Check(models, name string) (*score.Model, error) {
	m, err := manifest.LoadDir(os.DirFS(models), name)
	if err != nil {
		return nil, err
	}
	model, err := score.Open(os.DirFS(filepath.Join(models, name)))
	if err != nil {
		return nil, err
	}
	if m.Serves(manifest.ServeBatch) {
		if _, err := batchscore.Build(m, "example.invalid/step@sha256:"+strings.Repeat("0", 64)); err != nil {
			return nil, err
		}
	}
	return model, nil
}

// CheckNeighbours checks what a model shares with the others of the folder models: their uploads must not start each
// other's runs. A neighbour that cannot be read is its owner's matter.
func CheckNeighbours(models string, m *manifest.Manifest) error {
	entries, err := os.ReadDir(models)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == m.Name || !e.IsDir() {
			continue
		}
		other, err := manifest.LoadDir(os.DirFS(models), e.Name())
		if err != nil {
			continue
		}
		if err := manifest.CheckAll([]*manifest.Manifest{other, m}); err != nil {
			return err
		}
	}
	return nil
}

// exists refuses a name without a folder, in words that help.
func exists(models, name string) error {
	if _, err := os.Stat(filepath.Join(models, name, manifest.File)); err != nil {
		return fmt.Errorf("model %q: there is no %s", name, filepath.Join(models, name, manifest.File))
	}
	return nil
}
