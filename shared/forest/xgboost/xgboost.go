// Package xgboost reads models that XGBoost saved as JSON or UBJSON, whatever the file is called: the boosters gbtree, dart
// and gblinear. It accepts what it can score to the last bit and refuses everything else by name, with what to do.
//
// It is not for the binary format that XGBoost dropped in 3.1.
package xgboost

import (
	"bytes"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/forest"
	"github.com/millrace-ml/millrace/shared/forest/document"
)

// releases are those that wrote the files which are read.
const releases = "XGBoost 1.3 to 3.4"

// maxBytes bounds a file: a function holds it in memory beside the model.
const maxBytes = 256 << 20

// Sniff says whether data is a model of XGBoost, by its content. The binary format is recognised too, so that Read can
// say what to do with it.
func Sniff(data []byte) bool {
	switch syntaxOf(data) {
	case jsonSyntax:
		key := bytes.TrimLeft(data[1:min(len(data), 256)], " \t\r\n")
		return bytes.HasPrefix(key, []byte(`"learner"`)) || bytes.HasPrefix(key, []byte(`"version"`))
	case ubjsonSyntax:
		return bytes.HasPrefix(data, []byte("{L\x00\x00\x00\x00\x00\x00\x00\x07learner")) ||
			bytes.HasPrefix(data, []byte("{L\x00\x00\x00\x00\x00\x00\x00\x07version"))
	}
	return bytes.HasPrefix(data, []byte("binf"))
}

// Read makes a model of a file's content, which it does not keep. An error is fault.Invalid and names the tree, the node
// and the field.
func Read(data []byte) (*forest.Model, error) {
	if len(data) > maxBytes {
		return nil, fault.New(fault.Invalid, nil, "xgboost model: %d bytes, at most %d MiB are read", len(data), maxBytes>>20)
	}
	from := newReader(data)
	if from == nil {
		return nil, fault.New(fault.Invalid, nil, "xgboost model: neither JSON nor UBJSON; if it is in XGBoost's binary format, "+
			"load it with XGBoost older than 3.1 and save it again as .ubj")
	}
	d := newDecoder(from)
	if err := d.document(); err != nil {
		return nil, fault.New(fault.Invalid, nil, "xgboost model: %v", err)
	}
	m, err := d.doc.model()
	if err != nil {
		return nil, fault.New(fault.Invalid, nil, "xgboost model: %v", err)
	}
	return m, nil
}

// newReader reads either syntax, nil for what is neither.
func newReader(data []byte) *document.Decoder {
	switch syntaxOf(data) {
	case jsonSyntax:
		return document.NewJSON(data, releases)
	case ubjsonSyntax:
		return document.NewUBJSON(data, releases)
	}
	return nil
}

type syntax uint8

const (
	unknownSyntax syntax = iota
	jsonSyntax
	ubjsonSyntax
)

// syntaxOf looks at the first bytes. UBJSON's first key has the marker L, which no JSON has there.
func syntaxOf(data []byte) syntax {
	if len(data) < 2 || data[0] != '{' {
		return unknownSyntax
	}
	switch data[1] {
	case 'L':
		return ubjsonSyntax
	case '"', ' ', '\t', '\r', '\n':
		return jsonSyntax
	}
	return unknownSyntax
}
