package scaffold

import (
	"path/filepath"
	"strings"
	"testing"
)

// Every model file that is read becomes a folder that passes its checks.
func TestEveryReadableFileMakesAModel(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{"xgboost/testdata/*/*.json", "xgboost/testdata/*/*.ubj", "lightgbm/testdata/*/*.txt", "catboost/testdata/cb-*/*.json", "catboost/testdata/cb-*/*.cbm", "../onnx/testdata/*/pipeline_*.onnx", "../onnx/testdata/*/forest_*.onnx"} {
		found, err := filepath.Glob("../../shared/forest/" + pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(found), err)
		}
		for _, name := range found {
			if base := filepath.Base(name); base == "index.json" || strings.HasPrefix(base, "onehot") && strings.HasSuffix(base, ".cbm") {
				continue // these .cbm know their categories by hashes only: see TestHashedCategoriesNeedNames
			}
			t.Run(strings.TrimPrefix(filepath.ToSlash(name), "../../shared/forest/"), func(t *testing.T) {
				t.Parallel()
				if _, err := New(t.Context(), Options{Name: "from-file", Kind: "both", Models: t.TempDir(), Artifact: name}); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func TestHashedCategoriesNeedNames(t *testing.T) {
	t.Parallel()
	_, err := New(t.Context(), Options{Name: "from-file", Kind: "both", Models: t.TempDir(), Artifact: "../../shared/forest/catboost/testdata/cb-1.2.10/onehot.cbm"})
	if err == nil || !strings.Contains(err.Error(), "export the model with python/millrace_export.py") {
		t.Errorf("error %v", err)
	}
}
