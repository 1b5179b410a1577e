package score

import (
	"bytes"
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/millrace-ml/millrace/shared/fault"
)

// withoutCategories takes the category names out of an artifact, as older releases of XGBoost and training on codes do.
func withoutCategories(artifact []byte) []byte {
	return regexp.MustCompile(`"enc":\[.*?\],"feature_segments"`).ReplaceAll(artifact, []byte(`"enc":[],"feature_segments"`))
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	line := func(i int, change func(string) string) func([]string) []string {
		return func(lines []string) []string {
			lines[i] = change(lines[i])
			return lines
		}
	}
	for _, c := range []struct {
		name, want string
		kind       fault.Kind
		options    folderOptions
		files      func(fstest.MapFS)
	}{
		{name: "no manifest", want: "model.yaml cannot be read", kind: fault.NotFound, files: func(f fstest.MapFS) { delete(f, "model.yaml") }},
		{name: "no artifact", want: "model sorter: artifact/model.json cannot be read", kind: fault.NotFound,
			files: func(f fstest.MapFS) { delete(f, "artifact/model.json") }},
		{name: "another artifact", want: "artifact/model.json has the sha256 ", kind: fault.Invalid,
			files: func(f fstest.MapFS) { f["artifact/model.json"].Data = append(f["artifact/model.json"].Data, '\n') }},
		{name: "an artifact that the bundle has not fetched", want: "artifact/m.ubj is not there: it is fetched from gs://bucket/x/m.ubj#1700000000000001", kind: fault.NotFound,
			options: folderOptions{manifest: replace(t, "path: artifact/model.json", `uri: "gs://bucket/x/m.ubj#1700000000000001"`)}},
		{name: "a binary artifact", want: "save it again as .ubj", kind: fault.Invalid,
			options: folderOptions{artifact: func([]byte) []byte { return []byte("binf\x00") }}},
		{name: "an artifact of something else", want: "the artifact is of the format lightgbm, model.yaml says xgboost", kind: fault.Invalid,
			options: folderOptions{artifact: func([]byte) []byte { return []byte("tree\nversion=v4\n") }}},
		{name: "an artifact of nothing known", want: "neither JSON nor UBJSON", kind: fault.Invalid,
			options: folderOptions{artifact: func([]byte) []byte { return []byte("wood\nversion=v4\n") }}},
		{name: "a damaged artifact", want: "xgboost model: tree 0: node 0: left child 0 is also reached another way", kind: fault.Invalid,
			options: folderOptions{artifact: func(b []byte) []byte {
				return bytes.Replace(b, []byte(`"left_children":[1`), []byte(`"left_children":[0`), 1)
			}}},
		{name: "a feature too few", want: "features: model.yaml lists 3, the artifact was trained on 4", kind: fault.Invalid,
			options: folderOptions{manifest: replace(t, "colour, shop]", "colour]")}},
		{name: "features in another order", want: `features[1] is "colour", in training it was "age": list the features in the order of training, where it is number 2`, kind: fault.Invalid,
			options: folderOptions{manifest: replace(t, "age, colour, shop]", "colour, age, shop]")}},
		{name: "a feature of another name", want: `features[0] is "weight", in training it was "size": the artifact knows no such feature`, kind: fault.Invalid,
			options: folderOptions{manifest: replace(t, "{name: size,", "{name: weight,")}},
		{name: "a category as a number", want: `features[3] "shop" is categorical in the artifact, its input is of type number`, kind: fault.Invalid,
			options: folderOptions{manifest: replace(t, "type: categorical, values: [10, -20, 3, 4, 500, 7]", "type: number")}},
		{name: "text categories in another order", want: `input "colour": values[0] is "grün", in training it was "red": list the values in the order of training`, kind: fault.Invalid,
			options: folderOptions{manifest: replace(t, "[red, grün,", "[grün, red,")}},
		{name: "number categories in another order", want: `input "shop": values[1] is 3, in training it was "-20"`, kind: fault.Invalid,
			options: folderOptions{manifest: replace(t, "[10, -20, 3,", "[10, 3, -20,")}},
		{name: "a category too few", want: `input "shop": values has 5 entries, in training there were 6: "7" is missing`, kind: fault.Invalid,
			options: folderOptions{manifest: replace(t, "500, 7]", "500]")}},
		{name: "a category too many", want: `input "shop": values[6] is 8, in training there were only 6`, kind: fault.Invalid,
			options: folderOptions{manifest: replace(t, "500, 7]", "500, 7, 8]")}},
		{name: "an output too many", want: "names 2 numbers, the artifact (binary:logistic) gives 1", kind: fault.Invalid,
			options: folderOptions{manifest: replace(t, "{name: probability}", "{name: probability}, {name: other}")}},
		{name: "an expression that is none", want: `feature "size"`, kind: fault.Invalid,
			options: folderOptions{manifest: replace(t, "triple / 3", "tripel / 3")}},

		{name: "no parity rows", want: "parity.jsonl cannot be read", kind: fault.NotFound, files: func(f fstest.MapFS) { delete(f, "parity.jsonl") }},
		{name: "an empty parity file", want: "parity.jsonl has no rows", kind: fault.Invalid, options: folderOptions{parity: func([]string) []string { return nil }}},
		{name: "a parity line that is no JSON", want: "parity.jsonl:2: expected an object", kind: fault.Invalid,
			options: folderOptions{parity: line(1, func(string) string { return "{" })}},
		{name: "a parity line with another key", want: `parity.jsonl:1: expected an object with instance, features and prediction: json: unknown field "label"`, kind: fault.Invalid,
			options: folderOptions{parity: line(0, replace(t, "{", `{"label":1,`))}},
		{name: "two objects in a line", want: "parity.jsonl:1: something follows", kind: fault.Invalid,
			options: folderOptions{parity: line(0, func(s string) string { return s + s })}},
		{name: "no instance", want: "parity.jsonl:3: instance is missing", kind: fault.Invalid,
			options: folderOptions{parity: line(2, func(string) string { return `{"prediction":1}` })}},
		{name: "no prediction", want: "parity.jsonl:3: prediction: expected a number", kind: fault.Invalid,
			options: folderOptions{parity: line(2, func(string) string { return `{"instance":{}}` })}},
		{name: "a null prediction", want: "parity.jsonl:3: prediction: expected a number", kind: fault.Invalid,
			options: folderOptions{parity: line(2, func(string) string { return `{"instance":{},"prediction":[null]}` })}},
		{name: "predictions of another model", want: "parity.jsonl:3: prediction has 2 numbers, the artifact gives 1", kind: fault.Invalid,
			options: folderOptions{parity: line(2, func(string) string { return `{"instance":{},"prediction":[1,2]}` })}},
		{name: "features of another model", want: "parity.jsonl:3: 1 features, the model has 4", kind: fault.Invalid,
			options: folderOptions{parity: line(2, func(string) string { return `{"instance":{},"features":[1],"prediction":1}` })}},
		{name: "an instance with an unknown input", want: `parity.jsonl:1: instance.tripl is no input; did you mean "triple"?`, kind: fault.Invalid,
			options: folderOptions{parity: line(0, replace(t, `"triple"`, `"tripl"`))}},
		{name: "an instance that breaks the contract", want: `parity.jsonl:1: instance.shop: got "x"`, kind: fault.Invalid,
			options: folderOptions{parity: line(0, func(s string) string { return regexp.MustCompile(`"shop":-?\d+`).ReplaceAllString(s, `"shop":"x"`) })}},
		{name: "an instance without a value", want: `parity.jsonl:1: instance.triple: missing, expected a number`, kind: fault.Invalid,
			options: folderOptions{parity: line(0, func(s string) string { return regexp.MustCompile(`,"triple":[^}]+`).ReplaceAllString(s, "") })}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := folder(t, c.options)
			if c.files != nil {
				c.files(f)
			}
			_, err := Open(f)
			if err == nil || !strings.Contains(err.Error(), c.want) || fault.KindOf(err) != c.kind {
				t.Errorf("kind %v, error %v, want %v and %q", fault.KindOf(err), err, c.kind, c.want)
			}
		})
	}
}

