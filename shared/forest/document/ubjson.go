package document

import (
	"encoding/binary"
	"fmt"
	"math"
	"unicode/utf8"
)

// ubjson reads the part of UBJSON that XGBoost writes: big-endian; keys, lengths and counts with the marker L; objects
// without counts; arrays plain, counted, or counted with one type for all.
type ubjson struct {
	data  []byte
	pos   int
	stack []frame
	begun bool
}

// frame is an open object or array.
type frame struct {
	object  bool
	value   bool // of an object: a key was given, its value is next
	counted bool
	left    int64 // elements to come when counted
	typ     byte  // of all elements, or 0
}

func (l *ubjson) offset() int { return l.pos }

func (l *ubjson) ahead() int {
	if f := l.stack[len(l.stack)-1]; f.typ != 0 {
		return int(f.left) // checked against the bytes that follow
	}
	return 0
}

func (l *ubjson) next(t *token) error {
	if len(l.stack) == 0 {
		if l.begun {
			if l.pos < len(l.data) {
				return fmt.Errorf("something follows the document")
			}
			*t = token{kind: endOfFile}
			return nil
		}
		l.begun = true
		return l.value(t)
	}
	f := &l.stack[len(l.stack)-1]
	switch {
	case f.object && !f.value:
		return l.key(t, f)
	case f.object:
		f.value = false
	case f.counted && f.left == 0, !f.counted && l.peek() == ']':
		if !f.counted {
			l.pos++
		}
		l.stack = l.stack[:len(l.stack)-1]
		*t = token{kind: endArray}
		return nil
	case f.counted:
		f.left--
		if f.typ != 0 {
			return l.scalar(t, f.typ)
		}
	}
	return l.value(t)
}

// key takes a key, or the end of the object.
func (l *ubjson) key(t *token, f *frame) error {
	if l.peek() == '}' {
		l.pos++
		l.stack = l.stack[:len(l.stack)-1]
		*t = token{kind: endObject}
		return nil
	}
	f.value = true
	t.kind = key
	return l.text(t)
}

// peek is the next byte, 0 at the end.
func (l *ubjson) peek() byte {
	if l.pos < len(l.data) {
		return l.data[l.pos]
	}
	return 0
}

// take is the next n bytes.
func (l *ubjson) take(n int64) ([]byte, error) {
	if n > int64(len(l.data)-l.pos) {
		return nil, fmt.Errorf("%d bytes expected, the file ends after %d", n, len(l.data)-l.pos)
	}
	b := l.data[l.pos : l.pos+int(n)]
	l.pos += int(n)
	return b, nil
}

// length takes L and an int64 that is not negative.
func (l *ubjson) length() (int64, error) {
	b, err := l.take(9)
	if err != nil {
		return 0, err
	}
	if b[0] != 'L' {
		return 0, fmt.Errorf("marker %q, expected the L of a length", b[0])
	}
	n := int64(binary.BigEndian.Uint64(b[1:]))
	if n < 0 {
		return 0, fmt.Errorf("length %d", n)
	}
	return n, nil
}

func (l *ubjson) text(t *token) error {
	n, err := l.length()
	if err != nil {
		return err
	}
	if t.text, err = l.take(n); err != nil {
		return err
	}
	if !utf8.Valid(t.text) {
		return fmt.Errorf("text that is not UTF-8: %s", Clip(t.text))
	}
	return nil
}

func (l *ubjson) value(t *token) error {
	b, err := l.take(1)
	if err != nil {
		return err
	}
	switch b[0] {
	case '{':
		*t = token{kind: beginObject}
		return l.push(frame{object: true})
	case '[':
		*t = token{kind: beginArray}
		return l.array()
	case 'S':
		*t = token{kind: text}
		return l.text(t)
	case 'Z':
		*t = token{kind: null}
		return nil
	case 'T', 'F':
		*t = token{kind: boolean, whole: int64(b[0]-'F') / int64('T'-'F')}
		return nil
	}
	return l.scalar(t, b[0])
}

func (l *ubjson) push(f frame) error {
	if len(l.stack) == maxNesting {
		return fmt.Errorf("nested deeper than %d", maxNesting)
	}
	l.stack = append(l.stack, f)
	return nil
}

// array takes what follows the opening bracket: nothing, a count, or a type and a count.
func (l *ubjson) array() error {
	var f frame
	size := int64(1)
	if l.peek() == '$' {
		b, err := l.take(2)
		if err != nil {
			return err
		}
		f.typ = b[1]
		if size = sizes[f.typ]; size == 0 {
			return fmt.Errorf("array of type %q, expected one of d D i U I l L", f.typ)
		}
		if l.peek() != '#' {
			return fmt.Errorf("array of type %q without a count", f.typ)
		}
	}
	if l.peek() == '#' {
		l.pos++
		n, err := l.length()
		if err != nil {
			return err
		}
		if n > int64(len(l.data)-l.pos)/size {
			return fmt.Errorf("%d elements cannot stand in the %d bytes that follow", n, len(l.data)-l.pos)
		}
		f.counted, f.left = true, n
	}
	return l.push(f)
}

// sizes of the scalars by marker.
var sizes = [256]int64{'i': 1, 'U': 1, 'I': 2, 'l': 4, 'L': 8, 'd': 4, 'D': 8, 'C': 1}

// scalar takes the payload of a scalar.
func (l *ubjson) scalar(t *token, marker byte) error {
	size := sizes[marker]
	if size == 0 {
		return fmt.Errorf("marker %q is no value that XGBoost writes", marker)
	}
	b, err := l.take(size)
	if err != nil {
		return err
	}
	*t = token{kind: number, integer: true}
	switch marker {
	case 'i':
		t.whole = int64(int8(b[0]))
	case 'U':
		t.whole = int64(b[0])
	case 'I':
		t.whole = int64(int16(binary.BigEndian.Uint16(b)))
	case 'l':
		t.whole = int64(int32(binary.BigEndian.Uint32(b)))
	case 'L':
		t.whole = int64(binary.BigEndian.Uint64(b))
	case 'd':
		t.integer, t.real = false, float64(math.Float32frombits(binary.BigEndian.Uint32(b)))
	case 'D':
		t.integer, t.real = false, math.Float64frombits(binary.BigEndian.Uint64(b))
	case 'C':
		*t = token{kind: text, text: b}
	}
	return nil
}
