package scaffold

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace-ml/millrace/shared/manifest"
)

const graphs = "../../shared/onnx/testdata/ort-1.32.0/"

// A graph says the names and kinds of its inputs; its encoders say the texts, and its classifier the classes.
func TestGraphInputs(t *testing.T) {
	t.Parallel()
	models := t.TempDir()
	if _, err := New(t.Context(), Options{Name: "from-graph", Kind: "realtime", Models: models, Artifact: graphs + "pipeline_forest.onnx"}); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(models, "from-graph", manifest.File))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"format: onnx", "- {name: size, type: number}", "- {name: shop, type: integer}", "- {name: colour, type: categorical, values:",
		`日本`, "{name: probability_high}", `labels: ["high", "low", "mid"]`,
	} {
		if !strings.Contains(string(data), want) {
			t.Errorf("no %q in\n%s", want, data)
		}
	}
}

func TestGraphsThatSayTooLittle(t *testing.T) {
	t.Parallel()
	pickle := filepath.Join(t.TempDir(), "model.pkl")
	if err := os.WriteFile(pickle, []byte("\x80\x04\x95model"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ file, want string }{
		"a pickle": {pickle, "it is a pickle, which is not read"},
		"a graph that gives no number for made-up rows": {graphs + "approximate.onnx", "give rows (--csv FILE)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := New(t.Context(), Options{Name: "from-file", Kind: "both", Models: t.TempDir(), Artifact: c.file})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}
