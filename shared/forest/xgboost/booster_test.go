package xgboost

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/millrace-ml/millrace/shared/fault"
)

// TestBoosterMutants bends what dart and gblinear have beside trees; in the shape of each era of dart.
func TestBoosterMutants(t *testing.T) {
	t.Parallel()
	booster := []any{"learner", "gradient_booster"}
	at := func(path ...any) []any { return append(append([]any{}, booster...), path...) }
	weights := list{json.Number("0.5"), json.Number("0.5")}
	version := func(minor int) func(object) { return set(list{num(3), num(minor), num(0)}, "version") }
	one := func(path []any) []mutant {
		short := func(d object) {
			set(get(d, path...).(list)[1:], path...)(d)
		}
		out := []mutant{
			{"a weight too few", "weight_drop has", short},
			{"weights that are an object", "weight_drop: expected an array, got an object", set(object{}, path...)},
			{"weights of texts", "weight_drop[0]: expected a number, got a text", set(list{"x"}, path...)},
		}
		for i := range 10 {
			out = append(out,
				mutant{fmt.Sprintf("weight %d is no number", i), fmt.Sprintf("weight_drop[%d] is NaN", i), set(json.Number("NaN"), append(path[:len(path):len(path)], i)...)},
				mutant{fmt.Sprintf("weight %d is a text", i), fmt.Sprintf("weight_drop[%d]: expected a number", i), set("1", append(path[:len(path):len(path)], i)...)})
		}
		return append(out, mutant{"a weight that makes a leaf infinite", "tree 0: node", func(d object) {
			set(json.Number("3e38"), append(path[:len(path):len(path)], 0)...)(d)
			tree := treeOf(d, 0)
			for j := range tree["left_children"].(list) {
				tree["split_conditions"].(list)[j] = json.Number("9")
			}
		}})
	}
	old := append(one(at("weight_drop")),
		mutant{"no weights", "booster dart without weight_drop", drop(at("weight_drop")...)},
		mutant{"weights at a second place", "weight_drop stands beside the model and in it", set(weights, at("gbtree", "model", "weight_drop")...)},
		mutant{"the model at the place of gbtree's", "the model belongs into an object gbtree for dart", func(d object) {
			b := get(d, booster...).(object)
			b["model"] = b["gbtree"].(object)["model"]
			delete(b, "gbtree")
		}},
		mutant{"the name of gbtree", "the model belongs into an object gbtree for dart, and only there", set("gbtree", at("name")...)},
		mutant{"a foreign key beside the model", "gbtree.scale: unknown field", set(num(1), at("gbtree", "scale")...)},
	)
	middle := append(one(at("weight_drop")), mutant{"a release that had no such place", "which XGBoost 3.2.0 does not read", version(2)})
	newest := append(one(at("model", "weight_drop")),
		mutant{"a release that had no such place", "where XGBoost 3.3.0 does not read it", version(3)},
		mutant{"weights at a second place", "weight_drop stands beside the model and in it", set(weights, at("weight_drop")...)})
	vectors := []mutant{{"a release that could not do it", "where XGBoost 3.3.0 does not read it", version(3)}, {"the weights where 3.3 has them", "which XGBoost 3.3.0 does not predict with", func(d object) {
		m := boosterOf(d)
		set(m["weight_drop"], at("weight_drop")...)(d)
		delete(m, "weight_drop")
		version(3)(d)
	}}}
	count := 0
	for _, c := range []struct {
		folder, model string
		mutants       []mutant
	}{
		{"testdata/xgb-3.0.0", "dart", old},
		{"testdata/xgb-3.3.0", "dart", middle},
		{testFolder, "dart", newest},
		{testFolder, "dart_vectors", vectors},
		{testFolder, "linear_softprob", linearMutants(at)},
	} {
		for _, m := range c.mutants {
			count++
			doc := loadFrom(t, c.folder, c.model)
			m.bend(doc)
			for syntax, data := range map[string][]byte{"JSON": toJSON(doc), "UBJSON": toUBJSON(doc)} {
				_, err := Read(data)
				if err == nil || fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), m.want) {
					t.Errorf("%s %s, %s, %s: error %v, want one with %q", c.folder, c.model, m.name, syntax, err, m.want)
				}
			}
		}
	}
	t.Logf("%d mutants", count)
}

func linearMutants(at func(...any) []any) []mutant {
	path := at("model", "weights")
	out := []mutant{
		{"no weights", "booster gblinear without weights", drop(path...)},
		{"a weight too few", "weights has 17 entries, expected 18 for 5 features, the bias and 3 outputs", func(d object) { set(get(d, path...).(list)[1:], path...)(d) }},
		{"no weight", "weights has 0 entries, expected 18", set(list{}, path...)},
		{"an output less", "base_score has 3 values for 2 outputs", set("2", "learner", "learner_model_param", "num_class")},
		{"a feature more", "weights has 18 entries, expected 21", set("6", "learner", "learner_model_param", "num_feature")},
		{"trees", "booster gblinear with trees", set(list{object{}}, at("model", "trees")...)},
		{"weights of trees", "booster gblinear with trees or their weights", set(list{num(1)}, at("weight_drop")...)},
		{"dart's place of the model", "there is another model", set(object{"model": object{}}, at("gbtree")...)},
		{"the name of trees", "booster gbtree with the weights of a linear model", set("gbtree", at("name")...)},
	}
	for i := range 18 {
		out = append(out,
			mutant{fmt.Sprintf("weight %d infinite", i), "Inf", set(json.Number("Infinity"), append(path[:len(path):len(path)], i)...)},
			mutant{fmt.Sprintf("weight %d a text", i), fmt.Sprintf("weights[%d]: expected a number", i), set("1", append(path[:len(path):len(path)], i)...)})
	}
	return out
}

// The shapes that dart has had read as what they are: a golden of each is compared by TestGoldens.
func TestDartIsWeighted(t *testing.T) {
	t.Parallel()
	for _, folder := range []string{"testdata/xgb-2.1.4", "testdata/xgb-3.3.0", testFolder} {
		m, err := Read(file(t, folder, "dart.ubj"))
		if err != nil {
			t.Fatal(err)
		}
		if i := m.Info(); i.Trees != 10 || i.Objective != "binary:logistic" {
			t.Errorf("%s: %+v", folder, i)
		}
	}
}

func TestLinearInfo(t *testing.T) {
	t.Parallel()
	m, err := Read(file(t, testFolder, "linear_softprob.ubj"))
	if err != nil {
		t.Fatal(err)
	}
	i := m.Info()
	if i.Trees != 0 || i.Features != 5 || i.Margins != 3 || i.Outputs != 3 || i.Format != "xgboost" || len(i.Categorical) != 5 {
		t.Errorf("%+v", i)
	}
}
