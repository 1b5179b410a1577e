package catboost

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/millrace-ml/millrace/shared/forest"
)

// goldenCase is an entry of a golden folder's index.json: what one model gave for its rows. Made by
// test/golden/make_catboost.py.
type goldenCase struct {
	Model, Objective, CatBoost string
	Rows, Cols, Outputs        int
	Categories                 [][]string
}

const testFolder = "testdata/cb-1.2.10"

// maxULP is how far transformed outputs may be from CatBoost's, whose exponentials depend on its platform.
const maxULP = 4

// TestGoldens holds reader and kernels to the raw values of CatBoost bit for bit, and to its outputs within maxULP, for
// both formats of every model.
func TestGoldens(t *testing.T) {
	t.Parallel()
	folders, err := filepath.Glob("testdata/cb-*")
	if err != nil || len(folders) == 0 {
		t.Fatalf("no folder testdata/cb-*: %v", err)
	}
	for _, folder := range folders {
		for _, c := range index(t, folder) {
			t.Run(filepath.Base(folder)+"/"+c.Model, func(t *testing.T) {
				t.Parallel()
				golden(t, folder, c)
			})
		}
	}
}

func index(t testing.TB, folder string) []goldenCase {
	t.Helper()
	var cases []goldenCase
	if err := json.Unmarshal(file(t, folder, "index.json"), &cases); err != nil || len(cases) == 0 {
		t.Fatalf("%d cases: %v", len(cases), err)
	}
	return cases
}

func golden(t *testing.T, folder string, c goldenCase) {
	m, err := Read(file(t, folder, c.Model+".json"), c.Categories)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Read(file(t, folder, c.Model+".cbm"), c.Categories)
	if err != nil {
		t.Fatal(err)
	}
	i := m.Info()
	if i.Version == "CBM1" && c.Model == "summed" { // a sum is of several releases
		i.Version = c.CatBoost
	}
	// The formats have the nodes of trees in another order, which shows in the order of leaves of several values.
	if !reflect.DeepEqual(m, b) && c.Model != "lossguide_multi" || !reflect.DeepEqual(m.Info(), b.Info()) {
		t.Errorf("JSON and .cbm give different models: %+v and %+v", m.Info(), b.Info())
	}
	if i.Format != "catboost" || i.Version != c.CatBoost || i.Objective != c.Objective || i.Features != c.Cols || i.Outputs != c.Outputs {
		t.Errorf("info %+v, index %+v", i, c)
	}
	x := floats(t, folder, c.Model+".x.f64")
	if len(x) != c.Rows*c.Cols || c.Rows == 0 {
		t.Fatalf("%d numbers for %d × %d", len(x), c.Rows, c.Cols)
	}
	most := float64(maxULP)
	if c.Objective == "MultiClass" {
		most = 0 // by CatBoost's own exponential
	}
	for _, m := range []*forest.Model{m, b} {
		compare(t, "raw", 0, c, m.Margin, x, floats(t, folder, c.Model+".raw.f64"), m.NewScratch())
		compare(t, "pred", most, c, m.Predict, x, floats(t, folder, c.Model+".pred.f64"), m.NewScratch())
	}
}

func compare(t *testing.T, what string, most float64, c goldenCase, score func([]float64, int, []float64, *forest.Scratch), x, want []float64, s *forest.Scratch) {
	t.Helper()
	if len(want) != c.Rows*c.Outputs {
		t.Fatalf("%s: %d numbers for %d × %d", what, len(want), c.Rows, c.Outputs)
	}
	for _, at := range []int{c.Rows, 1} { // as one block, and row by row
		got := make([]float64, len(want))
		for r := 0; r < c.Rows; r += at {
			score(x[r*c.Cols:], at, got[r*c.Outputs:], s)
		}
		wrong, worst := 0, 0.0
		for i := range got {
			ulp := math.Abs(got[i]-want[i]) / (math.Nextafter(math.Abs(want[i]), math.Inf(1)) - math.Abs(want[i]))
			worst = max(worst, ulp)
			if math.Float64bits(got[i]) == math.Float64bits(want[i]) || ulp <= most && most > 0 {
				continue
			}
			if wrong++; wrong == 1 {
				row := i / c.Outputs
				t.Errorf("%s of row %d output %d is %v, CatBoost says %v; row %v", what, row, i%c.Outputs, got[i], want[i], x[row*c.Cols:(row+1)*c.Cols])
			}
		}
		if wrong > 0 {
			t.Errorf("%s, %d rows at once: %d of %d differ, by up to %v units in the last place", what, at, wrong, len(got), worst)
		} else if worst > 0 {
			t.Logf("%s: up to %.1f units in the last place", what, worst)
		}
	}
}

func file(t testing.TB, folder, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// floats reads little-endian float64.
func floats(t testing.TB, folder, name string) []float64 {
	t.Helper()
	data := file(t, folder, name)
	out := make([]float64, len(data)/8)
	for i := range out {
		out[i] = math.Float64frombits(binary.LittleEndian.Uint64(data[8*i:]))
	}
	return out
}
