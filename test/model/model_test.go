// Package model tests the model folders of the repository, and the folders that millrace new makes, as they will be used.
package model

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

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
	here := t.TempDir()
	var names []string
	for _, f := range found {
		if name := filepath.Base(filepath.Dir(f)); snapshot(t, name, here) {
			names = append(names, name)
		}
	}
	s := modeltest.Start(t, here, binary)
	for _, name := range names {
		t.Run(name, func(t *testing.T) { s.Test(t, name) })
	}
}

// snapshot copies a model: other tests make models here and take them away again. It tells whether the copy is whole.
func snapshot(t *testing.T, name, to string) bool {
	t.Helper()
	from, to := filepath.Join(models, name), filepath.Join(to, name)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		err := os.CopyFS(to, os.DirFS(from))
		if err == nil && slices.Equal(files(from), files(to)) {
			return true
		}
		if err := os.RemoveAll(to); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(from); err != nil {
			return false // taken away
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s changes all the time: %v", name, err)
		}
	}
}

// files are the names below a folder.
func files(dir string) (names []string) {
	_ = filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			names = append(names, path[len(dir):])
		}
		return nil // what goes away meanwhile is no part
	})
	return names
}
