package onnx

import (
	"math"

	"github.com/millrace-ml/millrace/shared/forest"
)

// mode is how a node compares its feature with its value.
type mode uint8

const (
	modeLeaf mode = iota
	modeLess
	modeLessEqual
	modeGreater
	modeGreaterEqual
	modeEqual
	modeNotEqual
)

// modeNames are the modes as files have them.
var modeNames = map[string]mode{"LEAF": modeLeaf, "BRANCH_LT": modeLess, "BRANCH_LEQ": modeLessEqual, "BRANCH_GT": modeGreater,
	"BRANCH_GTE": modeGreaterEqual, "BRANCH_EQ": modeEqual, "BRANCH_NEQ": modeNotEqual}

// treeNode is a split, or a leaf, whose yes is its first weight and whose no is their number.
type treeNode struct {
	value   float64
	feature int32
	yes, no int32
	mode    mode
	missing bool // what is not a number goes to yes
}

// weight is what a leaf adds to a target.
type weight struct {
	value  float64
	target int32
}

// The aggregate functions, in the order of their numbers in version 5.
var aggregates = []string{"AVERAGE", "SUM", "MIN", "MAX"}

const (
	aggregateAverage = iota
	aggregateSum
	aggregateLeast
	aggregateMost
)

// ensemble is a tree ensemble. Its values, thresholds and sums are of float32 or of float64; both are held as float64.
type ensemble struct {
	double    bool // thresholds and sums
	wide      bool // outputs of float64
	nodes     []treeNode
	roots     []int32
	weights   []weight
	targets   int
	aggregate int
	post      int
	base      []float64

	classifier  bool
	oneClass    bool // two classes, and all weights are of one of them
	allPositive bool // no weight is below 0

	has     []bool        // targets that every row has a weight for, where that is the same for all rows
	doubled bool          // some leaf has two weights for a target
	quick   *forest.Model // the same trees for the kernel, nil where it cannot have them
	asked   []int32       // features that some split only asks whether they are known: the kernel has a column for each
}

// real is the type of an ensemble's thresholds and sums.
type real interface{ float32 | float64 }

// leaf walks a tree.
func leaf[T real](e *ensemble, root int32, x []T) *treeNode {
	n := &e.nodes[root]
	for n.mode != modeLeaf {
		v, t := x[n.feature], T(n.value)
		yes := false
		switch n.mode {
		case modeLess:
			yes = v < t
		case modeLessEqual:
			yes = v <= t
		case modeGreater:
			yes = v > t
		case modeGreaterEqual:
			yes = v >= t
		case modeEqual:
			yes = v == t
		case modeNotEqual:
			yes = v != t
		}
		if yes || n.missing && v != v {
			n = &e.nodes[n.yes]
		} else {
			n = &e.nodes[n.no]
		}
	}
	return n
}

// sums adds up the leaves of a row in the order of the trees; has says which targets had one.
func sums[T real](e *ensemble, x []T, scores []T, has []bool) {
	clear(scores)
	clear(has)
	for _, root := range e.roots {
		n := leaf(e, root, x)
		count := n.no
		if e.targets == 1 {
			count = 1 // the runtime looks at the first one only
		}
		for _, w := range e.weights[n.yes : n.yes+count] {
			t, v := w.target, T(w.value)
			if e.targets == 1 {
				t = 0
			}
			switch {
			case e.aggregate == aggregateLeast && (!has[t] || v < scores[t]), e.aggregate == aggregateMost && (!has[t] || v > scores[t]):
				scores[t] = v
			case e.aggregate == aggregateSum || e.aggregate == aggregateAverage:
				scores[t] += v
			}
			has[t] = true
		}
	}
}

// finish adds the base values and transforms the scores of a row. It gives the place of its label.
func finish[T real](e *ensemble, scores []T, has []bool, out []float64) int64 {
	if e.classifier {
		return classify(e, scores, has, out)
	}
	for t := range scores {
		if e.aggregate == aggregateAverage {
			scores[t] /= T(len(e.roots))
		}
		if len(e.base) == len(scores) {
			scores[t] += T(e.base[t])
		}
	}
	if len(scores) == 1 {
		out[0] = float64(scores[0])
		if e.post == transformProbit {
			out[0] = float64(probit(float32(scores[0])))
		}
		return 0
	}
	scored(scores, has)
	transform(e.post, scores, out)
	return 0
}

// scored takes away what is no score: of a target that no leaf had a weight for, base value or not, the runtime gives 0.
func scored[T real](scores []T, has []bool) {
	for t := range scores {
		if !has[t] {
			scores[t] = 0
		}
	}
}

// classify is finish for classifiers, with the runtime's rules for two classes, of which the weights may tell only one.
func classify[T real](e *ensemble, scores []T, has []bool, out []float64) int64 {
	if len(scores) > 2 {
		for t, b := range e.base {
			scores[t] += T(b)
		}
		best := int64(-1)
		for t, v := range scores {
			if (has[t] || len(e.base) > 0) && (best < 0 || v > scores[best]) {
				best = int64(t)
			}
		}
		transform(e.post, scores, out)
		return max(best, 0)
	}
	second := has[1]
	switch {
	case len(e.base) == 2 && second:
		scores[1] = T(e.base[1]) + scores[0]
		scores[0] = -scores[1]
	case len(e.base) == 2:
		scores[1] += T(e.base[1])
		scores[0] += T(e.base[0])
	case len(e.base) == 1:
		scores[0] += T(e.base[0])
	}
	positive := scores[0]
	if second {
		positive = scores[1]
	}
	limit := T(0)
	if e.oneClass && e.allPositive {
		limit = 0.5
	}
	label := truth(positive > limit)
	if second || len(e.base) == 2 {
		scored(scores, has)
		transform(e.post, scores, out)
		return label
	}
	both(e, scores[0], out)
	return label
}

// both makes the outputs of two classes of the score of one.
func both[T real](e *ensemble, score T, out []float64) {
	switch {
	case e.post == transformLogistic:
		out[0], out[1] = float64(logistic(float32(-score))), float64(logistic(float32(score)))
	case e.allPositive:
		out[0], out[1] = float64(1-score), float64(score)
	default:
		out[0], out[1] = float64(-score), float64(score)
	}
}

// transform writes the transformed scores. All transforms compute in float32.
func transform[T real](post int, scores []T, out []float64) {
	switch post {
	case transformLogistic:
		for i, v := range scores {
			out[i] = float64(logistic(float32(v)))
		}
	case transformProbit:
		for i, v := range scores {
			out[i] = float64(probit(float32(v)))
		}
	case transformSoftmax:
		softmaxOf(scores, out, false)
	case transformSoftmaxZero:
		softmaxOf(scores, out, true)
	default:
		for i, v := range scores {
			out[i] = float64(v)
		}
	}
}

// softmaxOf is softmax or softmaxZero without buffers of float32.
func softmaxOf[T real](scores []T, out []float64, zero bool) {
	top := float32(-math.MaxFloat32)
	for _, v := range scores {
		if x := float32(v); x > top {
			top = x
		}
	}
	var sum float32
	for i, v := range scores {
		x := float32(v)
		if zero && x <= 0.0000001 && x >= -0.0000001 {
			out[i] = float64(T(x * expf(-top)))
			continue
		}
		p := expf(x - top)
		out[i] = float64(T(p))
		sum += p
	}
	for i := range scores {
		out[i] = float64(float32(out[i]) / sum)
	}
}
