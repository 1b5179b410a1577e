package score

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/millrace-ml/millrace/shared/fault"
)

// graphs are models with outputs of ONNX Runtime, made by test/golden/onnx/make_onnx.py.
const graphs = "../onnx/testdata/ort-1.32.0"

var graphColours, graphShapes = []string{"red", "grün", "", "日本", "blue", "never seen"}, []string{"round", "square", "flat"}

const graphManifest = `name: sorter
version: "1"
serve: [realtime]
artifact: {path: artifact/model.onnx, format: onnx, sha256: SHA256}
inputs:
  - {name: shop, type: integer}
  - {name: size, type: number}
  - {name: age, type: number, nullable: true}
  - {name: colour, type: categorical, values: [red, grün, "", 日本, blue, never seen]}
  - {name: shape, type: categorical, values: [round, square, flat]}
features: [size, age, colour, shape, shop]
outputs: [OUTPUTS]
realtime: {}
`

const three = "{name: low}, {name: mid}, {name: high}, {name: class, labels: [high, low, mid]}"

// graphFolder makes a model folder of a golden pipeline.
func graphFolder(t *testing.T, model, outputs string, bend func(string) string) fstest.MapFS {
	t.Helper()
	artifact := graphFile(t, model+".onnx")
	sum := sha256.Sum256(artifact)
	yaml := strings.NewReplacer("SHA256", hex.EncodeToString(sum[:]), "OUTPUTS", outputs).Replace(graphManifest)
	if bend != nil {
		yaml = bend(yaml)
	}
	x, y := graphNumbers(t, model+".x.f64"), graphNumbers(t, model+".y.f64")
	width := len(y) / (len(x) / 5)
	var lines []string
	for i := range len(x) / 5 {
		row := x[i*5 : i*5+5]
		instance := map[string]any{"size": row[0], "age": row[1], "colour": graphColours[int(row[2])], "shape": graphShapes[int(row[3])], "shop": row[4]}
		features := []any{row[0], row[1], row[2], row[3], row[4]}
		if math.IsNaN(row[1]) {
			instance["age"], features[1] = nil, nil
		}
		var prediction any = y[i*width : (i+1)*width]
		if width == 1 {
			prediction = y[i]
		}
		line, err := json.Marshal(map[string]any{"instance": instance, "features": features, "prediction": prediction})
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(line))
	}
	return fstest.MapFS{"model.yaml": {Data: []byte(yaml)}, "artifact/model.onnx": {Data: artifact}, "parity.jsonl": {Data: []byte(strings.Join(lines, "\n") + "\n")}}
}

