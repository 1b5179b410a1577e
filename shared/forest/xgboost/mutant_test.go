package xgboost

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/millrace-ml/millrace/shared/fault"
)

// mutant is a model that is wrong in one place.
type mutant struct {
	name string
	want string // stands in the error
	bend func(doc object)
}

// TestMutants bends correct models in every structural place, one at a time. All must be refused, in both syntaxes.
func TestMutants(t *testing.T) {
	t.Parallel()
	count := 0
	for _, model := range []string{"logistic", "softprob", "vectors"} {
		mutants := append(modelMutants(), treeMutants(load(t, model), 1)...)
		for _, m := range mutants {
			count++
			doc := load(t, model)
			m.bend(doc)
			for syntax, data := range map[string][]byte{"JSON": toJSON(doc), "UBJSON": toUBJSON(doc)} {
				_, err := Read(data)
				if err == nil || fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), m.want) {
					t.Errorf("%s, %s, %s: error %v, want one with %q", model, m.name, syntax, err, m.want)
				}
			}
		}
	}
	t.Logf("%d mutants", count)
	if count < 500 {
		t.Errorf("only %d mutants: the generator lost some", count)
	}
}

// The untouched models must survive the way through the test's own writers, or the mutants would prove nothing.
func TestUnbentIsAccepted(t *testing.T) {
	t.Parallel()
	for _, model := range []string{"logistic", "softprob", "vectors"} {
		doc := load(t, model)
		a, err := Read(toJSON(doc))
		if err != nil {
			t.Fatal(err)
		}
		b, err := Read(toUBJSON(doc))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(a, b) {
			t.Errorf("%s: JSON and UBJSON give different models", model)
		}
	}
}

// set replaces what stands at the end of path.
func set(value any, path ...any) func(object) {
	return func(doc object) {
		last := len(path) - 1
		switch at := get(doc, path[:last]...).(type) {
		case object:
			at[path[last].(string)] = value
		case list:
			at[path[last].(int)] = value
		}
	}
}

func drop(path ...any) func(object) {
	last := len(path) - 1
	return func(doc object) { delete(get(doc, path[:last]...).(object), path[last].(string)) }
}

