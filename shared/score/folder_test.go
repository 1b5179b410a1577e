package score

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

// goldens are models with outputs of XGBoost itself, made by test/golden/make_xgboost.py.
const goldens = "../forest/xgboost/testdata/xgb-3.4.1"

var (
	colours = []string{"red", "grün", "", "日本", "blue"}
	shops   = []int{10, -20, 3, 4, 500, 7}
)

// folderOptions bend a folder before it is opened.
type folderOptions struct {
	model    string // logistic, unless said otherwise
	artifact func([]byte) []byte
	manifest func(string) string
	parity   func([]string) []string
}

// folder makes a model folder of a golden: its inputs are what a client would send for the recorded matrix.
func folder(t testing.TB, o folderOptions) fstest.MapFS {
	t.Helper()
	if o.model == "" {
		o.model = "logistic"
	}
	artifact := golden(t, o.model+".json")
	if o.artifact != nil {
		artifact = o.artifact(artifact)
	}
	sum := sha256.Sum256(artifact)
	yaml := strings.ReplaceAll(manifestOf[o.model], "SHA256", hex.EncodeToString(sum[:]))
	if o.manifest != nil {
		yaml = o.manifest(yaml)
	}
	lines := parityLines(t, o.model)
	if o.parity != nil {
		lines = o.parity(lines)
	}
	return fstest.MapFS{
		"model.yaml":          {Data: []byte(yaml)},
		"artifact/model.json": {Data: artifact},
		"parity.jsonl":        {Data: []byte(strings.Join(lines, "\n") + "\n")},
	}
}

const inputs = `
inputs:
  - {name: shop, type: categorical, values: [10, -20, 3, 4, 500, 7]}
  - {name: triple, type: number}
  - {name: age, type: number, nullable: true}
  - {name: colour, type: categorical, values: [red, grün, "", 日本, blue], nullable: true, null_strings: [NA]}
features: [{name: size, expr: triple / 3}, age, colour, shop]
`

var manifestOf = map[string]string{
	"logistic": `name: sorter
version: "1"
serve: [realtime]
artifact: {path: artifact/model.json, format: xgboost, sha256: SHA256}` + inputs + `
outputs: [{name: probability}, {name: verdict, labels: [reject, accept], threshold: 0.7}]
realtime: {}
`,
	"softprob": `name: sorter
version: "1"
serve: [realtime]
artifact: {path: artifact/model.json, format: xgboost, sha256: SHA256}` + inputs + `
outputs: [{name: low}, {name: mid}, {name: high, max: 0.5}, {name: class, labels: [low, mid, high]}]
realtime: {}
`,
}

// instance is what a client sends for a row of the matrix.
func instance(x []float64) map[string]any {
	out := map[string]any{"triple": x[0] * 3, "shop": shops[int(x[3])], "age": x[1]}
	if math.IsNaN(x[1]) {
		out["age"] = nil
	}
	if !math.IsNaN(x[2]) {
		out["colour"] = colours[int(x[2])] // missing: left out
	}
	return out
}

func parityLines(t testing.TB, model string) []string {
	x, want := matrixOf(t, model)
	width := len(want) / (len(x) / 4)
	var lines []string
	for i := range len(x) / 4 {
		var features []any
		for _, v := range x[i*4 : i*4+4] {
			if math.IsNaN(v) {
				features = append(features, nil)
			} else {
				features = append(features, v)
			}
		}
		var prediction any = want[i*width : (i+1)*width]
		if width == 1 {
			prediction = want[i]
		}
		line, err := json.Marshal(map[string]any{"instance": instance(x[i*4 : i*4+4]), "features": features, "prediction": prediction})
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(line))
	}
	return lines
}

// matrixOf is the recorded matrix and the recorded predictions of a golden.
func matrixOf(t testing.TB, model string) (x, predictions []float64) {
	return goldenFloats(t, model+".full.x.f32"), goldenFloats(t, model+".full.pred.f32")
}

func golden(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(goldens, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func goldenFloats(t testing.TB, name string) []float64 {
	t.Helper()
	data := golden(t, name)
	out := make([]float64, len(data)/4)
	for i := range out {
		out[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:])))
	}
	return out
}

// replace is a bend that must find its text.
func replace(t testing.TB, old, new string) func(string) string {
	return func(s string) string {
		if !strings.Contains(s, old) {
			t.Errorf("nothing to bend: no %q in\n%s", old, s)
		}
		return strings.Replace(s, old, new, 1)
	}
}

// fill sets rows from instances, as a request would.
func fill(t testing.TB, s *Scorer, instances []map[string]any) {
	t.Helper()
	rows := make([]parityRow, len(instances))
	for i, in := range instances {
		data, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		p, err := s.m.parseRow(fmt.Appendf(nil, `{"instance":%s,"prediction":%s}`, data, zeros(s.m.Info().Outputs)))
		if err != nil {
			t.Fatal(err)
		}
		rows[i] = p
	}
	if err := fillRows(s.m.contract, s.rows, rows); err != nil {
		t.Fatal(err)
	}
}

func zeros(n int) string { return "[0" + strings.Repeat(",0", n-1) + "]" }
