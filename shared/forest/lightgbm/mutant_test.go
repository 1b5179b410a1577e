package lightgbm

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/millrace-ml/millrace/shared/fault"
)

// mutant is a model that is wrong in one place.
type mutant struct {
	name, place, want string // place and want stand in the error
	text              string
}

// TestMutants bends correct models in every structural place, one at a time. All must be refused.
func TestMutants(t *testing.T) {
	t.Parallel()
	count := 0
	for _, model := range []string{"binary", "linear_binary", "multiclassova", "zero_as_missing", "codes"} {
		text := string(file(t, "testdata/lgb-4.7.0", model+".txt"))
		mutants := append(headerMutants(text), treeMutants(text)...)
		count += len(mutants)
		for _, m := range mutants {
			if m.text == text {
				t.Errorf("%s, %s: nothing is bent", model, m.name)
			}
			_, err := Read([]byte(m.text))
			if err == nil || fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), m.place) || !strings.Contains(err.Error(), m.want) || len(err.Error()) > 1000 {
				t.Errorf("%s, %s: error %v, want one with %q and %q", model, m.name, err, m.place, m.want)
			}
		}
	}
	t.Logf("%d mutants", count)
	if count < 1000 {
		t.Errorf("only %d mutants: the generator lost some", count)
	}
}

// line replaces the first line that has the key.
func line(text, key, with string) string {
	at := strings.Index(text, "\n"+key) + 1
	end := at + strings.IndexByte(text[at:], '\n') + 1
	return text[:at] + with + text[end:]
}

func headerMutants(text string) []mutant {
	set := func(key, value string) string { return line(text, key+"=", key+"="+value+"\n") }
	trees := strings.Count(text, "\nTree=")
	cut, tail, _ := strings.Cut(text, "end of trees")
	out := []mutant{
		{"version 1", "", `version is "v1"; this reader knows v2, v3 and v4`, set("version", "v1")},
		{"version 5", "", `version is "v5"; this reader knows`, set("version", "v5")},
		{"no version", "", `version is "";`, line(text, "version=", "")},
		{"an unknown key", "", `unknown key "scale": the file may be damaged, or of a later LightGBM`, line(text, "version=", "version=v4\nscale=1\n")},
		{"a key twice", "", "num_class stands there twice", line(text, "num_class=", "num_class=1\nnum_class=1\n")},
		{"no classes", "", "num_class is missing", line(text, "num_class=", "")},
		{"two billion classes", "", `num_class is "2000000000", expected a whole number up to 10000`, set("num_class", "2000000000")},
		{"another number of classes", "", "num_tree_per_iteration is", set("num_class", "9")},
		{"no trees per iteration", "", "num_tree_per_iteration is missing", line(text, "num_tree_per_iteration=", "")},
		{"0 trees per iteration", "", "num_tree_per_iteration is 0", set("num_tree_per_iteration", "0")},
		{"half a tree per iteration", "", `num_tree_per_iteration is "0.5"`, set("num_tree_per_iteration", "0.5")},
		{"no features", "", "max_feature_idx is missing", line(text, "max_feature_idx=", "")},
		{"negative features", "", `max_feature_idx is "-1"`, set("max_feature_idx", "-1")},
		{"too many features", "", `max_feature_idx is "1048576", expected a whole number up to 1048575`, set("max_feature_idx", "1048576")},
		{"more features than names", "", "entries, max_feature_idx says 10 features", set("max_feature_idx", "9")},
		{"no names", "", "feature_names has 0 entries", line(text, "feature_names=", "")},
		{"a name too many", "", "feature_names has", strings.Replace(text, "feature_names=", "feature_names=more ", 1)},
		{"no infos", "", "feature_infos has 0 entries", line(text, "feature_infos=", "")},
		{"an info too many", "", "feature_infos has", strings.Replace(text, "feature_infos=", "feature_infos=none ", 1)},
		{"an unknown objective", "", `objective "survival" is not supported; supported are binary, cross_entropy, `, set("objective", "survival")},
		{"an empty objective", "", "objective is empty", set("objective", "")},
		{"no sigma", "", "objective binary: sigmoid is missing", set("objective", "binary")},
		{"a sigma of 0", "", `objective binary: sigmoid is "0"`, set("objective", "binary sigmoid:0")},
		{"a NaN sigma", "", `objective binary: sigmoid is "nan"`, set("objective", "binary sigmoid:nan")},
		{"a sigma twice", "", `objective binary: unknown parameter "sigmoid:1"`, set("objective", "binary sigmoid:1 sigmoid:1")},
		{"an unknown parameter", "", `objective regression: unknown parameter "log"`, set("objective", "regression log")},
		{"another number of classes in the objective", "", `objective multiclass: num_class is "7"`, set("objective", "multiclass num_class:7")},
		{"a tree less than sized", "", fmt.Sprintf("%d trees, but tree_sizes has", trees), strings.Replace(text, "tree_sizes=", "tree_sizes=1 ", 1)},
		{"no end of trees", "", "cut off", cut},
		{"something between the trees", "", `"forest" stands between the trees`, cut + "forest\nend of trees" + tail},
		{"a tree that is called another", "", `tree 0: it is called Tree="1"`, strings.Replace(text, "Tree=0\n", "Tree=1\n", 1)},
		{"no first tree", "", `tree 0: it is called Tree="1"`, text[:strings.Index(text, "Tree=0\n")] + text[strings.Index(text, "Tree=1\n"):]},
		{"categories that are no JSON", "", `pandas_categorical is "[[\"a\"", expected lists`, line(text, "pandas_categorical:", "pandas_categorical:[[\"a\"\n")},
		{"categories that are numbers", "", "pandas_categorical is", line(text, "pandas_categorical:", "pandas_categorical:[1]\n")},
		{"an average in v2", "", "average_output (boosting rf) in version v2", line(set("version", "v2"), "max_feature_idx=", "max_feature_idx="+fmt.Sprint(strings.Count(text[:strings.Index(text, "\nfeature_infos")][strings.Index(text, "feature_names="):], " "))+"\naverage_output\n")},
	}
	return out
}

