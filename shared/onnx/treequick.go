package onnx

import (
	"math"

	"github.com/millrace-ml/millrace/shared/forest"
)

// accelerate gives the trees to the forest kernel, where they mean the same there: sums of trees whose splits ask which side
// of a number a value is on.
func (e *ensemble) accelerate(features int) {
	if e.aggregate != aggregateSum && e.aggregate != aggregateAverage || e.has == nil {
		return
	}
	margins, vectors := e.margins()
	if vectors && (e.double || !e.dense()) {
		return
	}
	asked := e.ask()
	b, err := forest.NewBuilder(forest.Config{
		Info: forest.Info{Features: features + len(e.asked), Float64: e.double}, Base: make([]float64, e.targets), Vectors: vectors,
	})
	if err != nil {
		return
	}
	var t forest.Tree
	for i, root := range e.roots {
		t.Nodes, t.Vectors, t.Margin = t.Nodes[:0], t.Vectors[:0], 0
		if !vectors {
			t.Margin = int(margins[i])
		}
		for k := root; k < e.end(i); k++ {
			n, ok := e.convert(&e.nodes[k], root, &t, vectors)
			if n.Left >= 0 && infinite(&e.nodes[k]) {
				n.Feature, n.Threshold = int32(features)+asked[n.Feature], 1 // the column holds 0 for what is known
			}
			if !ok {
				return
			}
			t.Nodes = append(t.Nodes, n)
		}
		if b.Add(&t) != nil {
			return
		}
	}
	e.quick, _ = b.Model()
}

// infinite is whether all that is known lies on one side of a split, as scikit-learn writes splits by what is missing.
func infinite(n *treeNode) bool {
	return math.IsInf(n.value, 1) && (n.mode == modeLessEqual || n.mode == modeGreater)
}

// ask lists the features of such splits, and gives their places in the list.
func (e *ensemble) ask() map[int32]int32 {
	places := map[int32]int32{}
	for i := range e.nodes {
		n := &e.nodes[i]
		if _, there := places[n.feature]; infinite(n) && !there {
			places[n.feature] = int32(len(e.asked))
			e.asked = append(e.asked, n.feature)
		}
	}
	return places
}

// matrix writes the rows that the kernel takes: those of x, and a column for each feature that is asked for.
func matrix[T real](e *ensemble, x []T, rows, features int, to []float64) []float64 {
	width := features + len(e.asked)
	for r := range rows {
		row, out := x[r*features:(r+1)*features], to[r*width:(r+1)*width]
		for i, v := range row {
			out[i] = float64(v)
		}
		for i, f := range e.asked {
			out[features+i] = 0
			if v := row[f]; v != v {
				out[features+i] = float64(v)
			}
		}
	}
	return to[:rows*width]
}

// margins is the target that the leaves of each tree add to; vectors says that there is no such one for some tree.
func (e *ensemble) margins() (margins []int32, vectors bool) {
	margins = make([]int32, len(e.roots))
	for t, root := range e.roots {
		margins[t] = -1
		for i := root; i < e.end(t); i++ {
			n := &e.nodes[i]
			if n.mode != modeLeaf || e.targets == 1 {
				continue
			}
			target := e.weights[n.yes].target
			if n.no != 1 || margins[t] >= 0 && margins[t] != target {
				return margins, true
			}
			margins[t] = target
		}
		margins[t] = max(margins[t], 0)
	}
	return margins, false
}

// dense is whether leaves have about a weight for each target, each once, so that rows of them take no more room.
func (e *ensemble) dense() bool {
	leaves := 0
	for i := range e.nodes {
		if e.nodes[i].mode == modeLeaf {
			leaves++
		}
	}
	return !e.doubled && leaves*e.targets <= 2*len(e.weights)+1024
}

// convert gives a node in the kernel's form, in which less goes left.
func (e *ensemble) convert(n *treeNode, root int32, t *forest.Tree, vectors bool) (forest.Node, bool) {
	if n.mode == modeLeaf {
		out := forest.Node{Left: -1, Right: -1}
		if !vectors {
			out.Value = e.weights[n.yes].value
			return out, true
		}
		out.Vector = int32(len(t.Vectors) / e.targets)
		first := len(t.Vectors)
		for range e.targets {
			t.Vectors = append(t.Vectors, 0)
		}
		for _, w := range e.weights[n.yes : n.yes+n.no] {
			t.Vectors[first+int(w.target)] = w.value
		}
		return out, true
	}
	out := forest.Node{Feature: n.feature, Left: n.yes - root, Right: n.no - root, Threshold: n.value, DefaultLeft: n.missing}
	switch n.mode {
	case modeLess:
	case modeLessEqual:
		out.Threshold = e.above(n.value)
	case modeGreaterEqual, modeGreater:
		out.Left, out.Right, out.DefaultLeft = out.Right, out.Left, !n.missing
		if n.mode == modeGreater {
			out.Threshold = e.above(n.value)
		}
	default:
		return out, false
	}
	return out, true
}

// above is the next number after v in the ensemble's type: at most v is less than that.
func (e *ensemble) above(v float64) float64 {
	if e.double {
		return math.Nextafter(v, math.Inf(1))
	}
	return float64(math.Nextafter32(float32(v), float32(math.Inf(1))))
}
