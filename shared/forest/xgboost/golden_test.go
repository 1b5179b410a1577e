package xgboost

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/millrace-ml/millrace/shared/forest"
)

// goldenCase is an entry of a golden folder's index.json: what one model gave for one set of rows.
type goldenCase struct {
	Model, Set, Objective, XGBoost string
	Rows, Cols                     int
}

// TestGoldens holds the reader and the kernel to the bits that XGBoost itself gave, for every case of every folder below
// testdata and, where it is at hand, of the larger collection.
func TestGoldens(t *testing.T) {
	t.Parallel()
	folders, err := filepath.Glob("testdata/xgb-*")
	if err != nil || len(folders) == 0 {
		t.Fatalf("no folder testdata/xgb-*: %v", err)
	}
	if shared := sharedFolder(); shared != "" {
		more, err := filepath.Glob(filepath.Join(shared, "golden/xgboost/xgb-*"))
		if err != nil || len(more) == 0 {
			t.Fatalf("no golden folder in %s: %v", shared, err)
		}
		folders = append(folders, more...)
	} else {
		t.Log("the larger collection of goldens is not at hand (MILLRACE_SHARED): only testdata is checked")
	}
	for _, folder := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			t.Parallel()
			goldenFolder(t, folder)
		})
	}
}

// sharedFolder is what MILLRACE_SHARED names, else the folder shared beside the repository, else "".
func sharedFolder() string {
	if s := os.Getenv("MILLRACE_SHARED"); s != "" {
		return s
	}
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			if s := filepath.Join(filepath.Dir(dir), "shared"); isFolder(filepath.Join(s, "golden")) {
				return s
			}
		}
	}
	return ""
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func goldenFolder(t *testing.T, folder string) {
	var cases []goldenCase
	if err := json.Unmarshal(file(t, folder, "index.json"), &cases); err != nil {
		t.Fatal(err)
	}
	models := map[string]*forest.Model{}
	for _, c := range cases {
		m := models[c.Model]
		if m == nil {
			m = readBoth(t, folder, c)
			models[c.Model] = m
		}
		goldenCompare(t, folder, m, c)
	}
	if len(models) == 0 {
		t.Error("no model was compared")
	}
}

// readBoth reads a model in both syntaxes, which must make no difference. XGBoost before 1.6 wrote no UBJSON.
func readBoth(t *testing.T, folder string, c goldenCase) *forest.Model {
	t.Helper()
	m, err := Read(file(t, folder, c.Model+".json"))
	if err != nil {
		t.Fatalf("%s.json: %v", c.Model, err)
	}
	if _, err := os.Stat(filepath.Join(folder, c.Model+".ubj")); errors.Is(err, fs.ErrNotExist) && c.XGBoost < "1.6" {
		return m
	}
	u, err := Read(file(t, folder, c.Model+".ubj"))
	if err != nil {
		t.Fatalf("%s.ubj: %v", c.Model, err)
	}
	if !reflect.DeepEqual(m, u) {
		t.Errorf("%s: JSON and UBJSON give different models", c.Model)
	}
	if i := m.Info(); i.Version != c.XGBoost || i.Objective != c.Objective || i.Features != c.Cols {
		t.Errorf("%s: info %+v, index %+v", c.Model, i, c)
	}
	return m
}

func goldenCompare(t *testing.T, folder string, m *forest.Model, c goldenCase) {
	t.Helper()
	x := floats(t, folder, c.Model+"."+c.Set+".x.f32")
	info, s := m.Info(), m.NewScratch()
	if len(x) != c.Rows*c.Cols || c.Rows == 0 {
		t.Fatalf("%s %s: %d numbers for %d × %d", c.Model, c.Set, len(x), c.Rows, c.Cols)
	}
	for _, what := range []struct {
		name  string
		width int
		score func(x []float64, rows int, out []float64, s *forest.Scratch)
	}{{"margin", info.Margins, m.Margin}, {"pred", info.Outputs, m.Predict}} {
		want := floats(t, folder, c.Model+"."+c.Set+"."+what.name+".f32")
		if len(want) != c.Rows*what.width {
			t.Fatalf("%s %s: %d %ss for %d × %d", c.Model, c.Set, len(want), what.name, c.Rows, what.width)
		}
		got := make([]float64, len(want))
		what.score(x, c.Rows, got, s)
		wrong := 0
		for i := range got {
			if math.Float32bits(float32(got[i])) != math.Float32bits(float32(want[i])) {
				if wrong++; wrong == 1 {
					row := i / what.width
					t.Errorf("%s %s: %s of row %d output %d is %v, XGBoost says %v; row %v",
						c.Model, c.Set, what.name, row, i%what.width, got[i], want[i], x[row*c.Cols:(row+1)*c.Cols])
				}
			}
		}
		if wrong > 0 {
			t.Errorf("%s %s: %d of %d %ss differ", c.Model, c.Set, wrong, len(got), what.name)
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

// floats reads little-endian float32.
func floats(t testing.TB, folder, name string) []float64 {
	t.Helper()
	data := file(t, folder, name)
	out := make([]float64, len(data)/4)
	for i := range out {
		out[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:])))
	}
	return out
}
