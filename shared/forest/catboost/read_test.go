package catboost

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/forest"
)

func TestSniff(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		data string
		want bool
	}{
		"binary":                    {"CBM1\x10\x00\x00\x00", true},
		"JSON":                      {`{"features_info":{`, true},
		"indented JSON":             {"{\n  \"model_info\":", true},
		"JSON with statistics":      {`{"ctr_data":{`, true},
		"JSON of XGBoost":           {`{"learner":{`, false},
		"a key that begins as ours": {`{"trees_of_life":[`, false},
		"text":                      {"tree\nversion=v4\n", false},
		"a pickle":                  {"\x80\x04\x95", false},
		"nothing":                   {"", false},
		"a bracket":                 {"{", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := Sniff([]byte(c.data)); got != c.want {
				t.Errorf("Sniff = %v, want %v", got, c.want)
			}
		})
	}
}

// The hashes are those that CatBoost itself wrote beside the texts, of all lengths that the function tells apart.
func TestCategoryHash(t *testing.T) {
	t.Parallel()
	hashes := load(t, "onehot")["features_info"].(object)["cat_features_hash"].(list)
	if len(hashes) != 15 {
		t.Errorf("%d hashes", len(hashes))
	}
	for _, h := range hashes {
		text, want := h.(object)["value"].(string), h.(object)["hash"]
		if got := categoryHash(text); num(int(got)) != want {
			t.Errorf("%q: %d, want %v", text, got, want)
		}
	}
}

func TestInfo(t *testing.T) {
	t.Parallel()
	categories := categoriesOf(t, "onehot_multi")
	m, err := Read(file(t, testFolder, "onehot_multi.cbm"), categories)
	if err != nil {
		t.Fatal(err)
	}
	want := forest.Info{Format: "catboost", Version: "1.2.10", Objective: "MultiClass", Trees: 6, Nodes: 90, Features: 5, Float64: true, Margins: 3, Outputs: 3,
		FeatureNames: []string{"size", "age", "count", "colour", "shop"}, Categorical: []bool{false, false, false, true, true},
		Categories: categories, Classes: []string{"0", "1", "2"}, BestIteration: -1}
	if diff := cmp.Diff(want, m.Info()); diff != "" {
		t.Errorf("info (-want +got):\n%s", diff)
	}
}

// A file saved with its pool has the names of categories; without, they must be given.
func TestCategories(t *testing.T) {
	t.Parallel()
	json, binary := file(t, testFolder, "onehot.json"), file(t, testFolder, "onehot.cbm")
	m, err := Read(json, nil)
	if err != nil {
		t.Fatal(err)
	}
	own := m.Info().Categories
	if own == nil || own[0] != nil || len(own[3]) != 15 || own[3][0] != "" || len(own[4]) != 15 {
		t.Errorf("categories %q", own)
	}
	given := categoriesOf(t, "onehot")
	for _, c := range []struct {
		name, want string
		categories func([][]string) [][]string
	}{
		{"no names", "feature 3 (colour) splits by categories, whose names the file does not have", func([][]string) [][]string { return nil }},
		{"no names for one", "feature 4 (shop) splits by categories", func(c [][]string) [][]string { return c[:4] }},
		{"a name less", "which none of its 8 values has", func(c [][]string) [][]string { c[3] = c[3][1:]; return c }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := Read(binary, c.categories(categoriesOf(t, "onehot")))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
	given[3] = append([]string{"unseen in training"}, given[3]...)
	if _, err := Read(binary, given); err != nil {
		t.Errorf("a category more: %v", err)
	}
}

func TestRefusedByName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"ctr.cbm":       "splits by statistics of categories (CTR), which are not supported: train with one_hot_max_size=255",
		"ctr.json":      "ctr_data: splits by statistics of categories (CTR)",
		"text.cbm":      "text features are not supported",
		"embedding.cbm": "embedding features are not supported",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Read(file(t, "testdata/refused", name), nil)
			if err == nil || fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want one with %q", err, want)
			}
		})
	}
	for data, want := range map[string]string{
		"\x80\x04":                             "if it is a pickle",
		"CBM1":                                 "the file ends in the size of the model",
		"CBM1\xff\xff\xff\xff\x00":             "the file ends in the size of the model",
		"CBM1\x20\x00\x00\x00\x00":             "a model of 32 bytes, the file has 1",
		"CBM1\x04\x00\x00\x00\xff\xff\xff\xff": "model: 4 bytes at 4294967295, the model ends at 4",
		`{"trees":[}`:                          "expected a value",
		`{"trees":[],"forest":1}`:              "forest: unknown field; this reader knows files of CatBoost 1.2",
		`{"trees":[]}`:                         "0 features",
	} {
		if _, err := Read([]byte(data), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", data, err, want)
		}
	}
}

// categoriesOf are the categories of a golden, for the caller to bend.
func categoriesOf(t testing.TB, model string) [][]string {
	t.Helper()
	for _, c := range index(t, testFolder) {
		if c.Model == model {
			return c.Categories
		}
	}
	t.Fatalf("no golden %s", model)
	return nil
}
