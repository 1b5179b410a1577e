package catboost

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/millrace-ml/millrace/shared/fault"
)

// object and list make a document that tests can bend.
type (
	object = map[string]any
	list   = []any
)

func num(v int) json.Number { return json.Number(strconv.Itoa(v)) }

func load(t testing.TB, name string) object {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(file(t, testFolder, name+".json")))
	d.UseNumber()
	var doc object
	if err := d.Decode(&doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

// get walks down by keys and positions.
func get(v any, path ...any) any {
	for _, step := range path {
		switch s := step.(type) {
		case string:
			v = v.(object)[s]
		case int:
			v = v.(list)[s]
		}
	}
	return v
}

// mutant is a model that is wrong in one place.
type mutant struct {
	name, want string // want stands in the error
	bend       func(doc object)
}

// set replaces what stands at the end of path, and without a value drops it.
func set(value any, path ...any) func(object) {
	return func(doc object) {
		last := len(path) - 1
		switch at := get(doc, path[:last]...).(type) {
		case object:
			at[path[last].(string)] = value
			if value == nil {
				delete(at, path[last].(string))
			}
		case list:
			at[path[last].(int)] = value
		}
	}
}

// TestJSONMutants bends correct models in every structural place, one at a time. All must be refused.
func TestJSONMutants(t *testing.T) {
	t.Parallel()
	count := 0
	for _, model := range []string{"onehot", "onehot_multi", "onehot_lossguide", "rmse", "lossguide_multi"} {
		categories := categoriesOf(t, model)
		mutants := modelMutants(load(t, model))
		if load(t, model)["oblivious_trees"] != nil {
			mutants = append(mutants, obliviousMutants(load(t, model))...)
		} else {
			mutants = append(mutants, treeMutants(load(t, model))...)
		}
		for _, m := range mutants {
			count++
			doc := load(t, model)
			m.bend(doc)
			data, err := json.Marshal(doc)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Read(data, categories)
			if err == nil || fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), m.want) || len(err.Error()) > 2000 {
				t.Errorf("%s, %s: error %v, want one with %q", model, m.name, err, m.want)
			}
		}
	}
	t.Logf("%d mutants", count)
	if count < 1000 {
		t.Errorf("only %d mutants: the generator lost some", count)
	}
}

func modelMutants(doc object) []mutant {
	out := []mutant{
		{"an unknown key", "forest: unknown field", set("x", "forest")},
		{"an unknown key of features", "features_info.images: unknown field", set(list{}, "features_info", "images")},
		{"statistics of categories", "ctr_data: splits by statistics", set(object{}, "ctr_data")},
		{"features with statistics", "features_info.ctrs: splits by statistics", set(list{}, "features_info", "ctrs")},
		{"texts", "text features are not supported", set(list{}, "features_info", "text_features")},
		{"embeddings", "embedding features are not supported", set(list{}, "features_info", "embedding_features")},
		{"no features", "0 features", set(nil, "features_info")},
		{"features that are a list", "features_info: expected an object", set(list{}, "features_info")},
		{"no float features", "", set(nil, "features_info", "float_features")},
		{"an unknown objective", `objective "Mystery" is not supported; supported are Cox`, set("Mystery", "model_info", "params", "loss_function", "type")},
		{"an objective that is a number", "type: expected a text", set(num(1), "model_info", "params", "loss_function", "type")},
		{"a scale of 0", "scale is 0", set(num(0), "scale_and_bias", 0)},
		{"a scale that is no number", "scale_and_bias[0]: expected a number", set("1", "scale_and_bias", 0)},
		{"a bias too many", "biases for", func(d object) { b := get(d, "scale_and_bias").(list); b[1] = append(b[1].(list), num(0)) }},
		{"a third scale", "expected the scale and the bias", func(d object) { d["scale_and_bias"] = append(d["scale_and_bias"].(list), num(0)) }},
		{"a bias that is a text", "scale_and_bias[1][0]: expected a number", set("x", "scale_and_bias", 1, 0)},
	}
	floats := get(doc, "features_info", "float_features").(list)
	for i, f := range floats {
		at := func(path ...any) []any { return append([]any{"features_info", "float_features", i}, path...) }
		place := fmt.Sprintf("float_features[%d]", i)
		out = append(out,
			mutant{"an index twice", "float feature", set(num((i+1)%len(floats)), at("feature_index")...)},
			mutant{"an index outside", "float feature 99", set(num(99), at("feature_index")...)},
			mutant{"a negative index", "float feature -1", set(num(-1), at("feature_index")...)},
			mutant{"a place twice", "flat feature", set(num((i+1)%len(floats)), at("flat_feature_index")...)},
			mutant{"a place outside", "flat feature 99", set(num(99), at("flat_feature_index")...)},
			mutant{"a place of 2^60", "flat feature 1152921504606846976", set(num(1<<60), at("flat_feature_index")...)},
			mutant{"an unknown treatment of NaN", place, set("AsMaybe", at("nan_value_treatment")...)},
			mutant{"no treatment of NaN", place, set(nil, at("nan_value_treatment")...)},
			mutant{"has_nans as a number", place + ".has_nans: expected true or false", set(num(1), at("has_nans")...)},
			mutant{"an unknown key", place + ".scale: unknown field", set(num(1), at("scale")...)},
			mutant{"a name that is a number", place + ".feature_id: expected a text", set(num(1), at("feature_id")...)},
		)
		borders := get(f, "borders").(list)
		for j := range borders {
			out = append(out,
				mutant{"a border that is a text", fmt.Sprintf("%s.borders[%d]: expected a number", place, j), set("x", at("borders", j)...)},
				mutant{"a border below those before, or another one", "", set(json.Number("-3.4028235e38"), at("borders", j)...)},
				mutant{"a border beyond float32", "is not a float32", set(json.Number("1e39"), at("borders", j)...)},
				mutant{"a border less", "", func(d object) {
					set(append(append(list{}, borders[:j]...), borders[j+1:]...), at("borders")...)(d)
				}})
			if j > 0 {
				out = append(out, mutant{"a border twice", "expected ascending numbers", set(borders[j-1], at("borders", j)...)})
			}
		}
	}
	return append(out, categoryMutants(doc)...)
}