// modelMutants bend what all trees share.
func modelMutants() []mutant {
	param := func(key string, value any) func(object) { return set(value, "learner", "learner_model_param", key) }
	model := func(value any, path ...any) func(object) {
		return set(value, append([]any{"learner", "gradient_booster", "model"}, path...)...)
	}
	out := []mutant{
		{"no version", "version has 0 numbers", drop("version")},
		{"a version of two numbers", "version has 2 numbers", set(list{num(3), num(0)}, "version")},
		{"major version 4", "written by XGBoost 4.0.0; this reader knows 1.3 to 3", set(list{num(4), num(0), num(0)}, "version")},
		{"version 1.2", "written by XGBoost 1.2.9", set(list{num(1), num(2), num(9)}, "version")},
		{"a negative version", "written by XGBoost -1", set(list{num(-1), num(0), num(0)}, "version")},
		{"a booster that is none", `booster "gbtrees" is not known; known are gbtree, dart and gblinear`, set("gbtrees", "learner", "gradient_booster", "name")},
		{"no booster name", `booster "" is not known`, drop("learner", "gradient_booster", "name")},
		{"gblinear by name", "booster gblinear with trees", set("gblinear", "learner", "gradient_booster", "name")},
		{"weights of a linear model beside trees", "booster gbtree with the weights of a linear model", model(list{json.Number("0.5")}, "weights")},
		{"dart by name", `booster dart: the model belongs into an object gbtree`, set("dart", "learner", "gradient_booster", "name")},
		{"a second model", "there is another model", set(object{"model": object{}}, "learner", "gradient_booster", "gbtree")},
		{"one weight of dropped trees beside the model", "weight_drop", set(list{json.Number("0.5")}, "learner", "gradient_booster", "weight_drop")},
		{"one weight of dropped trees in the model", "weight_drop has 1 entries for", model(list{json.Number("0.5")}, "weight_drop")},
		{"unknown objective", `objective "reg:expectileerror" is not supported; supported are binary:hinge`, set("reg:expectileerror", "learner", "objective", "name")},
		{"no objective", `objective "" is not supported`, drop("learner", "objective")},
		{"an unknown key in the file", "config: unknown field", set("x", "config")},
		{"an unknown key in the learner", "learner.scaling: unknown field", set("x", "learner", "scaling")},
		{"an unknown key in the booster", "learner.gradient_booster.scaling: unknown field", set("x", "learner", "gradient_booster", "scaling")},
		{"an unknown key in the model", "learner.gradient_booster.model.scaling: unknown field", model("x", "scaling")},
		{"no learner", `objective "" is not supported`, drop("learner")},
		{"a learner that is a list", "learner: expected an object, got an array", set(list{}, "learner")},
		{"no parameters", `num_feature is "", expected a whole number`, drop("learner", "learner_model_param")},
		{"no features", "0 features", param("num_feature", "0")},
		{"negative features", `num_feature is "-1", expected a whole number`, param("num_feature", "-1")},
		{"too many features", "2000000000 features", param("num_feature", "2000000000")},
		{"features as a number", "num_feature: expected a text, got a number", param("num_feature", num(4))},
		{"classes that are no number", `num_class is "x"`, param("num_class", "x")},
		{"two billion classes", "2000000000 outputs, at most 10000", param("num_class", "2000000000")},
		{"targets that are no number", `num_target is "1.5"`, param("num_target", "1.5")},
		{"an empty base score", `base_score "", expected a number`, param("base_score", "")},
		{"a NaN base score", `base_score "NaN", expected a number`, param("base_score", "[NaN]")},
		{"an infinite base score", `base_score "1e60", expected a number`, param("base_score", "1e60")},
		{"a base score too many", "base_score has 11 values for", param("base_score", "["+strings.Repeat("5E-1,", 10)+"5E-1]")},
		{"best iteration that is no number", `attributes.best_iteration is "x"`, set("x", "learner", "attributes", "best_iteration")},
		{"no number of trees", `num_trees is ""`, drop("learner", "gradient_booster", "model", "gbtree_model_param")},
		{"no trees", "num_trees is", model(list{}, "trees")},
		{"trees that are an object", "trees: expected an array, got an object", model(object{}, "trees")},
		{"a tree that is a number", "trees[0]: expected an object, got a number", model(num(1), "trees", 0)},
		{"a tree less than declared", "trees, but num_trees is", func(d object) { m := boosterOf(d); m["trees"] = m["trees"].(list)[1:] }},
		{"one more tree declared", "trees, but num_trees is 99", model("99", "gbtree_model_param", "num_trees")},
		{"tree_info too short", "and tree_info has", func(d object) { m := boosterOf(d); m["tree_info"] = m["tree_info"].(list)[1:] }},
		{"tree_info outside", "tree 1: adds to output 9", model(num(9), "tree_info", 1)},
		{"tree_info negative", "tree 1: adds to output -1", model(num(-1), "tree_info", 1)},
		{"tree_info of 2^40", "tree_info[1]: 1099511627776 is out of range", model(num(1<<40), "tree_info", 1)},
		{"iterations that do not start at 0", "iteration_indptr[0] is 1", model(num(1), "iteration_indptr", 0)},
		{"iterations that fall", "iteration_indptr[2] is 0", model(num(0), "iteration_indptr", 2)},
		{"iterations that end early", "iteration_indptr ends at 0", model(list{num(0)}, "iteration_indptr")},
		{"a feature name too few", "feature names for", func(d object) { l := d["learner"].(object); l["feature_names"] = l["feature_names"].(list)[1:] }},
		{"a feature type too few", "feature types for", func(d object) { l := d["learner"].(object); l["feature_types"] = l["feature_types"].(list)[1:] }},
		{"a feature name that is a number", "feature_names[0]: expected a text", set(num(1), "learner", "feature_names", 0)},
		{"encodings too few", "encodings for", model(list{object{"offsets": list{}, "values": list{}}}, "cats", "enc")},
		{"a category list with an unknown key", "cats.enc[0].names: unknown field", model(list{object{"names": list{}}}, "cats", "enc")},
	}
	return out
}

// arrays are the arrays of one entry per node.
var arrays = []string{"left_children", "right_children", "split_indices", "split_conditions", "default_left", "split_type"}

// treeMutants bend tree i of a model, node by node.
func treeMutants(doc object, i int) []mutant {
	tree := treeOf(doc, i)
	n := len(tree["left_children"].(list))
	var out []mutant
	place := fmt.Sprintf("tree %d", i)
	add := func(name, want string, bend func(tree object)) {
		out = append(out, mutant{fmt.Sprintf("tree %d: %s", i, name), want, func(d object) { bend(treeOf(d, i)) }})
	}
	for _, key := range arrays {
		add(key+" missing", place, func(t object) { delete(t, key) })
		add(key+" one short", place, func(t object) { t[key] = t[key].(list)[1:] })
		add(key+" one long", place, func(t object) { t[key] = append(t[key].(list), num(0)) })
		add(key+" empty", place, func(t object) { t[key] = list{} })
		add(key+" a text", fmt.Sprintf("trees[%d].%s: expected an array, got a text", i, key), func(t object) { t[key] = "x" })
		add(key+" of texts", fmt.Sprintf("trees[%d].%s[0]: expected", i, key), func(t object) { t[key].(list)[0] = "x" })
		add(key+" nested", fmt.Sprintf("trees[%d].%s[1]: expected", i, key), func(t object) { t[key].(list)[1] = list{} })
	}
	add("an unknown key", fmt.Sprintf("trees[%d].scale: unknown field", i), func(t object) { t["scale"] = num(1) })
	for key, bad := range map[string]string{"num_nodes": num(n + 1).String(), "num_feature": "99", "num_deleted": "1", "size_leaf_vector": "7"} {
		add(key+" wrong", place, func(t object) { t["tree_param"].(object)[key] = bad })
		add(key+" no number", place, func(t object) { t["tree_param"].(object)[key] = "x" })
	}
	for node := range n {
		out = append(out, nodeMutants(tree, i, node)...)
	}
	for j := range tree["categories_nodes"].(list) {
		out = append(out, categoryMutants(tree, i, j)...)
	}
	return out
}

