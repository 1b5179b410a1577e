package catboost

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/millrace-ml/millrace/shared/forest"
	"github.com/millrace-ml/millrace/shared/forest/document"
)

// decoder moves a JSON model into a content.
type decoder struct {
	*document.Decoder
	c *content
}

// list is elements of what may also be null, as older releases write an empty list.
func (d *decoder) list(element func(i int) error) func() error {
	return func() error {
		if d.IsNull() {
			return nil
		}
		return d.Elements(element)
	}
}

func (d *decoder) refuse(err error) func() error {
	return func() error { return err }
}

func (d *decoder) model() error {
	d.c.scale = 1
	return d.Object([]document.Field{
		{Key: "ctr_data", Read: func() error {
			if d.IsNull() {
				return nil
			}
			return errCTR
		}},
		{Key: "features_info", Read: d.features},
		{Key: "model_info", Read: d.info},
		{Key: "oblivious_trees", Read: d.list(d.oblivious)},
		{Key: "scale_and_bias", Read: d.scaleAndBias},
		{Key: "trees", Read: d.list(d.tree)},
	})
}

func (d *decoder) features() error {
	return d.Object([]document.Field{
		{Key: "cat_features_hash", Read: d.list(d.hash)},
		{Key: "categorical_features", Read: d.list(d.categorical)},
		{Key: "ctrs", Read: d.refuse(errCTR)},
		{Key: "embedding_features", Read: d.refuse(errEmbedding)},
		{Key: "float_features", Read: d.list(d.float)},
		{Key: "text_features", Read: d.refuse(errText)},
	})
}

func (d *decoder) float(int) error {
	f := floatFeature{index: -1, flat: -1}
	var treatment, name string
	err := d.Object([]document.Field{
		{Key: "borders", Read: func() error {
			if d.IsNull() {
				return nil
			}
			return d.Floats(&f.borders)
		}},
		{Key: "feature_id", Read: d.Text(&f.name)},
		{Key: "feature_index", Read: func() error { return d.Int(&f.index) }},
		{Key: "feature_name", Read: d.Text(&name)},
		{Key: "flat_feature_index", Read: func() error { return d.Int(&f.flat) }},
		{Key: "has_nans", Read: func() error { return d.Bool(&f.hasNaNs) }},
		{Key: "nan_value_treatment", Read: d.Text(&treatment)},
	})
	if err != nil {
		return err
	}
	if f.name == "" {
		f.name = name
	}
	switch treatment {
	case "AsIs":
	case "AsFalse":
		f.treatment = asFalse
	case "AsTrue":
		f.treatment = asTrue
	default:
		return fmt.Errorf("nan_value_treatment is %s, expected AsIs, AsFalse or AsTrue", document.Clip([]byte(treatment)))
	}
	d.c.floats = append(d.c.floats, f)
	return nil
}

func (d *decoder) categorical(int) error {
	f := catFeature{index: -1, flat: -1}
	var name string
	var values []int64
	var texts []string
	err := d.Object([]document.Field{
		{Key: "feature_id", Read: d.Text(&f.name)},
		{Key: "feature_index", Read: func() error { return d.Int(&f.index) }},
		{Key: "feature_name", Read: d.Text(&name)},
		{Key: "flat_feature_index", Read: func() error { return d.Int(&f.flat) }},
		{Key: "string_values", Read: d.Texts(&texts)},
		{Key: "values", Read: func() error { return d.Wides(&values) }},
	})
	if err != nil {
		return err
	}
	if f.name == "" {
		f.name = name
	}
	d.c.cats = append(d.c.cats, f)
	if values == nil {
		return nil
	}
	if texts != nil && len(texts) != len(values) {
		return fmt.Errorf("%d string_values for %d values", len(texts), len(values))
	}
	o := oneHot{cat: f.index, texts: texts, values: make([]int32, len(values))}
	for i, v := range values {
		if v < math.MinInt32 || v > math.MaxUint32 {
			return fmt.Errorf("values[%d] is %d, expected a hash of 32 bits", i, v)
		}
		o.values[i] = int32(uint32(v))
	}
	d.c.oneHots = append(d.c.oneHots, o)
	return nil
}

