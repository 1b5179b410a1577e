package lightgbm

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/millrace-ml/millrace/shared/forest"
)

// goldenCase is an entry of a golden folder's index.json.
type goldenCase struct {
	Model, Objective, LightGBM string
	Rows, Cols, Outputs        int
}

// goldens calls f with every case below testdata.
func goldens(t *testing.T, f func(t *testing.T, folder string, c goldenCase)) {
	t.Helper()
	folders, err := filepath.Glob("testdata/lgb-*")
	if err != nil || len(folders) < 2 {
		t.Fatalf("%d folders testdata/lgb-*: %v", len(folders), err)
	}
	for _, folder := range folders {
		var cases []goldenCase
		if err := json.Unmarshal(file(t, folder, "index.json"), &cases); err != nil || len(cases) < 8 {
			t.Fatalf("%s: %d cases: %v", folder, len(cases), err)
		}
		for _, c := range cases {
			t.Run(filepath.Base(folder)+"/"+c.Model, func(t *testing.T) {
				t.Parallel()
				f(t, folder, c)
			})
		}
	}
}

// TestGoldens holds the reader and the kernel to what LightGBM itself gave: raw scores bit for bit, outputs within 4 ulp.
func TestGoldens(t *testing.T) {
	t.Parallel()
	goldens(t, func(t *testing.T, folder string, c goldenCase) {
		m, err := Read(file(t, folder, c.Model+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		info := m.Info()
		version := map[byte]string{'3': "v3", '4': "v4"}[c.LightGBM[0]]
		if info.Format != "lightgbm" || info.Version != version || info.Objective != c.Objective || info.Features != c.Cols || info.Margins != c.Outputs || !info.Float64 {
			t.Errorf("info %+v, index %+v", info, c)
		}
		x := floats(t, folder, c.Model+".x.f64")
		if len(x) != c.Rows*c.Cols || c.Rows == 0 {
			t.Fatalf("%d numbers for %d × %d", len(x), c.Rows, c.Cols)
		}
		compare(t, "raw score", m.Margin, m, x, floats(t, folder, c.Model+".raw.f64"), 0)
		compare(t, "output", m.Predict, m, x, floats(t, folder, c.Model+".pred.f64"), 4)
	})
}

type scoring func(x []float64, rows int, out []float64, s *forest.Scratch)

func compare(t *testing.T, what string, score scoring, m *forest.Model, x, want []float64, ulps int64) {
	t.Helper()
	info := m.Info()
	rows := len(x) / info.Features
	if len(want) != rows*info.Outputs {
		t.Fatalf("%d %ss for %d rows of %d", len(want), what, rows, info.Outputs)
	}
	got := make([]float64, len(want))
	score(x, rows, got, m.NewScratch())
	wrong := 0
	for i := range got {
		if d := distance(got[i], want[i]); d > ulps {
			if wrong++; wrong == 1 {
				row := i / info.Outputs
				t.Errorf("%s of row %d is %v, LightGBM says %v, %d ulp away; row %v", what, row, got[i], want[i], d, x[row*info.Features:(row+1)*info.Features])
			}
		}
	}
	if wrong > 0 {
		t.Errorf("%d of %d %ss differ", wrong, len(got), what)
	}
}

// distance is how many float64 lie from a to b; NaN is as far as can be from all but NaN.
func distance(a, b float64) int64 {
	if a != a || b != b {
		if a != a && b != b {
			return 0
		}
		return math.MaxInt64
	}
	d := ordered(a) - ordered(b)
	return max(d, -d)
}

func ordered(v float64) int64 {
	i := int64(math.Float64bits(v))
	if i < 0 {
		i = math.MinInt64 - i
	}
	return i
}

// TestBatchEqualsSingleRowsEqualsGoroutines: the same bits whatever stands around a row.
func TestBatchEqualsSingleRowsEqualsGoroutines(t *testing.T) {
	t.Parallel()
	goldens(t, func(t *testing.T, folder string, c goldenCase) {
		m, err := Read(file(t, folder, c.Model+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		x := floats(t, folder, c.Model+".x.f64")
		width := m.Info().Outputs
		batch := make([]float64, c.Rows*width)
		m.Predict(x, c.Rows, batch, m.NewScratch())
		for _, workers := range []int{1, 2, 5} {
			got := make([]float64, len(batch))
			var wg sync.WaitGroup
			for w := range workers {
				wg.Go(func() {
					s := m.NewScratch()
					for r := w; r < c.Rows; r += workers {
						m.Predict(x[r*c.Cols:(r+1)*c.Cols], 1, got[r*width:(r+1)*width], s)
					}
				})
			}
			wg.Wait()
			for i := range got {
				if distance(got[i], batch[i]) != 0 {
					t.Fatalf("%d goroutines: value %d is %v alone, %v in a batch", workers, i, got[i], batch[i])
				}
			}
		}
	})
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
			return filepath.Join(filepath.Dir(dir), "shared")
		}
	}
	return ""
}

// legacy is the folder of models that an old LightGBM wrote.
func legacy(t *testing.T) string {
	t.Helper()
	folder := filepath.Join(sharedFolder(), "golden/lightgbm-legacy")
	if _, err := os.Stat(folder); err != nil {
		t.Skip("the folder golden/lightgbm-legacy is not at hand (MILLRACE_SHARED)")
	}
	return folder
}

func TestLegacyMulticlass(t *testing.T) {
	t.Parallel()
	folder := legacy(t)
	m, err := Read(file(t, folder, "lgmulticlass.model"))
	if err != nil {
		t.Fatal(err)
	}
	x := numbers(t, folder, "multiclass_test.tsv", 1)
	compare(t, "raw score", m.Margin, m, x, numbers(t, folder, "lgmulticlass_true_raw_predictions.txt", 0), 0)
	compare(t, "output", m.Predict, m, x, numbers(t, folder, "lgmulticlass_true_predictions.txt", 0), 4)
}

func TestLegacyDart(t *testing.T) {
	t.Parallel()
	folder := legacy(t)
	m, err := Read(file(t, folder, "lg_dart_breast_cancer.model"))
	if err != nil {
		t.Fatal(err)
	}
	compare(t, "output", m.Predict, m, numbers(t, folder, "breast_cancer_test.tsv", 0), numbers(t, folder, "lg_dart_breast_cancer_true_predictions.txt", 0), 4)
}

// The old forest is refused as it is, since its file does not say what its outputs are. Its trees are right, though: their
// mean is what that LightGBM gave.
func TestLegacyForest(t *testing.T) {
	t.Parallel()
	folder := legacy(t)
	data := file(t, folder, "lg_rf_iris.model")
	if _, err := Read(data); err == nil || !strings.Contains(err.Error(), "average_output (boosting rf) in version v2") {
		t.Errorf("error %v", err)
	}
	m, err := Read([]byte(strings.Replace(string(data), "version=v2", "version=v3", 1)))
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(strings.TrimSpace(string(file(t, folder, "iris_test.libsvm"))), "\n")
	x := make([]float64, 4*len(rows))
	for r, row := range rows {
		for _, field := range strings.Fields(row)[1:] {
			at, value, _ := strings.Cut(field, ":")
			x[4*r+int(number64(t, at))] = number64(t, value)
		}
	}
	mean := func(x []float64, rows int, out []float64, s *forest.Scratch) {
		m.Margin(x, rows, out, s)
		for i := range out {
			out[i] /= 30
		}
	}
	compare(t, "mean", mean, m, x, numbers(t, folder, "lg_rf_iris_true_predictions.txt", 0), 0)
}

func TestLegacyVersion3(t *testing.T) {
	t.Parallel()
	folder := legacy(t)
	m, err := Read(file(t, folder, "lg_breast_cancer.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if i := m.Info(); i.Version != "v3" || i.Features != 30 || i.Trees != 39 || i.FeatureNames != nil {
		t.Errorf("info %+v", i)
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

// numbers reads a table without its first columns.
func numbers(t *testing.T, folder, name string, skip int) []float64 {
	t.Helper()
	var out []float64
	for line := range strings.Lines(string(file(t, folder, name))) {
		for i, field := range strings.Fields(line) {
			if i >= skip {
				out = append(out, number64(t, field))
			}
		}
	}
	return out
}

func number64(t *testing.T, text string) float64 {
	t.Helper()
	v, ok := parse[float64]([]byte(text))
	if !ok {
		t.Fatalf("no number: %q", text)
	}
	return v
}
