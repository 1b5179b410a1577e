package document

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// Decoder moves one document into its Go form, in one pass. The order of keys does not matter. A reader of a format names
// the keys that it knows, with what takes their values; all others are refused, as they may change what the known ones mean.
//
// The methods that take a value expect its first token to be read: the functions of fields and elements are called so.
type Decoder struct {
	lex    lexer
	tok    token
	writer string
}

// NewJSON reads JSON as C++ libraries write it: numbers may also be NaN, Infinity or -Infinity. writer is what wrote the
// files that this reader knows, for the message about an unknown key.
func NewJSON(data []byte, writer string) *Decoder {
	return &Decoder{lex: &jsonLexer{data: data}, writer: writer}
}

// NewUBJSON reads the part of UBJSON that XGBoost writes.
func NewUBJSON(data []byte, writer string) *Decoder {
	return &Decoder{lex: &ubjson{data: data}, writer: writer}
}

// Whole reads the whole document with read, which takes its one value. An error names the byte.
func (d *Decoder) Whole(read func() error) error {
	err := d.next()
	if err == nil {
		err = read()
	}
	if err == nil {
		err = d.next() // nothing may follow
	}
	if err != nil {
		return fmt.Errorf("byte %d: %w", d.lex.offset(), err)
	}
	return nil
}

// Field is a key that an object may have. A nil Read skips the value.
type Field struct {
	Key  string
	Read func() error
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

func (d *Decoder) next() error { return d.lex.next(&d.tok) }

// expect checks the kind of the token that was read last.
func (d *Decoder) expect(k kind) error {
	if d.tok.kind != k {
		return fmt.Errorf("expected %v, got %v", k, d.tok.kind)
	}
	return nil
}

// members reads an object: pick finds the field of a key.
func (d *Decoder) members(pick func(key []byte) (*Field, error)) error {
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
			if f.Read == nil {
				err = d.Skip()
			} else {
				err = f.Read()
			}
		}
		if err != nil {
			return at("."+f.Key, err)
		}
	}
}

// Object reads an object with the given fields only: an unknown key may change what the known ones mean.
func (d *Decoder) Object(fields []Field) error {
	var seen uint64
	hint := 0 // XGBoost writes keys in order, so the next one is mostly the next field
	return d.members(func(name []byte) (*Field, error) {
		for j := range fields {
			i := (hint + j) % len(fields)
			if fields[i].Key != string(name) {
				continue
			}
			if seen&(1<<i) != 0 {
				return nil, at("."+fields[i].Key, errors.New("stands there twice"))
			}
			seen |= 1 << i
			hint = i + 1
			return &fields[i], nil
		}
		return nil, at("."+printable(name), errors.New("unknown field; this reader knows files of "+d.writer))
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

// Some reads the given fields of an object and skips all others.
func (d *Decoder) Some(fields ...Field) error {
	return d.members(func(name []byte) (*Field, error) {
		for i := range fields {
			if fields[i].Key == string(name) {
				return &fields[i], nil
			}
		}
		return &Field{Key: "*"}, nil
	})
}

// Elements reads an array; element takes one element.
func (d *Decoder) Elements(element func(i int) error) error {
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

// Skip forgets a value.
func (d *Decoder) Skip() error {
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
