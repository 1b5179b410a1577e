package onnx

import (
	"fmt"

	"github.com/millrace-ml/millrace/shared/forest"
)

// maxTargets bounds the outputs of an ensemble.
const maxTargets = forest.MaxMargins

var treeAttributes = []string{"aggregate_function", "base_values", "base_values_as_tensor", "nodes_falsenodeids", "nodes_featureids", "nodes_hitrates",
	"nodes_hitrates_as_tensor", "nodes_missing_value_tracks_true", "nodes_modes", "nodes_nodeids", "nodes_treeids", "nodes_truenodeids", "nodes_values",
	"nodes_values_as_tensor", "post_transform"}

// prefixed are the attributes of targets or classes.
func prefixed(p string) []string {
	return append([]string{p + "_ids", p + "_nodeids", p + "_treeids", p + "_weights", p + "_weights_as_tensor"}, treeAttributes...)
}

// table is an input of trees: rows of numbers.
func (c *compiler) table(in []*value) (*value, error) {
	v, err := input(in, 0, float, double, int64s, int32s)
	if err != nil {
		return nil, err
	}
	if v.kind != double {
		if v, err = c.cast(v, float); err != nil {
			return nil, err
		}
	}
	if v.axis != 0 || len(v.dims) != 2 {
		return nil, fmt.Errorf("of %v, expected a table of rows", v)
	}
	return v, nil
}

// common reads what regressors and classifiers share.
func (n *node) common(e *ensemble) (err error) {
	if e.aggregate, err = n.choice("aggregate_function", "SUM", aggregates...); err != nil {
		return err
	}
	if e.post, err = n.choice("post_transform", "NONE", transforms...); err != nil {
		return err
	}
	base, err := n.numbers("base_values")
	if err != nil {
		return err
	}
	if base.double && !e.double {
		return fmt.Errorf("base_values_as_tensor is of double for an input that is not")
	}
	if base.size > e.targets {
		return fmt.Errorf("%d base values for %d outputs", base.size, e.targets)
	}
	for i := range base.size {
		v := base.next()
		if v-v != 0 {
			return fmt.Errorf("base_values[%d] is %v", i, v)
		}
		e.base = append(e.base, v)
	}
	return nil
}

func buildTreeRegressor(c *compiler, n *node, in []*value) ([]*value, error) {
	v, err := c.table(in)
	if err != nil {
		return nil, err
	}
	if err := n.only(append(prefixed("target"), "n_targets")...); err != nil {
		return nil, err
	}
	targets, err := n.int("n_targets", 1)
	if err != nil {
		return nil, err
	}
	if targets < 1 || targets > maxTargets {
		return nil, fmt.Errorf("n_targets is %d, expected 1 to %d", targets, maxTargets)
	}
	e := &ensemble{double: v.kind == double, targets: int(targets)}
	if err := n.common(e); err != nil {
		return nil, err
	}
	if len(e.base) != 0 && len(e.base) != e.targets {
		return nil, fmt.Errorf("%d base values for %d outputs", len(e.base), e.targets)
	}
	r := treeReader{n: n, e: e}
	if err := r.read("target", v.width()); err != nil {
		return nil, err
	}
	out, err := c.ensemble(v, e, nil)
	return []*value{out}, err
}

func buildTreeClassifier(c *compiler, n *node, in []*value) ([]*value, error) {
	v, err := c.table(in)
	if err != nil {
		return nil, err
	}
	if err := n.only(append(prefixed("class"), "classlabels_int64s", "classlabels_strings")...); err != nil {
		return nil, err
	}
	labels, classes, err := n.labels("classlabels_strings", "classlabels_int64s")
	if err != nil {
		return nil, err
	}
	if len(labels) < 2 || len(labels) > maxTargets {
		return nil, fmt.Errorf("%d class labels, expected 2 to %d", len(labels), maxTargets)
	}
	e := &ensemble{double: v.kind == double, targets: len(labels), classifier: true, allPositive: true}
	if err := n.common(e); err != nil {
		return nil, err
	}
	e.aggregate = aggregateSum // the runtime's classifiers know no other
	r := treeReader{n: n, e: e}
	if err := r.read("class", v.width()); err != nil {
		return nil, err
	}
	if err := e.twoClasses(); err != nil {
		return nil, err
	}
	if len(labels) == 2 && !e.oneClass && classes.texts == nil {
		classes.ints = []int64{0, 1} // so the runtime has it
	}
	place := &value{buf: -1}
	if !c.wanted[n.outputs[0]] {
		place = nil
	}
	out, err := c.ensemble(v, e, place)
	if err != nil {
		return nil, err
	}
	out.labels = labels
	if place == nil {
		return []*value{out, out}, nil
	}
	label, err := c.label(place, classes)
	return []*value{label, out}, err
}

