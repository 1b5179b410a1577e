package onnx

import (
	"fmt"
	"slices"
)

var learned = map[string]op{
	"ArrayFeatureExtractor":  {2, 2, buildExtract},
	"Binarizer":              {1, 1, buildBinarizer},
	"CategoryMapper":         {1, 1, buildCategoryMapper},
	"FeatureVectorizer":      {1, -1, buildVectorizer},
	"Imputer":                {1, 1, buildImputer},
	"LabelEncoder":           {1, 1, buildLabelEncoder},
	"LinearClassifier":       {1, 1, buildLinearClassifier},
	"LinearRegressor":        {1, 1, buildLinearRegressor},
	"Normalizer":             {1, 1, buildNormalizer},
	"OneHotEncoder":          {1, 1, buildOneHot},
	"Scaler":                 {1, 1, buildScaler},
	"TreeEnsemble":           {1, 1, buildTreeEnsemble},
	"TreeEnsembleClassifier": {1, 1, buildTreeClassifier},
	"TreeEnsembleRegressor":  {1, 1, buildTreeRegressor},
	"ZipMap":                 {1, 1, buildZipMap},
}

func buildCategoryMapper(c *compiler, n *node, in []*value) ([]*value, error) {
	v, err := input(in, 0, texts, int64s)
	if err != nil {
		return nil, err
	}
	ids, err := n.ints("cats_int64s")
	if err != nil {
		return nil, err
	}
	for i, id := range ids {
		if id != int64(i) {
			return buildMapper(c, n, v, ids)
		}
	}
	return buildCategories(c, n, v, "cats_strings", "default_string", "default_int64")
}

// buildMapper is a CategoryMapper whose numbers are not the places.
func buildMapper(c *compiler, n *node, v *value, ids []int64) ([]*value, error) {
	names, err := n.texts("cats_strings")
	if err != nil {
		return nil, err
	}
	if len(names) != len(ids) {
		return nil, fmt.Errorf("%d entries of cats_strings and %d of cats_int64s", len(names), len(ids))
	}
	unknown, err := n.int("default_int64", -1)
	if err != nil {
		return nil, err
	}
	none, err := n.text("default_string", "_Unused")
	if err != nil {
		return nil, err
	}
	var out *value
	if v.kind == texts {
		out, err = c.translate(v, newFinder(texts, buffer{texts: names}, true), int64s, buffer{ints: append(ids, unknown)}, "")
	} else {
		out, err = c.translate(v, newFinder(int64s, buffer{ints: ids}, true), texts, buffer{texts: append(names, none)}, "")
	}
	return []*value{out}, err
}

// column is the number for column e of a row: one for all, or one each.
func column[T any](list []T, e int) T {
	if len(list) == 1 {
		return list[0]
	}
	return list[e]
}

// stretch is how many columns the older operators see: the second axis, or the only one.
func stretch(v *value) (int, error) {
	if v.axis == 0 && len(v.dims) <= 2 {
		return v.width(), nil
	}
	return 0, fmt.Errorf("of %v, expected a table of rows", v)
}

func buildScaler(c *compiler, n *node, in []*value) ([]*value, error) {
	v, err := input(in, 0, float, double, int64s, int32s)
	if err != nil {
		return nil, err
	}
	if err := n.only("offset", "scale"); err != nil {
		return nil, err
	}
	offset, err := n.floats("offset")
	if err != nil {
		return nil, err
	}
	scale, err := n.floats("scale")
	if err != nil {
		return nil, err
	}
	width, err := stretch(v)
	if err != nil {
		return nil, err
	}
	if len(offset) != len(scale) || len(scale) != width && len(scale) != 1 {
		return nil, fmt.Errorf("%d offsets and %d scales for %d columns", len(offset), len(scale), width)
	}
	out, err := c.make(float, v.dims, v.axis)
	if err != nil {
		return nil, err
	}
	if v.kind == double {
		c.step(func(s *state, rows int) {
			x, y := s.bufs[v.buf].doubles, s.bufs[out.buf].floats
			for i := range rows * width {
				y[i] = float32((x[i] - float64(column(offset, i%width))) * float64(column(scale, i%width)))
			}
		})
		return []*value{out}, nil
	}
	if v, err = c.cast(v, float); err != nil {
		return nil, err
	}
	c.step(func(s *state, rows int) {
		x, y := s.bufs[v.buf].floats, s.bufs[out.buf].floats
		for i := range rows * width {
			y[i] = (x[i] - column(offset, i%width)) * column(scale, i%width)
		}
	})
	return []*value{out}, nil
}