func (d *decoder) hash(int) error {
	var hash int64
	var value string
	err := d.Object([]document.Field{
		{Key: "hash", Read: func() error { return d.Int(&hash) }},
		{Key: "value", Read: d.Text(&value)},
	})
	if err == nil && uint32(hash) != categoryHash(value) {
		err = fmt.Errorf("%s has the hash %d, not %d", document.Clip([]byte(value)), categoryHash(value), hash)
	}
	if d.c.hashes == nil {
		d.c.hashes = map[uint32]string{}
	}
	d.c.hashes[uint32(hash)] = value
	return err
}

func (d *decoder) info() error {
	return d.Some(
		document.Field{Key: "catboost_version_info", Read: func() error {
			var text string
			err := d.Text(&text)()
			d.c.setRelease(text)
			return err
		}},
		document.Field{Key: "class_params", Read: d.classes},
		document.Field{Key: infoLoss, Read: func() error {
			var text string
			if err := d.Text(&text)(); err != nil {
				return err
			}
			return d.c.readLoss([]byte(text))
		}},
		document.Field{Key: infoParams, Read: func() error {
			if d.IsNull() || d.IsText() {
				return d.Skip()
			}
			return d.params()
		}},
	)
}

func (d *decoder) params() error {
	return d.Some(document.Field{Key: infoLoss, Read: d.loss})
}

func (d *decoder) loss() error {
	return d.Some(document.Field{Key: "type", Read: d.Text(&d.c.objective)})
}

// classes takes the names of the classes; numbers and truth values are made texts.
func (d *decoder) classes() error {
	if d.IsNull() || d.IsText() {
		return d.Skip()
	}
	return d.Some(document.Field{Key: "class_names", Read: d.list(func(int) error {
		var name string
		var number float64
		var truth bool
		switch {
		case d.IsText():
			if err := d.Text(&name)(); err != nil {
				return err
			}
		case d.Double(&number) == nil:
			name = strconv.FormatFloat(number, 'f', -1, 64)
		case d.Bool(&truth) == nil:
			name = strconv.FormatBool(truth)
		default:
			return errors.New("expected a text, a number, true or false")
		}
		d.c.classes = append(d.c.classes, name)
		return nil
	})})
}

func (d *decoder) scaleAndBias() error {
	return d.Elements(func(i int) error {
		switch {
		case i == 0:
			return d.Double(&d.c.scale)
		case i > 1:
			return errors.New("expected the scale and the bias")
		case d.IsList():
			return d.Doubles(&d.c.bias)
		}
		d.c.bias = []float64{0}
		return d.Double(&d.c.bias[0])
	})
}

func (d *decoder) oblivious(i int) error {
	if i == forest.MaxTrees {
		return fmt.Errorf("more than %d trees", forest.MaxTrees)
	}
	splits, leaves := len(d.c.splits), len(d.c.leaves)
	err := d.Object([]document.Field{
		{Key: "leaf_values", Read: d.list(func(int) error {
			var v float64
			err := d.Double(&v)
			d.c.leaves = append(d.c.leaves, v)
			return err
		})},
		{Key: "leaf_weights"},
		{Key: "splits", Read: d.list(func(int) error { return d.split() })},
	})
	if err != nil {
		return err
	}
	depth, values := len(d.c.splits)-splits, len(d.c.leaves)-leaves
	if depth > forest.MaxObliviousDepth || values == 0 || values%(1<<depth) != 0 {
		return fmt.Errorf("%d leaf_values for %d splits", values, depth)
	}
	d.c.sizes = append(d.c.sizes, int32(depth))
	return d.setDimensions(values >> depth)
}

// setDimensions notes the number of values of a leaf, the same for all.
func (d *decoder) setDimensions(n int) error {
	if d.c.dimensions == 0 {
		d.c.dimensions = n
	}
	if n != d.c.dimensions {
		return fmt.Errorf("%d values in a leaf, %d in those before", n, d.c.dimensions)
	}
	return nil
}

