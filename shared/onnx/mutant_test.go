package onnx

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/millrace-ml/millrace/shared/fault"
)

const testFolder = "testdata/ort-1.32.0"

// mutant is a model that is wrong in one place.
type mutant struct {
	name, want string // want stands in the error
	data       []byte
}

// TestMutants bends correct models in every structural place, one at a time. All must be refused.
func TestMutants(t *testing.T) {
	t.Parallel()
	count := 0
	for _, c := range []struct{ model, op, prefix string }{
		{"forest_words", "TreeEnsembleClassifier", "class"}, {"regressor_sum_3_mixed", "TreeEnsembleRegressor", "target"},
	} {
		for _, m := range newTreeMutants(t, c.model, c.op, c.prefix).all() {
			count++
			checkRefused(t, c.model+": "+m.name, m.data, m.want)
		}
	}
	t.Logf("%d mutants", count)
	if count < 1000 {
		t.Errorf("only %d mutants: the generator lost some", count)
	}
}

func checkRefused(t *testing.T, name string, data []byte, want string) {
	t.Helper()
	_, err := Read(data)
	if err == nil || fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), want) || len(err.Error()) > 1000 {
		t.Errorf("%s: error %v, want one with %q", name, err, want)
	}
}

// treeMutants bends the lists of an ensemble.
type treeMutants struct {
	t          *testing.T
	data       []byte
	op, prefix string
	ints       map[string][]int64
	modes      []string
	values     []float32
	weights    []float32
	out        []mutant
}

func newTreeMutants(t *testing.T, model, op, prefix string) *treeMutants {
	t.Helper()
	m := &treeMutants{t: t, data: load(t, testFolder, model+".onnx"), op: op, prefix: prefix, ints: map[string][]int64{}}
	f, err := parseFile(m.data)
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(f.nodes, func(n node) bool { return n.op == op })
	n := &f.nodes[at]
	for _, a := range n.attributes {
		if a.kind == typeInts {
			m.ints[a.name], _ = n.ints(a.name)
		}
	}
	m.modes, _ = n.texts("nodes_modes")
	m.values, _ = n.floats("nodes_values")
	m.weights, _ = n.floats(prefix + "_weights")
	return m
}

// set adds a mutant with another entry in a list of whole numbers.
func (m *treeMutants) set(list string, i int, v int64, want string) {
	bent := slices.Clone(m.ints[list])
	bent[i] = v
	data := editAttribute(m.t, m.data, m.op, list, func([]byte) []byte { return intsOf(list, bent) })
	m.out = append(m.out, mutant{fmt.Sprintf("%s[%d] = %d", list, i, v), want, data})
}

func (m *treeMutants) all() []mutant {
	for i, mode := range m.modes {
		m.node(i, mode == "LEAF")
	}
	for i := range m.ints[m.prefix+"_ids"] {
		where := fmt.Sprintf("tree %d: node %d: ", m.ints[m.prefix+"_treeids"][i], m.ints[m.prefix+"_nodeids"][i])
		m.set(m.prefix+"_ids", i, -1, where+m.prefix+"_ids is -1")
		m.set(m.prefix+"_ids", i, 1<<31, where+m.prefix+"_ids is 2147483648")
		m.set(m.prefix+"_nodeids", i, 1<<33, ", which "+m.prefix+"_nodeids names, is no node")
		m.set(m.prefix+"_treeids", i, 77, "tree 77: node ")
		bent := slices.Clone(m.weights)
		bent[i] = float32(math.Inf(1))
		name := m.prefix + "_weights"
		m.out = append(m.out, mutant{fmt.Sprintf("%s[%d] is infinite", name, i), where + name + " is +Inf",
			editAttribute(m.t, m.data, m.op, name, func([]byte) []byte { return floatsOf(name, bent) })})
	}
	for name, list := range m.ints {
		if strings.HasPrefix(name, "classlabels") {
			continue
		}
		short, long := list[1:], append(slices.Clone(list), 0)
		for _, l := range [][]int64{short, long, nil} {
			if l == nil && name == "nodes_missing_value_tracks_true" {
				continue // it may be left out
			}
			m.out = append(m.out, mutant{fmt.Sprintf("%s with %d entries", name, len(l)), "entries",
				editAttribute(m.t, m.data, m.op, name, func([]byte) []byte { return intsOf(name, l) })})
		}
		if name != "nodes_missing_value_tracks_true" {
			m.out = append(m.out, mutant{name + " as texts", "attribute " + name + " is of type 8",
				editAttribute(m.t, m.data, m.op, name, func([]byte) []byte { return textsOf(name, []string{"a"}) })})
		}
	}
	return m.out
}

// node adds mutants of one node.
func (m *treeMutants) node(i int, isLeaf bool) {
	tree, id := m.ints["nodes_treeids"][i], m.ints["nodes_nodeids"][i]
	where := fmt.Sprintf("tree %d: node %d", tree, id)
	mode := func(v, want string) {
		bent := slices.Clone(m.modes)
		bent[i] = v
		m.out = append(m.out, mutant{fmt.Sprintf("nodes_modes[%d] = %s", i, v), want,
			editAttribute(m.t, m.data, m.op, "nodes_modes", func([]byte) []byte { return textsOf("nodes_modes", bent) })})
	}
	mode("BRANCH", fmt.Sprintf(`nodes_modes[%d] is "BRANCH"`, i))
	m.set("nodes_treeids", i, 99, "tree ")
	if id > 0 {
		m.set("nodes_nodeids", i, id-1, fmt.Sprintf("tree %d: node ", tree))
	}
	if isLeaf {
		mode("BRANCH_LT", fmt.Sprintf("tree %d: node ", tree)) // its children are node 0, which is above it
		return
	}
	mode("LEAF", fmt.Sprintf("tree %d: node ", tree))
	for _, list := range []string{"nodes_truenodeids", "nodes_falsenodeids"} {
		for _, v := range []int64{-1, 1 << 20, 1 << 40} {
			m.set(list, i, v, fmt.Sprintf("%s: %s is %d, which is no node of the tree", where, list, v))
		}
		m.set(list, i, id, where+": its child "+where+" is also above it: a cycle")
		m.set(list, i, 0, "a cycle")
	}
	m.set("nodes_truenodeids", i, m.ints["nodes_falsenodeids"][i], "no path leads to it")
	for _, v := range []int64{-1, 4, 1 << 33} {
		m.set("nodes_featureids", i, v, fmt.Sprintf("%s: nodes_featureids is %d, the input has 4 columns", where, v))
	}
	bent := slices.Clone(m.values)
	bent[i] = float32(math.NaN())
	m.out = append(m.out, mutant{fmt.Sprintf("nodes_values[%d] is NaN", i), where + ": nodes_values is not a number",
		editAttribute(m.t, m.data, m.op, "nodes_values", func([]byte) []byte { return floatsOf("nodes_values", bent) })})
}
