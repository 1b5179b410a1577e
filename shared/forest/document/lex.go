// Package document reads JSON, and UBJSON as XGBoost writes it, in one pass and in bounded memory, for the readers of model
// formats: strict about syntax, nesting and lengths, with the place of an error in its message.
//
// It is not for requests: package protocol decodes those.
package document

import (
	"fmt"
	"strconv"
	"unsafe"
)

// kind is what a token is.
type kind uint8

const (
	endOfFile kind = iota
	beginObject
	endObject
	beginArray
	endArray
	key
	text
	number
	boolean
	null
)

var kindNames = [...]string{"the end of the file", "an object", "the end of the object", "an array", "the end of the array",
	"a key", "a text", "a number", "true or false", "null"}

func (k kind) String() string { return kindNames[k] }

// token is one step through a document. Its text is valid until the next one.
type token struct {
	kind    kind
	integer bool    // of a UBJSON number: whole holds it, not real
	text    []byte  // of a key or text; of a JSON number as it is written
	whole   int64   // of a UBJSON integer; 1 for true
	real    float64 // of a UBJSON float
}

// lexer gives the tokens of one document in order, the same ones for the same content in either syntax. It checks the
// syntax, the nesting and every length against the bytes that are there. After the document it gives endOfFile once
// nothing follows. Not for concurrent use.
type lexer interface {
	next(*token) error
	offset() int
	ahead() int // after the begin of an array of scalars: how many there are, if the document is sound
}

// maxNesting is far above the 7 levels of XGBoost's models and the 20 of CatBoost's deepest trees.
const maxNesting = 64

// float32 is the number in single precision: text is rounded once, straight to float32.
func (t *token) float32() (float32, error) {
	switch {
	case t.kind != number:
		return 0, fmt.Errorf("expected a number, got %v", t.kind)
	case t.text != nil:
		// The string is gone before the bytes change: ParseFloat keeps it only in an error, as a copy.
		v, err := strconv.ParseFloat(unsafe.String(unsafe.SliceData(t.text), len(t.text)), 32)
		if err != nil {
			return 0, fmt.Errorf("%s is not a float32", Clip(t.text))
		}
		return float32(v), nil
	case t.integer:
		return float32(t.whole), nil
	}
	return float32(t.real), nil
}

// float64 is the number in double precision.
func (t *token) float64() (float64, error) {
	switch {
	case t.kind != number:
		return 0, fmt.Errorf("expected a number, got %v", t.kind)
	case t.text != nil:
		v, err := strconv.ParseFloat(unsafe.String(unsafe.SliceData(t.text), len(t.text)), 64)
		if err != nil {
			return 0, fmt.Errorf("%s is not a float64", Clip(t.text))
		}
		return v, nil
	case t.integer:
		return float64(t.whole), nil
	}
	return t.real, nil
}

// int64 is the number if it is whole; true is 1 and false 0, as old files write default_left.
func (t *token) int64() (int64, error) {
	switch {
	case t.kind == boolean, t.kind == number && t.integer:
		return t.whole, nil
	case t.kind != number:
		return 0, fmt.Errorf("expected a whole number, got %v", t.kind)
	case t.text == nil:
		return 0, fmt.Errorf("expected a whole number, got %v", t.real)
	}
	v, err := strconv.ParseInt(unsafe.String(unsafe.SliceData(t.text), len(t.text)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("expected a whole number, got %s", Clip(t.text))
	}
	return v, nil
}

// Clip quotes and shortens foreign text for a message.
func Clip(b []byte) string {
	if len(b) > 60 {
		return fmt.Sprintf("%.60q…", b)
	}
	return fmt.Sprintf("%q", b)
}
