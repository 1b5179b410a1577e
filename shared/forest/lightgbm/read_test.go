package lightgbm

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/forest"
)

func TestSniff(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{"tree\nversion=v4\n": true, "tree\r\nversion=v4\r\n": true, "tree": false, "": false,
		"trees\n": false, "{\"name\":\"tree\"}\n": false, " tree\n": false, "\x80\x04\x95": false} {
		if got := Sniff([]byte(text)); got != want {
			t.Errorf("Sniff(%q) = %v", text, got)
		}
	}
}

func TestOtherFilesAreRefusedWithAdvice(t *testing.T) {
	t.Parallel()
	_, err := Read([]byte("\x80\x04\x95joblib"))
	if err == nil || fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), `booster.save_model("model.txt")`) {
		t.Errorf("error %v", err)
	}
}

func TestInfo(t *testing.T) {
	t.Parallel()
	m, err := Read(file(t, "testdata/lgb-4.7.0", "binary.txt"))
	if err != nil {
		t.Fatal(err)
	}
	want := forest.Info{Format: "lightgbm", Version: "v4", Objective: "binary", Trees: 9, Nodes: 9 * 13, Features: 6, Float64: true, Margins: 1, Outputs: 1,
		FeatureNames: []string{"size", "age", "rare", "count", "colour", "shop"}, Categorical: []bool{false, false, false, false, true, true},
		Categories:    [][]string{nil, nil, nil, nil, {"red", "green", "", "日本", "blue", "grey", "teal", "pink"}, {"10", "-20", "3", "4", "500", "7"}},
		BestIteration: -1}
	if diff := cmp.Diff(want, m.Info()); diff != "" {
		t.Errorf("info (-want +got):\n%s", diff)
	}
}

// The lists of pandas_categorical go to the categorical features in their order, or nowhere when they do not fit.
func TestCategoriesThatDoNotFitAreLeftOut(t *testing.T) {
	t.Parallel()
	text := string(file(t, "testdata/lgb-4.7.0", "binary.txt"))
	for name, with := range map[string]string{
		"fewer lists than categorical features": `[["a","b","c","d","e","f","g","h"]]`,
		"more lists":                            `[["a"],["b"],["c"]]`,
		"fewer categories than codes":           `[["a"],[1,2,3,4,5,6]]`,
		"categories that are times or so":       `[[true,false,null,{},[],1,2,3],[1,2,3,4,5,6]]`,
		"none":                                  "[]",
		"null":                                  "null",
	} {
		m, err := Read([]byte(line(text, "pandas_categorical:", "pandas_categorical:"+with+"\n")))
		if err != nil || m.Info().Categories != nil {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if m, err := Read([]byte(line(text, "pandas_categorical:", ""))); err != nil || m.Info().Categories != nil {
		t.Errorf("without the line: error %v", err)
	}
}

// What a file may look like without meaning something else.
func TestSpellings(t *testing.T) {
	t.Parallel()
	text := string(file(t, "testdata/lgb-4.7.0", "binary.txt"))
	x := floats(t, "testdata/lgb-4.7.0", "binary.x.f64")
	outputs := func(text string) []float64 {
		m, err := Read([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		out := make([]float64, len(x)/6)
		m.Predict(x, len(out), out, m.NewScratch())
		return out
	}
	want := outputs(text)
	for name, other := range map[string]string{
		"line ends of Windows":     strings.ReplaceAll(text, "\n", "\r\n"),
		"no tree sizes":            line(text, "tree_sizes=", ""),
		"one empty line, not two":  strings.ReplaceAll(text, "\n\n\n", "\n\n"),
		"monotone constraints":     line(text, "version=", "version=v4\nmonotone_constraints=0 0 0 0 0 0\n"),
		"importances and settings": strings.Replace(text, "end of trees\n", "end of trees\n\nfeature_importances:\nsize=9\n\nparameters:\n[boosting: gbdt]\nend of parameters\n", 1),
	} {
		if got := outputs(other); !slices.Equal(got, want) {
			t.Errorf("%s: other outputs", name)
		}
	}
}

func TestObjectives(t *testing.T) {
	t.Parallel()
	text := string(file(t, "testdata/lgb-4.7.0", "custom.txt"))
	for name, want := range map[string]string{"regression_l1 sqrt": "regression_l1", "xentropy": "xentropy", "xentlambda": "xentlambda", "custom": "custom", "mape": "mape"} {
		m, err := Read([]byte(line(text, "version=", "version=v3\nobjective="+name+"\n")))
		if err != nil || m.Info().Objective != want {
			t.Errorf("%s: error %v", name, err)
		}
	}
	multi := line(text, "num_class=", "num_class=2\n")
	multi = line(multi, "num_tree_per_iteration=", "num_tree_per_iteration=2\n")
	if m, err := Read([]byte(multi)); err != nil || m.Info().Outputs != 2 {
		t.Errorf("two raw outputs: error %v", err)
	}
	for want, bent := range map[string]string{
		"objective regression with num_tree_per_iteration 2, expected 1": line(multi, "version=", "version=v4\nobjective=regression\n"),
		"4 trees, but num_tree_per_iteration is 3":                       strings.ReplaceAll(multi, "=2\nnum_tree_per_iteration=2\n", "=3\nnum_tree_per_iteration=3\n"),
	} {
		if _, err := Read([]byte(bent)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
