package inspect

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace-ml/millrace/internal/scaffold"
)

// made makes a model folder of a golden of a library.
func made(t *testing.T, file string) (models string) {
	t.Helper()
	models = t.TempDir()
	_, err := scaffold.New(t.Context(), scaffold.Options{Name: "seen", Kind: "realtime", Models: models, Artifact: filepath.Join("../../shared/forest", file)})
	if err != nil {
		t.Fatal(err)
	}
	return models
}

func TestInspect(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, file, importance, first string
		trees, depth, leaves, used    int
		tree                          string // how its text opens
	}{
		{"XGBoost", "xgboost/testdata/xgb-3.4.1/logistic.ubj", "gain", "age", 9, 3, 67, 4, "if colour not in {\"red\", \"\", \"blue\"} or missing\n  if "},
		{"dart of XGBoost 3.0", "xgboost/testdata/xgb-3.0.0/dart.json", "gain", "f3", 10, 3, 79, 5, "if f3 < 0\n  if f0 < -0.44756123 or missing\n    if f3 < -1\n      0.1797188\n    else\n      -0.16636465\n"},
		{"vector leaves", "xgboost/testdata/xgb-3.4.1/vectors.json", "gain", "age", 3, 3, 24, 2, "if size < -0.53217524\n"},
		{"a linear model", "xgboost/testdata/xgb-3.4.1/linear_softprob.json", "weight", "", 0, 0, 0, 5, ""},
		{"LightGBM", "lightgbm/testdata/lgb-4.7.0/binary.txt", "gain", "", 9, 6, 63, 5, "if "},
		{"linear leaves", "lightgbm/testdata/lgb-4.7.0/linear.txt", "gain", "", 5, 5, 35, 4, "if "},
		{"oblivious trees", "catboost/testdata/cb-1.2.10/onehot.json", "splits", "", 12, 3, 96, 5, "if "},
		{"other trees of CatBoost", "catboost/testdata/cb-1.2.10/lossguide_multi.cbm", "splits", "", 5, 3, 30, 3, "if "},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, err := Inspect(made(t, c.file), "seen", 0)
			if err != nil {
				t.Fatal(err)
			}
			if r.Trees != c.trees || r.Depth != c.depth || r.Leaves != c.leaves || r.Used() != c.used || r.Importance != c.importance {
				t.Errorf("%d trees, depth %d, %d leaves, %d used, by %s", r.Trees, r.Depth, r.Leaves, r.Used(), r.Importance)
			}
			if c.first != "" && r.Features[0].Name != c.first || !strings.HasPrefix(r.Tree, c.tree) || r.Bytes == 0 || r.FileBytes == 0 {
				t.Errorf("%+v", r)
			}
			splits, share := 0, 0.0
			for i, f := range r.Features {
				splits, share = splits+f.Splits, share+f.Share
				if i > 0 && f.Share > r.Features[i-1].Share {
					t.Errorf("feature %d is before a more important one", i-1)
				}
			}
			if splits != c.leaves-c.trees && c.importance != "splits" || share < 0.999 || share > 1.001 {
				t.Errorf("%d splits for %d leaves of %d trees, shares of %v", splits, c.leaves, c.trees, share)
			}
		})
	}
}

func TestInspectRefuses(t *testing.T) {
	t.Parallel()
	models := made(t, "xgboost/testdata/xgb-3.4.1/linear.json")
	for want, c := range map[string]struct {
		models, name string
		tree         int
	}{
		`model "other": there is no`:      {models, "other", 0},
		"tree 1: a linear model has none": {models, "seen", 1},
		"tree 99: the model has 9":        {made(t, "xgboost/testdata/xgb-3.4.1/logistic.ubj"), "seen", 99},
	} {
		if _, err := Inspect(c.models, c.name, c.tree); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