// twoClasses notes what the rules for two classes ask about, and refuses what the runtime gives no numbers for.
func (e *ensemble) twoClasses() error {
	one := e.weights[0].target
	e.oneClass = e.targets == 2
	for _, w := range e.weights {
		e.allPositive = e.allPositive && w.value >= 0
		e.oneClass = e.oneClass && w.target == one
	}
	e.has = e.known()
	if e.targets != 2 {
		return nil
	}
	switch {
	case e.has == nil:
		return fmt.Errorf("of two classes, some leaves have weights for one and some for both")
	case !e.has[1] && len(e.base) != 2 && !e.oneClass:
		return fmt.Errorf("no weights for the second class")
	case !e.has[1] && len(e.base) != 2 && e.post == transformProbit:
		return fmt.Errorf("PROBIT of two classes with weights for one")
	}
	return nil
}

// treeScratch is the working memory of an ensemble.
type treeScratch struct {
	margins, out []float64
	floats       []float32
	doubles      []float64
	has          []bool
	kernel       *forest.Scratch
}

// ensemble adds the step of an ensemble. place, where it is not nil, gets the places of labels.
func (c *compiler) ensemble(v *value, e *ensemble, place *value) (*value, error) {
	if e.has == nil {
		e.has = e.known()
	}
	features := v.width()
	e.accelerate(features)
	c.ensembles = append(c.ensembles, e)
	c.trees += len(e.roots)
	c.nodes += len(e.nodes)
	k := float
	if e.wide {
		k = double
	}
	out, err := c.make(k, []int{1, e.targets}, 0)
	if err != nil {
		return nil, err
	}
	if place != nil {
		at, err := c.make(int64s, []int{1}, 0)
		if err != nil {
			return nil, err
		}
		*place = *at
	}
	t := &treeStep{e: e, v: v, out: out, place: place, features: features, matrix: -1}
	if e.quick != nil && (!v.matrix || len(e.asked) > 0) {
		if t.matrix, err = c.wide(v, features+len(e.asked)); err != nil {
			return nil, err
		}
	}
	own := c.scratch(func(rows int) any {
		s := &treeScratch{out: make([]float64, e.targets), floats: make([]float32, e.targets), doubles: make([]float64, e.targets), has: make([]bool, e.targets)}
		if e.quick != nil {
			s.margins, s.kernel = make([]float64, rows*e.targets), e.quick.NewScratch()
		}
		return s
	})
	t.own = own
	switch {
	case e.double:
		c.step(func(s *state, rows int) {
			runTrees(t, s, rows, s.bufs[v.buf].doubles, s.own[own].(*treeScratch).doubles)
		})
	default:
		c.step(func(s *state, rows int) { runTrees(t, s, rows, s.bufs[v.buf].floats, s.own[own].(*treeScratch).floats) })
	}
	return out, nil
}

// treeStep is what a step of an ensemble knows.
type treeStep struct {
	e             *ensemble
	v, out, place *value
	own, features int
	matrix        int // where the kernel's rows are made, -1 for those that the graph is given
}

// shared is a table of float64 that all ensembles over a value write their rows into, one after the other.
type shared struct{ place, width int }

// wide makes room for rows of width numbers of a value.
func (c *compiler) wide(v *value, width int) (int, error) {
	s := c.wides[v.buf]
	if s == nil {
		if err := c.spend(width); err != nil {
			return 0, err
		}
		s = &shared{}
		s.place = c.scratch(func(rows int) any { return make([]float64, rows*s.width) })
		c.wides[v.buf] = s
	}
	s.width = max(s.width, width)
	return s.place, nil
}

func runTrees[T real](t *treeStep, s *state, rows int, x, scores []T) {
	e, own := t.e, s.own[t.own].(*treeScratch)
	if e.quick != nil {
		m := s.x
		if t.matrix >= 0 {
			m = matrix(e, x, rows, t.features, s.own[t.matrix].([]float64))
		}
		e.quick.Margin(m, rows, own.margins, own.kernel)
	}
	for r := range rows {
		has := e.has
		if e.quick != nil {
			for i, v := range own.margins[r*e.targets : (r+1)*e.targets] {
				scores[i] = T(v)
			}
		} else {
			sums(e, x[r*t.features:(r+1)*t.features], scores, own.has)
			has = own.has
		}
		label := finish(e, scores, has, own.out)
		if t.place != nil {
			s.bufs[t.place.buf].ints[r] = label
		}
		if e.wide {
			copy(s.bufs[t.out.buf].doubles[r*e.targets:], own.out)
			continue
		}
		for i, v := range own.out {
			s.bufs[t.out.buf].floats[r*e.targets+i] = float32(v)
		}
	}
}
