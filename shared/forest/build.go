package forest

import (
	"fmt"
	"slices"
)

// Config says what all trees of a model share. Of Info, a reader fills Format, Version, Objective, Features and the lists;
// the counts come from the trees.
type Config struct {
	Info
	Base    []float64 // margins before the first tree; their number is the model's number of margins
	Link    Link
	Vectors bool // leaves hold one value per margin

	// Float64 (of Info) makes thresholds, comparisons and sums float64; without it all are float32.
	Flush   bool    // values of at most Tiny become 0 before anything else, missing ones stay
	Sigma   float64 // of Logistic in float64: 1 / (1 + e^-Sigma·x); 0 stands for 1
	Average bool    // outputs, not margins, are made from the mean over trees of a margin

	Oblivious bool      // all trees come by AddOblivious; with Float64
	Rounded   bool      // features are rounded to float32 before they are compared; float64 only, oblivious trees do so anyway
	Scale     float64   // of the sums of float64, 0 stands for 1,
	Bias      []float64 // and what is added then, one per margin; nil for none
	Quick     bool      // Softmax in float64 by CatBoost's quick exponential
}

// Tiny is the size up to which Config.Flush and MissingZero take a value for zero: the float32 next to 1e-35.
const Tiny = 1.0000000180025095e-35

// Missing says which values a numeric split takes for missing, and so sends to its default side.
type Missing uint8

// The kinds of missing values.
const (
	MissingNaN  Missing = iota // NaN
	MissingZero                // NaN and all values of at most Tiny
	MissingNone                // none: NaN is taken for 0
)

// Tree is one tree as its file has it. Node 0 is the root.
type Tree struct {
	Nodes   []Node
	Margin  int       // the margin that the leaves add to; 0 with vector leaves
	Vectors []float64 // vector leaves: rows of one value per margin
	Deleted int       // nodes that the trainer cut off and left in the file
}

// Node is a split, or a leaf when Left is negative.
type Node struct {
	Left, Right int32
	Feature     int32
	DefaultLeft bool     // where missing values go
	Missing     Missing  // what a numeric split takes for missing
	Categorical bool     // split by Set, not by Threshold
	SetLeft     bool     // Set goes left, all else and missing values right; fractions truncate towards 0
	Threshold   float64  // less goes left
	AllLeft     bool     // instead of Threshold: all that is not missing goes left, +Inf too; float64 with Config.Flush only
	Set         []uint32 // ascending codes that go right; all other values go left
	Value       float64  // of a scalar leaf
	Vector      int32    // of a vector leaf: its row in Tree.Vectors
	Linear      *Linear  // of a linear leaf, nil for others
}

// Linear is a leaf's linear model: Const + Σ Coefficients·features, added in the order listed. When one of the features is
// missing, the leaf gives its Value instead. Only models in float64 with scalar leaves have it.
type Linear struct {
	Const        float64
	Features     []int32
	Coefficients []float64
}

// Builder checks trees and lays them out.
type Builder struct {
	single    *layout[float32] // one of the three
	double    *layout[float64]
	oblivious *obliviousLayout
}

// NewBuilder checks what all trees share.
func NewBuilder(c Config) (*Builder, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	c.Info = cloneInfo(c.Info)
	if len(c.Categorical) == 0 {
		c.Categorical = make([]bool, c.Features)
	}
	b := &Builder{}
	var err error
	switch {
	case c.Oblivious:
		b.oblivious, err = newObliviousLayout(c)
	case c.Float64:
		b.double, err = newLayout[float64](c)
	default:
		b.single, err = newLayout[float32](c)
	}
	if err != nil {
		return nil, err
	}
	return b, nil
}

// check is for what does not depend on trees.
func (c *Config) check() error {
	margins := len(c.Base)
	switch {
	case c.Features < 1 || c.Features > MaxFeatures:
		return fmt.Errorf("%d features: from 1 to %d are supported", c.Features, MaxFeatures)
	case margins < 1 || margins > MaxMargins:
		return fmt.Errorf("%d outputs: from 1 to %d are supported", margins, MaxMargins)
	case !equalOrEmpty(c.FeatureNames, c.Features):
		return fmt.Errorf("%d feature names for %d features", len(c.FeatureNames), c.Features)
	case !equalOrEmpty(c.FeatureTypes, c.Features):
		return fmt.Errorf("%d feature types for %d features", len(c.FeatureTypes), c.Features)
	case !equalOrEmpty(c.Categorical, c.Features):
		return fmt.Errorf("%d categorical flags for %d features", len(c.Categorical), c.Features)
	case !equalOrEmpty(c.Categories, c.Features):
		return fmt.Errorf("categories of %d features for %d features", len(c.Categories), c.Features)
	case (c.Oblivious || c.Rounded || c.Scale != 0 || c.Bias != nil) && !c.Float64:
		return fmt.Errorf("oblivious trees, rounded features, scale and bias are for sums in float64")
	case c.Scale-c.Scale != 0:
		return fmt.Errorf("scale is %v", c.Scale)
	case c.Bias != nil && len(c.Bias) != margins:
		return fmt.Errorf("%d biases for %d outputs", len(c.Bias), margins)
	case c.Sigma < 0 || c.Sigma-c.Sigma != 0:
		return fmt.Errorf("sigma of %v", c.Sigma)
	}
	for i, v := range c.Bias {
		if v-v != 0 {
			return fmt.Errorf("bias %d is %v", i, v)
		}
	}
	return nil
}

// Add checks a tree and appends it. Errors name the node, and end the building. The tree's slices may be used again
// afterwards.
func (b *Builder) Add(t *Tree) error {
	switch {
	case b.oblivious != nil:
		return fmt.Errorf("a tree in a model of oblivious ones")
	case b.double != nil:
		return b.double.add(t)
	}
	return b.single.add(t)
}

// Model ends the building: no tree can be added afterwards.
func (b *Builder) Model() (*Model, error) {
	m := &Model{}
	var err error
	switch {
	case b.oblivious != nil:
		m.oblivious = b.oblivious.k
		err = b.oblivious.finish(m)
	case b.double != nil:
		m.double = b.double.k
		err = b.double.finish(m)
	default:
		m.single = b.single.k
		err = b.single.finish(m)
	}
	if err != nil {
		return nil, err
	}
	return m, nil
}

// equalOrEmpty guards the lists of Info that hold one entry per feature.
func equalOrEmpty[E any](list []E, n int) bool { return len(list) == 0 || len(list) == n }

// cloneInfo detaches Info from the slices of whoever filled it.
func cloneInfo(i Info) Info {
	i.FeatureNames = slices.Clone(i.FeatureNames)
	i.FeatureTypes = slices.Clone(i.FeatureTypes)
	i.Categorical = slices.Clone(i.Categorical)
	i.Categories = slices.Clone(i.Categories)
	return i
}