// lists are the structural lists of a tree.
var lists = []string{"split_feature", "threshold", "decision_type", "left_child", "right_child", "leaf_value"}

// treeMutants bend the second tree, entry by entry.
func treeMutants(text string) []mutant {
	start := strings.Index(text, "\nTree=1\n") + 1
	end := start + strings.Index(text[start:], "\n\n")
	head, block, tail := text[:start], text[start:end], text[end:]
	var out []mutant
	add := func(name, want, block string) {
		out = append(out, mutant{name, "tree 1: ", want, head + block + tail})
	}
	keys := slices.Clone(lists)
	if strings.Contains(block, "cat_threshold=") {
		keys = append(keys, "cat_boundaries", "cat_threshold")
	}
	if strings.Contains(block, "is_linear=1") {
		keys = append(keys, "leaf_const", "num_features", "leaf_features", "leaf_coeff")
	}
	for _, key := range keys {
		old := values(block, key)
		put := func(v []string) string { return line(block, key+"=", key+"="+strings.Join(v, " ")+"\n") }
		add(key+" missing", key+" is missing", line(block, key+"=", ""))
		add(key+" twice", key+" stands there twice", block+"\n"+key+"=1")
		add(key+" one short", "", put(old[1:]))
		add(key+" one long", "", put(append(slices.Clone(old), "0")))
		add(key+" empty", key+" has 0 entries", put(nil))
		for i := range old {
			for _, bad := range badEntries(key, i, block) {
				v := slices.Clone(old)
				v[i] = bad.value
				add(fmt.Sprintf("%s[%d] = %s", key, i, bad.value), bad.want, put(v))
			}
		}
	}
	for _, key := range []string{"num_leaves", "num_cat"} {
		for _, bad := range []string{"-1", "x", "1.5", "4000000000", "5000001"} {
			add(key+" "+bad, key+" is", line(block, key+"=", key+"="+bad+"\n"))
		}
		add(key+" missing", key+" is missing", line(block, key+"=", ""))
	}
	add("no leaves", "num_leaves is 0", line(block, "num_leaves=", "num_leaves=0\n"))
	add("a leaf more", "", line(block, "num_leaves=", "num_leaves=8\n"))
	add("as many sets as leaves", "num_cat is 7, num_leaves 7", line(block, "num_cat=", "num_cat=7\n"))
	add("half linear", `is_linear is "2"`, line(block, "is_linear=", "is_linear=2\n"))
	add("an unknown key", `unknown key "bias"`, block+"\nbias=1")
	return out
}

func values(block, key string) []string {
	_, rest, _ := strings.Cut(block, "\n"+key+"=")
	value, _, _ := strings.Cut(rest, "\n")
	return strings.Fields(value)
}

type badEntry struct{ value, want string }

// badEntries are wrong values for entry i of a list.
func badEntries(key string, i int, block string) []badEntry {
	bad := []badEntry{{"x", fmt.Sprintf("%s[%d] is \"x\", expected", key, i)}, {"nan", fmt.Sprintf("%s[%d] is \"nan\"", key, i)}}
	node := fmt.Sprintf("node %d: ", i)
	switch key {
	case "threshold", "leaf_value", "leaf_const", "leaf_coeff":
		bad = append(bad, badEntry{"1e999", key}, badEntry{"0x10", key}, badEntry{"infinity", key})
		if key != "threshold" {
			bad = append(bad, badEntry{"inf", key})
		}
		if key == "threshold" && values(block, "decision_type")[i] == "9" {
			bad = append(bad, badEntry{"-1", node + "threshold is -1"}, badEntry{"0.5", node + "threshold is 0.5"}, badEntry{"99", node + "threshold is 99"}, badEntry{"inf", node + "threshold is +Inf"})
		}
		return bad
	case "split_feature":
		return append(bad, badEntry{"99", node + "split_feature is 99"}, badEntry{"-1", node + "split_feature is -1"}, badEntry{"3000000000", key})
	case "decision_type":
		return append(bad, badEntry{"12", node + "decision_type is 12"}, badEntry{"16", node + "decision_type is 16"}, badEntry{"-2", node + "decision_type is -2"})
	case "left_child", "right_child":
		bad = append(bad, badEntry{"0", "node"}, badEntry{fmt.Sprint(i), "node"}, badEntry{"6", node + key + " is 6, the tree has 6 nodes"},
			badEntry{"-8", node + key + " is -8, which is leaf 7; the tree has 7 leaves"}, badEntry{"-2147483648", node + key}, badEntry{"2147483647", node + key})
		for _, other := range append(values(block, "left_child"), values(block, "right_child")...) {
			if other != values(block, key)[i] {
				bad = append(bad, badEntry{other, "not a tree"})
			}
		}
		return bad
	case "cat_boundaries":
		return append(bad, badEntry{"-1", "cat_boundaries"}, badEntry{"2000000000", "cat_"})
	case "cat_threshold":
		return append(bad, badEntry{"-1", key}, badEntry{"4294967296", key})
	case "num_features":
		return append(bad, badEntry{"-1", fmt.Sprintf("num_features[%d] is -1", i)}, badEntry{"2000000000", ""})
	case "leaf_features":
		return append(bad, badEntry{"99", fmt.Sprintf("leaf_features[%d] is 99", i)}, badEntry{"-1", fmt.Sprintf("leaf_features[%d] is -1", i)})
	}
	return bad
}
