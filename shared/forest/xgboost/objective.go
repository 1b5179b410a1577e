package xgboost

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace-ml/millrace/shared/forest"
	"github.com/millrace-ml/millrace/shared/forest/document"
)

// objective says how base scores and margins of a training objective relate to its outputs.
type objective struct {
	link forest.Link
	base func(b float32, doc *content) (float32, error) // from output space to a margin, nil: as it is
}

// objectives holds all that are read. Each stands in the golden files, or has the same transform as one that does.
var objectives = map[string]objective{
	"binary:logistic":      {forest.Logistic, logit},
	"reg:logistic":         {forest.Logistic, logit},
	"binary:logitraw":      {},
	"binary:hinge":         {link: forest.Step},
	"multi:softprob":       {link: forest.Softmax},
	"multi:softmax":        {link: forest.Argmax},
	"count:poisson":        {forest.Exp, logarithm},
	"reg:gamma":            {forest.Exp, logarithm},
	"reg:tweedie":          {forest.Exp, logarithm},
	"survival:cox":         {forest.Exp, logarithm},
	"survival:aft":         {forest.Exp, logarithm},
	"reg:squarederror":     {},
	"reg:linear":           {},
	"reg:absoluteerror":    {},
	"reg:pseudohubererror": {},
	"reg:squaredlogerror":  {},
	"reg:quantileerror":    {},
	"rank:pairwise":        {},
	"rank:ndcg":            {},
	"rank:map":             {},
}

// lookUp finds the objective of the file.
func (doc *content) lookUp() (objective, error) {
	o, ok := objectives[doc.objective]
	if !ok {
		return o, fmt.Errorf("objective %s is not supported; supported are %s", document.Clip([]byte(doc.objective)),
			strings.Join(slices.Sorted(maps.Keys(objectives)), ", "))
	}
	if doc.objective == "reg:quantileerror" && doc.atLeast(3, 4) {
		o.link = forest.Ascending // the quantiles of a row no longer cross
	}
	return o, nil
}

// logit is the margin of a probability. From 3.2 on, XGBoost moves 0 and 1 inside first.
func logit(b float32, doc *content) (float32, error) {
	if doc.atLeast(3, 2) {
		b = min(max(b, 1e-6), 1-1e-6)
	}
	if !(b > 0 && b < 1) {
		return 0, fmt.Errorf("base_score %v, expected a probability between 0 and 1", b)
	}
	return -forest.Logf(1/b - 1), nil
}

func logarithm(b float32, _ *content) (float32, error) {
	if !(b > 0) {
		return 0, fmt.Errorf("base_score %v, expected a number above 0", b)
	}
	return forest.Logf(b), nil
}

// baseScores are the margins before the first tree, one per output. The file has them in output space: up to 3.0 one
// number for all, later a list.
func (doc *content) baseScores(o objective, margins int) ([]float64, error) {
	written := strings.Split(strings.TrimSuffix(strings.TrimPrefix(doc.param.baseScore, "["), "]"), ",")
	if len(written) != 1 && len(written) != margins {
		return nil, fmt.Errorf("base_score has %d values for %d outputs", len(written), margins)
	}
	base := make([]float64, margins)
	for i := range base {
		s := written[min(i, len(written)-1)]
		v, err := strconv.ParseFloat(s, 32)
		if err != nil || v-v != 0 {
			return nil, fmt.Errorf("base_score %s, expected a number", document.Clip([]byte(s)))
		}
		b := float32(v)
		if o.base != nil {
			if b, err = o.base(b, doc); err != nil {
				return nil, err
			}
		}
		base[i] = float64(b)
	}
	return base, nil
}
