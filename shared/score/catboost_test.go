package score

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

// hashed are models with outputs of CatBoost itself, made by test/golden/make_catboost.py.
const hashed = "../forest/catboost/testdata/cb-1.2.10"

// hashedFolder makes a model folder of a golden whose file knows categories by their hashes; bend changes the manifest.
func hashedFolder(t *testing.T, bend func(string) string) fstest.MapFS {
	t.Helper()
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(hashed, name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	var cases []struct {
		Model      string
		Categories [][]string
	}
	if err := json.Unmarshal(read("index.json"), &cases); err != nil {
		t.Fatal(err)
	}
	var colours []string
	for _, c := range cases {
		if c.Model == "onehot" {
			colours = c.Categories[3]
		}
	}
	shops := []int{10, -20, 3, 4, 500, 7}
	x, want := doubles(read("onehot.x.f64")), doubles(read("onehot.pred.f64"))
	var lines []byte
	for r := range 40 { // those behind hold what no request can say
		in := x[r*5 : r*5+5]
		instance := map[string]any{"size": in[0], "count": in[2], "colour": colours[int(in[3])], "shop": shops[int(in[4])]}
		if in[1] == in[1] {
			instance["age"] = in[1]
		}
		text, err := json.Marshal(map[string]any{"instance": instance, "features": orNull(in), "prediction": want[r]})
		if err != nil {
			t.Fatal(err)
		}
		lines = append(append(lines, text...), '\n')
	}
	artifact := read("onehot.cbm")
	sum := sha256.Sum256(artifact)
	list, err := json.Marshal(colours)
	if err != nil {
		t.Fatal(err)
	}
	return fstest.MapFS{
		"model.yaml": {Data: []byte(bend(`name: sorter
version: "1"
serve: [realtime]
artifact: {path: artifact/model.cbm, format: catboost, sha256: ` + hex.EncodeToString(sum[:]) + `}
inputs:
  - {name: size, type: number}
  - {name: age, type: number, nullable: true}
  - {name: count, type: number}
  - {name: colour, type: categorical, values: ` + string(list) + `}
  - {name: shop, type: categorical, values: [10, -20, 3, 4, 500, 7]}
features: [size, age, count, colour, shop]
outputs: [{name: probability}, {name: verdict, labels: [reject, accept]}]
realtime: {}
`))},
		"artifact/model.cbm": {Data: artifact},
		"parity.jsonl":       {Data: lines},
	}
}

func TestCatBoostFolder(t *testing.T) {
	t.Parallel()
	m, err := Open(hashedFolder(t, func(s string) string { return s }))
	if err != nil {
		t.Fatal(err)
	}
	if i := m.Info(); i.Format != "catboost" || i.Objective != "Logloss" {
		t.Errorf("%+v", i)
	}
}

func TestCatBoostFolderRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, old, new, want string }{
		{"a category less", `values: [10, -20, 3, 4, 500, 7]`, `values: [10, -20, 3, 4, 500, 8]`, "feature 4 (shop) splits by a category with the hash"},
		{"a category as a number", `{name: shop, type: categorical, values: [10, -20, 3, 4, 500, 7]}`, `{name: shop, type: integer}`, "feature 4 (shop) splits by categories"},
		{"categories in another order", `values: [10, -20, 3, 4, 500, 7]`, `values: [-20, 10, 3, 4, 500, 7]`, `feature "shop" is`},
		{"another format", `format: catboost`, `format: lightgbm`, "the artifact is of the format catboost, model.yaml says lightgbm"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := Open(hashedFolder(t, func(s string) string { return strings.Replace(s, c.old, c.new, 1) }))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}
