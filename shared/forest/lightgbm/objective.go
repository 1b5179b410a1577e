package lightgbm

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace-ml/millrace/shared/forest"
)

// objective says what the outputs of a training objective are.
type objective struct {
	link   forest.Link
	params []string // that stand behind the name, each "key:" or a bare word
}

// objectives holds all that are read, by the name in the file.
var objectives = map[string]objective{
	"regression":           {forest.Identity, []string{"sqrt"}},
	"regression_l1":        {forest.Identity, []string{"sqrt"}},
	"huber":                {forest.Identity, []string{"sqrt"}},
	"fair":                 {forest.Identity, []string{"sqrt"}},
	"quantile":             {forest.Identity, []string{"sqrt"}},
	"mape":                 {forest.Identity, []string{"sqrt"}},
	"poisson":              {forest.Exp, nil},
	"gamma":                {forest.Exp, nil},
	"tweedie":              {forest.Exp, nil},
	"binary":               {forest.Logistic, []string{"sigmoid:"}},
	"multiclass":           {forest.Softmax, []string{"num_class:"}},
	"multiclassova":        {forest.Logistic, []string{"num_class:", "sigmoid:"}},
	"cross_entropy":        {forest.Logistic, nil},
	"cross_entropy_lambda": {forest.Softplus, nil},
	"xentropy":             {forest.Logistic, nil}, // as v2 has the two before
	"xentlambda":           {forest.Softplus, nil},
	"lambdarank":           {forest.Identity, nil},
	"rank_xendcg":          {forest.Identity, nil},
}

// custom is what Info says of a model that was trained with a function of the user's: its outputs are the raw scores.
const custom = "custom"

// setObjective reads the line objective, which models with an objective of the user's lack.
func setObjective(line []byte, c *forest.Config) error {
	words := strings.Fields(string(line))
	if line == nil || len(words) == 1 && words[0] == custom {
		c.Objective = custom
		return nil
	}
	if len(words) == 0 {
		return fmt.Errorf("objective is empty")
	}
	o, ok := objectives[words[0]]
	if !ok {
		return fmt.Errorf("objective %s is not supported; supported are %s", clip([]byte(words[0])),
			strings.Join(slices.Sorted(maps.Keys(objectives)), ", "))
	}
	c.Objective, c.Link = words[0], o.link
	seen := map[string]bool{}
	for _, word := range words[1:] {
		key, value, colon := strings.Cut(word, ":")
		if colon {
			key += ":"
		}
		if !slices.Contains(o.params, key) || seen[key] {
			return fmt.Errorf("objective %s: unknown parameter %s", words[0], clip([]byte(word)))
		}
		seen[key] = true
		if err := setParameter(key, value, c); err != nil {
			return fmt.Errorf("objective %s: %w", words[0], err)
		}
	}
	for _, key := range o.params {
		if strings.HasSuffix(key, ":") && !seen[key] {
			return fmt.Errorf("objective %s: %s is missing", words[0], strings.TrimSuffix(key, ":"))
		}
	}
	several := slices.Contains(o.params, "num_class:")
	if !several && len(c.Base) != 1 {
		return fmt.Errorf("objective %s with num_tree_per_iteration %d, expected 1", words[0], len(c.Base))
	}
	return nil
}

func setParameter(key, value string, c *forest.Config) error {
	switch key {
	case "sqrt":
		c.Link = forest.Square
	case "sigmoid:":
		v, ok := parse[float64]([]byte(value))
		if !ok || v <= 0 {
			return fmt.Errorf("sigmoid is %s, expected a number above 0", clip([]byte(value)))
		}
		c.Sigma = v
	case "num_class:":
		if value != strconv.Itoa(len(c.Base)) {
			return fmt.Errorf("num_class is %s, num_tree_per_iteration is %d", clip([]byte(value)), len(c.Base))
		}
	}
	return nil
}
