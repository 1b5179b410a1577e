package catboost

import (
	"fmt"
	"math"
	"slices"

	"github.com/millrace-ml/millrace/shared/forest"
)

// builder makes a forest of a content.
type builder struct {
	*content
	questions []question
	codes     []map[uint32][]uint32 // per categorical feature the codes by hash, nil while they are not known
	used      []bool                // leaves of trees that are not oblivious
}

// model checks the content and builds the model.
func (c *content) model(categories [][]string) (*forest.Model, error) {
	if err := c.checkFeatures(); err != nil {
		return nil, err
	}
	if c.dimensions < 1 || c.dimensions > forest.MaxMargins {
		return nil, fmt.Errorf("%d outputs: from 1 to %d are supported", c.dimensions, forest.MaxMargins)
	}
	if err := c.checkScale(); err != nil {
		return nil, err
	}
	b := builder{content: c}
	var err error
	if b.questions, err = c.questions(); err != nil {
		return nil, err
	}
	config, err := c.config()
	if err != nil {
		return nil, err
	}
	if categories == nil {
		categories = c.ownCategories()
	}
	if categories != nil {
		config.Categories = make([][]string, config.Features)
		for _, f := range c.cats {
			if int(f.flat) < len(categories) {
				config.Categories[f.flat] = categories[f.flat]
			}
		}
	}
	if err := b.setCodes(categories); err != nil {
		return nil, err
	}
	to, err := forest.NewBuilder(config)
	if err != nil {
		return nil, err
	}
	if config.Oblivious {
		err = b.addOblivious(to)
	} else {
		err = b.addTrees(to)
	}
	if err != nil {
		return nil, err
	}
	return to.Model()
}

func (c *content) config() (forest.Config, error) {
	link, err := c.link()
	release, objective := c.release, c.objective
	if release == "" {
		release = "CBM1" // all that the file tells: its format
	}
	if objective == "" {
		objective = "none"
	}
	config := forest.Config{Base: make([]float64, c.dimensions), Link: link, Quick: true, Scale: c.scale, Bias: c.bias,
		Oblivious: c.steps == nil, Rounded: c.steps != nil, Vectors: c.steps != nil && c.dimensions > 1}
	config.Info = forest.Info{Format: "catboost", Version: release, Objective: objective, Features: len(c.floats) + len(c.cats), Float64: true,
		FeatureNames: c.names(), BestIteration: -1, Classes: c.classes}
	config.Categorical = make([]bool, config.Features)
	for _, f := range c.cats {
		config.Categorical[f.flat] = true
	}
	return config, err
}

// ownCategories are the names of categories that the file itself has, nil when it has none. A file saved with its pool does
// not tell which feature has which, so each gets all of them, in the order of their texts.
func (c *content) ownCategories() [][]string {
	var all [][]string
	for _, o := range c.oneHots {
		texts := slices.Clone(o.texts)
		for _, t := range c.hashes {
			texts = append(texts, t)
		}
		if len(texts) == 0 {
			continue
		}
		if all == nil {
			all = make([][]string, len(c.floats)+len(c.cats))
		}
		slices.Sort(texts)
		for _, f := range c.cats {
			if f.index == o.cat {
				all[f.flat] = slices.Compact(texts)
			}
		}
	}
	return all
}

// setCodes hashes the categories and checks that each one that a split asks for is among them.
func (b *builder) setCodes(categories [][]string) error {
	b.codes = make([]map[uint32][]uint32, len(b.cats))
	for _, q := range b.questions {
		if q.float >= 0 {
			continue
		}
		f := &b.cats[q.cat]
		if b.codes[q.cat] == nil {
			if int(f.flat) >= len(categories) || categories[f.flat] == nil {
				return fmt.Errorf("feature %d (%s) splits by categories, whose names the file does not have and whose input does not list them: "+
					"export the model with python/millrace_export.py, or save it with model.save_model(…, format=\"json\", pool=pool)", f.flat, f.name)
			}
			codes := map[uint32][]uint32{}
			for code, text := range categories[f.flat] {
				h := categoryHash(text)
				codes[h] = append(codes[h], uint32(code))
			}
			b.codes[q.cat] = codes
		}
		if b.codes[q.cat][uint32(q.value)] == nil {
			return fmt.Errorf("feature %d (%s) splits by a category with the hash %d, which none of its %d values has: list all values of training",
				f.flat, f.name, q.value, len(categories[f.flat]))
		}
	}
	return nil
}

// missingTrue is the answer to a numeric question about a missing value.
func (f *floatFeature) missingTrue() bool { return f.hasNaNs && f.treatment == asTrue }

// ask finds the question of split i.
func (b *builder) ask(i int) (question, error) {
	at := b.splits[i]
	if at < 0 || int(at) >= len(b.questions) {
		return question{}, fmt.Errorf("split_index is %d, the model has %d questions", at, len(b.questions))
	}
	q := b.questions[at]
	if b.said == nil {
		return q, nil
	}
	s := b.said[i]
	var feature int64
	var value float64
	if q.float >= 0 {
		feature, value = b.floats[q.float].index, float64(q.border)
	} else {
		feature, value = b.cats[q.cat].index, float64(q.value)
	}
	if s.oneHot != (q.float < 0) || int64(s.feature) != feature || s.value != value {
		return q, fmt.Errorf("split_index %d asks something else than the split says: feature %d, value %v", at, s.feature, s.value)
	}
	return q, nil
}

