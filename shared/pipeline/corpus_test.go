package pipeline

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLintAcceptsCompiledPipelines reads a folder of files that the KFP SDK compiled, such as
// test_data/sdk_compiled_pipelines/valid of kubeflow/pipelines. Set KFP_COMPILED to it.
func TestLintAcceptsCompiledPipelines(t *testing.T) {
	dir := os.Getenv("KFP_COMPILED")
	if dir == "" {
		t.Skip("KFP_COMPILED names no folder of SDK-compiled pipelines")
	}
	files := 0
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || !strings.HasSuffix(path, ".yaml") {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		spec, err := Decode(filepath.Base(path), data)
		if err != nil {
			t.Errorf("%v", err)
			return nil
		}
		if err := Lint(spec); err != nil {
			t.Errorf("%s: %v", filepath.Base(path), err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d files", files)
}
