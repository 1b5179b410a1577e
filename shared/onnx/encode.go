package onnx

import (
	"fmt"
	"math"
)

// finder finds a key's place among the keys; its map is by the kind of the keys.
type finder struct {
	kind    kind
	texts   map[string]int
	ints    map[int64]int
	floats  map[uint32]int // by bits, for what is not a number
	doubles map[uint64]int
	names   []string // the keys of texts, in order
	nan     int      // the place of what is not a number, -1 if it is no key
}

// newFinder takes the keys of a buffer. Of keys that stand there twice the first or the last counts.
func newFinder(k kind, keys buffer, lastWins bool) *finder {
	f := &finder{kind: k, nan: -1}
	switch k {
	case texts:
		f.texts, f.names = indexOf(keys.texts, lastWins), keys.texts
	case float:
		f.floats = map[uint32]int{}
		for i, v := range keys.floats {
			if v != v && f.nan < 0 {
				f.nan = i
			}
			key(f.floats, bits32(v), i, lastWins)
		}
	case double:
		f.doubles = map[uint64]int{}
		for i, v := range keys.doubles {
			if v != v && f.nan < 0 {
				f.nan = i
			}
			key(f.doubles, bits64(v), i, lastWins)
		}
	default:
		f.ints = indexOf(keys.ints, lastWins)
	}
	return f
}

// bits32 and bits64 are the same for both zeros.
func bits32(v float32) uint32 { return math.Float32bits(v + 0) }
func bits64(v float64) uint64 { return math.Float64bits(v + 0) }

func key[K comparable](m map[K]int, k K, i int, lastWins bool) {
	if _, there := m[k]; lastWins || !there {
		m[k] = i
	}
}

func indexOf[K comparable](keys []K, lastWins bool) map[K]int {
	m := make(map[K]int, len(keys))
	for i, k := range keys {
		key(m, k, i, lastWins)
	}
	return m
}

// find writes the place of each of n elements of the value, -1 for no key.
func (f *finder) find(s *state, v *value, n int, to []int64) {
	b := &s.bufs[v.buf]
	switch f.kind {
	case texts:
		search(f.texts, b.texts[:n], to)
	case float:
		for i, x := range b.floats[:n] {
			if x != x {
				to[i] = int64(f.nan)
			} else {
				to[i] = found(f.floats, bits32(x))
			}
		}
	case double:
		for i, x := range b.doubles[:n] {
			if x != x {
				to[i] = int64(f.nan)
			} else {
				to[i] = found(f.doubles, bits64(x))
			}
		}
	default:
		search(f.ints, b.ints[:n], to)
	}
}

func search[K comparable](m map[K]int, x []K, to []int64) {
	for i, k := range x {
		to[i] = found(m, k)
	}
}

func found[K comparable](m map[K]int, k K) int64 {
	if at, ok := m[k]; ok {
		return int64(at)
	}
	return -1
}

// translate gives the element of values at the place of each key, the last element for what is no key.
func (c *compiler) translate(v *value, f *finder, k kind, values buffer, unlike string) (*value, error) {
	if v.kind != f.kind {
		return nil, fmt.Errorf("keys of %s for %s%s", f.kind, v.kind, unlike)
	}
	c.note(v, f.names)
	at, err := c.make(int64s, v.dims, v.axis)
	if err != nil {
		return nil, err
	}
	width := v.width()
	c.step(func(s *state, rows int) { f.find(s, v, rows*width, s.bufs[at.buf].ints) })
	size := len(values.floats) + len(values.doubles) + len(values.ints) + len(values.texts)
	list, err := c.constantOf(k, []int{size}, values)
	if err != nil {
		return nil, err
	}
	return c.look(list, at, v.dims, v.axis)
}