// buildImputer replaces one value, which may be what is not a number.
func buildImputer(c *compiler, n *node, in []*value) ([]*value, error) {
	v, err := input(in, 0, float, int64s)
	if err != nil {
		return nil, err
	}
	if err := n.only("imputed_value_floats", "imputed_value_int64s", "replaced_value_float", "replaced_value_int64"); err != nil {
		return nil, err
	}
	width, err := stretch(v)
	if err != nil {
		return nil, err
	}
	out, err := c.make(v.kind, v.dims, v.axis)
	if err != nil {
		return nil, err
	}
	if v.kind == int64s {
		with, err := n.ints("imputed_value_int64s")
		if err != nil {
			return nil, err
		}
		old, err := n.int("replaced_value_int64", 0)
		if err != nil {
			return nil, err
		}
		return []*value{out}, impute(c, v, out, width, with, func(x int64) bool { return x == old })
	}
	with, err := n.floats("imputed_value_floats")
	if err != nil {
		return nil, err
	}
	old, err := n.float("replaced_value_float", 0)
	if err != nil {
		return nil, err
	}
	return []*value{out}, impute(c, v, out, width, with, func(x float32) bool { return x == old || x != x && old != old })
}

func impute[T element](c *compiler, v, out *value, width int, with []T, gone func(x T) bool) error {
	if len(with) == 0 {
		return fmt.Errorf("no values to put in")
	}
	if len(with) != width {
		with = with[:1]
	}
	c.step(func(s *state, rows int) {
		x, y := vec[T](&s.bufs[v.buf]), vec[T](&s.bufs[out.buf])
		for i := range rows * width {
			if y[i] = x[i]; gone(x[i]) {
				y[i] = column(with, i%width)
			}
		}
	})
	return nil
}

// buildBinarizer refuses what is not a number, as the runtime does.
func buildBinarizer(c *compiler, n *node, in []*value) ([]*value, error) {
	v, err := input(in, 0, float)
	if err != nil {
		return nil, err
	}
	limit, err := n.float("threshold", 0)
	if err != nil {
		return nil, err
	}
	out, err := c.make(float, v.dims, v.axis)
	if err != nil {
		return nil, err
	}
	width := v.width()
	c.step(func(s *state, rows int) {
		y := s.bufs[out.buf].floats
		for i, x := range s.bufs[v.buf].floats[:rows*width] {
			if y[i] = float32(truth(x > limit)); x != x {
				s.refuse(i/width, fmt.Sprintf("%.60q (Binarizer): a missing value", n.name))
			}
		}
	})
	return []*value{out}, nil
}

// buildVectorizer puts columns side by side, cut or filled up with zeros to the sizes it names.
func buildVectorizer(c *compiler, n *node, in []*value) ([]*value, error) {
	sizes, err := n.ints("inputdimensions")
	if err != nil {
		return nil, err
	}
	if len(sizes) != len(in) {
		return nil, fmt.Errorf("%d inputs, attribute inputdimensions has %d", len(in), len(sizes))
	}
	zero, err := c.constantOf(float, []int{1}, newBuffer(float, 1))
	if err != nil {
		return nil, err
	}
	sources, m, total := []*value{zero}, moves{}, 0
	for i := range in {
		v, err := c.floats(in, i)
		if err != nil {
			return nil, err
		}
		if _, err := stretch(v); err != nil {
			return nil, err
		}
		if sizes[i] < 1 || sizes[i] > maxWidth || c.spend(int(sizes[i])) != nil {
			return nil, fmt.Errorf("attribute inputdimensions[%d] is %d", i, sizes[i])
		}
		sources = append(sources, v)
		used := min(v.width(), int(sizes[i]))
		m.add(i+1, 0, used)
		for range int(sizes[i]) - used {
			m = append(m, run{0, 0, 1})
		}
		total += int(sizes[i])
	}
	out, err := c.move([]int{1, total}, 0, m, sources...)
	return []*value{out}, err
}

// buildZipMap gives the numbers of its map as columns; their names are the labels.
func buildZipMap(c *compiler, n *node, in []*value) ([]*value, error) {
	v, err := input(in, 0, float)
	if err != nil {
		return nil, err
	}
	labels, _, err := n.labels("classlabels_strings", "classlabels_int64s")
	if err != nil {
		return nil, err
	}
	if len(labels) != v.width() || v.axis != 0 {
		return nil, fmt.Errorf("%d labels for %v", len(labels), v)
	}
	out := c.alias(v, v.dims, v.axis)
	out.labels = labels
	return []*value{out}, nil
}

// labels are a classifier's classes, as text, and as they are.
func (n *node) labels(strings, ints string) ([]string, buffer, error) {
	names, err := n.texts(strings)
	if err != nil {
		return nil, buffer{}, err
	}
	if names != nil {
		return names, buffer{texts: slices.Clone(names)}, nil
	}
	numbers, err := n.ints(ints)
	if err != nil {
		return nil, buffer{}, err
	}
	for _, v := range numbers {
		names = append(names, fmt.Sprint(v))
	}
	return names, buffer{ints: numbers}, nil
}
