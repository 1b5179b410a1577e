// Package exporter runs python/millrace_export.py as a notebook would and opens what it wrote. It needs a Python with the
// training libraries: MILLRACE_PYTHON names it, else python3 is tried, and a library that is not there is skipped by name.
package exporter

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace-ml/millrace/shared/score"
)

// report is a line that a script prints: an export, a refusal or something left out.
type report struct {
	Folder, Format   string
	Outputs          []string
	Trees            int
	Refused, Message string
	Skipped          string
}

func TestLightGBM(t *testing.T) {
	t.Parallel()
	exports(t, "lightgbm", map[string]string{
		"overwrite":      "overwrite=True replaces it",
		"category order": "give X the dtypes of the training frame",
		"feature order":  "the model was trained with features",
		"a feature less": "the model has 5 features, X has 4 columns",
		"no model":       "expected one of xgboost, lightgbm, catboost or sklearn",
	})
}

func TestXGBoost(t *testing.T) {
	t.Parallel()
	exports(t, "xgboost", map[string]string{
		"overwrite":     "overwrite=True replaces it",
		"feature order": "the model was trained with features",
		"no model":      "expected one of xgboost, lightgbm, catboost or sklearn",
	})
}

func TestCatBoost(t *testing.T) {
	t.Parallel()
	exports(t, "catboost", map[string]string{
		"statistics":       "splits by statistics of categories (CTR), which Millrace does not read: train with one_hot_max_size=255",
		"texts":            "the model has text or embedding features",
		"missing category": "input colour: some categories are missing",
		"feature order":    "the model was trained with features",
	})
}

func TestScikitLearn(t *testing.T) {
	t.Parallel()
	exports(t, "sklearn", map[string]string{
		"overwrite":     "overwrite=True replaces it",
		"a function":    "the model cannot be exported through skl2onnx: ",
		"times":         "input time: dtype datetime64",
		"texts":         "open the Pipeline with a ColumnTransformer that encodes them",
		"missing texts": "texts are missing in ['shape']: fill them before training",
		"mixed":         "input colour: texts among other values",
	}, "skl2onnx", "onnxruntime")
}

// exports runs the script of a library and opens each folder that it reports; refusals are by their messages.
func exports(t *testing.T, library string, refusals map[string]string, more ...string) {
	python := interpreter(t, strings.Join(append([]string{library}, more...), ", "))
	root := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, filepath.Join("testdata", library+"_models.py"), root)
	cmd.Env = append(os.Environ(), "PYTHONPATH="+filepath.Join("..", "..", "python"), "PYTHONDONTWRITEBYTECODE=1", "PYTHONWARNINGS=ignore", "PYTHONIOENCODING=utf-8")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, stderr.String())
	}
	opened, refused := 0, map[string]string{}
	for line := range strings.Lines(string(out)) {
		if !strings.HasPrefix(line, "{") {
			continue // LightGBM 3 warns here
		}
		var r report
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		switch {
		case r.Folder != "":
			opened++
			opens(t, root, r)
		case r.Refused != "":
			refused[r.Refused] = r.Message
		default:
			t.Logf("skipped: %s", r.Skipped)
		}
	}
	if opened == 0 {
		t.Error("nothing was exported")
	}
	for what, want := range refusals {
		if !strings.Contains(refused[what], want) {
			t.Errorf("%s: refused with %q, want %q", what, refused[what], want)
		}
	}
}

// opens opens an exported folder, unedited, which proves its recorded rows.
func opens(t *testing.T, root string, want report) {
	t.Helper()
	dir := os.DirFS(filepath.Join(root, want.Folder))
	m, err := score.Open(dir)
	if err != nil {
		t.Errorf("%s: %v", want.Folder, err)
		return
	}
	got := report{Folder: m.Manifest().Name, Format: m.Info().Format, Trees: m.Info().Trees}
	for _, o := range m.Manifest().Outputs {
		got.Outputs = append(got.Outputs, o.Name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", want.Folder, diff)
	}
	rows, err := os.ReadFile(filepath.Join(root, want.Folder, score.ParityFile))
	if n := bytes.Count(rows, []byte(`"features"`)); err != nil || n < 64 {
		t.Errorf("%s: %d recorded rows: %v", want.Folder, n, err)
	}
}

// interpreter is a Python that has the library; without one the test is skipped.
func interpreter(t *testing.T, library string) string {
	t.Helper()
	python := os.Getenv("MILLRACE_PYTHON")
	if python == "" {
		python = "python3"
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, python, "-c", "import numpy, pandas, "+library).CombinedOutput(); err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		t.Skipf("%s cannot import numpy, pandas and %s (%s); MILLRACE_PYTHON names another", python, library, lines[len(lines)-1])
	}
	return python
}
