package firestore

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
)

// Values are compared as bytes: encode gives a string whose byte order is Firestore's order of values and in which equal
// means equivalent (1 and 1.0 are one value). The encoding delimits itself, so values can be joined, cut to a prefix and
// inverted for descending order. Sorting, filters, cursors, index entries and array transforms all rest on it.

// Tags of the types, in Firestore's order of types. Each is above the terminator of arrays and maps.
const (
	tagEnd = 0x01 + iota*0x10
	tagNull
	tagBool
	tagNumber
	tagTimestamp
	tagString
	tagBytes
	tagReference
	tagGeoPoint
	tagArray
	tagMap
)

func encode(dst []byte, v *pb.Value) []byte {
	switch x := v.ValueType.(type) {
	case *pb.Value_NullValue:
		return append(dst, tagNull)
	case *pb.Value_BooleanValue:
		if x.BooleanValue {
			return append(dst, tagBool, 1)
		}
		return append(dst, tagBool, 0)
	case *pb.Value_IntegerValue:
		return encodeInt(append(dst, tagNumber), x.IntegerValue)
	case *pb.Value_DoubleValue:
		return append(encodeFloat(append(dst, tagNumber), x.DoubleValue), 0, 0)
	case *pb.Value_TimestampValue:
		dst = binary.BigEndian.AppendUint64(append(dst, tagTimestamp), uint64(x.TimestampValue.Seconds)^1<<63)
		return binary.BigEndian.AppendUint32(dst, uint32(x.TimestampValue.Nanos))
	case *pb.Value_StringValue:
		return appendSegment(append(dst, tagString), x.StringValue)
	case *pb.Value_BytesValue:
		return appendSegment(append(dst, tagBytes), string(x.BytesValue))
	case *pb.Value_ReferenceValue:
		return encodeName(dst, x.ReferenceValue)
	case *pb.Value_GeoPointValue:
		dst = encodeFloat(append(dst, tagGeoPoint), x.GeoPointValue.GetLatitude())
		return encodeFloat(dst, x.GeoPointValue.GetLongitude())
	case *pb.Value_ArrayValue:
		dst = append(dst, tagArray)
		for _, e := range x.ArrayValue.GetValues() {
			dst = encode(dst, e)
		}
		return append(dst, tagEnd)
	case *pb.Value_MapValue:
		return encodeMap(append(dst, tagMap), x.MapValue.GetFields())
	}
	return append(dst, tagEnd) // validate lets no other type in
}

func encodeMap(dst []byte, fields map[string]*pb.Value) []byte {
	keys := make([]string, 0, len(fields))
	for k := range fields {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		dst = appendSegment(append(dst, tagString), k)
		dst = encode(dst, fields[k])
	}
	return append(dst, tagEnd)
}

// encodeName encodes a reference: id by id, a parent before its children.
func encodeName(dst []byte, name string) []byte {
	dst = append(dst, tagReference)
	for seg := range strings.SplitSeq(name, "/") {
		dst = appendSegment(dst, seg)
	}
	return append(dst, 0, 0)
}

// encodeInt writes the next double at or below n and the distance to it, so that integers and doubles are one order even
// where doubles are sparser than integers.
func encodeInt(dst []byte, n int64) []byte {
	f := float64(n)
	if f >= 1<<63 || int64(f) > n {
		f = math.Nextafter(f, math.Inf(-1))
	}
	return binary.BigEndian.AppendUint16(encodeFloat(dst, f), uint16(n-int64(f)))
}

// encodeFloat puts NaN before all numbers and makes the two zeros one.
func encodeFloat(dst []byte, f float64) []byte {
	if math.IsNaN(f) {
		return binary.BigEndian.AppendUint64(dst, 0)
	}
	bits := math.Float64bits(f + 0) // -0 + 0 is +0
	if bits>>63 == 1 {
		bits = ^bits
	} else {
		bits |= 1 << 63
	}
	return binary.BigEndian.AppendUint64(dst, bits)
}

// appendSegment writes s so that it ends before anything longer: 0x00 becomes 0x00 0xff, the end is 0x00 0x01.
func appendSegment(dst []byte, s string) []byte {
	for {
		i := strings.IndexByte(s, 0)
		if i < 0 {
			return append(append(dst, s...), 0, 1)
		}
		dst = append(append(dst, s[:i]...), 0, 0xff)
		s = s[i+1:]
	}
}

// cutEncodedSegment reads back one segment of a key.
func cutEncodedSegment(key []byte) (seg string, rest []byte, ok bool) {
	var b []byte
	for i := 0; i+1 < len(key); i++ {
		if key[i] != 0 {
			b = append(b, key[i])
			continue
		}
		switch key[i+1] {
		case 1:
			return string(b), key[i+2:], true
		case 0xff:
			b = append(b, 0)
			i++
		default:
			return "", nil, false
		}
	}
	return "", nil, false
}

// invert turns the order of an encoded value round.
func invert(b []byte) {
	for i := range b {
		b[i] = ^b[i]
	}
}

// prefixEnd is the first key after all keys that begin with prefix; nil if there is none.
func prefixEnd(prefix []byte) []byte {
	end := slices.Clone(prefix)
	for len(end) > 0 {
		if end[len(end)-1]++; end[len(end)-1] != 0 {
			return end
		}
		end = end[:len(end)-1]
	}
	return nil
}
