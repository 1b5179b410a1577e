package xgboost

import (
	"fmt"

	"github.com/millrace-ml/millrace/shared/forest"
	"github.com/millrace-ml/millrace/shared/forest/document"
	"github.com/millrace-ml/millrace/shared/linear"
)

// checkDart checks the booster of trees: gbtree, or dart in one of its three shapes. Up to 3.2 it has the name dart, the
// model in an object gbtree, the weights beside that; in 3.3 the name gbtree and the weights beside the model; from 3.4 on
// the weights inside the model. XGBoost takes another shape without a word for a model without weights.
func (doc *content) checkDart(trees int) error {
	switch {
	case doc.booster != "gbtree" && doc.booster != "dart":
		return fmt.Errorf("booster %s is not known; known are gbtree, dart and gblinear", document.Clip([]byte(doc.booster)))
	case doc.linear:
		return fmt.Errorf("booster %s with the weights of a linear model", doc.booster)
	case (doc.booster == "dart") != doc.nested:
		return fmt.Errorf("booster %s: the model belongs into an object gbtree for dart, and only there", doc.booster)
	case doc.beside && doc.inside:
		return fmt.Errorf("weight_drop stands beside the model and in it")
	case doc.booster == "dart" && !doc.beside:
		return fmt.Errorf("booster dart without weight_drop beside its model")
	case doc.booster == "gbtree" && doc.beside && !doc.atLeast(3, 3):
		return fmt.Errorf("booster gbtree with weight_drop beside the model, which XGBoost %s does not read", doc.release())
	case doc.inside && !doc.atLeast(3, 4):
		return fmt.Errorf("weight_drop in the model, where XGBoost %s does not read it", doc.release())
	case len(doc.weightDrop) == 0 && doc.booster == "gbtree":
		return nil
	case len(doc.weightDrop) != trees:
		return fmt.Errorf("weight_drop has %d entries for %d trees", len(doc.weightDrop), trees)
	}
	for i, w := range doc.weightDrop {
		if w-w != 0 {
			return fmt.Errorf("weight_drop[%d] is %v", i, w)
		}
	}
	return nil
}

// drop multiplies the leaves of tree i with its weight, in float32. XGBoost does so in each prediction.
func (doc *content) drop(i int, t *forest.Tree) error {
	if len(doc.weightDrop) == 0 {
		return nil
	}
	if len(t.Vectors) > 0 && !doc.atLeast(3, 4) {
		return fmt.Errorf("leaves of several values with weight_drop, which XGBoost %s does not predict with", doc.release())
	}
	w := doc.weightDrop[i]
	for j := range t.Nodes {
		t.Nodes[j].Value = float64(float32(t.Nodes[j].Value) * w) // 0 in splits
	}
	for j := range t.Vectors {
		t.Vectors[j] = float64(float32(t.Vectors[j]) * w)
	}
	return nil
}

func (doc *content) checkLinear() error {
	switch {
	case doc.nested || len(doc.weightDrop) > 0 || len(doc.trees) > 0 || len(doc.treeInfo) > 0:
		return fmt.Errorf("booster gblinear with trees or their weights")
	case !doc.linear:
		return fmt.Errorf("booster gblinear without weights")
	}
	return nil
}

// linearModel makes the model of a gblinear: the weights stand feature by feature, one per output, and the biases behind
// them. All outputs start from the first base score, which is XGBoost's way also where the file has one for each.
func (doc *content) linearModel(c forest.Config) (*forest.Model, error) {
	outputs := len(c.Base)
	if want := (c.Features + 1) * outputs; len(doc.weights) != want {
		return nil, fmt.Errorf("weights has %d entries, expected %d for %d features, the bias and %d outputs", len(doc.weights), want, c.Features, outputs)
	}
	biases := doc.weights[c.Features*outputs:]
	start := make([]float32, outputs)
	for i, b := range biases {
		start[i] = b + float32(c.Base[0])
	}
	m, err := linear.New(c.Features, start, doc.weights[:c.Features*outputs])
	if err != nil {
		return nil, err
	}
	return forest.FromLinear(c, m)
}
