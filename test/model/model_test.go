// Package model tests the model folders of the repository, and the folders that millrace new makes, as they will be used.
package model

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/millrace-ml/millrace/internal/modeltest"
	"github.com/millrace-ml/millrace/shared/manifest"
)

const models = "../../models"

var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "millrace-model-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if binary, err = modeltest.Binary(dir, "../.."); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// Each model does what its folder promises: the one that MODEL names, or all of them.
func TestModels(t *testing.T) {
	t.Parallel()
	pattern := "*"
	if name := os.Getenv("MODEL"); name != "" {
		pattern = name
	}
	found, err := filepath.Glob(filepath.Join(models, pattern, manifest.File))
	if err != nil || len(found) == 0 {
		t.Fatalf("there is no model %s in models (%v)", pattern, err)
	}
	s := modeltest.Start(t, models, binary)
	for _, f := range found {
		name := filepath.Base(filepath.Dir(f))
		t.Run(name, func(t *testing.T) { s.Test(t, name) })
	}
}