// When the artifact does not know its categories, a wrong order shows in the recorded features.
func TestParityNamesTheFeature(t *testing.T) {
	t.Parallel()
	_, err := Open(folder(t, folderOptions{artifact: withoutCategories, manifest: replace(t, "[red, grün,", "[grün, red,")}))
	want := regexp.MustCompile(`model sorter: parity\.jsonl:\d+: feature "colour" is [01] from the instance, [01] in training; the prediction is 0\.\d+, in training 0\.\d+ \(\d+ of 40 rows differ\)$`)
	if err == nil || !want.MatchString(err.Error()) || fault.KindOf(err) != fault.Invalid {
		t.Errorf("error %v, want %v", err, want)
	}
}

var nan = math.NaN()

var predictionOf = regexp.MustCompile(`"prediction":([0-9.e-]+)`)

func TestParityPredictions(t *testing.T) {
	t.Parallel()
	features := regexp.MustCompile(`"features":\[.*?\],`)
	bendFeatures := func(keep bool, prediction string) func([]string) []string {
		return func(lines []string) []string {
			if !keep {
				lines[4] = features.ReplaceAllString(lines[4], "")
			}
			lines[4] = predictionOf.ReplaceAllString(lines[4], `"prediction":`+prediction)
			return lines
		}
	}
	for _, c := range []struct {
		name, want, tolerance string
		keep                  bool
	}{
		{"with features", `parity.jsonl:5: from the recorded features the prediction is 0.`, "", true},
		{"with features and a tolerance", `parity.jsonl:5: from the recorded features the prediction is 0.`, "parity: {tolerance: 0.001}\n", true},
		{"without features", `parity.jsonl:5: from the instance the prediction is 0.`, "", false},
		{"without features and with a tolerance", "", "parity: {tolerance: 0.001}\n", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			exact := predictionOf.FindStringSubmatch(parityLines(t, "logistic")[4])[1]
			near := exact[:6] // a few digits of it
			_, err := Open(folder(t, folderOptions{
				manifest: func(s string) string { return s + c.tolerance },
				parity:   bendFeatures(c.keep, near),
			}))
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "in training "+near)) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// An expression may miss the trainer's number by a rounding error, an input may not.
func TestParityOfExpressions(t *testing.T) {
	t.Parallel()
	m := open(t, folder(t, folderOptions{}))
	prediction := make([]float64, 1)
	m.engine.newWorker().predict([]float64{16777218, 16777218, 0, 0}, 1, prediction)
	for _, c := range []struct{ name, triple, age, want string }{
		{"a rounding error away", "50331650.999997", "16777218", ""},
		{"further away", "50331650.9", "16777218", `feature "size" is 16777216.96`},
		{"an input a rounding error away", "50331654", "16777216.999999", `feature "age" is 16777216.999999 from the instance, 16777218 in training`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			line := fmt.Sprintf(`{"instance":{"triple":%s,"age":%s,"colour":"red","shop":10},"features":[16777218,16777218,0,0],"prediction":%v}`, c.triple, c.age, prediction[0])
			_, err := Open(folder(t, folderOptions{parity: func([]string) []string { return []string{line} }}))
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func TestEqualFeature(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name                 string
		got, want, tolerance float64
		equal, double        bool
	}{
		{"the float32 of a float64", 0.1, float64(float32(0.1)), 0, true, false},
		{"another float32", 0.1, 0.10000001, 0, false, false},
		{"a rounding error of an expression", 0.5, 0.5 + 1e-12, expressionTolerance, true, false},
		{"the neighbour that a rounding error makes", 16777217 - 1e-6, 16777218, expressionTolerance, true, false},
		{"the same of an input", 16777217 - 1e-6, 16777218, 0, false, false},
		{"a wrong expression", 0.5, 0.5000001, expressionTolerance, false, false},
		{"a negative one", -0.1, float64(float32(-0.1)), expressionTolerance, true, false},
		{"both missing", nan, nan, 0, true, false},
		{"one missing", nan, 0, expressionTolerance, false, false},
		{"the float32 of a float64, in float64", 0.1, float64(float32(0.1)), 0, false, true},
		{"the same float64", 0.1, 0.1, 0, true, true},
		{"a rounding error of an expression in float64", 0.5, 0.5 + 1e-12, expressionTolerance, true, true},
		{"a negative one in float64", -0.5, -0.5 - 1e-12, expressionTolerance, true, true},
		{"one missing in float64", nan, 0, expressionTolerance, false, true},
		{"the other missing", 0, nan, expressionTolerance, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := equalFeature(c.got, c.want, c.tolerance, c.double); got != c.equal {
				t.Errorf("equalFeature(%v, %v, %v) = %v", c.got, c.want, c.tolerance, got)
			}
		})
	}
}

func TestReadEngineComparesFormats(t *testing.T) {
	t.Parallel()
	_, err := readEngine(golden(t, "logistic.ubj"), "lightgbm", nil)
	if err == nil || !strings.Contains(err.Error(), "the artifact is of the format xgboost, model.yaml says lightgbm") {
		t.Errorf("error %v", err)
	}
	_, err = readEngine([]byte("tree"), "pickle", nil)
	if err == nil || !strings.Contains(err.Error(), "artifact.format pickle is not read; known are [xgboost lightgbm") {
		t.Errorf("error %v", err)
	}
}
