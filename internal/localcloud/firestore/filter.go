package firestore

import (
	"bytes"
	"math"
	"slices"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
)

type operator uint8

const (
	equal operator = iota
	in
	less
	lessOrEqual
	greater
	greaterOrEqual
	notEqual
)

func (o operator) inequality() bool { return o >= less }

// filter is one comparison; a query's filters all hold.
type filter struct {
	field  fieldPath
	op     operator
	values [][]byte // encoded; the alternatives of equal and in, else one. None: nothing matches
}

// maxIn is how many alternatives a query may have.
const maxIn = 30

var fieldOperators = map[pb.StructuredQuery_FieldFilter_Operator]operator{
	pb.StructuredQuery_FieldFilter_EQUAL:                 equal,
	pb.StructuredQuery_FieldFilter_IN:                    in,
	pb.StructuredQuery_FieldFilter_LESS_THAN:             less,
	pb.StructuredQuery_FieldFilter_LESS_THAN_OR_EQUAL:    lessOrEqual,
	pb.StructuredQuery_FieldFilter_GREATER_THAN:          greater,
	pb.StructuredQuery_FieldFilter_GREATER_THAN_OR_EQUAL: greaterOrEqual,
	pb.StructuredQuery_FieldFilter_NOT_EQUAL:             notEqual,
}

func parseFilter(to []filter, f *pb.StructuredQuery_Filter) ([]filter, error) {
	switch x := f.GetFilterType().(type) {
	case nil:
		return to, nil
	case *pb.StructuredQuery_Filter_CompositeFilter:
		if op := x.CompositeFilter.GetOp(); op != pb.StructuredQuery_CompositeFilter_AND {
			return nil, unimplemented("where: composite filter %v is not part of the local Firestore, only AND", op)
		}
		for _, sub := range x.CompositeFilter.GetFilters() {
			var err error
			if to, err = parseFilter(to, sub); err != nil {
				return nil, err
			}
		}
		return to, nil
	case *pb.StructuredQuery_Filter_FieldFilter:
		c, err := parseFieldFilter(x.FieldFilter)
		return append(to, c), err
	case *pb.StructuredQuery_Filter_UnaryFilter:
		c, err := parseUnaryFilter(x.UnaryFilter)
		return append(to, c), err
	}
	return nil, unimplemented("where: unknown kind of filter")
}

func parseFieldFilter(f *pb.StructuredQuery_FieldFilter) (filter, error) {
	path, err := parseFieldPath(f.GetField().GetFieldPath())
	if err != nil {
		return filter{}, err
	}
	op, ok := fieldOperators[f.GetOp()]
	if !ok {
		return filter{}, unimplemented("where: operator %v is not part of the local Firestore", f.GetOp())
	}
	values := []*pb.Value{f.GetValue()}
	if op == in {
		values = f.GetValue().GetArrayValue().GetValues()
		if len(values) == 0 || len(values) > maxIn {
			return filter{}, invalid("where: %s IN takes an array of 1 to %d values, got %d", path, maxIn, len(values))
		}
	}
	c := filter{field: path, op: op}
	for _, v := range values {
		if err := checkValue(v, 1, false); err != nil {
			return filter{}, invalid("where: %s: %s", path, message(err))
		}
		if _, ref := v.ValueType.(*pb.Value_ReferenceValue); path.isName() && !ref {
			return filter{}, invalid("where: %s is compared with references only", nameField)
		}
		// Null and NaN are found by unary filters only. As operands they match nothing, but that every value is unequal to
		// NaN, NaN too.
		switch enc := encode(nil, v); {
		case bytes.Equal(enc, null):
		case !bytes.Equal(enc, nan):
			c.values = append(c.values, enc)
		case op == notEqual:
			c.values = [][]byte{null}
		}
	}
	return c, nil
}

var (
	null = encode(nil, &pb.Value{ValueType: &pb.Value_NullValue{}})
	nan  = encode(nil, &pb.Value{ValueType: &pb.Value_DoubleValue{DoubleValue: math.NaN()}})
)

func parseUnaryFilter(f *pb.StructuredQuery_UnaryFilter) (filter, error) {
	path, err := parseFieldPath(f.GetField().GetFieldPath())
	if err != nil {
		return filter{}, err
	}
	switch f.GetOp() {
	case pb.StructuredQuery_UnaryFilter_IS_NULL:
		return filter{path, equal, [][]byte{null}}, nil
	case pb.StructuredQuery_UnaryFilter_IS_NAN:
		return filter{path, equal, [][]byte{nan}}, nil
	case pb.StructuredQuery_UnaryFilter_IS_NOT_NULL:
		return filter{path, notEqual, [][]byte{null}}, nil
	case pb.StructuredQuery_UnaryFilter_IS_NOT_NAN:
		return filter{path, notEqual, [][]byte{nan}}, nil
	}
	return filter{}, unimplemented("where: operator %v is not part of the local Firestore", f.GetOp())
}

// matches compares a document's field. A missing field matches nothing, ranges hold within one type and never for NaN, and
// null is not even different from anything.
func (c filter) matches(d *pb.Document) bool {
	v, ok := encodeField(nil, d, c.field)
	if !ok || len(c.values) == 0 {
		return false
	}
	switch c.op {
	case equal, in:
		return slices.ContainsFunc(c.values, func(w []byte) bool { return bytes.Equal(v, w) })
	case notEqual:
		return v[0] != tagNull && !bytes.Equal(v, c.values[0])
	}
	if v[0] != c.values[0][0] || bytes.Equal(v, nan) {
		return false
	}
	cmp := bytes.Compare(v, c.values[0])
	switch c.op {
	case less:
		return cmp < 0
	case lessOrEqual:
		return cmp <= 0
	case greater:
		return cmp > 0
	}
	return cmp >= 0
}
