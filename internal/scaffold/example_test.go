package scaffold

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The example's train.py makes exactly what the template brings, where the version of XGBoost that made it is installed.
func TestTheExampleIsWhatItsTrainingMakes(t *testing.T) {
	t.Parallel()
	python := os.Getenv("MILLRACE_PYTHON")
	if python == "" {
		python = "python3"
	}
	version, err := exec.CommandContext(t.Context(), python, "-c", "import numpy, pandas, xgboost; print(xgboost.__version__)").Output()
	if err != nil || strings.TrimSpace(string(version)) != "3.2.0" {
		t.Skipf("skipped: %s has no numpy, pandas and xgboost 3.2.0 (MILLRACE_PYTHON names another)", python)
	}
	root := t.TempDir()
	models := filepath.Join(root, "models")
	for _, d := range []string{"models", "python"} {
		if err := os.Mkdir(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(filepath.Join(root, "python"), os.DirFS("../../python")); err != nil {
		t.Fatal(err)
	}
	for _, kind := range Kinds {
		name := "demand-" + kind
		if _, err := New(t.Context(), Options{Name: name, Kind: kind, Models: models}); err != nil {
			t.Fatal(err)
		}
		before := contents(t, filepath.Join(models, name))
		if out, err := exec.CommandContext(t.Context(), python, "-B", filepath.Join(models, name, "train.py")).CombinedOutput(); err != nil {
			t.Fatalf("train.py: %v\n%s", err, out)
		}
		if d := cmp.Diff(before, contents(t, filepath.Join(models, name))); d != "" {
			t.Errorf("%s: the template and its training differ (-template +training):\n%.3000s", name, d)
		}
	}
}

func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, name := range []string{"model.yaml", "artifact/model.ubj", "parity.jsonl", "baseline.json", "sample.csv", "train.py", "README.md"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		all[name] = string(data)
	}
	return all
}
