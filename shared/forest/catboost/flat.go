package catboost

import (
	"encoding/binary"
	"fmt"
	"math"
	"unicode/utf8"
)

// flat reads FlatBuffers: tables that point at vectors, texts and other tables. It believes nothing: each read is checked
// against the buffer, and all vectors together may not be longer than it, as honest ones do not overlap. The first error
// stays; reads after it give zeros and empty lists.
type flat struct {
	data []byte
	left int // of the bytes that vectors may have
	err  error
}

// table is a table of a flat. The zero table is one that is not there.
type table struct {
	f        *flat
	at, size int
	vtable   int
	fields   int
	name     string
}

func (f *flat) fail(format string, args ...any) {
	if f.err == nil {
		f.err = fmt.Errorf(format, args...)
	}
}

// within is whether n bytes stand at at.
func (f *flat) within(at, n int, what string) bool {
	if f.err == nil && (at < 0 || n < 0 || at > len(f.data)-n) {
		f.fail("%s: %d bytes at %d, the model ends at %d", what, n, at, len(f.data))
	}
	return f.err == nil
}

func (f *flat) u32(at int, what string) int {
	if !f.within(at, 4, what) {
		return 0
	}
	return int(binary.LittleEndian.Uint32(f.data[at:]))
}

// table opens a table of at most known fields.
func (f *flat) table(at, known int, name string) table {
	if !f.within(at, 4, name) {
		return table{f: f}
	}
	vtable := at - int(int32(f.u32(at, name)))
	if !f.within(vtable, 4, name) {
		return table{f: f}
	}
	length, size := int(binary.LittleEndian.Uint16(f.data[vtable:])), int(binary.LittleEndian.Uint16(f.data[vtable+2:]))
	if length < 4 || length%2 != 0 || size < 4 {
		f.fail("%s: a table of %d bytes with a list of %d", name, size, length)
	}
	f.within(vtable, length, name)
	f.within(at, size, name)
	t := table{f: f, at: at, size: size, vtable: vtable, fields: (length - 4) / 2, name: name}
	for i := known; i < t.fields && f.err == nil; i++ {
		if t.has(i) {
			f.fail("%s: unknown field number %d; this reader knows files of %s", name, i, releases)
		}
	}
	return t
}

// has is whether field i is there.
func (t table) has(i int) bool {
	return t.f.err == nil && i < t.fields && binary.LittleEndian.Uint16(t.f.data[t.vtable+4+2*i:]) != 0
}

// field is where the n bytes of field i stand, false when it is not there.
func (t table) field(i, n int) (int, bool) {
	if !t.has(i) {
		return 0, false
	}
	offset := int(binary.LittleEndian.Uint16(t.f.data[t.vtable+4+2*i:]))
	if offset < 4 || offset+n > t.size {
		t.f.fail("%s: field number %d at %d of %d bytes", t.name, i, offset, t.size)
		return 0, false
	}
	return t.at + offset, true
}

func (t table) int32(i int, without int32) int32 {
	if at, ok := t.field(i, 4); ok {
		return int32(binary.LittleEndian.Uint32(t.f.data[at:]))
	}
	return without
}

func (t table) float64(i int, without float64) float64 {
	if at, ok := t.field(i, 8); ok {
		return math.Float64frombits(binary.LittleEndian.Uint64(t.f.data[at:]))
	}
	return without
}

func (t table) byte(i int) byte {
	if at, ok := t.field(i, 1); ok {
		return t.f.data[at]
	}
	return 0
}

// span is where the elements of a list stand, of size bytes each, and how many there are.
func (t table) span(i, size int, what string) (at, n int) {
	at, ok := t.field(i, 4)
	if !ok {
		return 0, 0
	}
	at += t.f.u32(at, what)
	n = t.f.u32(at, what)
	if n > t.f.left/size {
		t.f.fail("%s: %d elements, more than the model has room for", what, n)
	}
	if !t.f.within(at+4, n*size, what) {
		return 0, 0
	}
	t.f.left -= n * size
	return at + 4, n
}

// vector is the bytes of a list's elements.
func (t table) vector(i, size int, what string) (data []byte, n int) {
	at, n := t.span(i, size, what)
	return t.f.data[at : at+n*size], n
}

// text is a text, of a field.
func (t table) text(i int, what string) string {
	data, _ := t.vector(i, 1, what)
	if !utf8.Valid(data) {
		t.f.fail("%s: text that is not UTF-8", what)
		return ""
	}
	return string(data)
}

// each calls element with the place of what each element of a list points at.
func (t table) each(i int, what string, element func(j, at int)) {
	first, n := t.span(i, 4, what)
	for j := 0; j < n && t.f.err == nil; j++ {
		at := first + 4*j
		element(j, at+t.f.u32(at, what))
	}
}

// tables calls element with each table of a list.
func (t table) tables(i, known int, what string, element func(j int, e table)) {
	t.each(i, what, func(j, at int) {
		if e := t.f.table(at, known, fmt.Sprintf("%s[%d]", what, j)); t.f.err == nil {
			element(j, e)
		}
	})
}

func int32s(data []byte) []int32 {
	if len(data) == 0 {
		return nil
	}
	out := make([]int32, len(data)/4)
	for i := range out {
		out[i] = int32(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return out
}

func uint32s(data []byte) []uint32 {
	out := make([]uint32, len(data)/4)
	for i := range out {
		out[i] = binary.LittleEndian.Uint32(data[4*i:])
	}
	return out
}

func float32s(data []byte) []float32 {
	if len(data) == 0 {
		return nil
	}
	out := make([]float32, len(data)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return out
}

func float64s(data []byte) []float64 {
	if len(data) == 0 {
		return nil
	}
	out := make([]float64, len(data)/8)
	for i := range out {
		out[i] = math.Float64frombits(binary.LittleEndian.Uint64(data[8*i:]))
	}
	return out
}
