package onnx

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// The attribute types by their numbers in files.
const (
	typeFloat   = 1
	typeInt     = 2
	typeString  = 3
	typeTensor  = 4
	typeFloats  = 6
	typeInts    = 7
	typeStrings = 8
)

// find is the attribute of that name, nil if there is none. Another type is an error.
func (n *node) find(name string, kind int64) (*attribute, error) {
	for i := range n.attributes {
		a := &n.attributes[i]
		if a.name != name {
			continue
		}
		if a.kind != kind {
			return nil, fmt.Errorf("attribute %s is of type %d, expected %d", name, a.kind, kind)
		}
		return a, nil
	}
	return nil, nil
}

// only is an error when the node has an attribute that is none of names, or one twice.
func (n *node) only(names ...string) error {
	for i, a := range n.attributes {
		if !slices.Contains(names, a.name) {
			return fmt.Errorf("attribute %.60q is not known; known are %s", a.name, strings.Join(names, ", "))
		}
		if slices.ContainsFunc(n.attributes[:i], func(b attribute) bool { return a.name == b.name }) {
			return fmt.Errorf("attribute %s stands there twice", a.name)
		}
	}
	return nil
}

// field is the last field of that number in the attribute, as protobuf has it.
func (a *attribute) field(num protowire.Number) message {
	var found message
	_ = fields(a.raw, func(m *message) error { // checked before
		if m.num == num {
			found = *m
		}
		return nil
	})
	return found
}

func (n *node) int(name string, otherwise int64) (int64, error) {
	a, err := n.find(name, typeInt)
	if a == nil {
		return otherwise, err
	}
	return int64(a.field(3).bits), nil
}

func (n *node) float(name string, otherwise float32) (float32, error) {
	a, err := n.find(name, typeFloat)
	if a == nil {
		return otherwise, err
	}
	return math.Float32frombits(uint32(a.field(2).bits)), nil
}

func (n *node) text(name, otherwise string) (string, error) {
	a, err := n.find(name, typeString)
	if a == nil {
		return otherwise, err
	}
	return string(a.field(4).body), nil
}

// choice is the place of a text attribute among the words it may be.
func (n *node) choice(name, otherwise string, words ...string) (int, error) {
	v, err := n.text(name, otherwise)
	if err != nil {
		return 0, err
	}
	at := slices.Index(words, v)
	if at < 0 {
		return 0, fmt.Errorf("attribute %s is %.60q, expected one of %s", name, v, strings.Join(words, ", "))
	}
	return at, nil
}

// intList walks an attribute of whole numbers; without one it is empty.
func (n *node) intList(name string) (list, error) {
	a, err := n.find(name, typeInts)
	if a == nil {
		return list{}, err
	}
	return newList(a.raw, 8, protowire.VarintType), nil
}

func (n *node) ints(name string) ([]int64, error) {
	l, err := n.intList(name)
	if l.num == 0 || err != nil {
		return nil, err
	}
	out := make([]int64, l.count())
	for i := range out {
		out[i] = l.int()
	}
	return out, nil
}

// floatList walks an attribute of numbers; without one it is empty.
func (n *node) floatList(name string) (list, error) {
	a, err := n.find(name, typeFloats)
	if a == nil {
		return list{}, err
	}
	return newList(a.raw, 7, protowire.Fixed32Type), nil
}

func (n *node) floats(name string) ([]float32, error) {
	l, err := n.floatList(name)
	if l.num == 0 || err != nil {
		return nil, err
	}
	out := make([]float32, l.count())
	for i := range out {
		out[i] = l.float()
	}
	return out, nil
}

func (n *node) texts(name string) ([]string, error) {
	a, err := n.find(name, typeStrings)
	if a == nil {
		return nil, err
	}
	var out []string
	_ = fields(a.raw, func(m *message) error { // checked before
		if m.num == 9 {
			out = append(out, string(m.body))
		}
		return nil
	})
	return out, nil
}

// tensor is an attribute that holds one, nil if there is none.
func (n *node) tensor(name string) (*tensor, error) {
	a, err := n.find(name, typeTensor)
	if a == nil {
		return nil, err
	}
	t, err := parseTensor(a.field(5).body)
	if err != nil {
		return nil, fmt.Errorf("attribute %s: %w", name, err)
	}
	return &t, nil
}
