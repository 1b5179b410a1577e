package vertex

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"strconv"

	"github.com/kubeflow/pipelines/api/v2alpha1/go/pipelinespec"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

// values are the parameters and artifacts that go into a component, or come out of it. What is absent has no key.
type values struct {
	params map[string]*structpb.Value
	arts   map[string][]*pipelinespec.RuntimeArtifact
}

func newValues() *values {
	return &values{params: map[string]*structpb.Value{}, arts: map[string][]*pipelinespec.RuntimeArtifact{}}
}

// with is a copy that may get more keys.
func (v *values) with() *values {
	return &values{params: maps.Clone(v.params), arts: maps.Clone(v.arts)}
}

// output is v as the record keeps it.
func (v *values) output() *pipelinespec.ExecutorOutput {
	return &pipelinespec.ExecutorOutput{ParameterValues: v.params, Artifacts: v.lists()}
}

func (v *values) lists() map[string]*pipelinespec.ArtifactList {
	m := make(map[string]*pipelinespec.ArtifactList, len(v.arts))
	for k, a := range v.arts {
		m[k] = &pipelinespec.ArtifactList{Artifacts: a}
	}
	return m
}

func outputValues(o *pipelinespec.ExecutorOutput) *values {
	v := newValues()
	for k, p := range o.GetParameterValues() {
		v.params[k] = p
	}
	for k, l := range o.GetArtifacts() {
		v.arts[k] = l.GetArtifacts()
	}
	return v
}

// maxInteger is the largest integer that a double holds exactly, as NUMBER_INTEGER is defined.
const maxInteger = 1<<53 - 1

// Short names of the parameter types.
const (
	typeDouble  = pipelinespec.ParameterType_NUMBER_DOUBLE
	typeInteger = pipelinespec.ParameterType_NUMBER_INTEGER
	typeString  = pipelinespec.ParameterType_STRING
	typeBoolean = pipelinespec.ParameterType_BOOLEAN
	typeList    = pipelinespec.ParameterType_LIST
	typeStruct  = pipelinespec.ParameterType_STRUCT
	typeStatus  = pipelinespec.ParameterType_TASK_FINAL_STATUS
)

// checkType says what is wrong with a value of a parameter of type t. An unspecified type takes every value.
func checkType(v *structpb.Value, t pipelinespec.ParameterType_ParameterTypeEnum) error {
	if n, ok := v.GetKind().(*structpb.Value_NumberValue); ok && (math.IsNaN(n.NumberValue) || math.IsInf(n.NumberValue, 0)) {
		return fmt.Errorf("%v is not a number of JSON", n.NumberValue)
	}
	ok := true
	switch t {
	case typeDouble:
		_, ok = v.GetKind().(*structpb.Value_NumberValue)
	case typeInteger:
		n, is := v.GetKind().(*structpb.Value_NumberValue)
		ok = is && n.NumberValue == math.Trunc(n.NumberValue) && math.Abs(n.NumberValue) <= maxInteger
	case typeString:
		_, ok = v.GetKind().(*structpb.Value_StringValue)
	case typeBoolean:
		_, ok = v.GetKind().(*structpb.Value_BoolValue)
	case typeList:
		_, ok = v.GetKind().(*structpb.Value_ListValue)
	case typeStruct, typeStatus:
		_, ok = v.GetKind().(*structpb.Value_StructValue)
	}
	if !ok {
		return fmt.Errorf("%s is not of type %s", shorten(text(v), 60), t)
	}
	return nil
}

// text is a value as a placeholder writes it: strings raw, numbers in full decimals without exponent, the rest JSON.
func text(v *structpb.Value) string {
	switch k := v.GetKind().(type) {
	case *structpb.Value_StringValue:
		return k.StringValue
	case *structpb.Value_NumberValue:
		return strconv.FormatFloat(k.NumberValue, 'f', -1, 64)
	case *structpb.Value_BoolValue:
		return strconv.FormatBool(k.BoolValue)
	case *structpb.Value_ListValue, *structpb.Value_StructValue:
		return toJSON(v.AsInterface())
	}
	return ""
}

// toJSON writes JSON in one line with sorted keys and without escapes for HTML. Values come from protobuf, so they are
// always representable except for numbers that are none, which checkType refuses at the top level and which read null.
func toJSON(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return "null"
	}
	return string(bytes.TrimRight(b.Bytes(), "\n"))
}

// parseJSON reads one JSON value.
func parseJSON(data []byte) (*structpb.Value, error) {
	var v any
	d := json.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, fmt.Errorf("more than one JSON value")
	}
	return structpb.NewValue(v)
}

// mapStrings is v with every string in it, at any depth, replaced by fn's answer.
func mapStrings(v *structpb.Value, fn func(string) (string, error)) (*structpb.Value, error) {
	switch k := v.GetKind().(type) {
	case *structpb.Value_StringValue:
		s, err := fn(k.StringValue)
		return structpb.NewStringValue(s), err
	case *structpb.Value_ListValue:
		out := &structpb.ListValue{}
		for _, item := range k.ListValue.GetValues() {
			m, err := mapStrings(item, fn)
			if err != nil {
				return nil, err
			}
			out.Values = append(out.Values, m)
		}
		return structpb.NewListValue(out), nil
	case *structpb.Value_StructValue:
		out := &structpb.Struct{Fields: map[string]*structpb.Value{}}
		for name, item := range k.StructValue.GetFields() {
			m, err := mapStrings(item, fn)
			if err != nil {
				return nil, err
			}
			out.Fields[name] = m
		}
		return structpb.NewStructValue(out), nil
	}
	return proto.CloneOf(v), nil
}

// shorten cuts a text for an error.
func shorten(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n]) + "…"
	}
	return s
}
