package pipeline

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"
)

// checkShape walks JSON values along a message type and notes unknown fields (unless those are to be passed over), unknown
// enum values and values of the wrong type.
func checkShape(p *problems, at place, m protoreflect.MessageDescriptor, v any, passUnknown bool) {
	if strings.HasPrefix(string(m.FullName()), "google.") {
		checkWellKnown(p, at, m, v)
		return
	}
	fields, ok := v.(map[string]any)
	if !ok {
		p.add(at, "type", got(v), "a mapping")
		return
	}
	for _, name := range sortedKeys(fields) {
		f := m.Fields().ByJSONName(name)
		if f == nil {
			f = m.Fields().ByTextName(name)
		}
		switch {
		case f != nil && fields[name] != nil:
			checkField(p, at.at(name), f, fields[name], passUnknown)
		case f == nil && !passUnknown:
			p.add(at.at(name), "unknown", "unknown field", oneOf(name, jsonNames(m)))
		}
	}
}

func checkField(p *problems, at place, f protoreflect.FieldDescriptor, v any, passUnknown bool) {
	switch {
	case f.IsMap():
		entries, ok := v.(map[string]any)
		if !ok {
			p.add(at, "type", got(v), "a mapping")
			return
		}
		for _, k := range sortedKeys(entries) {
			checkSingle(p, at.at(k), f.MapValue(), entries[k], passUnknown)
		}
	case f.IsList():
		elements, ok := v.([]any)
		if !ok {
			p.add(at, "type", got(v), "a list")
			return
		}
		for i, e := range elements {
			checkSingle(p, at.at(strconv.Itoa(i)), f, e, passUnknown)
		}
	default:
		checkSingle(p, at, f, v, passUnknown)
	}
}

func checkSingle(p *problems, at place, f protoreflect.FieldDescriptor, v any, passUnknown bool) {
	switch f.Kind() {
	case protoreflect.MessageKind:
		checkShape(p, at, f.Message(), v, passUnknown)
	case protoreflect.EnumKind:
		checkEnum(p, at, f.Enum(), v)
	case protoreflect.StringKind:
		if _, ok := v.(string); !ok {
			p.add(at, "type", got(v), "a string")
		}
	case protoreflect.BoolKind:
		if _, ok := v.(bool); !ok {
			p.add(at, "type", got(v), "true or false")
		}
	case protoreflect.DoubleKind:
		if _, ok := number(v); !ok {
			p.add(at, "type", got(v), "a number")
		}
	default: // the integers: the spec has no other kinds
		if x, ok := number(v); !ok || x != float64(int64(x)) {
			p.add(at, "type", got(v), "a whole number")
		}
	}
}

// number reads what protojson takes for a number: a JSON number or one in quotes.
func number(v any) (float64, bool) {
	switch x := v.(type) {
	case int:
		return float64(x), true
	case int64:
		return float64(x), true
	case uint64:
		return float64(x), true
	case float64:
		return x, true
	case string:
		n, err := strconv.ParseFloat(x, 64)
		return n, err == nil
	}
	return 0, false
}

func checkEnum(p *problems, at place, e protoreflect.EnumDescriptor, v any) {
	if n, ok := v.(int); ok && e.Values().ByNumber(protoreflect.EnumNumber(n)) != nil {
		return
	}
	s, ok := v.(string)
	if ok && e.Values().ByName(protoreflect.Name(s)) != nil {
		return
	}
	var names []string
	for i := range e.Values().Len() {
		names = append(names, string(e.Values().Get(i).Name()))
	}
	if len(names) > 1 {
		names = names[1:] // the first is "unspecified"
	}
	p.add(at, "enum", got(v), oneOf(s, names))
}

// checkWellKnown leaves Google's own messages (Struct, Duration, …) to protojson.
func checkWellKnown(p *problems, at place, m protoreflect.MessageDescriptor, v any) {
	j, err := json.Marshal(v)
	if err != nil {
		p.add(at, "type", got(v), "JSON")
		return
	}
	var into protoreflect.ProtoMessage = dynamicpb.NewMessage(m)
	if t, err := protoregistry.GlobalTypes.FindMessageByName(m.FullName()); err == nil {
		into = t.New().Interface()
	}
	if err := protojson.Unmarshal(j, into); err != nil {
		want := "a " + string(m.Name())
		if m.FullName() == "google.protobuf.Duration" {
			want = `a duration such as "30s"`
		}
		p.add(at, "type", got(v), want)
	}
}

func jsonNames(m protoreflect.MessageDescriptor) []string {
	var names []string
	for i := range m.Fields().Len() {
		names = append(names, m.Fields().Get(i).JSONName())
	}
	slices.Sort(names)
	return names
}

// got shows a value shortly.
func got(v any) string {
	switch x := v.(type) {
	case nil:
		return "nothing"
	case map[string]any:
		return "a mapping"
	case []any:
		return "a list"
	case string:
		if len(x) > 80 {
			x = x[:77] + "..."
		}
		return strconv.Quote(x)
	}
	return fmt.Sprint(v)
}