func categoryMutants(doc object) []mutant {
	cats, ok := get(doc, "features_info", "categorical_features").(list)
	if !ok {
		return nil
	}
	var out []mutant
	for i, f := range cats {
		at := func(path ...any) []any { return append([]any{"features_info", "categorical_features", i}, path...) }
		place := fmt.Sprintf("categorical_features[%d]", i)
		out = append(out,
			mutant{"an index twice", "categorical feature", set(num((i+1)%len(cats)), at("feature_index")...)},
			mutant{"an index outside", "categorical feature 7", set(num(7), at("feature_index")...)},
			mutant{"a place of a number", "flat feature 0", set(num(0), at("flat_feature_index")...)},
			mutant{"an unknown key", place + ".scale: unknown field", set(num(1), at("scale")...)},
			mutant{"no values", "", set(nil, at("values")...)},
			mutant{"a name for each of no values", "string_values for", set(list{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"}, at("string_values")...)},
		)
		for j := range get(f, "values").(list) {
			out = append(out,
				mutant{"a hash of no category", "splits by a category with the hash 12345", set(num(12345), at("values", j)...)},
				mutant{"a hash of 2^40", fmt.Sprintf("%s: values[%d] is 1099511627776", place, j), set(num(1<<40), at("values", j)...)},
				mutant{"a hash that is a text", place + ".values", set("x", at("values", j)...)})
		}
	}
	for j := range get(doc, "features_info", "cat_features_hash").(list) {
		out = append(out, mutant{"a hash of another text", "has the hash", set("other", "features_info", "cat_features_hash", j, "value")})
	}
	return out
}

func obliviousMutants(doc object) []mutant {
	out := []mutant{
		{"no trees", "0 outputs", set(nil, "oblivious_trees")},
		{"an empty list of trees", "0 outputs", set(list{}, "oblivious_trees")},
		{"trees that are an object", "oblivious_trees: expected an array", set(object{}, "oblivious_trees")},
	}
	trees := doc["oblivious_trees"].(list)
	for i, tree := range trees {
		at := func(path ...any) []any { return append([]any{"oblivious_trees", i}, path...) }
		place := fmt.Sprintf("oblivious_trees[%d]", i)
		values := get(tree, "leaf_values").(list)
		out = append(out,
			mutant{"a leaf less", "leaf", set(values[1:], at("leaf_values")...)},
			mutant{"half of the leaves", "", set(values[:len(values)/2], at("leaf_values")...)},
			mutant{"no leaves", place + ": 0 leaf_values", set(list{}, at("leaf_values")...)},
			mutant{"a split less", "", set(get(tree, "splits").(list)[1:], at("splits")...)},
			mutant{"no splits", "", set(list{}, at("splits")...)},
			mutant{"an unknown key", place + ".scale: unknown field", set(num(1), at("scale")...)},
			mutant{"a tree that is a number", place + ": expected an object", set(num(1), at()...)},
			mutant{"too many splits", "", func(d object) {
				s := get(tree, "splits").(list)
				set(append(append(append(list{}, s...), s...), append(s, s...)...), at("splits")...)(d)
			}},
		)
		for j := range values {
			out = append(out,
				mutant{"a leaf that is a text", fmt.Sprintf("%s.leaf_values[%d]: expected a number", place, j), set("x", at("leaf_values", j)...)},
				mutant{"a leaf beyond float64", "is not a float64", set(json.Number("1e999"), at("leaf_values", j)...)})
		}
		for j := range get(tree, "splits").(list) {
			out = append(out, splitMutants(at("splits", j), fmt.Sprintf("tree %d: split %d: ", i, j))...)
		}
	}
	return out
}

// splitMutants bend the split at path, whose checks name place.
func splitMutants(path []any, place string) []mutant {
	at := func(key string) []any { return append(append([]any{}, path...), key) }
	return []mutant{
		{"a question of no one", place + "split_index is 9999", set(num(9999), at("split_index")...)},
		{"a negative question", "split_index is -1", set(num(-1), at("split_index")...)},
		{"an unknown type", `split_type is "TextFeature"`, set("TextFeature", at("split_type")...)},
		{"no type", `split_type is ""`, set(nil, at("split_type")...)},
		{"no question", "split_index is -1", set(nil, at("split_index")...)},
		{"statistics of a category", "splits by statistics of categories", set("OnlineCtr", at("split_type")...)},
		{"another feature", place + "split_index", func(d object) {
			set(num(77), at("float_feature_index")...)(d)
			set(nil, at("cat_feature_index")...)(d)
		}},
		{"another value", place + "split_index", func(d object) {
			s := get(d, path...).(object)
			if _, float := s["border"]; float {
				s["border"] = json.Number("123.5")
			} else {
				s["value"] = num(77)
			}
		}},
		{"the type of the other kind", place + "split_index", func(d object) {
			s := get(d, path...).(object)
			s["split_type"] = map[any]string{"FloatFeature": "OneHotFeature", "OneHotFeature": "FloatFeature"}[s["split_type"]]
		}},
		{"an unknown key", "scale: unknown field", set(num(1), at("scale")...)},
	}
}

func treeMutants(doc object) []mutant {
	out := []mutant{{"no trees", "0 outputs", set(list{}, "trees")}, {"both kinds of trees", "", func(d object) {
		d["oblivious_trees"] = list{object{"leaf_values": list{num(1), num(2)}, "splits": list{get(d, "trees", 0, "split")}}}
	}}}
	var walk func(node object, path []any)
	walk = func(node object, path []any) {
		at := func(key string) []any { return append(append([]any{}, path...), key) }
		if node["value"] != nil {
			out = append(out,
				mutant{"a leaf with a child", "expected left, right and split, or value", set(node, at("left")...)},
				mutant{"a leaf without a value", "expected left, right and split, or value", set(nil, at("value")...)},
				mutant{"a value that is a text", "value: expected a number", set("x", at("value")...)},
				mutant{"a value too many", "values in a leaf", set(list{num(1), num(2), num(3), num(4)}, at("value")...)},
				mutant{"an unknown key", "gain: unknown field", set(num(1), at("gain")...)})
			return
		}
		out = append(out,
			mutant{"no left child", "expected left, right and split, or value", set(nil, at("left")...)},
			mutant{"no right child", "expected left, right and split, or value", set(nil, at("right")...)},
			mutant{"no split", "expected left, right and split, or value", set(nil, at("split")...)},
			mutant{"a value too", "expected left, right and split, or value", set(num(1), at("value")...)},
			mutant{"a child that is a list", "left: expected an object", set(list{}, at("left")...)})
		out = append(out, splitMutants(at("split"), "")...)
		walk(node["left"].(object), at("left"))
		walk(node["right"].(object), at("right"))
	}
	for i, tree := range doc["trees"].(list) {
		walk(tree.(object), []any{"trees", i})
	}
	deep := object{"value": num(1)}
	for range 100 {
		deep = object{"left": deep}
	}
	return append(out, mutant{"nested deep", "nested deeper than 64", set(deep, "trees", 0)})
}
