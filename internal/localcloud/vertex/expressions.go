package vertex

import (
	"errors"
	"fmt"
	"reflect"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"google.golang.org/protobuf/types/known/structpb"
)

// costLimit bounds one evaluation, so that an expression of a spec cannot hold the engine.
const costLimit = 1_000_000

// expressions compiles the two kinds of CEL in a spec: conditions over a task's inputs, and selectors over one value.
type expressions struct{ conditions, selectors *cel.Env }

func newExpressions() (*expressions, error) {
	parse := cel.Function("parseJson", cel.Overload("parse_json_string", []*cel.Type{cel.StringType}, cel.DynType, cel.UnaryBinding(parseJSONValue)))
	common := []cel.EnvOption{parse, cel.CrossTypeNumericComparisons(true)}
	conditions, err := cel.NewEnv(append(common, cel.Variable("inputs", cel.MapType(cel.StringType, cel.MapType(cel.StringType, cel.DynType))))...)
	if err != nil {
		return nil, fmt.Errorf("expressions: %w", err)
	}
	for name, t := range map[string]*cel.Type{
		"string_value": cel.StringType, "number_value": cel.DoubleType, "double_value": cel.DoubleType, "int_value": cel.IntType,
		"bool_value": cel.BoolType, "struct_value": cel.MapType(cel.StringType, cel.DynType), "list_value": cel.ListType(cel.DynType),
	} {
		common = append(common, cel.Variable(name, t))
	}
	selectors, err := cel.NewEnv(common...)
	if err != nil {
		return nil, fmt.Errorf("expressions: %w", err)
	}
	return &expressions{conditions, selectors}, nil
}

func parseJSONValue(v ref.Val) ref.Val {
	s, ok := v.Value().(string)
	if !ok {
		return types.NewErr("parseJson wants a string")
	}
	parsed, err := parseJSON([]byte(s))
	if err != nil {
		return types.NewErr("parseJson: %v", err)
	}
	return types.DefaultTypeAdapter.NativeToValue(parsed.AsInterface())
}

// program checks an expression, but makes the program from the unchecked tree: the checker narrows what is indexed out of
// a dynamic value to the first overload that fits, so that int(inputs.parameter_values['x']['y']) would take integers
// only and not the doubles that all numbers here are (cel-go v0.32.0).
func program(env *cel.Env, expr string) (cel.Program, *cel.Type, error) {
	parsed, issues := env.Parse(expr)
	if err := issues.Err(); err != nil {
		return nil, nil, err
	}
	checked, issues := env.Check(parsed)
	if err := issues.Err(); err != nil {
		return nil, nil, err
	}
	p, err := env.Program(parsed, cel.CostLimit(costLimit))
	return p, checked.OutputType(), err
}

// condition compiles a triggerPolicy.condition.
func (e *expressions) condition(expr string) (cel.Program, error) {
	p, out, err := program(e.conditions, expr)
	if err == nil && !out.IsExactType(cel.BoolType) && !out.IsExactType(cel.DynType) {
		return nil, fmt.Errorf("gives %s, not a boolean", out)
	}
	return p, err
}

// selector compiles a parameterExpressionSelector.
func (e *expressions) selector(expr string) (cel.Program, error) {
	p, _, err := program(e.selectors, expr)
	return p, err
}

// holds evaluates a condition over the inputs of a task.
func holds(p cel.Program, in *values) (bool, error) {
	params := make(map[string]any, len(in.params))
	for k, v := range in.params {
		params[k] = v.AsInterface()
	}
	arts := make(map[string]any, len(in.arts))
	for k, l := range in.arts {
		var items []any
		for _, a := range l {
			items = append(items, map[string]any{"name": a.Name, "uri": a.Uri, "metadata": a.GetMetadata().AsMap()})
		}
		arts[k] = items
	}
	out, _, err := p.Eval(map[string]any{"inputs": map[string]any{"parameter_values": params, "parameters": params, "artifacts": arts}})
	if err != nil {
		return false, err
	}
	b, ok := out.Value().(bool)
	if !ok {
		return false, fmt.Errorf("gives %s, not a boolean", out.Type().TypeName())
	}
	return b, nil
}

// pick evaluates a selector over a value. Lists and structs are offered as JSON text too, which is how compilers
// address their parts: parseJson(string_value)["key"].
func pick(p cel.Program, v *structpb.Value) (*structpb.Value, error) {
	n := v.GetNumberValue()
	out, _, err := p.Eval(map[string]any{
		"string_value": text(v), "number_value": n, "double_value": n, "int_value": int64(n), "bool_value": v.GetBoolValue(),
		"struct_value": v.GetStructValue().AsMap(), "list_value": v.GetListValue().AsSlice(),
	})
	if err != nil {
		return nil, err
	}
	native, err := out.ConvertToNative(reflect.TypeFor[*structpb.Value]())
	if err != nil {
		return nil, fmt.Errorf("its result is no parameter value: %w", err)
	}
	picked, ok := native.(*structpb.Value)
	if !ok {
		return nil, errors.New("its result is no parameter value")
	}
	return picked, nil
}
