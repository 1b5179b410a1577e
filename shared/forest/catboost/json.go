package catboost

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/millrace-ml/millrace/shared/forest/document"
)

// decoder moves a JSON model into a content.
type decoder struct {
	*document.Decoder
	c  *content
	of struct{ float, cat, hash, tree, split, node []document.Field } // of the objects that a file has many of

	f         floatFeature // the feature that is read just now
	cat       catFeature
	name      string
	treatment string
	values    []int64
	texts     []string
	hashed    int64

	at      int64 // of the split that is read just now: split_index,
	kind    string
	border  float32
	feature int64
	value   float64

	open []openNode // the nodes that are read just now, each in the one before
}

// openNode is a node of a tree whose object is not at its end.
type openNode struct {
	at, first                int // place among the nodes, and of the values in leaves
	left, right, split, leaf bool
}

func newDecoder(from *document.Decoder, c *content) *decoder {
	d := &decoder{Decoder: from, c: c}
	d.knowFeatures()
	d.knowTrees()
	return d
}

// knowFeatures names the fields of features.
func (d *decoder) knowFeatures() {
	d.of.float = []document.Field{
		{Key: "borders", Read: func() error {
			if d.IsNull() {
				return nil
			}
			return d.Floats(&d.f.borders)
		}},
		{Key: "feature_id", Read: d.Text(&d.f.name)},
		{Key: "feature_index", Read: func() error { return d.Int(&d.f.index) }},
		{Key: "feature_name", Read: d.Text(&d.name)},
		{Key: "flat_feature_index", Read: func() error { return d.Int(&d.f.flat) }},
		{Key: "has_nans", Read: func() error { return d.Bool(&d.f.hasNaNs) }},
		{Key: "nan_value_treatment", Read: d.Word(&d.treatment, "AsIs", "AsFalse", "AsTrue")},
	}
	d.of.cat = []document.Field{
		{Key: "feature_id", Read: d.Text(&d.cat.name)},
		{Key: "feature_index", Read: func() error { return d.Int(&d.cat.index) }},
		{Key: "feature_name", Read: d.Text(&d.name)},
		{Key: "flat_feature_index", Read: func() error { return d.Int(&d.cat.flat) }},
		{Key: "string_values", Read: d.Texts(&d.texts)},
		{Key: "values", Read: func() error { return d.Wides(&d.values) }},
	}
	d.of.hash = []document.Field{
		{Key: "hash", Read: func() error { return d.Int(&d.hashed) }},
		{Key: "value", Read: d.Text(&d.name)},
	}
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
	d.f, d.name, d.treatment = floatFeature{index: -1, flat: -1}, "", ""
	if err := d.Object(d.of.float); err != nil {
		return err
	}
	f := d.f
	if f.name == "" {
		f.name = d.name
	}
	switch d.treatment {
	case "AsIs":
	case "AsFalse":
		f.treatment = asFalse
	case "AsTrue":
		f.treatment = asTrue
	default:
		return fmt.Errorf("nan_value_treatment is %s, expected AsIs, AsFalse or AsTrue", document.Clip([]byte(d.treatment)))
	}
	d.c.floats = append(d.c.floats, f)
	return nil
}

func (d *decoder) categorical(int) error {
	d.cat, d.name, d.values, d.texts = catFeature{index: -1, flat: -1}, "", nil, nil
	if err := d.Object(d.of.cat); err != nil {
		return err
	}
	f, values, texts := d.cat, d.values, d.texts
	if f.name == "" {
		f.name = d.name
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
	d.hashed, d.name = -1, ""
	if err := d.Object(d.of.hash); err != nil {
		return err
	}
	if int64(categoryHash(d.name)) != d.hashed {
		return fmt.Errorf("%s has the hash %d, not %d", document.Clip([]byte(d.name)), categoryHash(d.name), d.hashed)
	}
	if d.c.hashes == nil {
		d.c.hashes = map[uint32]string{}
	}
	d.c.hashes[uint32(d.hashed)] = d.name
	return nil
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

// The texts about the training are JSON inside of .cbm, and in part inside of JSON.
func (c *content) within(text []byte, read func(d *decoder) func() error) error {
	d := newDecoder(document.NewJSON(text, releases), c)
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
