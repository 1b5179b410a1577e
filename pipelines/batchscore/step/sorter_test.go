package step_test

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// sorter is a small model with labels, an expression, nulls and categories of all kinds, released under the same name as
// the large one; it opens fast. Its artifact and its recorded rows are XGBoost's own (test/golden/make_xgboost.py).
type sorter struct {
	x, predictions []float64 // four features a row
}

const sorterManifest = `name: bike-demand
version: "1-beta"
serve: [batch]
artifact: {path: artifact/model.json, format: xgboost, sha256: SHA256}
inputs:
  - {name: shop, type: categorical, values: [10, -20, 3, 4, 500, 7]}
  - {name: triple, type: number}
  - {name: age, type: number, nullable: true}
  - {name: colour, type: categorical, values: [red, grün, "", 日本, blue], nullable: true, null_strings: [NA]}
features: [{name: size, expr: triple / 3}, age, colour, shop]
outputs: [{name: probability}, {name: verdict, labels: ["no, thanks", accept], threshold: 0.7}]
id_columns: [note, id]
batch:
  uploads: {prefix: bike-demand/}
`

func newSorter(t testing.TB) *sorter {
	t.Helper()
	floats := func(name string) []float64 {
		data := sorterFile(t, name)
		out := make([]float64, len(data)/4)
		for i := range out {
			out[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:])))
		}
		return out
	}
	return &sorter{x: floats("logistic.full.x.f32"), predictions: floats("logistic.full.pred.f32")}
}

func sorterFile(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "forest", "xgboost", "testdata", "xgb-3.4.1", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// folder is the model folder, with lines below "batch:" of its manifest.
func (s *sorter) folder(t testing.TB, lines ...string) fstest.MapFS {
	t.Helper()
	artifact := sorterFile(t, "logistic.json")
	sum := sha256.Sum256(artifact)
	yaml := strings.Replace(sorterManifest, "SHA256", hex.EncodeToString(sum[:]), 1)
	for _, line := range lines {
		yaml += "  " + line + "\n"
	}
	var parity strings.Builder
	for i := range 3 {
		instance := map[string]any{"triple": s.x[4*i] * 3, "shop": json.Number(s.shop(i)), "age": s.x[4*i+1]}
		if math.IsNaN(s.x[4*i+1]) {
			instance["age"] = nil
		}
		if c := s.colour(i); c != "NA" {
			instance["colour"] = c
		}
		line, err := json.Marshal(map[string]any{"instance": instance, "prediction": s.predictions[i]})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&parity, "%s\n", line)
	}
	return fstest.MapFS{
		"model.yaml":          {Data: []byte(yaml), Mode: 0o644},
		"artifact/model.json": {Data: artifact, Mode: 0o644},
		"parity.jsonl":        {Data: []byte(parity.String()), Mode: 0o644},
	}
}

func (s *sorter) shop(i int) string {
	return []string{"10", "-20", "3", "4", "500", "7"}[int(s.x[4*i+3])]
}

func (s *sorter) colour(i int) string {
	if c := s.x[4*i+2]; !math.IsNaN(c) {
		return []string{"red", "grün", "", "日本", "blue"}[int(c)]
	}
	return "NA"
}

// file is n rows, the recorded ones over and over. Some have a note of two lines.
func (s *sorter) file(n int) string {
	var b strings.Builder
	b.WriteString("id,colour,age,triple,shop,note\n")
	for i := range n {
		row := i % len(s.predictions)
		age := ""
		if v := s.x[4*row+1]; !math.IsNaN(v) {
			age = strconv.FormatFloat(v, 'g', -1, 64)
		}
		fmt.Fprintf(&b, "%d,%s,%s,%s,%s,%s\n", i, s.colour(row), age, strconv.FormatFloat(s.x[4*row]*3, 'g', -1, 64), s.shop(row), sorterNotes[i%len(sorterNotes)])
	}
	return b.String()
}

var sorterNotes = []string{`"two ""short""` + "\n" + `lines"`, "plain", "", `"a, b"`}

// withFaults is the file with three rows that are rejected.
func (s *sorter) withFaults(n int) string {
	lines := strings.SplitAfter(s.file(n), "\n")
	return strings.Join(lines[:1], "") + "x\n" + "1,purple,,1,10,\n" + strings.Join(lines[1:], "") + "9,red,,1e999,3,\n"
}

// TestTextAndLabels: files of a model with labels give XGBoost's own predictions, bit for bit, and carry text unharmed.
func TestTextAndLabels(t *testing.T) {
	t.Parallel()
	s := newSorter(t)
	w := newWorld(t, s.folder(t))
	w.put(t, inbox, "f.csv", s.file(2*len(s.predictions)))
	w.whole(t, object("f.csv", 0))
	want := [][]string{{"note", "id", "row", "probability", "verdict", "model_version"}}
	notes := []string{"two \"short\"\nlines", "plain", "", "a, b"}
	for i := range 2 * len(s.predictions) {
		p := s.predictions[i%len(s.predictions)]
		verdict := "no, thanks"
		if p >= 0.7 {
			verdict = "accept"
		}
		want = append(want, []string{notes[i%4], strconv.Itoa(i), strconv.Itoa(i + 1), strconv.FormatFloat(p, 'g', -1, 64), verdict, "1-beta"})
	}
	if diff := cmp.Diff(want, w.published(t).predictions); diff != "" {
		t.Errorf("predictions (-want +got):\n%s", diff)
	}
}