// split appends a split.
func (d *decoder) split() error {
	at, s := int64(-1), said{feature: -1}
	var border float32
	var kind string
	err := d.Object([]document.Field{
		{Key: "border", Read: func() error {
			err := d.Float(&border)
			s.value = float64(border)
			return err
		}},
		{Key: "cat_feature_index", Read: func() error { return d.Int(&s.feature) }},
		{Key: "ctr_target_border_idx", Read: d.refuse(errCTR)},
		{Key: "float_feature_index", Read: func() error { return d.Int(&s.feature) }},
		{Key: "split_index", Read: func() error { return d.Int(&at) }},
		{Key: "split_type", Read: d.Text(&kind)},
		{Key: "value", Read: func() error { return d.Double(&s.value) }},
	})
	if err != nil {
		return err
	}
	switch kind {
	case floatSplit:
		s.kind = floatSplit
	case oneHotSplit:
		s.kind = oneHotSplit
	case "OnlineCtr":
		return errCTR
	default:
		return fmt.Errorf("split_type is %s, expected FloatFeature or OneHotFeature", document.Clip([]byte(kind)))
	}
	if at < 0 || at > math.MaxInt32 {
		return fmt.Errorf("split_index is %d", at)
	}
	d.c.splits, d.c.said = append(d.c.splits, int32(at)), append(d.c.said, s)
	return nil
}

// tree reads a tree that is not oblivious: nodes in nodes.
func (d *decoder) tree(i int) error {
	if i == forest.MaxTrees {
		return fmt.Errorf("more than %d trees", forest.MaxTrees)
	}
	first := len(d.c.steps)
	if err := d.node(); err != nil {
		return err
	}
	d.c.sizes = append(d.c.sizes, int32(len(d.c.steps)-first))
	return nil
}

// node appends a node and those below it, left ones first.
func (d *decoder) node() error {
	c, at := d.c, len(d.c.steps)
	c.steps, c.leafOf = append(c.steps, step{}), append(c.leafOf, math.MaxUint32)
	c.splits, c.said = append(c.splits, 0), append(c.said, said{})
	first := len(c.leaves)
	var has struct{ left, right, split, value bool }
	below := func(side *bool, by func(*step) *uint16) func() error {
		return func() error {
			*side = true
			distance := len(c.steps) - at
			if distance > math.MaxUint16 {
				return fmt.Errorf("more than %d nodes below one", math.MaxUint16)
			}
			*by(&c.steps[at]) = uint16(distance)
			return d.node()
		}
	}
	err := d.Object([]document.Field{
		{Key: "left", Read: below(&has.left, func(s *step) *uint16 { return &s.left })},
		{Key: "right", Read: below(&has.right, func(s *step) *uint16 { return &s.right })},
		{Key: "split", Read: func() error {
			has.split = true
			if err := d.split(); err != nil {
				return err
			}
			last := len(c.splits) - 1
			c.splits[at], c.said[at] = c.splits[last], c.said[last]
			c.splits, c.said = c.splits[:last], c.said[:last]
			return nil
		}},
		{Key: "value", Read: func() error {
			has.value = true
			first = len(c.leaves)
			if d.IsList() {
				return d.Doubles(&c.leaves)
			}
			c.leaves = append(c.leaves, 0)
			return d.Double(&c.leaves[first])
		}},
		{Key: "weight"},
	})
	switch {
	case err != nil:
		return err
	case has.value && !has.left && !has.right && !has.split:
		c.leafOf[at] = uint32(first)
		return d.setDimensions(len(c.leaves) - first)
	case has.value || !has.left || !has.right || !has.split:
		return errors.New("expected left, right and split, or value")
	}
	return nil
}

// The texts about the training are JSON inside of .cbm, and in part inside of JSON.
func (c *content) within(text []byte, read func(d *decoder) func() error) error {
	d := &decoder{Decoder: document.NewJSON(text, releases), c: c}
	return d.Whole(read(d))
}

func (c *content) readParams(text []byte) error {
	return c.within(text, func(d *decoder) func() error { return d.params })
}

func (c *content) readLoss(text []byte) error {
	return c.within(text, func(d *decoder) func() error { return d.loss })
}

func (c *content) readClasses(text []byte) error {
	return c.within(text, func(d *decoder) func() error { return d.classes })
}
