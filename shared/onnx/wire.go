package onnx

import (
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// message walks the fields of one protobuf message, which stays where it lies: what a field holds is a slice of the file.
type message struct {
	rest []byte
	num  protowire.Number
	typ  protowire.Type
	body []byte // of a field of bytes
	bits uint64 // of all others
}

// next goes to the next field. It gives false at the end.
func (m *message) next() (bool, error) {
	if len(m.rest) == 0 {
		return false, nil
	}
	num, typ, n := protowire.ConsumeTag(m.rest)
	if n < 0 {
		return false, protowire.ParseError(n)
	}
	m.num, m.typ, m.rest, m.body, m.bits = num, typ, m.rest[n:], nil, 0
	switch typ {
	case protowire.VarintType:
		m.bits, n = protowire.ConsumeVarint(m.rest)
	case protowire.Fixed32Type:
		var v uint32
		v, n = protowire.ConsumeFixed32(m.rest)
		m.bits = uint64(v)
	case protowire.Fixed64Type:
		m.bits, n = protowire.ConsumeFixed64(m.rest)
	case protowire.BytesType:
		m.body, n = protowire.ConsumeBytes(m.rest)
	default:
		return false, fmt.Errorf("field %d is a group", num)
	}
	if n < 0 {
		return false, fmt.Errorf("field %d: %w", num, protowire.ParseError(n))
	}
	m.rest = m.rest[n:]
	return true, nil
}

// fields calls f with every field of a message.
func fields(data []byte, f func(m *message) error) error {
	m := message{rest: data}
	for {
		more, err := m.next()
		if !more {
			return err
		}
		if err := f(&m); err != nil {
			return err
		}
	}
}

// want is an error unless the field has the type.
func (m *message) want(typ protowire.Type) error {
	if m.typ != typ {
		return fmt.Errorf("field %d is of wire type %d, expected %d", m.num, m.typ, typ)
	}
	return nil
}

// text is a field of text.
func (m *message) text(to *string) error {
	*to = string(m.body)
	return m.want(protowire.BytesType)
}

// int is a field of a whole number.
func (m *message) int(to *int64) error {
	*to = int64(m.bits)
	return m.want(protowire.VarintType)
}

// list walks the numbers of a repeated field in the messages of data, packed or not. It holds no copy of them, so that a
// list of small numbers costs no more than the file. Its wire form has been checked (checkList).
type list struct {
	fields message
	num    protowire.Number
	typ    protowire.Type
	packed []byte
}

func newList(data []byte, num protowire.Number, typ protowire.Type) list {
	return list{fields: message{rest: data}, num: num, typ: typ}
}

// next gives the bits of the next number, false at the end.
func (l *list) next() (uint64, bool) {
	for len(l.packed) == 0 {
		if more, err := l.fields.next(); !more || err != nil {
			return 0, false
		}
		if l.fields.num != l.num {
			continue
		}
		if l.fields.typ == l.typ {
			return l.fields.bits, true
		}
		l.packed = l.fields.body
	}
	var v uint64
	var n int
	switch l.typ {
	case protowire.VarintType:
		v, n = protowire.ConsumeVarint(l.packed)
	case protowire.Fixed32Type:
		var w uint32
		w, n = protowire.ConsumeFixed32(l.packed)
		v = uint64(w)
	default:
		v, n = protowire.ConsumeFixed64(l.packed)
	}
	if n < 0 {
		l.packed = nil
		return 0, false
	}
	l.packed = l.packed[n:]
	return v, true
}

// int is next for whole numbers.
func (l *list) int() int64 {
	v, _ := l.next()
	return int64(v)
}

// float is next for numbers of 4 bytes.
func (l *list) float() float32 {
	v, _ := l.next()
	return math.Float32frombits(uint32(v))
}

// count is how many numbers the list has from here on.
func (l list) count() int {
	n := 0
	for {
		if _, ok := l.next(); !ok {
			return n
		}
		n++
	}
}

// checkList is an error unless a field holds numbers of the type, one or packed.
func checkList(m *message, typ protowire.Type) error {
	if m.typ == typ {
		return nil
	}
	if m.typ != protowire.BytesType {
		return fmt.Errorf("field %d is of wire type %d", m.num, m.typ)
	}
	rest := m.body
	for len(rest) > 0 {
		n := -1
		switch typ {
		case protowire.VarintType:
			_, n = protowire.ConsumeVarint(rest)
		case protowire.Fixed32Type:
			_, n = protowire.ConsumeFixed32(rest)
		case protowire.Fixed64Type:
			_, n = protowire.ConsumeFixed64(rest)
		}
		if n < 0 {
			return fmt.Errorf("field %d: cut off", m.num)
		}
		rest = rest[n:]
	}
	return nil
}