func (b *builder) addOblivious(to *forest.Builder) error {
	splits, values := 0, 0
	for i, size := range b.sizes {
		if size < 0 || size > forest.MaxObliviousDepth || splits+int(size) > len(b.splits) {
			return fmt.Errorf("tree %d: %d splits, from 0 to %d are supported and %d are left", i, size, forest.MaxObliviousDepth, len(b.splits)-splits)
		}
		width := b.dimensions << size
		if values+width > len(b.leaves) {
			return fmt.Errorf("tree %d: leaf_values ends after %d of its %d", i, len(b.leaves)-values, width)
		}
		t := forest.Oblivious{Values: b.leaves[values : values+width]}
		for d := range int(size) {
			q, err := b.ask(splits + d)
			if err != nil {
				return fmt.Errorf("tree %d: split %d: %w", i, d, err)
			}
			t.Splits = append(t.Splits, b.obliviousQuestion(q))
		}
		if err := to.AddOblivious(&t); err != nil {
			return fmt.Errorf("tree %d: %w", i, err)
		}
		splits, values = splits+int(size), values+width
	}
	if splits != len(b.splits) || values != len(b.leaves) {
		return fmt.Errorf("%d splits and %d leaf values belong to no tree", len(b.splits)-splits, len(b.leaves)-values)
	}
	return nil
}

func (b *builder) obliviousQuestion(q question) forest.Question {
	if q.float >= 0 {
		f := &b.floats[q.float]
		return forest.Question{Feature: int32(f.flat), Border: q.border, MissingTrue: f.missingTrue()}
	}
	return forest.Question{Feature: int32(b.cats[q.cat].flat), Categorical: true, Set: b.codes[q.cat][uint32(q.value)]}
}

func (b *builder) addTrees(to *forest.Builder) error {
	if len(b.steps) != len(b.splits) || len(b.leafOf) != len(b.splits) {
		return fmt.Errorf("%d splits, %d steps and %d leaf numbers", len(b.splits), len(b.steps), len(b.leafOf))
	}
	b.used = make([]bool, len(b.leaves)/b.dimensions)
	first := 0
	for i, size := range b.sizes {
		if size < 1 || first+int(size) > len(b.splits) {
			return fmt.Errorf("tree %d: %d nodes, expected at least one and %d are left", i, size, len(b.splits)-first)
		}
		t, err := b.tree(first, int(size))
		if err == nil {
			err = to.Add(t)
		}
		if err != nil {
			return fmt.Errorf("tree %d: %w", i, err)
		}
		first += int(size)
	}
	if loose := slices.Index(b.used, false); first != len(b.splits) || loose >= 0 || len(b.leaves)%b.dimensions != 0 {
		return fmt.Errorf("%d nodes belong to no tree; of %d leaf values the first that no node has is %d", len(b.splits)-first, len(b.leaves), loose*b.dimensions)
	}
	return nil
}

// tree makes the nodes first to first+size. A side of a node that stays becomes a leaf of its own behind them.
func (b *builder) tree(first, size int) (*forest.Tree, error) {
	t := &forest.Tree{Nodes: make([]forest.Node, size)}
	for i := range size {
		s := b.steps[first+i]
		if s.left == 0 && s.right == 0 {
			if err := b.leaf(first+i, t, i); err != nil {
				return nil, fmt.Errorf("node %d: %w", i, err)
			}
			continue
		}
		q, err := b.ask(first + i)
		if err != nil {
			return nil, fmt.Errorf("node %d: %w", i, err)
		}
		n := b.node(q)
		for side, by := range [2]uint16{s.left, s.right} {
			child := i + int(by)
			if by == 0 {
				child = len(t.Nodes)
				t.Nodes = append(t.Nodes, forest.Node{})
				if err := b.leaf(first+i, t, child); err != nil {
					return nil, fmt.Errorf("node %d: %w", i, err)
				}
			} else if child >= size {
				return nil, fmt.Errorf("node %d: goes on to node %d, the tree has %d", i, child, size)
			}
			if side == 0 {
				n.Left = int32(child)
			} else {
				n.Right = int32(child)
			}
		}
		t.Nodes[i] = n
	}
	return t, nil
}

func (b *builder) node(q question) forest.Node {
	if q.float < 0 {
		return forest.Node{Feature: int32(b.cats[q.cat].flat), Categorical: true, DefaultLeft: true, Set: b.codes[q.cat][uint32(q.value)]}
	}
	f := &b.floats[q.float]
	// A number above the border goes right, so what is less than the next float64 goes left.
	return forest.Node{Feature: int32(f.flat), Threshold: math.Nextafter(float64(q.border), math.Inf(1)), DefaultLeft: !f.missingTrue()}
}

// leaf makes node at of t the leaf with the values of the file's node.
func (b *builder) leaf(node int, t *forest.Tree, at int) error {
	first := int(b.leafOf[node])
	n := first / b.dimensions
	if n >= len(b.used) || first%b.dimensions != 0 || b.used[n] {
		return fmt.Errorf("its values stand at %d: expected a multiple of %d below %d, each once", b.leafOf[node], b.dimensions, len(b.leaves))
	}
	b.used[n] = true
	leaf := forest.Node{Left: -1, Right: -1}
	if b.dimensions == 1 {
		leaf.Value = b.leaves[first]
	} else {
		leaf.Vector = int32(len(t.Vectors) / b.dimensions)
		t.Vectors = append(t.Vectors, b.leaves[first:first+b.dimensions]...)
	}
	t.Nodes[at] = leaf
	return nil
}
