package firestore

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/genproto/googleapis/type/latlng"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"
)

func nullValue() *pb.Value       { return &pb.Value{ValueType: &pb.Value_NullValue{}} }
func integer(n int64) *pb.Value  { return &pb.Value{ValueType: &pb.Value_IntegerValue{IntegerValue: n}} }
func double(f float64) *pb.Value { return &pb.Value{ValueType: &pb.Value_DoubleValue{DoubleValue: f}} }
func text(s string) *pb.Value    { return &pb.Value{ValueType: &pb.Value_StringValue{StringValue: s}} }
func boolean(b bool) *pb.Value   { return &pb.Value{ValueType: &pb.Value_BooleanValue{BooleanValue: b}} }
func blob(b []byte) *pb.Value    { return &pb.Value{ValueType: &pb.Value_BytesValue{BytesValue: b}} }
func reference(s string) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_ReferenceValue{ReferenceValue: s}}
}
func mapOf(m map[string]*pb.Value) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_MapValue{MapValue: &pb.MapValue{Fields: m}}}
}
func instant(s int64, n int32) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_TimestampValue{TimestampValue: &timestamppb.Timestamp{Seconds: s, Nanos: n}}}
}
func point(lat, lng float64) *pb.Value {
	return &pb.Value{ValueType: &pb.Value_GeoPointValue{GeoPointValue: &latlng.LatLng{Latitude: lat, Longitude: lng}}}
}

// Numbers near which integers and doubles are easily mixed up.
var (
	edgeFloats   = []float64{0, math.Copysign(0, -1), 1, -1, 0.5, 1 << 53, 1<<53 + 2, 1<<53 + 4, 1 << 63, -1 << 63, math.NaN(), math.Inf(1), math.Inf(-1), math.SmallestNonzeroFloat64}
	edgeIntegers = []int64{0, 1, -1, 1 << 53, 1<<53 + 1, 1<<53 + 3, 1<<53 + 4, -1<<53 - 1, -1<<53 - 2, -1<<53 - 3, math.MaxInt64, math.MinInt64, math.MaxInt64 - 1}
)

// anyValue draws from few values, so that equals and near misses are common.
func anyValue(depth int) *rapid.Generator[*pb.Value] {
	words := rapid.SampledFrom([]string{"", "a", "a\x00", "a\x00\x01", "a\x00\xff", "a\x01", "ab", "b", "\x7f", "é"})
	floats := rapid.OneOf(rapid.SampledFrom(edgeFloats), rapid.Float64())
	ints := rapid.OneOf(rapid.SampledFrom(edgeIntegers), rapid.Int64())
	kinds := []*rapid.Generator[*pb.Value]{
		rapid.Just(nullValue()),
		rapid.Map(rapid.Bool(), boolean),
		rapid.Map(ints, integer),
		rapid.Map(floats, double),
		rapid.Map(words, text),
		rapid.Map(words, func(s string) *pb.Value { return blob([]byte(s)) }),
		rapid.Map(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "a\x00", "b"}), 1, 3), func(s []string) *pb.Value { return reference(strings.Join(s, "/")) }),
		rapid.Custom(func(t *rapid.T) *pb.Value {
			return instant(rapid.Int64Range(-2, 2).Draw(t, "s"), rapid.Int32Range(0, 1).Draw(t, "n")*1000)
		}),
		rapid.Custom(func(t *rapid.T) *pb.Value {
			return point(float64(rapid.IntRange(-1, 1).Draw(t, "lat")), float64(rapid.IntRange(-1, 1).Draw(t, "lng")))
		}),
	}
	if depth > 0 {
		kinds = append(kinds,
			rapid.Map(rapid.SliceOfN(anyValue(depth-1), 0, 3), arrayOf),
			rapid.Map(rapid.MapOfN(words, anyValue(depth-1), 0, 3), mapOf))
	}
	return rapid.OneOf(kinds...)
}

