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
)

// boosted are models with outputs of LightGBM itself, made by test/golden/make_lightgbm.py.
const boosted = "../forest/lightgbm/testdata/lgb-4.7.0"

// boostedFolder makes a model folder of a golden; bend changes a recorded row.
func boostedFolder(t *testing.T, bend func(row int, line map[string]any)) fstest.MapFS {
	t.Helper()
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(boosted, name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	artifact := read("binary.txt")
	sum := sha256.Sum256(artifact)
	x, want := doubles(read("binary.x.f64")), doubles(read("binary.pred.f64"))
	colours := []string{"red", "green", "", "日本", "blue", "grey", "teal", "pink"}
	shops := []int{10, -20, 3, 4, 500, 7}
	var lines []byte
	for r := range 24 { // those behind hold what no request can say
		in := x[r*6 : r*6+6]
		line := map[string]any{"prediction": want[r], "features": orNull(in),
			"instance": map[string]any{"size": in[0], "rare": in[2], "count": in[3], "shop": shops[int(in[5])]}}
		if in[1] == in[1] {
			line["instance"].(map[string]any)["age"] = in[1]
		}
		if in[4] == in[4] {
			line["instance"].(map[string]any)["colour"] = colours[int(in[4])]
		}
		bend(r, line)
		text, err := json.Marshal(line)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(append(lines, text...), '\n')
	}
	return fstest.MapFS{
		"model.yaml": {Data: []byte(`name: sorter
version: "1"
serve: [realtime]
artifact: {path: artifact/model.txt, format: lightgbm, sha256: ` + hex.EncodeToString(sum[:]) + `}
inputs:
  - {name: size, type: number}
  - {name: age, type: number, nullable: true}
  - {name: rare, type: number}
  - {name: count, type: integer}
  - {name: colour, type: categorical, values: [red, green, "", 日本, blue, grey, teal, pink], nullable: true, null_strings: [NA]}
  - {name: shop, type: categorical, values: [10, -20, 3, 4, 500, 7]}
features: [size, age, rare, count, colour, shop]
outputs: [{name: probability}]
realtime: {}
`)},
		"artifact/model.txt": {Data: artifact},
		"parity.jsonl":       {Data: lines},
	}
}

func doubles(data []byte) []float64 {
	out := make([]float64, len(data)/8)
	for i := range out {
		out[i] = math.Float64frombits(binary.LittleEndian.Uint64(data[8*i:]))
	}
	return out
}

func orNull(list []float64) []any {
	out := make([]any, len(list))
	for i, v := range list {
		if v == v {
			out[i] = v
		}
	}
	return out
}

func TestLightGBMFolderOpens(t *testing.T) {
	t.Parallel()
	m := open(t, boostedFolder(t, func(int, map[string]any) {}))
	if i := m.Info(); i.Format != "lightgbm" || !i.Float64 {
		t.Errorf("info %+v", i)
	}
}

// Recorded numbers count in float64: what float32 could not tell apart is a difference, 4 units in the last place are none.
func TestLightGBMParityIsOfFloat64(t *testing.T) {
	t.Parallel()
	up := func(v float64, ulps int) float64 {
		for range ulps {
			v = math.Nextafter(v, math.Inf(1))
		}
		return v
	}
	for _, c := range []struct {
		name, want string
		bend       func(line map[string]any)
	}{
		{"4 ulp of the prediction", "", func(l map[string]any) { l["prediction"] = up(l["prediction"].(float64), 4) }},
		{"5 ulp of the prediction", "parity.jsonl:3: from the recorded features the prediction is", func(l map[string]any) { l["prediction"] = up(l["prediction"].(float64), 5) }},
		{"1 ulp of a feature", `parity.jsonl:3: feature "size" is`, func(l map[string]any) {
			f := l["features"].([]any)
			f[0] = up(f[0].(float64), 1)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := Open(boostedFolder(t, func(row int, line map[string]any) {
				if row == 2 {
					c.bend(line)
				}
			}))
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// The category order of pandas stands in the file, so another one in the manifest shows before any row is scored.
func TestLightGBMCategoryOrder(t *testing.T) {
	t.Parallel()
	fsys := boostedFolder(t, func(int, map[string]any) {})
	yaml := strings.Replace(string(fsys["model.yaml"].Data), "[red, green,", "[green, red,", 1)
	fsys["model.yaml"] = &fstest.MapFile{Data: []byte(yaml)}
	if _, err := Open(fsys); err == nil || !strings.Contains(err.Error(), `input "colour": values[0] is "green", in training it was "red"`) {
		t.Errorf("error %v", err)
	}
}