// buildLabelEncoder reads all versions: classes of the first, pairs of lists of the second, pairs of tensors of the fourth.
func buildLabelEncoder(c *compiler, n *node, in []*value) ([]*value, error) {
	v, err := input(in, 0)
	if err != nil {
		return nil, err
	}
	if c.opsets["ai.onnx.ml"] == 1 {
		return buildCategories(c, n, v, "classes_strings", "default_string", "default_int64")
	}
	if err := n.only("keys_strings", "keys_int64s", "keys_floats", "keys_tensor", "values_strings", "values_int64s", "values_floats", "values_tensor",
		"default_string", "default_int64", "default_float", "default_tensor"); err != nil {
		return nil, err
	}
	keyKind, keys, count, err := n.either("keys")
	if err != nil {
		return nil, err
	}
	valueKind, values, values1, err := n.either("values")
	if err != nil {
		return nil, err
	}
	if count != values1 || count == 0 {
		return nil, fmt.Errorf("%d keys and %d values", count, values1)
	}
	if values, err = n.otherwise(valueKind, values); err != nil {
		return nil, err
	}
	f := newFinder(keyKind, keys, false)
	if c.opsets["ai.onnx.ml"] < 4 {
		f.nan = -1 // older versions compare what is not a number with itself
	}
	out, err := c.translate(v, f, valueKind, values, "")
	return []*value{out}, err
}

// either is the one of the lists of a family of attributes that is there.
func (n *node) either(family string) (k kind, b buffer, count int, err error) {
	if b.texts, err = n.texts(family + "_strings"); err != nil || b.texts != nil {
		return texts, b, len(b.texts), err
	}
	if b.ints, err = n.ints(family + "_int64s"); err != nil || len(b.ints) > 0 {
		return int64s, b, len(b.ints), err
	}
	if b.floats, err = n.floats(family + "_floats"); err != nil || len(b.floats) > 0 {
		return float, b, len(b.floats), err
	}
	t, err := n.tensor(family + "_tensor")
	if err != nil {
		return 0, b, 0, err
	}
	if t == nil || t.kind == bools {
		return 0, b, 0, fmt.Errorf("no %s of strings, int64 or float", family)
	}
	return t.kind, t.data(), t.size, nil
}

// otherwise adds what stands for unknown keys behind the values.
func (n *node) otherwise(k kind, values buffer) (buffer, error) {
	t, err := n.tensor("default_tensor")
	if err != nil {
		return values, err
	}
	if t != nil {
		if t.size != 1 || t.kind != k {
			return values, fmt.Errorf("attribute default_tensor is %d of %s, expected one of %s", t.size, t.kind, k)
		}
		d := t.data()
		return buffer{append(values.floats, d.floats...), append(values.doubles, d.doubles...), append(values.ints, d.ints...), append(values.texts, d.texts...)}, nil
	}
	switch k {
	case texts:
		v, err := n.text("default_string", "_Unused")
		values.texts = append(values.texts, v)
		return values, err
	case float:
		v, err := n.float("default_float", float32(math.Copysign(0, -1)))
		values.floats = append(values.floats, v)
		return values, err
	case double:
		values.doubles = append(values.doubles, math.Copysign(0, -1))
		return values, nil
	}
	v, err := n.int("default_int64", -1)
	values.ints = append(values.ints, v)
	return values, err
}

// buildCategories translates texts into their places in a list, or places into texts.
func buildCategories(c *compiler, n *node, v *value, list, defaultText, defaultInt string) ([]*value, error) {
	names, err := n.texts(list)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s is empty", list)
	}
	numbers := make([]int64, len(names), len(names)+1)
	for i := range numbers {
		numbers[i] = int64(i)
	}
	var out *value
	if v.kind == texts {
		unknown, err := n.int(defaultInt, -1)
		if err != nil {
			return nil, err
		}
		f := newFinder(texts, buffer{texts: names}, true)
		if out, err = c.translate(v, f, int64s, buffer{ints: append(numbers, unknown)}, ""); err != nil {
			return nil, err
		}
		return []*value{out}, nil
	}
	unknown, err := n.text(defaultText, "_Unused")
	if err != nil {
		return nil, err
	}
	f := newFinder(int64s, buffer{ints: numbers}, false)
	out, err = c.translate(v, f, texts, buffer{texts: append(names, unknown)}, " or string")
	return []*value{out}, err
}
