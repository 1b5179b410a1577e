// Package lightgbm reads models in the text that LightGBM's save_model writes, of the versions v2, v3 and v4, into a
// forest.Model that gives the raw scores of that library bit for bit, and its outputs within 4 units in the last place.
//
// It is not for training, and not for pickles or the JSON of dump_model.
package lightgbm

import (
	"bytes"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/forest"
)

// maxBytes bounds what is read; a model of 10,000 trees with 31 leaves has about 30 MB.
const maxBytes = 256 << 20

// Sniff is whether data opens as LightGBM's text does: with a line of its own that says tree.
func Sniff(data []byte) bool {
	line, _, found := bytes.Cut(data, []byte("\n"))
	return found && string(bytes.TrimSuffix(line, []byte("\r"))) == "tree"
}

// Read reads a model. It refuses what it does not know by name: versions, objectives, keys. An error is fault.Invalid and
// names the tree, the node or leaf, and the field.
func Read(data []byte) (*forest.Model, error) {
	if len(data) > maxBytes {
		return nil, fault.New(fault.Invalid, nil, "lightgbm model: %d bytes, at most %d MiB are read", len(data), maxBytes>>20)
	}
	if !Sniff(data) {
		return nil, fault.New(fault.Invalid, nil, "lightgbm model: the first line is not \"tree\"; if it is a pickle or joblib file, "+
			"load it in Python and write booster.save_model(\"model.txt\") (booster_ of a scikit-learn wrapper)")
	}
	m, err := read(data)
	if err != nil {
		return nil, fault.New(fault.Invalid, nil, "lightgbm model: %v", err)
	}
	return m, nil
}

func read(data []byte) (*forest.Model, error) {
	s := &scanner{rest: data}
	s.next() // tree
	h, err := readHeader(s, data)
	if err != nil {
		return nil, err
	}
	b, err := forest.NewBuilder(h.config)
	if err != nil {
		return nil, err
	}
	r := treeReader{features: h.config.Features}
	trees := 0
	for ; s.block(); trees++ {
		t, err := r.read(s, trees)
		if err == nil {
			t.Margin = trees % len(h.config.Base)
			err = b.Add(t)
		}
		if err != nil {
			return nil, place(trees, err)
		}
	}
	if err := s.end(); err != nil {
		return nil, err
	}
	if err := h.checkTrees(trees); err != nil {
		return nil, err
	}
	return b.Model()
}
