package xgboost

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode"
)

// decoder moves one document into its Go form, in one pass. The order of keys does not matter.
type decoder struct {
	lex  lexer
	tok  token
	doc  document
	tree *rawTree // the tree that is read just now
	of   struct { // the fields of the objects that a document has many of, or that nest
		tree, treeParam, encoding []field
	}
	enc encoding // the encoding that is read just now

	modelSeen bool
}

// field is a key that an object may have. A nil read skips the value.
type field struct {
	key  string
	read func() error
}

// located is an error with the place in the document where it happened.
type located struct {
	path string
	err  error
}

func (e *located) Error() string { return strings.TrimPrefix(e.path, ".") + ": " + e.err.Error() }

func (e *located) Unwrap() error { return e.err }

// at puts one more step in front of the place of err.
func at(step string, err error) error {
	var l *located
	if errors.As(err, &l) {
		l.path = step + l.path
		return l
	}
	return &located{path: step, err: err}
}

func (d *decoder) next() error { return d.lex.next(&d.tok) }

// expect checks the kind of the token that was read last.
func (d *decoder) expect(k kind) error {
	if d.tok.kind != k {
		return fmt.Errorf("expected %v, got %v", k, d.tok.kind)
	}
	return nil
}

// All readers below take one value, whose first token is d.tok.

// members reads an object: pick finds the field of a key.
func (d *decoder) members(pick func(key []byte) (*field, error)) error {
	if err := d.expect(beginObject); err != nil {
		return err
	}
	for {
		if err := d.next(); err != nil {
			return err
		}
		if d.tok.kind == endObject {
			return nil
		}
		f, err := pick(d.tok.text)
		if err != nil {
			return err
		}
		if err = d.next(); err == nil {
			if f.read == nil {
				err = d.skip()
			} else {
				err = f.read()
			}
		}
		if err != nil {
			return at("."+f.key, err)
		}
	}
}

// object reads an object with the given fields only: an unknown key may change what the known ones mean.
func (d *decoder) object(fields []field) error {
	var seen uint64
	hint := 0 // XGBoost writes keys in order, so the next one is mostly the next field
	return d.members(func(name []byte) (*field, error) {
		for j := range fields {
			i := (hint + j) % len(fields)
			if fields[i].key != string(name) {
				continue
			}
			if seen&(1<<i) != 0 {
				return nil, at("."+fields[i].key, errors.New("stands there twice"))
			}
			seen |= 1 << i
			hint = i + 1
			return &fields[i], nil
		}
		return nil, at("."+printable(name), errors.New("unknown field; this reader knows files of XGBoost 1.3 to 3.4"))
	})
}

// printable makes a foreign key fit for a message.
func printable(key []byte) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, string(key[:min(len(key), 60)]))
}

// some reads one field of an object and skips all others.
func (d *decoder) some(f field) error {
	return d.members(func(name []byte) (*field, error) {
		if string(name) == f.key {
			return &f, nil
		}
		return &field{key: "*"}, nil
	})
}

// elements reads an array; element takes one element.
func (d *decoder) elements(element func(i int) error) error {
	if err := d.expect(beginArray); err != nil {
		return err
	}
	for i := 0; ; i++ {
		if err := d.next(); err != nil {
			return err
		}
		if d.tok.kind == endArray {
			return nil
		}
		if err := element(i); err != nil {
			return at(fmt.Sprintf("[%d]", i), err)
		}
	}
}

// skip forgets a value.
func (d *decoder) skip() error {
	for depth := 0; ; {
		switch d.tok.kind {
		case beginObject, beginArray:
			depth++
		case endObject, endArray:
			depth--
		}
		if depth == 0 {
			return nil
		}
		if err := d.next(); err != nil {
			return err
		}
	}
}

// text reads a text into dst.
func (d *decoder) text(dst *string) func() error {
	return func() error {
		if err := d.expect(text); err != nil {
			return err
		}
		*dst = string(d.tok.text)
		return nil
	}
}

// texts reads a list of texts into dst.
func (d *decoder) texts(dst *[]string) func() error {
	return func() error {
		return d.elements(func(int) error {
			if err := d.expect(text); err != nil {
				return err
			}
			*dst = append(*dst, string(d.tok.text))
			return nil
		})
	}
}

// ints appends a list of whole numbers to dst.
func (d *decoder) ints(dst *[]int32) error {
	return d.elements(func(int) error {
		v, err := d.tok.int64()
		if err != nil {
			return err
		}
		if v < math.MinInt32 || v > math.MaxInt32 {
			return fmt.Errorf("%d is out of range", v)
		}
		*dst = append(*dst, int32(v))
		return nil
	})
}

// wides is ints for numbers of any size.
func (d *decoder) wides(dst *[]int64) error {
	return d.elements(func(int) error {
		v, err := d.tok.int64()
		*dst = append(*dst, v)
		return err
	})
}

// floats appends a list of numbers to dst.
func (d *decoder) floats(dst *[]float32) error {
	return d.elements(func(int) error {
		v, err := d.tok.float32()
		*dst = append(*dst, v)
		return err
	})
}
