package onnx

import "fmt"

// checkShape refuses what a walk could not end in, and notes what is the same for all rows. where names a node.
func (e *ensemble) checkShape(where func(i int32) string) error {
	const open, done = 1, 2
	seen := make([]uint8, len(e.nodes))
	var path []int32
	for _, root := range e.roots {
		if seen[root] != 0 {
			return fmt.Errorf("%s: a root that is also reached another way", where(root))
		}
		path = append(path[:0], root)
		for len(path) > 0 {
			i := path[len(path)-1]
			n := &e.nodes[i]
			if seen[i] != 0 || n.mode == modeLeaf {
				seen[i] = done
				path = path[:len(path)-1]
				continue
			}
			seen[i] = open
			for _, child := range [2]int32{n.yes, n.no} {
				switch seen[child] {
				case open:
					return fmt.Errorf("%s: its child %s is also above it: a cycle", where(i), where(child))
				case 0:
					path = append(path, child)
				}
			}
		}
	}
	return e.checkLeaves(seen, where)
}

func (e *ensemble) checkLeaves(seen []uint8, where func(i int32) string) error {
	for i := range e.nodes {
		n := &e.nodes[i]
		switch {
		case seen[i] == 0:
			return fmt.Errorf("%s: no path leads to it", where(int32(i)))
		case n.mode == modeLeaf && n.no == 0:
			return fmt.Errorf("%s: a leaf without a weight", where(int32(i)))
		}
	}
	return nil
}

// known notes which targets every row has a weight for; nil where that depends on the row.
func (e *ensemble) known() []bool {
	has, some := make([]bool, e.targets), make([]bool, e.targets)
	counts, last := make([]int32, e.targets), make([]int32, e.targets) // last: 1 + the leaf that had a weight for the target
	var touched []int32
	for t, root := range e.roots {
		leaves := int32(0)
		for i := root; i < e.end(t); i++ {
			n := &e.nodes[i]
			if n.mode != modeLeaf {
				continue
			}
			leaves++
			for _, w := range e.weights[n.yes : n.yes+n.no] {
				if last[w.target] == i+1 {
					e.doubled = true
					continue
				}
				last[w.target] = i + 1
				counts[w.target]++
				touched = append(touched, w.target)
			}
		}
		for _, target := range touched {
			has[target] = has[target] || counts[target] == leaves
			some[target] = true
		}
		for _, target := range touched {
			counts[target] = 0
		}
		touched = touched[:0]
	}
	for t := range has {
		if some[t] != has[t] {
			return nil
		}
	}
	return has
}

// end is behind the last node of tree t.
func (e *ensemble) end(t int) int32 {
	if t+1 < len(e.roots) {
		return e.roots[t+1]
	}
	return int32(len(e.nodes))
}
