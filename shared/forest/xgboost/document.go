package xgboost

import (
	"errors"
	"fmt"

	"github.com/millrace-ml/millrace/shared/forest"
)

// document is what a file says, before anything is checked but its types. Texts are numbers that XGBoost writes as text.
type document struct {
	version       []int32
	bestIteration string
	featureNames  []string
	featureTypes  []string
	objective     string
	param         struct{ baseScore, numClass, numFeature, numTarget string }
	booster       string
	nested        bool      // the model stands in an object of its own, as dart's did up to 3.2
	beside        bool      // there is a weight_drop beside the model, up to 3.3
	inside        bool      // there is a weight_drop in the model, from 3.4
	weightDrop    []float32 // dart: what the leaves of each tree are multiplied with
	linear        bool      // there are weights of a linear model
	weights       []float32
	numTrees      string
	treeInfo      []int32
	iterations    []int32
	trees         []*rawTree
	encodings     []encoding
}

// rawTree is one tree as it stands in the file.
type rawTree struct {
	left, right, feature   []int32
	defaultLeft, splitType []int32
	conditions             []float32
	baseWeights            []float32
	leafWeights            []float32
	categories             []int32
	categoryNodes          []int32
	categorySegments       []int32
	categorySizes          []int32
	param                  struct{ numNodes, numDeleted, numFeature, leafSize string }
}

func newDecoder(lex lexer) *decoder {
	d := &decoder{lex: lex}
	ints := func(list func(*rawTree) *[]int32) func() error {
		return func() error { return d.ints(list(d.tree)) }
	}
	floats := func(list func(*rawTree) *[]float32) func() error {
		return func() error { return d.floats(list(d.tree)) }
	}
	param := func(value func(*rawTree) *string) func() error {
		return func() error { return d.text(value(d.tree))() }
	}
	d.of.treeParam = []field{
		{"num_deleted", param(func(t *rawTree) *string { return &t.param.numDeleted })},
		{"num_feature", param(func(t *rawTree) *string { return &t.param.numFeature })},
		{"num_nodes", param(func(t *rawTree) *string { return &t.param.numNodes })},
		{"size_leaf_vector", param(func(t *rawTree) *string { return &t.param.leafSize })},
	}
	d.of.tree = []field{
		{"base_weights", floats(func(t *rawTree) *[]float32 { return &t.baseWeights })},
		{"categories", ints(func(t *rawTree) *[]int32 { return &t.categories })},
		{"categories_nodes", ints(func(t *rawTree) *[]int32 { return &t.categoryNodes })},
		{"categories_segments", ints(func(t *rawTree) *[]int32 { return &t.categorySegments })},
		{"categories_sizes", ints(func(t *rawTree) *[]int32 { return &t.categorySizes })},
		{"default_left", ints(func(t *rawTree) *[]int32 { return &t.defaultLeft })},
		{"id", nil},
		{"leaf_weights", floats(func(t *rawTree) *[]float32 { return &t.leafWeights })},
		{"left_children", ints(func(t *rawTree) *[]int32 { return &t.left })},
		{"loss_changes", nil},
		{"parents", nil},
		{"right_children", ints(func(t *rawTree) *[]int32 { return &t.right })},
		{"split_conditions", floats(func(t *rawTree) *[]float32 { return &t.conditions })},
		{"split_indices", ints(func(t *rawTree) *[]int32 { return &t.feature })},
		{"split_type", ints(func(t *rawTree) *[]int32 { return &t.splitType })},
		{"sum_hessian", nil},
		{"tree_param", func() error { return d.object(d.of.treeParam) }},
	}
	d.of.encoding = []field{
		{"offsets", func() error { return d.ints(&d.enc.offsets) }},
		{"type", nil},
		{"values", func() error { return d.wides(&d.enc.values) }},
	}
	return d
}

// document reads the whole file.
func (d *decoder) document() error {
	err := d.next()
	if err == nil {
		err = d.object([]field{
			{"learner", d.learner},
			{"version", func() error { return d.ints(&d.doc.version) }},
		})
	}
	if err == nil {
		err = d.next() // nothing may follow
	}
	if err != nil {
		return fmt.Errorf("byte %d: %w", d.lex.offset(), err)
	}
	return nil
}

func (d *decoder) learner() error {
	return d.object([]field{
		{"attributes", func() error { return d.some(field{"best_iteration", d.text(&d.doc.bestIteration)}) }},
		{"feature_names", d.texts(&d.doc.featureNames)},
		{"feature_types", d.texts(&d.doc.featureTypes)},
		{"gradient_booster", d.booster},
		{"learner_model_param", func() error {
			return d.object([]field{
				{"base_score", d.text(&d.doc.param.baseScore)},
				{"boost_from_average", nil},
				{"num_class", d.text(&d.doc.param.numClass)},
				{"num_feature", d.text(&d.doc.param.numFeature)},
				{"num_target", d.text(&d.doc.param.numTarget)},
			})
		}},
		{"objective", func() error { return d.some(field{"name", d.text(&d.doc.objective)}) }}, // the rest steers training
	})
}

// booster reads a booster. The weights of dart have had three homes, and its model two.
func (d *decoder) booster() error {
	return d.object([]field{
		{"gbtree", func() error {
			d.doc.nested = true
			return d.object([]field{{"model", d.model}, {"name", nil}})
		}},
		{"model", d.model},
		{"name", d.text(&d.doc.booster)},
		{"weight_drop", func() error { d.doc.beside = true; return d.floats(&d.doc.weightDrop) }},
	})
}

func (d *decoder) model() error {
	if d.modelSeen {
		return errors.New("there is another model")
	}
	d.modelSeen = true
	return d.object([]field{
		{"boosted_rounds", nil},
		{"cats", func() error {
			return d.object([]field{{"enc", d.encodings}, {"feature_segments", nil}, {"sorted_idx", nil}})
		}},
		{"gbtree_model_param", func() error {
			return d.object([]field{{"num_parallel_tree", nil}, {"num_trees", d.text(&d.doc.numTrees)}, {"size_leaf_vector", nil}})
		}},
		{"iteration_indptr", func() error { return d.ints(&d.doc.iterations) }},
		{"tree_info", func() error { return d.ints(&d.doc.treeInfo) }},
		{"trees", d.trees},
		{"weight_drop", func() error { d.doc.inside = true; return d.floats(&d.doc.weightDrop) }},
		{"weights", func() error { d.doc.linear = true; return d.floats(&d.doc.weights) }},
	})
}

func (d *decoder) trees() error {
	return d.elements(func(i int) error {
		if i == forest.MaxTrees {
			return fmt.Errorf("more than %d trees", forest.MaxTrees)
		}
		d.tree = &rawTree{}
		d.doc.trees = append(d.doc.trees, d.tree)
		return d.object(d.of.tree)
	})
}
