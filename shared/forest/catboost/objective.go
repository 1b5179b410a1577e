package catboost

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/millrace-ml/millrace/shared/forest"
	"github.com/millrace-ml/millrace/shared/forest/document"
)

// objectives are the loss functions with what CatBoost's own predict (predict_proba of a classifier) makes of raw values.
var objectives = map[string]forest.Link{
	"Logloss": forest.Logistic, "CrossEntropy": forest.Logistic, "Focal": forest.Logistic,
	"MultiClass": forest.Softmax, "MultiClassOneVsAll": forest.Logistic, "MultiLogloss": forest.Logistic, "MultiCrossEntropy": forest.Logistic,
	"Poisson": forest.Exp, "Tweedie": forest.Exp, "RMSEWithUncertainty": forest.MeanVariance,
	"RMSE": 0, "MAE": 0, "Quantile": 0, "GroupQuantile": 0, "MultiQuantile": 0, "LogLinQuantile": 0, "Expectile": 0, "Lq": 0, "MAPE": 0,
	"Huber": 0, "LogCosh": 0, "MultiRMSE": 0, "MultiRMSEWithMissingValues": 0, "SurvivalAft": 0, "Cox": 0,
	"QueryRMSE": 0, "QuerySoftMax": 0, "QueryCrossEntropy": 0, "PairLogit": 0, "PairLogitPairwise": 0, "YetiRank": 0, "YetiRankPairwise": 0,
	"LambdaMart": 0, "StochasticFilter": 0, "StochasticRank": 0,
	"PythonUserDefinedPerObject": 0, "PythonUserDefinedMultiTarget": 0,
}

// link finds the transform of the objective. A model without one, as sum_models can make it, gives raw values.
func (c *content) link() (forest.Link, error) {
	if c.objective == "" {
		return forest.Identity, nil
	}
	l, ok := objectives[c.objective]
	if !ok {
		return 0, fmt.Errorf("objective %s is not supported; supported are %s", document.Clip([]byte(c.objective)),
			strings.Join(slices.Sorted(maps.Keys(objectives)), ", "))
	}
	if l == forest.Softmax && c.dimensions < 2 {
		return 0, fmt.Errorf("objective %s with %d outputs", c.objective, c.dimensions)
	}
	return l, nil
}