func graphFile(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(graphs, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func graphNumbers(t *testing.T, name string) []float64 {
	t.Helper()
	data := graphFile(t, name)
	out := make([]float64, len(data)/8)
	for i := range out {
		out[i] = math.Float64frombits(binary.LittleEndian.Uint64(data[8*i:]))
	}
	return out
}

// A pipeline over named inputs, texts among them, passes its parity rows; the runtime's own spread is allowed for where it
// has one.
func TestGraphs(t *testing.T) {
	t.Parallel()
	for model, outputs := range map[string]string{
		"pipeline_forest": three, "pipeline_lightgbm": three, "pipeline_logistic": "{name: no}, {name: yes}", "pipeline_ridge": "{name: y}", "pipeline_hist": "{name: y}",
	} {
		t.Run(model, func(t *testing.T) {
			t.Parallel()
			m, err := Open(graphFolder(t, model, outputs, nil))
			if err != nil {
				t.Fatal(err)
			}
			if info := m.Info(); info.Format != "onnx" || m.Forest() != nil {
				t.Errorf("info %+v", info)
			}
		})
	}
}

func TestGraphRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, want string
		bend       func(string) string
	}{
		{"a feature too few", "features: 4 are listed, the graph's inputs have 5 columns; its inputs are size, age, colour, shape, shop", replace(t, "shape, shop]", "shape]")},
		{"a feature of another name", `features: there is none for the graph's input "size"`, func(s string) string {
			return strings.ReplaceAll(s, "size", "weight")
		}},
		{"numbers for strings", `feature "colour" is number, the graph's input "colour" takes strings: make it an input of type categorical`,
			replace(t, "type: categorical, values: [red, grün, \"\", 日本, blue, never seen]", "type: number")},
		{"a whole number that may be missing", `feature "shop" may be missing, the graph's input "shop" takes whole numbers only`, replace(t, "{name: shop, type: integer}", "{name: shop, type: integer, nullable: true}")},
		{"a number for a whole number", `feature "shop" is of type number, the graph's input "shop" takes whole numbers`, replace(t, "{name: shop, type: integer}", "{name: shop, type: number}")},
		{"categories in another order", `feature "colour" is 1 from the instance, 0 in training`, replace(t, "[red, grün,", "[grün, red,")},
		{"an output too many", "names 4 numbers, the artifact (TreeEnsembleClassifier) gives 3", replace(t, "{name: low}", "{name: low}, {name: more}")},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := Open(graphFolder(t, "pipeline_forest", three, c.bend))
			if err == nil || !strings.Contains(err.Error(), c.want) || fault.KindOf(err) != fault.Invalid {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// Named inputs find their features wherever these stand.
func TestGraphBindsByName(t *testing.T) {
	t.Parallel()
	f := graphFolder(t, "pipeline_forest", three, replace(t, "[size, age, colour, shape, shop]", "[shop, colour, age, shape, size]"))
	var lines []string
	for line := range strings.Lines(string(f["parity.jsonl"].Data)) {
		var row map[string]any
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		delete(row, "features")
		data, err := json.Marshal(row)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(data))
	}
	f["parity.jsonl"].Data = []byte(strings.Join(lines, "\n"))
	if _, err := Open(f); err != nil {
		t.Error(err)
	}
}

// A row that the graph refuses is an error of the call; a row with problems is not looked at.
func TestGraphRefusesARow(t *testing.T) {
	t.Parallel()
	artifact := graphFile(t, "binarizer.onnx")
	sum := sha256.Sum256(artifact)
	yaml := `name: sorter
version: "1"
serve: [realtime]
artifact: {path: artifact/model.onnx, format: onnx, sha256: ` + hex.EncodeToString(sum[:]) + `}
inputs: [{name: a, type: number}, {name: b, type: number}, {name: c, type: number}, {name: d, type: number, nullable: true}]
features: [a, b, c, d]
outputs: [{name: y}]
realtime: {}
`
	x, y := graphNumbers(t, "binarizer.x.f64"), graphNumbers(t, "binarizer.y.f64")
	row := 1 // of plain numbers
	line, err := json.Marshal(map[string]any{"instance": map[string]any{"a": x[4*row], "b": x[4*row+1], "c": x[4*row+2], "d": x[4*row+3]}, "prediction": y[row]})
	if err != nil {
		t.Fatal(err)
	}
	m, err := Open(fstest.MapFS{"model.yaml": {Data: []byte(yaml)}, "artifact/model.onnx": {Data: artifact}, "parity.jsonl": {Data: line}})
	if err != nil {
		t.Fatal(err)
	}
	s := m.NewScorer()
	score := func(d any, bad bool) error {
		s.rows.Reset()
		s.rows.Grow(2)
		for i, name := range []string{"a", "b", "c", "d"} {
			s.rows.Set(0, i, json.Number("1"))
			if name == "d" {
				s.rows.Set(1, i, d)
			} else if !bad {
				s.rows.Set(1, i, json.Number("1"))
			}
		}
		s.rows.Finish()
		_, err := s.Score()
		return err
	}
	if err := score(nil, false); err == nil || !strings.Contains(err.Error(), "row 1: ") || !strings.Contains(err.Error(), "a missing value") || fault.KindOf(err) != fault.Invalid {
		t.Errorf("error %v", err)
	}
	if err := score(nil, true); err != nil {
		t.Errorf("a row with problems: %v", err)
	}
	if err := score(json.Number("2"), false); err != nil {
		t.Error(err)
	}
}