// compareSlowly is Firestore's order of values as its documentation puts it in words.
func compareSlowly(a, b *pb.Value) int {
	if c := cmp.Compare(kind(a), kind(b)); c != 0 {
		return c
	}
	switch x := a.ValueType.(type) {
	case *pb.Value_BooleanValue:
		return cmp.Compare(fmt.Sprint(x.BooleanValue), fmt.Sprint(b.GetBooleanValue())) // "false" < "true"
	case *pb.Value_IntegerValue, *pb.Value_DoubleValue:
		return compareNumbersSlowly(a, b)
	case *pb.Value_TimestampValue:
		return x.TimestampValue.AsTime().Compare(b.GetTimestampValue().AsTime())
	case *pb.Value_StringValue:
		return strings.Compare(x.StringValue, b.GetStringValue())
	case *pb.Value_BytesValue:
		return bytes.Compare(x.BytesValue, b.GetBytesValue())
	case *pb.Value_ReferenceValue:
		return slices.Compare(strings.Split(x.ReferenceValue, "/"), strings.Split(b.GetReferenceValue(), "/"))
	case *pb.Value_GeoPointValue:
		g, h := x.GeoPointValue, b.GetGeoPointValue()
		return cmp.Or(cmp.Compare(g.Latitude, h.Latitude), cmp.Compare(g.Longitude, h.Longitude))
	case *pb.Value_ArrayValue:
		return slices.CompareFunc(x.ArrayValue.Values, b.GetArrayValue().Values, compareSlowly)
	case *pb.Value_MapValue:
		return slices.CompareFunc(pairs(x.MapValue.Fields), pairs(b.GetMapValue().Fields), func(p, q pair) int {
			return cmp.Or(strings.Compare(p.key, q.key), compareSlowly(p.value, q.value))
		})
	}
	return 0
}

type pair struct {
	key   string
	value *pb.Value
}

func pairs(m map[string]*pb.Value) []pair {
	var list []pair
	for k, v := range m {
		list = append(list, pair{k, v})
	}
	slices.SortFunc(list, func(a, b pair) int { return strings.Compare(a.key, b.key) })
	return list
}

func kind(v *pb.Value) int {
	switch v.ValueType.(type) {
	case *pb.Value_NullValue:
		return 0
	case *pb.Value_BooleanValue:
		return 1
	case *pb.Value_IntegerValue, *pb.Value_DoubleValue:
		return 2
	case *pb.Value_TimestampValue:
		return 3
	case *pb.Value_StringValue:
		return 4
	case *pb.Value_BytesValue:
		return 5
	case *pb.Value_ReferenceValue:
		return 6
	case *pb.Value_GeoPointValue:
		return 7
	case *pb.Value_ArrayValue:
		return 8
	}
	return 9
}

func compareNumbersSlowly(a, b *pb.Value) int {
	number := func(v *pb.Value) *big.Float {
		if x, ok := v.ValueType.(*pb.Value_IntegerValue); ok {
			return new(big.Float).SetPrec(100).SetInt64(x.IntegerValue)
		}
		return new(big.Float).SetPrec(100).SetFloat64(v.GetDoubleValue())
	}
	isNaN := func(v *pb.Value) bool { return math.IsNaN(v.GetDoubleValue()) }
	switch {
	case isNaN(a) && isNaN(b):
		return 0
	case isNaN(a):
		return -1
	case isNaN(b):
		return 1
	}
	return number(a).Cmp(number(b))
}

// The encoding keeps the order of values, upside down too, and no encoding begins another.
func TestEncodingOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyValue(2).Draw(t, "a"), anyValue(2).Draw(t, "b")
		ea, eb, want := encode(nil, a), encode(nil, b), compareSlowly(a, b)
		if got := bytes.Compare(ea, eb); got != want {
			t.Fatalf("%d, want %d: %x, %x", got, want, ea, eb)
		}
		if want != 0 && (bytes.HasPrefix(ea, eb) || bytes.HasPrefix(eb, ea)) {
			t.Fatalf("one begins the other: %x, %x", ea, eb)
		}
		invert(ea)
		invert(eb)
		if got := bytes.Compare(ea, eb); got != -want {
			t.Fatalf("inverted: %d, want %d", got, -want)
		}
	})
}

// Every pair of the numbers where integers are denser than doubles.
func TestEncodingOfNumbers(t *testing.T) {
	t.Parallel()
	var all []*pb.Value
	for _, f := range edgeFloats {
		all = append(all, double(f))
	}
	for _, n := range edgeIntegers {
		all = append(all, integer(n))
	}
	for _, a := range all {
		for _, b := range all {
			if got, want := bytes.Compare(encode(nil, a), encode(nil, b)), compareSlowly(a, b); got != want {
				t.Errorf("%v and %v: %d, want %d", a, b, got, want)
			}
		}
	}
}

func TestFieldPaths(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := fieldPath(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "_b9", "9", "a.b", "`", "\\", "\\`", "é", " ", "__x"}), 1, 4).Draw(t, "path"))
		got, err := parseFieldPath(p.String())
		if err != nil || !slices.Equal(got, p) {
			t.Fatalf("%q: %q, %v", p.String(), got, err)
		}
	})
	for _, s := range []string{"", ".", "a.", ".a", "a..b", "9a", "a b", "`", "`a", "`a`b", "``", "`a\\", "a-b", "__x__", "a.__x__"} {
		if p, err := parseFieldPath(s); err == nil {
			t.Errorf("%q was read as %q", s, p)
		}
	}
}
