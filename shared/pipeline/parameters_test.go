package pipeline

import (
	"math"
	"strings"
	"testing"

	"github.com/millrace-ml/millrace/shared/fault"
)

func TestCheckParameters(t *testing.T) {
	t.Parallel()
	spec, err := Decode("example", []byte(example(t)))
	if err != nil {
		t.Fatal(err)
	}
	good := map[string]any{"source": "gs://a/b", "model": "m", "run_id": "r"}
	with := func(name string, v any) map[string]any {
		out := map[string]any{name: v}
		for k, v := range good {
			if k != name {
				out[k] = v
			}
		}
		return out
	}
	type dataset struct {
		Bucket string `json:"bucket"`
	}
	for name, tc := range map[string]struct {
		values map[string]any
		want   []string // "" = accepted
	}{
		"what is required":       {good, nil},
		"a struct":               {with("options", dataset{"b"}), nil},
		"a whole double":         {with("rate", 1), nil},
		"an int64":               {with("rate", int64(1)), nil},
		"a number for a string":  {with("source", 3), []string{"parameters.source: 3, expected a STRING"}},
		"a string for a number":  {with("rate", "0.5"), []string{`parameters.rate: "0.5", expected a NUMBER_DOUBLE`}},
		"a list for a struct":    {with("options", []string{"a"}), []string{"parameters.options: a list, expected a STRUCT"}},
		"a null":                 {with("model", nil), []string{"parameters.model: nothing, expected a STRING"}},
		"no number":              {with("rate", math.NaN()), []string{"parameters.rate: json: unsupported value: NaN"}},
		"an unknown name":        {with("sauce", "x"), []string{`parameters.sauce: is no parameter of the pipeline, expected "source" perhaps`}},
		"nothing, all named":     {nil, []string{"parameters.model: nothing", "parameters.run_id: nothing", "parameters.source: nothing"}},
		"several things at once": {map[string]any{"source": 1, "model": "m", "x": 1}, []string{"parameters.source: 1", "parameters.x: is no", "parameters.run_id: nothing"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := CheckParameters(spec, tc.values)
			if len(tc.want) == 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if fault.KindOf(err) != fault.Invalid || strings.Count(err.Error(), "\n") != len(tc.want)-1 {
				t.Errorf("got %v", err)
			}
			for _, w := range tc.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("got\n%v\nwant something with\n%s", err, w)
				}
			}
		})
	}
}

func TestCheckParametersRefusesArtifacts(t *testing.T) {
	t.Parallel()
	text := strings.Replace(example(t), "root:\n  inputDefinitions:\n", "root:\n  inputDefinitions:\n    artifacts: {table: {artifactType: {schemaTitle: system.Dataset}}}\n", 1)
	spec, err := Decode("example", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	err = CheckParameters(spec, map[string]any{"source": "s", "model": "m", "run_id": "r"})
	if err == nil || !strings.Contains(err.Error(), "artifacts.table") {
		t.Errorf("got %v", err)
	}
}

func TestParameters(t *testing.T) {
	t.Parallel()
	spec, err := Decode("example", []byte(example(t)))
	if err != nil {
		t.Fatal(err)
	}
	if got := Parameters(spec); len(got) != 5 || got["options"] != Struct || got["run_id"] != String {
		t.Errorf("got %v", got)
	}
}
