package firestore

import (
	"bytes"
	"math"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

type transform = pb.DocumentTransform_FieldTransform

func checkTransforms(ts []*transform) error {
	for _, t := range ts {
		p, err := parseFieldPath(t.GetFieldPath())
		if err == nil && p.isName() {
			err = invalid("transform: %s cannot be written", nameField)
		}
		if err == nil {
			err = checkOperand(t)
		}
		if err != nil {
			return invalid("transform of %q: %s", shorten(t.GetFieldPath()), message(err))
		}
	}
	return nil
}

func checkOperand(t *transform) error {
	number := func(v *pb.Value) error {
		if !isNumber(v) {
			return invalid("the operand must be an integer or a double")
		}
		return nil
	}
	elements := func(a *pb.ArrayValue) error {
		return checkValue(&pb.Value{ValueType: &pb.Value_ArrayValue{ArrayValue: a}}, 1, false)
	}
	switch op := t.GetTransformType().(type) {
	case *pb.DocumentTransform_FieldTransform_SetToServerValue:
		if op.SetToServerValue != pb.DocumentTransform_FieldTransform_REQUEST_TIME {
			return invalid("server value %v: only REQUEST_TIME exists", op.SetToServerValue)
		}
		return nil
	case *pb.DocumentTransform_FieldTransform_Increment:
		return number(op.Increment)
	case *pb.DocumentTransform_FieldTransform_Maximum:
		return number(op.Maximum)
	case *pb.DocumentTransform_FieldTransform_Minimum:
		return number(op.Minimum)
	case *pb.DocumentTransform_FieldTransform_AppendMissingElements:
		return elements(op.AppendMissingElements)
	case *pb.DocumentTransform_FieldTransform_RemoveAllFromArray:
		return elements(op.RemoveAllFromArray)
	}
	return invalid("unknown transform")
}

// applyTransform changes the field and gives what the client gets to see: the new value, or null for array transforms.
func applyTransform(fields map[string]*pb.Value, t *transform, requestTime *timestamppb.Timestamp) *pb.Value {
	p, _ := parseFieldPath(t.FieldPath) // checked by checkTransforms
	old, _ := getField(fields, p)
	null := &pb.Value{ValueType: &pb.Value_NullValue{}}
	var v, result *pb.Value
	switch op := t.TransformType.(type) {
	case *pb.DocumentTransform_FieldTransform_SetToServerValue:
		v = &pb.Value{ValueType: &pb.Value_TimestampValue{TimestampValue: requestTime}}
	case *pb.DocumentTransform_FieldTransform_Increment:
		v = add(old, op.Increment)
	case *pb.DocumentTransform_FieldTransform_Maximum:
		v = extreme(old, op.Maximum, 1)
	case *pb.DocumentTransform_FieldTransform_Minimum:
		v = extreme(old, op.Minimum, -1)
	case *pb.DocumentTransform_FieldTransform_AppendMissingElements:
		v, result = union(old, op.AppendMissingElements.GetValues()), null
	case *pb.DocumentTransform_FieldTransform_RemoveAllFromArray:
		v, result = without(old, op.RemoveAllFromArray.GetValues()), null
	}
	setField(fields, p, v)
	if result == nil {
		result = v
	}
	return result
}

func isNumber(v *pb.Value) bool {
	switch v.GetValueType().(type) {
	case *pb.Value_IntegerValue, *pb.Value_DoubleValue:
		return true
	}
	return false
}

func asDouble(v *pb.Value) float64 {
	if x, ok := v.GetValueType().(*pb.Value_IntegerValue); ok {
		return float64(x.IntegerValue)
	}
	return v.GetDoubleValue()
}

// add stops at the ends of int64 instead of wrapping, and turns to doubles as soon as one operand is one.
func add(old, by *pb.Value) *pb.Value {
	if !isNumber(old) {
		return by
	}
	a, okA := old.ValueType.(*pb.Value_IntegerValue)
	b, okB := by.ValueType.(*pb.Value_IntegerValue)
	if !okA || !okB {
		return &pb.Value{ValueType: &pb.Value_DoubleValue{DoubleValue: asDouble(old) + asDouble(by)}}
	}
	sum := a.IntegerValue + b.IntegerValue
	switch {
	case a.IntegerValue > 0 && b.IntegerValue > 0 && sum < 0:
		sum = math.MaxInt64
	case a.IntegerValue < 0 && b.IntegerValue < 0 && sum >= 0:
		sum = math.MinInt64
	}
	return &pb.Value{ValueType: &pb.Value_IntegerValue{IntegerValue: sum}}
}

// extreme is the larger (sign 1) or smaller (sign -1) of two numbers. Equals keep what is stored; NaN wins either way.
func extreme(old, other *pb.Value, sign int) *pb.Value {
	if !isNumber(old) || math.IsNaN(asDouble(other)) {
		return other
	}
	if math.IsNaN(asDouble(old)) || sign*bytes.Compare(encode(nil, old), encode(nil, other)) >= 0 {
		return old
	}
	return other
}

func union(old *pb.Value, add []*pb.Value) *pb.Value {
	values := old.GetArrayValue().GetValues()
	have := encodedSet(values)
	for _, v := range add {
		if k := string(encode(nil, v)); !have[k] {
			have[k] = true
			values = append(values, v)
		}
	}
	return arrayOf(values)
}

func without(old *pb.Value, remove []*pb.Value) *pb.Value {
	gone := encodedSet(remove)
	var values []*pb.Value
	for _, v := range old.GetArrayValue().GetValues() {
		if !gone[string(encode(nil, v))] {
			values = append(values, v)
		}
	}
	return arrayOf(values)
}

func encodedSet(values []*pb.Value) map[string]bool {
	set := make(map[string]bool, len(values))
	for _, v := range values {
		set[string(encode(nil, v))] = true
	}
	return set
}

func arrayOf(values []*pb.Value) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_ArrayValue{ArrayValue: &pb.ArrayValue{Values: values}}}
}
