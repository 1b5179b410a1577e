package xgboost

import (
	"fmt"
	"strconv"

	"github.com/millrace-ml/millrace/shared/forest"
	"github.com/millrace-ml/millrace/shared/forest/document"
)

// atLeast is whether the file was written by this version or a later one.
func (doc *content) atLeast(major, minor int32) bool {
	return doc.version[0] > major || doc.version[0] == major && doc.version[1] >= minor
}

// model checks the document and builds the model.
func (doc *content) model() (*forest.Model, error) {
	o, err := doc.check()
	if err != nil {
		return nil, err
	}
	config, err := doc.config(o)
	if err != nil {
		return nil, err
	}
	if doc.linear {
		return doc.linearModel(config)
	}
	b, err := forest.NewBuilder(config)
	if err != nil {
		return nil, err
	}
	for i, raw := range doc.trees {
		t, err := raw.tree(doc, &config)
		if err == nil {
			err = doc.drop(i, t)
		}
		if err == nil {
			t.Margin = int(doc.treeInfo[i])
			err = b.Add(t)
		}
		if err != nil {
			return nil, fmt.Errorf("tree %d: %w", i, err)
		}
		doc.trees[i] = nil // its memory is not needed twice
	}
	return b.Model()
}

// check refuses what is not read, most telling first, and counts that do not agree.
func (doc *content) check() (o objective, err error) {
	if len(doc.version) != 3 {
		return o, fmt.Errorf("version has %d numbers, expected 3", len(doc.version))
	}
	if !doc.atLeast(1, 3) || doc.version[0] > 3 { // 1.0 to 1.2 summed in another order
		return o, fmt.Errorf("written by XGBoost %s; this reader knows 1.3 to 3: load the model with one of these and save it again", doc.release())
	}
	if o, err = doc.lookUp(); err != nil {
		return o, err
	}
	if doc.booster == "gblinear" {
		return o, doc.checkLinear()
	}
	n := len(doc.trees)
	if err := doc.checkDart(n); err != nil {
		return o, err
	}
	if declared, err := whole("num_trees", doc.numTrees); err != nil {
		return o, err
	} else if declared != n || len(doc.treeInfo) != n {
		return o, fmt.Errorf("%d trees, but num_trees is %d and tree_info has %d entries", n, declared, len(doc.treeInfo))
	}
	return o, doc.checkIterations(n)
}

// checkIterations: the list has the first tree of each iteration and the end. Files before 2.0 have none.
func (doc *content) checkIterations(trees int) error {
	last := int32(0)
	for i, v := range doc.iterations {
		if v < last || i == 0 && v != 0 {
			return fmt.Errorf("iteration_indptr[%d] is %d: expected numbers that rise from 0", i, v)
		}
		last = v
	}
	if doc.iterations != nil && int(last) != trees {
		return fmt.Errorf("iteration_indptr ends at %d of %d trees", last, trees)
	}
	return nil
}

// release is the version as people write it.
func (doc *content) release() string {
	return fmt.Sprintf("%d.%d.%d", doc.version[0], doc.version[1], doc.version[2])
}

// config is what all trees share.
func (doc *content) config(o objective) (forest.Config, error) {
	c := forest.Config{Link: o.link}
	c.Format, c.Version, c.Objective = "xgboost", doc.release(), doc.objective
	c.FeatureNames, c.FeatureTypes = doc.featureNames, doc.featureTypes
	var err error
	if c.Features, err = whole("num_feature", doc.param.numFeature); err != nil {
		return c, err
	}
	classes, err := whole("num_class", doc.param.numClass)
	if err != nil {
		return c, err
	}
	targets := 1
	if doc.param.numTarget != "" { // since 1.6
		if targets, err = whole("num_target", doc.param.numTarget); err != nil {
			return c, err
		}
	}
	margins := max(classes, targets, 1)
	if margins > forest.MaxMargins {
		return c, fmt.Errorf("%d outputs, at most %d are read", margins, forest.MaxMargins)
	}
	if (o.link == forest.Softmax || o.link == forest.Argmax) && classes < 2 {
		return c, fmt.Errorf("objective %s with num_class %d", doc.objective, classes)
	}
	if c.Base, err = doc.baseScores(o, margins); err != nil {
		return c, err
	}
	c.BestIteration = -1
	if doc.bestIteration != "" {
		if c.BestIteration, err = whole("attributes.best_iteration", doc.bestIteration); err != nil {
			return c, err
		}
	}
	c.Vectors = len(doc.trees) > 0 && doc.trees[0].leafSize() > 1
	for _, t := range doc.featureTypes {
		c.Categorical = append(c.Categorical, t == "c")
	}
	c.Categories, err = doc.categories(c.Features)
	return c, err
}

// whole reads a count that the file writes as text.
func whole(name, s string) (int, error) {
	v, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("%s is %s, expected a whole number", name, document.Clip([]byte(s)))
	}
	return int(v), nil
}
