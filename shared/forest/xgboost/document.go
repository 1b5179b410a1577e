package xgboost

import (
	"errors"
	"fmt"

	"github.com/millrace-ml/millrace/shared/forest"
	"github.com/millrace-ml/millrace/shared/forest/document"
)

// content is what a file says, before anything is checked but its types. Texts are numbers that XGBoost writes as text.
type content struct {
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

// decoder moves one file into a document.
type decoder struct {
	*document.Decoder
	doc  content
	tree *rawTree // the tree that is read just now
	of   struct { // the fields of the objects that a file has many of, or that nest
		tree, treeParam, encoding []document.Field
	}
	enc encoding // the encoding that is read just now

	modelSeen bool
}

func newDecoder(from *document.Decoder) *decoder {
	d := &decoder{Decoder: from}
	ints := func(list func(*rawTree) *[]int32) func() error {
		return func() error { return d.Ints(list(d.tree)) }
	}
	floats := func(list func(*rawTree) *[]float32) func() error {
		return func() error { return d.Floats(list(d.tree)) }
	}
	param := func(value func(*rawTree) *string) func() error {
		return func() error { return d.Text(value(d.tree))() }
	}
	d.of.treeParam = []document.Field{
		{Key: "num_deleted", Read: param(func(t *rawTree) *string { return &t.param.numDeleted })},
		{Key: "num_feature", Read: param(func(t *rawTree) *string { return &t.param.numFeature })},
		{Key: "num_nodes", Read: param(func(t *rawTree) *string { return &t.param.numNodes })},
		{Key: "size_leaf_vector", Read: param(func(t *rawTree) *string { return &t.param.leafSize })},
	}
	d.of.tree = []document.Field{
		{Key: "base_weights", Read: floats(func(t *rawTree) *[]float32 { return &t.baseWeights })},
		{Key: "categories", Read: ints(func(t *rawTree) *[]int32 { return &t.categories })},
		{Key: "categories_nodes", Read: ints(func(t *rawTree) *[]int32 { return &t.categoryNodes })},
		{Key: "categories_segments", Read: ints(func(t *rawTree) *[]int32 { return &t.categorySegments })},
		{Key: "categories_sizes", Read: ints(func(t *rawTree) *[]int32 { return &t.categorySizes })},
		{Key: "default_left", Read: ints(func(t *rawTree) *[]int32 { return &t.defaultLeft })},
		{Key: "id", Read: nil},
		{Key: "leaf_weights", Read: floats(func(t *rawTree) *[]float32 { return &t.leafWeights })},
		{Key: "left_children", Read: ints(func(t *rawTree) *[]int32 { return &t.left })},
		{Key: "loss_changes", Read: nil},
		{Key: "parents", Read: nil},
		{Key: "right_children", Read: ints(func(t *rawTree) *[]int32 { return &t.right })},
		{Key: "split_conditions", Read: floats(func(t *rawTree) *[]float32 { return &t.conditions })},
		{Key: "split_indices", Read: ints(func(t *rawTree) *[]int32 { return &t.feature })},
		{Key: "split_type", Read: ints(func(t *rawTree) *[]int32 { return &t.splitType })},
		{Key: "sum_hessian", Read: nil},
		{Key: "tree_param", Read: func() error { return d.Object(d.of.treeParam) }},
	}
	d.of.encoding = []document.Field{
		{Key: "offsets", Read: func() error { return d.Ints(&d.enc.offsets) }},
		{Key: "type", Read: nil},
		{Key: "values", Read: func() error { return d.Wides(&d.enc.values) }},
	}
	return d
}

// document reads the whole file.
func (d *decoder) document() error {
	return d.Whole(func() error {
		return d.Object([]document.Field{
			{Key: "learner", Read: d.learner},
			{Key: "version", Read: func() error { return d.Ints(&d.doc.version) }},
		})
	})
}

func (d *decoder) learner() error {
	return d.Object([]document.Field{
		{Key: "attributes", Read: func() error { return d.Some(document.Field{Key: "best_iteration", Read: d.Text(&d.doc.bestIteration)}) }},
		{Key: "feature_names", Read: d.Texts(&d.doc.featureNames)},
		{Key: "feature_types", Read: d.Texts(&d.doc.featureTypes)},
		{Key: "gradient_booster", Read: d.booster},
		{Key: "learner_model_param", Read: func() error {
			return d.Object([]document.Field{
				{Key: "base_score", Read: d.Text(&d.doc.param.baseScore)},
				{Key: "boost_from_average", Read: nil},
				{Key: "num_class", Read: d.Text(&d.doc.param.numClass)},
				{Key: "num_feature", Read: d.Text(&d.doc.param.numFeature)},
				{Key: "num_target", Read: d.Text(&d.doc.param.numTarget)},
			})
		}},
		{Key: "objective", Read: func() error { return d.Some(document.Field{Key: "name", Read: d.Text(&d.doc.objective)}) }}, // the rest steers training
	})
}

// booster reads a booster. The weights of dart have had three homes, and its model two.
func (d *decoder) booster() error {
	return d.Object([]document.Field{
		{Key: "gbtree", Read: func() error {
			d.doc.nested = true
			return d.Object([]document.Field{{Key: "model", Read: d.model}, {Key: "name", Read: nil}})
		}},
		{Key: "model", Read: d.model},
		{Key: "name", Read: d.Text(&d.doc.booster)},
		{Key: "weight_drop", Read: func() error { d.doc.beside = true; return d.Floats(&d.doc.weightDrop) }},
	})
}

func (d *decoder) model() error {
	if d.modelSeen {
		return errors.New("there is another model")
	}
	d.modelSeen = true
	return d.Object([]document.Field{
		{Key: "boosted_rounds", Read: nil},
		{Key: "cats", Read: func() error {
			return d.Object([]document.Field{{Key: "enc", Read: d.encodings}, {Key: "feature_segments", Read: nil}, {Key: "sorted_idx", Read: nil}})
		}},
		{Key: "gbtree_model_param", Read: func() error {
			return d.Object([]document.Field{{Key: "num_parallel_tree", Read: nil}, {Key: "num_trees", Read: d.Text(&d.doc.numTrees)}, {Key: "size_leaf_vector", Read: nil}})
		}},
		{Key: "iteration_indptr", Read: func() error { return d.Ints(&d.doc.iterations) }},
		{Key: "tree_info", Read: func() error { return d.Ints(&d.doc.treeInfo) }},
		{Key: "trees", Read: d.trees},
		{Key: "weight_drop", Read: func() error { d.doc.inside = true; return d.Floats(&d.doc.weightDrop) }},
		{Key: "weights", Read: func() error { d.doc.linear = true; return d.Floats(&d.doc.weights) }},
	})
}

func (d *decoder) trees() error {
	return d.Elements(func(i int) error {
		if i == forest.MaxTrees {
			return fmt.Errorf("more than %d trees", forest.MaxTrees)
		}
		d.tree = &rawTree{}
		d.doc.trees = append(d.doc.trees, d.tree)
		return d.Object(d.of.tree)
	})
}
