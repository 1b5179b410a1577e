package forest

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// maxLines bounds the text of a tree.
const maxLines = 500

// renderer writes a tree as nested conditions.
type renderer struct {
	info  Info
	text  strings.Builder
	lines int
}

// Render writes a tree as text: a condition per split, the side where it holds first, and a value per leaf.
func (m *Model) Render(tree int) (string, error) {
	if tree < 0 || tree >= m.info.Trees {
		return "", fmt.Errorf("tree %d: the model has %d", tree, m.info.Trees)
	}
	r := &renderer{info: m.info}
	switch {
	case m.single != nil:
		renderNode(r, m.single, m.single.roots[tree], 0)
	case m.double != nil:
		renderNode(r, m.double, m.double.roots[tree], 0)
	default:
		m.oblivious.render(r, m.oblivious.trees[tree], 0, 0)
	}
	if r.lines > maxLines {
		fmt.Fprintf(&r.text, "… %d lines more\n", r.lines-maxLines)
	}
	return r.text.String(), nil
}

func (r *renderer) line(depth int, text string) {
	if r.lines++; r.lines <= maxLines {
		r.text.WriteString(strings.Repeat("  ", depth) + text + "\n")
	}
}

// feature is a feature's name.
func (r *renderer) feature(i uint32) string {
	if r.info.FeatureNames != nil {
		return r.info.FeatureNames[i]
	}
	return "f" + strconv.Itoa(int(i))
}

// category is a code, by name where the file has one.
func (r *renderer) category(feature, code uint32) string {
	if r.info.Categories != nil && int(code) < len(r.info.Categories[feature]) {
		return strconv.Quote(r.info.Categories[feature][code])
	}
	return strconv.Itoa(int(code))
}

// categories writes a set, shortened.
func (r *renderer) categories(feature uint32, codes []uint32) string {
	var names []string
	for i, c := range codes {
		if i == 12 && len(codes) > 13 {
			names = append(names, fmt.Sprintf("and %d more", len(codes)-i))
			break
		}
		names = append(names, r.category(feature, c))
	}
	return "{" + strings.Join(names, ", ") + "}"
}

func (r *renderer) values(values []float64) string {
	var text []string
	for _, v := range values {
		text = append(text, strconv.FormatFloat(v, 'g', -1, 64))
	}
	return strings.Join(text, ", ")
}

func renderNode[T float](r *renderer, k *kernel[T], i uint32, depth int) {
	n := &k.nodes[i]
	if n.left == i {
		r.line(depth, renderLeaf(r, k, i))
		return
	}
	r.line(depth, "if "+renderSplit(r, k, i))
	renderNode(r, k, n.left, depth+1)
	r.line(depth, "else")
	renderNode(r, k, n.left+1, depth+1)
}

func renderLeaf[T float](r *renderer, k *kernel[T], i uint32) string {
	n := &k.nodes[i]
	if k.vectors != nil {
		var values []float64
		for _, v := range k.vectors[int(n.thr)*k.margins : (int(n.thr)+1)*k.margins] {
			values = append(values, shown(v))
		}
		return r.values(values)
	}
	text := r.values([]float64{shown(n.thr)})
	f, ok := k.linear[i]
	if !ok {
		return text
	}
	if len(f.terms) == 0 {
		return r.values([]float64{f.constant})
	}
	instead := text
	text = r.values([]float64{f.constant})
	for _, t := range f.terms {
		text += fmt.Sprintf(" + %v·%s", t.coefficient, r.feature(t.feature))
	}
	return text + ", or " + instead + " where one of these is missing"
}

// shown is a number of T in as many digits as it needs.
func shown[T float](v T) float64 {
	if _, single := any(v).(float32); !single {
		return float64(v)
	}
	short, err := strconv.ParseFloat(strconv.FormatFloat(float64(v), 'g', -1, 32), 64)
	if err != nil {
		return float64(v) // an infinity
	}
	return short
}

// renderSplit is the condition on which a row goes left.
func renderSplit[T float](r *renderer, k *kernel[T], i uint32) string {
	n := &k.nodes[i]
	if t := k.setOf(i); t != nil {
		return renderSet(r, t, k.bits[i])
	}
	s := k.slots[n.slot-1]
	name := r.feature(s.feature)
	missing := ""
	if math.IsInf(float64(s.missing), -1) {
		missing = " or missing"
		if s.zero {
			missing = " or missing or 0"
		}
	}
	switch {
	case s.known && missing != "":
		return name + " is anything"
	case s.known:
		return name + " is known"
	case k.rounded:
		return fmt.Sprintf("%s <= %v%s", name, shown(float32(math.Nextafter(float64(n.thr), math.Inf(-1)))), missing)
	case r.info.Float64:
		return fmt.Sprintf("%s <= %v%s", name, math.Nextafter(float64(n.thr), math.Inf(-1)), missing)
	}
	return fmt.Sprintf("%s < %v%s", name, shown(n.thr), missing)
}

// renderSet is the condition of a categorical split, whose bit says what goes right.
func renderSet(r *renderer, t *setTable, bit uint32) string {
	right := func(entry int) bool { return t.bits[uint32(entry)*t.words+bit/64-t.first]>>(bit%64)&1 == 1 }
	others, missing := right(len(t.codes)), right(len(t.codes)+1)
	var codes []uint32
	for i, c := range t.codes {
		if right(i) != others {
			codes = append(codes, c)
		}
	}
	text := r.feature(t.feature) + " in " + r.categories(t.feature, codes)
	if !others { // all others go left
		text = r.feature(t.feature) + " not in " + r.categories(t.feature, codes)
	}
	if !missing {
		text += " or missing"
	}
	return text
}

// render writes the tree below the answers to the first questions.
func (k *oblivious) render(r *renderer, t obliviousTree, depth int, leaf uint32) {
	if depth == int(t.depth) {
		at := int(t.value) + int(leaf)*k.margins
		r.line(depth, r.values(k.values[at:at+k.margins]))
		return
	}
	question := k.number[int(t.split)+depth]
	slot := k.slotOf(question)
	s, border := k.slots[slot], k.scales[slot].borders[question-k.first[slot]]
	name := r.feature(s.feature)
	switch {
	case s.set > 0:
		r.line(depth, "if "+name+" in "+r.categories(s.feature, slices.Clone(k.sets[s.set])))
	case s.missingTrue:
		r.line(depth, fmt.Sprintf("if %s > %v or missing", name, shown(border)))
	default:
		r.line(depth, fmt.Sprintf("if %s > %v", name, shown(border)))
	}
	k.render(r, t, depth+1, leaf|1<<depth)
	r.line(depth, "else")
	k.render(r, t, depth+1, leaf)
}
