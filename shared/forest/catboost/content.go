package catboost

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/millrace-ml/millrace/shared/forest"
)

// content is what a file says, the same for both formats. The trees stand one after the other.
type content struct {
	release   string
	objective string
	classes   []string

	floats  []floatFeature
	cats    []catFeature
	oneHots []oneHot
	hashes  map[uint32]string // of all features' categories, when saved with the pool

	dimensions int
	scale      float64
	bias       []float64

	splits []int32   // of an oblivious tree one per level, of another one per node: places in the list of questions
	sizes  []int32   // splits per tree
	steps  []step    // of trees that are not oblivious
	leafOf []uint32  // beside steps: where a node's own values stand in leaves
	leaves []float64 // leaf by leaf, one per dimension
	said   []said    // beside splits, in JSON: what they ask
}

// The ways to treat a missing number.
const (
	asIs = iota
	asFalse
	asTrue
)

type floatFeature struct {
	index, flat int64
	name        string
	borders     []float32
	hasNaNs     bool
	treatment   int
}

type catFeature struct {
	index, flat int64
	name        string
}

// oneHot is the categories of a feature that splits ask for, by hash.
type oneHot struct {
	cat    int64 // index of the feature among the categorical ones
	values []int32
	texts  []string // nil, or one per value
}

// step is where a node goes on, counted from itself; 0 stays, and takes the node's own values.
type step struct{ left, right uint16 }

// The kinds of splits that are read, in JSON's words.
const floatSplit, oneHotSplit = "FloatFeature", "OneHotFeature"

// said is a split as JSON spells it out.
type said struct {
	feature int32
	oneHot  bool
	value   float64 // a border or a hash
}

// question is what a split asks: whether a number is above border, or a category's hash is value.
type question struct {
	float  int // place in floats, -1 for a category
	cat    int // place in cats
	border float32
	value  int32
}

// errCTR refuses what needs the statistics of categories.
var errCTR = errors.New("splits by statistics of categories (CTR), which are not supported: train with one_hot_max_size=255 and " +
	"max_ctr_complexity=0, or encode these categories as numbers")

var (
	errText      = errors.New("text features are not supported")
	errEmbedding = errors.New("embedding features are not supported")
)

// questions lists what splits can ask, in the order in which they count: the borders of numbers, then categories.
func (c *content) questions() ([]question, error) {
	var all []question
	for i := range c.floats {
		f := &c.floats[i]
		for j, b := range f.borders {
			if b-b != 0 || j > 0 && b <= f.borders[j-1] {
				return nil, fmt.Errorf("float feature %d: borders[%d] is %v, expected ascending numbers", f.index, j, b)
			}
			all = append(all, question{float: i, border: b})
		}
	}
	seen := make([]bool, len(c.cats))
	for i, o := range c.oneHots {
		at := -1
		for j := range c.cats {
			if c.cats[j].index == o.cat {
				at = j
			}
		}
		if at < 0 || seen[at] {
			return nil, fmt.Errorf("one-hot feature %d: categorical feature %d is not there, or has another one", i, o.cat)
		}
		seen[at] = true
		for _, v := range o.values {
			all = append(all, question{float: -1, cat: at, value: v})
		}
	}
	return all, nil
}

// checkFeatures checks that the lists of features name each column of the matrix once.
func (c *content) checkFeatures() error {
	n := len(c.floats) + len(c.cats)
	if n == 0 || n > forest.MaxFeatures {
		return fmt.Errorf("%d features: from 1 to %d are supported", n, forest.MaxFeatures)
	}
	flat, index := make([]bool, n), make([]bool, n)
	once := func(kind string, list []bool, i int64) error {
		if i < 0 || i >= int64(len(list)) || list[i] {
			return fmt.Errorf("%s %d: expected each of 0 to %d once; save the model without drop_unused_features", kind, i, len(list)-1)
		}
		list[i] = true
		return nil
	}
	for i := range c.floats {
		if err := errors.Join(once("float feature", index[:len(c.floats)], c.floats[i].index), once("flat feature", flat, c.floats[i].flat)); err != nil {
			return err
		}
	}
	clear(index)
	for i := range c.cats {
		if err := errors.Join(once("categorical feature", index[:len(c.cats)], c.cats[i].index), once("flat feature", flat, c.cats[i].flat)); err != nil {
			return err
		}
	}
	return nil
}

// names are the features' names, nil when all are numbers that count up, as CatBoost calls them itself.
func (c *content) names() []string {
	names := make([]string, len(c.floats)+len(c.cats))
	for i := range c.floats {
		names[c.floats[i].flat] = c.floats[i].name
	}
	for i := range c.cats {
		names[c.cats[i].flat] = c.cats[i].name
	}
	given := false
	for i, n := range names {
		if n == "" {
			names[i] = strconv.Itoa(i)
		}
		given = given || names[i] != strconv.Itoa(i)
	}
	if !given {
		return nil
	}
	return names
}

// setRelease finds the release in what CatBoost says of its build.
func (c *content) setRelease(info string) {
	for line := range strings.Lines(info) {
		if _, tag, ok := strings.Cut(line, "Branch: tags/v"); ok {
			c.release = strings.TrimSpace(tag)
		}
	}
}

// checkScale checks scale and bias.
func (c *content) checkScale() error {
	if c.bias != nil && len(c.bias) != c.dimensions {
		return fmt.Errorf("scale_and_bias: %d biases for %d outputs", len(c.bias), c.dimensions)
	}
	if c.scale == 0 || math.IsNaN(c.scale) || math.IsInf(c.scale, 0) {
		return fmt.Errorf("scale_and_bias: scale is %v", c.scale)
	}
	return nil
}
