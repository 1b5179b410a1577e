package onnx

import (
	"encoding/binary"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// Limits on one tensor.
const (
	maxRank  = 8
	maxWidth = 1 << 24 // numbers of a row, or of a constant
)

// kind is the kind of a tensor's elements.
type kind uint8

// The kinds that are read, by how they are held: truth values and int32 as int64.
const (
	float kind = iota + 1
	double
	int64s
	int32s
	bools
	texts
)

func (k kind) String() string {
	return [...]string{"no known type", "float", "double", "int64", "int32", "bool", "string"}[k]
}

// elements are the kinds by their numbers in files.
var elements = map[int64]kind{1: float, 6: int32s, 7: int64s, 8: texts, 9: bools, 11: double}

func kindOf(elem int64) kind { return elements[elem] }

// buffer holds the elements of one tensor: one of the lists, by kind.
type buffer struct {
	floats  []float32
	doubles []float64
	ints    []int64
	texts   []string
}

// newBuffer makes room for n elements.
func newBuffer(k kind, n int) buffer {
	switch k {
	case float:
		return buffer{floats: make([]float32, n)}
	case double:
		return buffer{doubles: make([]float64, n)}
	case texts:
		return buffer{texts: make([]string, n)}
	}
	return buffer{ints: make([]int64, n)}
}

// tensor is a TensorProto: its shape, and its bytes until they are asked for.
type tensor struct {
	name string
	kind kind
	elem int64
	dims []int
	size int
	raw  []byte
}

func parseTensor(data []byte) (tensor, error) {
	t := tensor{raw: data, size: 1}
	external := false
	err := fields(data, func(m *message) error {
		switch m.num {
		case 1:
			return checkList(m, protowire.VarintType)
		case 2:
			return m.int(&t.elem)
		case 3, 11:
			return fmt.Errorf("field %d is not read", m.num)
		case 4:
			return checkList(m, protowire.Fixed32Type)
		case 5, 7:
			return checkList(m, protowire.VarintType)
		case 6, 9:
			return m.want(protowire.BytesType)
		case 8:
			return m.text(&t.name)
		case 10:
			return checkList(m, protowire.Fixed64Type)
		case 13:
			external = true
		case 14:
			external = external || m.bits == 1
		}
		return nil
	})
	if err != nil {
		return t, err
	}
	if external {
		return t, fmt.Errorf("its data lies in another file: save the model in one piece, as onnx.save(model, path, save_as_external_data=False) does")
	}
	if t.kind = kindOf(t.elem); t.kind == 0 {
		return t, fmt.Errorf("elements of type %d are not read; known are float, double, int32, int64, bool and string", t.elem)
	}
	dims := newList(data, 1, protowire.VarintType)
	for v, more := dims.next(); more; v, more = dims.next() {
		if int64(v) < 0 || int64(v) > maxWidth || len(t.dims) == maxRank {
			return t, fmt.Errorf("dimension %d is %d", len(t.dims), int64(v))
		}
		t.dims = append(t.dims, int(v))
		if t.size *= int(v); t.size > maxWidth {
			return t, fmt.Errorf("more than %d elements", maxWidth)
		}
	}
	return t, t.check()
}

// check is whether the tensor holds as many elements as its shape says, before room is made for them.
func (t *tensor) check() error {
	size := map[kind]int{float: 4, double: 8, int64s: 8, int32s: 4, bools: 1}[t.kind]
	raw, given := 0, 0
	_ = fields(t.raw, func(m *message) error { // checked before
		switch {
		case m.num == 9:
			raw += len(m.body)
		case m.num == 6 && t.kind == texts:
			given++
		}
		return nil
	})
	switch {
	case raw > 0 && (size == 0 || raw%size != 0):
		return fmt.Errorf("%d bytes of %s", raw, t.kind)
	case raw > 0:
		given = raw / size
	case t.kind != texts:
		l := t.list()
		given = l.count()
	}
	if given != t.size {
		return fmt.Errorf("%d elements, its dimensions %v say %d", given, t.dims, t.size)
	}
	return nil
}

// list walks the elements that are not given as raw bytes.
func (t *tensor) list() list {
	switch t.kind {
	case float:
		return newList(t.raw, 4, protowire.Fixed32Type)
	case double:
		return newList(t.raw, 10, protowire.Fixed64Type)
	case int64s:
		return newList(t.raw, 7, protowire.VarintType)
	}
	return newList(t.raw, 5, protowire.VarintType)
}

// data makes a buffer of the elements.
func (t *tensor) data() buffer {
	b := newBuffer(t.kind, t.size)
	at := 0
	_ = fields(t.raw, func(m *message) error { // checked before
		switch {
		case m.num == 9 && len(m.body) > 0:
			at += b.decode(t.kind, at, m.body)
		case m.num == 6 && t.kind == texts:
			b.texts[at] = string(m.body)
			at++
		}
		return nil
	})
	if at > 0 || t.kind == texts {
		return b
	}
	l := t.list()
	for i := range t.size {
		v, _ := l.next()
		b.set(t.kind, i, v)
	}
	return b
}

// set writes element i from its bits in the file.
func (b *buffer) set(k kind, i int, bits uint64) {
	switch k {
	case float:
		b.floats[i] = math.Float32frombits(uint32(bits))
	case double:
		b.doubles[i] = math.Float64frombits(bits)
	case int32s:
		b.ints[i] = int64(int32(bits))
	case bools:
		b.ints[i] = truth(bits != 0)
	default:
		b.ints[i] = int64(bits)
	}
}

// decode writes raw little-endian elements from place at on, and gives their number.
func (b *buffer) decode(k kind, at int, raw []byte) int {
	size := map[kind]int{float: 4, double: 8, int64s: 8, int32s: 4, bools: 1}[k]
	for i := range len(raw) / size {
		var bits uint64
		switch size {
		case 1:
			bits = uint64(raw[i])
		case 4:
			bits = uint64(binary.LittleEndian.Uint32(raw[4*i:]))
		default:
			bits = binary.LittleEndian.Uint64(raw[8*i:])
		}
		b.set(k, at+i, bits)
	}
	return len(raw) / size
}

func truth(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
