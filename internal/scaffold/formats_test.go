package scaffold

import (
	"path/filepath"
	"strings"
	"testing"
)

// Every model file that is read becomes a folder that passes its checks.
func TestEveryReadableFileMakesAModel(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{"xgboost/testdata/*/*.json", "xgboost/testdata/*/*.ubj", "lightgbm/testdata/*/*.txt"} {
		found, err := filepath.Glob("../../shared/forest/" + pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(found), err)
		}
		for _, name := range found {
			if filepath.Base(name) == "index.json" {
				continue
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