func nodeMutants(tree object, i, node int) []mutant {
	var out []mutant
	n := len(tree["left_children"].(list))
	place := fmt.Sprintf("tree %d: node %d: ", i, node)
	add := func(key string, value any, want string) {
		out = append(out, mutant{fmt.Sprintf("%s%s = %v", place, key, value), want,
			func(d object) { treeOf(d, i)[key].(list)[node] = value }})
	}
	left, right := numberAt(tree, "left_children", node), numberAt(tree, "right_children", node)
	tr := fmt.Sprintf("tree %d: ", i)
	if left == -1 {
		add("left_children", num(0), tr)
		add("left_children", num(-2), place+"left_children is -2")
		add("right_children", num(n), tr)
		if _, vectors := tree["leaf_weights"]; vectors {
			add("right_children", num(-1), place+"right_children is -1")
			leaves := (n + 1) / 2
			add("right_children", num((right+1)%leaves), "expected the number of a leaf, each once")
		} else {
			add("right_children", num(0), place+"right_children is 0, expected -1")
			add("split_conditions", json.Number("NaN"), place+"leaf value is NaN")
		}
		return out
	}
	add("left_children", num(0), place+"left child 0 is also reached")
	add("left_children", num(node), place+fmt.Sprintf("left child %d is also reached", node))
	add("left_children", num(n), place+fmt.Sprintf("left child %d: the tree has %d nodes", n, n))
	add("left_children", num(right), place+fmt.Sprintf("right child %d is also reached", right))
	add("left_children", num(-1), tr)
	add("left_children", num(1<<33), fmt.Sprintf("trees[%d].left_children[%d]: 8589934592 is out of range", i, node))
	add("right_children", num(-1), place+"right child -1")
	add("right_children", num(node), place+"right child")
	add("right_children", num(left), place+"right child")
	add("split_indices", num(4), place+"splits by feature 4 of")
	add("split_indices", num(-1), place+"splits by feature -1")
	add("default_left", num(2), place+"default_left is 2")
	add("default_left", json.Number("0.5"), fmt.Sprintf("trees[%d].default_left[%d]: expected a whole number, got", i, node))
	add("split_type", num(2), place+"split_type is 2")
	if numberAt(tree, "split_type", node) == 0 {
		add("split_type", num(1), place+"a categorical split without an entry")
		add("split_conditions", json.Number("NaN"), place+"threshold is NaN")
		add("split_conditions", json.Number("-Infinity"), place+"threshold is -Inf")
	} else {
		add("split_type", num(0), "which is no categorical split")
	}
	return out
}

// categoryMutants bend entry j of the categorical splits.
func categoryMutants(tree object, i, j int) []mutant {
	var out []mutant
	add := func(key string, at int, value int, want string) {
		out = append(out, mutant{fmt.Sprintf("tree %d: %s[%d] = %d", i, key, at, value), want,
			func(d object) { treeOf(d, i)[key].(list)[at] = num(value) }})
	}
	n := len(tree["left_children"].(list))
	start := numberAt(tree, "categories_segments", j)
	node := fmt.Sprintf("tree %d: node %d: ", i, numberAt(tree, "categories_nodes", j))
	add("categories_nodes", j, n, fmt.Sprintf("categories_nodes[%d] is %d, which is no categorical split", j, n))
	add("categories_nodes", j, -1, fmt.Sprintf("categories_nodes[%d] is -1", j))
	add("categories_segments", j, -1, node+"")
	add("categories_segments", j, 1<<30, node)
	add("categories_sizes", j, 0, node+"0 categories from")
	add("categories_sizes", j, 1<<30, node)
	add("categories", start, -1, node+"category -1")
	add("categories", start, 1<<24, node+"category 16777216")
	if j > 0 {
		add("categories_nodes", j, numberAt(tree, "categories_nodes", 0), "stands there twice")
	}
	for _, key := range []string{"categories_nodes", "categories_segments", "categories_sizes"} {
		out = append(out, mutant{fmt.Sprintf("tree %d: %s one short", i, key), "entries", func(d object) {
			t := treeOf(d, i)
			t[key] = t[key].(list)[1:]
		}})
	}
	return out
}
