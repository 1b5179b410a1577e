package score

import (
	"slices"
	"strconv"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/feature"
	"github.com/millrace-ml/millrace/shared/forest"
	"github.com/millrace-ml/millrace/shared/manifest"
)

// checkFeatures compares what the artifact says of its features with the manifest's: their number, names, order, kinds
// and categories. What the artifact does not say, the parity rows have to show.
func checkFeatures(m *manifest.Manifest, c *feature.Contract, info forest.Info) error {
	names := c.FeatureNames()
	if len(names) != info.Features {
		return fault.New(fault.Invalid, nil, "features: %s lists %d, the artifact was trained on %d", manifest.File, len(names), info.Features)
	}
	for i, name := range names {
		if info.FeatureNames != nil && info.FeatureNames[i] != name {
			return fault.New(fault.Invalid, nil, "features[%d] is %q, in training it was %q: %s", i, name, info.FeatureNames[i], nameAdvice(name, info))
		}
		in := plainInput(m, i)
		if in == nil {
			continue // an expression: any kind
		}
		if info.Categorical[i] && (in.Type == manifest.Number || in.Type == manifest.Timestamp) {
			return fault.New(fault.Invalid, nil, "features[%d] %q is categorical in the artifact, its input is of type %s: expected categorical", i, name, in.Type)
		}
		if info.Categories != nil && info.Categories[i] != nil {
			if err := checkCategories(name, in, info.Categories[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func nameAdvice(name string, info forest.Info) string {
	if at := slices.Index(info.FeatureNames, name); at >= 0 {
		return "list the features in the order of training, where it is number " + strconv.Itoa(at)
	}
	return "the artifact knows no such feature"
}

// plainInput is the input that feature i takes as it is, nil for an expression.
func plainInput(m *manifest.Manifest, i int) *manifest.Input {
	f := m.Features[i]
	if f.Expr != "" {
		return nil
	}
	at := slices.IndexFunc(m.Inputs, func(in manifest.Input) bool { return in.Name == f.Name })
	if at < 0 {
		return nil
	}
	return &m.Inputs[at]
}

// checkCategories compares the values of a categorical input with the categories of training: a value's code is its
// place, so one in another place would be scored as another category.
func checkCategories(name string, in *manifest.Input, trained []string) error {
	if in.Type != manifest.Categorical {
		return nil
	}
	for i := range max(len(trained), len(in.Values)) {
		switch {
		case i >= len(in.Values):
			return fault.New(fault.Invalid, nil, "input %q: values has %d entries, in training there were %d: %q is missing", name, len(in.Values), len(trained), trained[i])
		case i >= len(trained):
			return fault.New(fault.Invalid, nil, "input %q: values[%d] is %v, in training there were only %d", name, i, in.Values[i], len(trained))
		case valueText(in.Values[i]) != trained[i]:
			return fault.New(fault.Invalid, nil, "input %q: values[%d] is %v, in training it was %q: list the values in the order of training", name, i, in.Values[i], trained[i])
		}
	}
	return nil
}

// categoriesOf are the texts of each feature's codes, nil for what is no plain categorical input.
func categoriesOf(m *manifest.Manifest) [][]string {
	all := make([][]string, len(m.Features))
	for i := range all {
		in := plainInput(m, i)
		if in == nil || in.Type != manifest.Categorical {
			continue
		}
		all[i] = make([]string, len(in.Values))
		for j, v := range in.Values {
			all[i][j] = valueText(v)
		}
	}
	return all
}

// valueText is a category as artifacts write it.
func valueText(v manifest.Value) string {
	if v.Kind == manifest.Numeric {
		return strconv.FormatFloat(v.Number, 'f', -1, 64)
	}
	return v.Text
}
