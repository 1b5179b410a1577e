package vertex

import (
	"testing"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/google/go-cmp/cmp"
	"github.com/kubeflow/pipelines/api/v2alpha1/go/pipelinespec"
)

func testExpressions(t *testing.T) *expressions {
	t.Helper()
	e, err := newExpressions()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func value(t *testing.T, v any) *structpb.Value {
	t.Helper()
	s, err := structpb.NewValue(v)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConditions(t *testing.T) {
	t.Parallel()
	e := testExpressions(t)
	in := newValues()
	for k, v := range map[string]any{"n": 3, "word": "heads", "yes": true, "list": []any{1, "two"}, "o": map[string]any{"k": 5}} {
		in.params[k] = value(t, v)
	}
	in.arts["m"] = []*pipelinespec.RuntimeArtifact{{Uri: "gs://b/m", Metadata: &structpb.Struct{Fields: map[string]*structpb.Value{"accuracy": value(t, 0.9)}}}}
	for expr, want := range map[string]bool{
		"inputs.parameter_values['word'] == 'heads'":                                          true,
		"!(inputs.parameter_values['word'] == 'heads')":                                       false,
		"int(inputs.parameter_values['n']) > 2":                                               true,
		"inputs.parameter_values['n'] > 2":                                                    true,
		"inputs.parameter_values['n'] == 3":                                                   true,
		"inputs.parameter_values['n'] < 2.5":                                                  false,
		"inputs.parameter_values['yes'] == true":                                              true,
		"int(inputs.parameter_values['n']) > 2 && inputs.parameter_values['word'] == 'tails'": false,
		"int(inputs.parameter_values['o']['k']) == 5":                                         true,
		"size(inputs.parameter_values['list']) == 2":                                          true,
		"'two' in inputs.parameter_values['list']":                                            true,
		"inputs.artifacts['m'][0].metadata['accuracy'] * 100.0 > 89.0":                        true,
	} {
		p, err := e.condition(expr)
		if err != nil {
			t.Errorf("%s: %v", expr, err)
			continue
		}
		if got, err := holds(p, in); err != nil || got != want {
			t.Errorf("%s = %v, %v, want %v", expr, got, err, want)
		}
	}
	for _, expr := range []string{"inputs.parameter_values['absent'] == 1", "inputs.parameter_values['n']"} {
		p, err := e.condition(expr)
		if err != nil {
			t.Errorf("%s: %v", expr, err)
			continue
		}
		if got, err := holds(p, in); err == nil {
			t.Errorf("%s = %v, want an error", expr, got)
		}
	}
	for _, expr := range []string{"inputs.", "1 + 1", "nothing == 1", "[1,2,3"} {
		if _, err := e.condition(expr); err == nil {
			t.Errorf("the condition %q was taken", expr)
		}
	}
}

func TestAConditionCannotHoldTheEngine(t *testing.T) {
	t.Parallel()
	p, err := testExpressions(t).condition("inputs.parameter_values['l'].all(a, inputs.parameter_values['l'].all(b, inputs.parameter_values['l'].all(c, a + b + c >= 0.0)))")
	if err != nil {
		t.Fatal(err)
	}
	in, items := newValues(), make([]any, 1000)
	for i := range items {
		items[i] = float64(i)
	}
	in.params["l"] = value(t, items)
	if ok, err := holds(p, in); err == nil {
		t.Errorf("10⁹ evaluations gave %v, want an error about their cost", ok)
	}
}

func TestSelectors(t *testing.T) {
	t.Parallel()
	e := testExpressions(t)
	for _, tc := range []struct {
		expr     string
		in, want any
	}{
		{`parseJson(string_value)["A_a"]`, map[string]any{"A_a": "x"}, "x"},
		{`parseJson(string_value)["o"]["k"]`, map[string]any{"o": map[string]any{"k": 5}}, 5.0},
		{`parseJson(string_value)[1]`, []any{1, 2}, 2.0},
		{`int(parseJson(string_value)["n"]) + 1`, `{"n": 4}`, 5.0},
		{`list_value[0]`, []any{"a"}, "a"},
		{`struct_value["k"]`, map[string]any{"k": []any{true, nil}}, []any{true, nil}},
		{`number_value * 2.0`, 4, 8.0},
		{`string_value + "!"`, "hi", "hi!"},
		{`size(string_value)`, "four", 4.0},
	} {
		p, err := e.selector(tc.expr)
		if err != nil {
			t.Errorf("%s: %v", tc.expr, err)
			continue
		}
		got, err := pick(p, value(t, tc.in))
		if err != nil {
			t.Errorf("%s of %v: %v", tc.expr, tc.in, err)
			continue
		}
		if diff := cmp.Diff(tc.want, got.AsInterface()); diff != "" {
			t.Errorf("%s of %v (-want +got):\n%s", tc.expr, tc.in, diff)
		}
	}
	p, err := e.selector(`parseJson(string_value)["k"]`)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := pick(p, value(t, "no json")); err == nil {
		t.Errorf("parseJson of no JSON gave %v", got)
	}
}
