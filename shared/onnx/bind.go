package onnx

import (
	"slices"
	"strconv"
	"strings"

	"github.com/millrace-ml/millrace/shared/fault"
)

// Feature is a column of the matrix that a bound model is given.
type Feature struct {
	Name    string
	Type    string    // in the manifest's words, for errors; "" for an expression
	Texts   []string  // of a categorical feature of texts: the text by code
	Numbers []float64 // of a categorical feature of numbers: the number by code
	Missing bool      // values may be missing
}

// binding leads from the matrix to the graph's inputs.
type binding struct {
	from     []int       // per column of the graph: the matrix's
	texts    [][]string  // per column of strings: by code
	numbers  [][]float64 // per column that takes the numbers of categories: by code
	straight bool        // the matrix is what the graph takes
}

// Bind gives the model that takes the features' matrix: inputs of one column each find their feature by name, in any order;
// the columns of an input of several take the features in order. A categorical feature's code becomes its text for an input
// of strings, and its number where the categories are numbers; in an input of numbers, a text stays the code, its place in
// training. A missing category is the empty text. Errors are fault.Invalid and name the feature and the input.
func (m *Model) Bind(features []Feature) (*Model, error) {
	b := &binding{straight: true}
	if len(features) != len(m.columns) {
		return nil, fault.New(fault.Invalid, nil, "features: %d are listed, the graph's inputs have %d columns%s", len(features), len(m.columns), m.names())
	}
	out := *m
	out.bound = b
	out.info.FeatureNames, out.info.Categorical = nil, make([]bool, len(features))
	out.info.Categories = make([][]string, len(features))
	for i, c := range m.columns {
		at := i
		if m.info.FeatureNames != nil {
			if at = slices.IndexFunc(features, func(f Feature) bool { return f.Name == c.Name }); at < 0 {
				return nil, fault.New(fault.Invalid, nil, "features: there is none for the graph's input %q%s", c.Name, m.names())
			}
		}
		f := &features[at]
		if err := c.check(f, i); err != nil {
			return nil, err
		}
		var words []string
		var values []float64
		switch {
		case c.Text && f.Texts != nil:
			words = f.Texts
		case c.Text:
			for _, v := range f.Numbers {
				words = append(words, strconv.FormatFloat(v, 'f', -1, 64))
			}
		case f.Numbers != nil:
			values = f.Numbers
		}
		b.from, b.texts, b.numbers = append(b.from, at), append(b.texts, words), append(b.numbers, values)
		b.straight = b.straight && at == i && values == nil
		out.info.Categorical[at] = f.Texts != nil || f.Numbers != nil
	}
	return &out, nil
}

// names lists the inputs for an error.
func (m *Model) names() string {
	if m.info.FeatureNames == nil {
		return ""
	}
	list := m.info.FeatureNames
	if len(list) > 20 {
		list = append(slices.Clone(list[:20]), "…")
	}
	return "; its inputs are " + strings.Join(list, ", ")
}

// check is whether the column can take the feature.
func (c *Column) check(f *Feature, i int) error {
	name := c.Name
	if name == "" {
		name = "column " + strconv.Itoa(i)
	}
	categorical := f.Texts != nil || f.Numbers != nil
	kind := f.Type
	if kind == "" {
		kind = "an expression"
	}
	switch {
	case c.Text && !categorical:
		return fault.New(fault.Invalid, nil, "feature %q is %s, the graph's input %q takes strings: make it an input of type categorical with its texts in values", f.Name, kind, name)
	case c.Whole && f.Missing:
		return fault.New(fault.Invalid, nil, "feature %q may be missing, the graph's input %q takes whole numbers only: take nullable away, or convert the model with a float input", f.Name, name)
	case c.Whole && (f.Type == "number" || f.Type == "timestamp"):
		return fault.New(fault.Invalid, nil, "feature %q is of type %s, the graph's input %q takes whole numbers: make it an input of type integer", f.Name, f.Type, name)
	}
	return nil
}
