package onnx

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"
)

// goldenCase is an entry of a golden folder's index.json.
type goldenCase struct {
	Model               string
	Rows, Cols, Outputs int
	Texts               map[string][]string
	Batch               bool // the runtime itself gives other bits for all rows at once
	Ulps                int64
}

// goldens calls f with every case below testdata.
func goldens(t *testing.T, f func(t *testing.T, folder string, c goldenCase)) {
	t.Helper()
	folders, err := filepath.Glob("testdata/ort-*")
	if err != nil || len(folders) == 0 {
		t.Fatalf("%d folders testdata/ort-*: %v", len(folders), err)
	}
	for _, folder := range folders {
		var index struct{ Cases []goldenCase }
		if err := json.Unmarshal(load(t, folder, "index.json"), &index); err != nil || len(index.Cases) == 0 {
			t.Fatalf("%s: %d cases: %v", folder, len(index.Cases), err)
		}
		for _, c := range index.Cases {
			t.Run(filepath.Base(folder)+"/"+c.Model, func(t *testing.T) {
				t.Parallel()
				f(t, folder, c)
			})
		}
	}
}

// bind gives the case's model as the texts of its matrix ask for.
func bind(t testing.TB, folder string, c goldenCase) *Model {
	t.Helper()
	m, err := Read(load(t, folder, c.Model+".onnx"))
	if err != nil {
		t.Fatal(err)
	}
	features := make([]Feature, len(m.Columns()))
	for i, column := range m.Columns() {
		features[i] = Feature{Name: column.Name, Type: "integer"}
		if column.Text {
			features[i].Texts = c.Texts[column.Name]
		}
	}
	if m, err = m.Bind(features); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestGoldens holds the engine to what ONNX Runtime gave, bit for bit but for what index.json allows.
func TestGoldens(t *testing.T) {
	t.Parallel()
	goldens(t, func(t *testing.T, folder string, c goldenCase) {
		m := bind(t, folder, c)
		info := m.Info()
		if info.Format != "onnx" || info.Features != c.Cols || info.Outputs != c.Outputs {
			t.Errorf("info %+v, index %+v", info, c)
		}
		x, want := numbersOf(t, folder, c.Model+".x.f64"), numbersOf(t, folder, c.Model+".y.f64")
		if len(x) != c.Rows*c.Cols || len(want) != c.Rows*c.Outputs || c.Rows == 0 {
			t.Fatalf("%d numbers for %d × %d", len(x), c.Rows, c.Cols)
		}
		got := make([]float64, len(want))
		if refused := m.Predict(x, c.Rows, got, m.NewScratch()); len(refused) > 0 {
			t.Errorf("refused %v", refused)
		}
		if c.Batch { // a runtime that differs from itself: what it gives for several rows is what counts
			for i := range got {
				if d := math.Abs(got[i] - want[i]); d > 2e-6 {
					t.Errorf("row %d: %v, for the row alone %v", i/c.Outputs, got[i], want[i])
				}
			}
			want = numbersOf(t, folder, c.Model+".batch.f64")
		}
		if m.Exact() && (c.Batch || c.Ulps > 0) {
			t.Errorf("it is said to be exact")
		}
		compare(t, got, want, c)
	})
}

func compare(t *testing.T, got, want []float64, c goldenCase) {
	t.Helper()
	wrong, most := 0, int64(0)
	for i := range got {
		d := distance(got[i], want[i])
		most = max(most, d)
		if d > c.Ulps {
			if wrong++; wrong == 1 {
				t.Logf("row %d: got %v, want %v", i/c.Outputs, got[i], want[i])
			}
		}
	}
	if wrong > 0 {
		t.Errorf("%d of %d numbers are more than %d ulp off, at most %d", wrong, len(got), c.Ulps, most)
	}
}

// distance counts the float32 between two numbers.
func distance(a, b float64) int64 {
	if math.IsNaN(a) || math.IsNaN(b) {
		return truth(math.IsNaN(a) != math.IsNaN(b)) * math.MaxInt32
	}
	return max(ordinal(a)-ordinal(b), ordinal(b)-ordinal(a))
}

func ordinal(v float64) int64 {
	bits := int64(math.Float32bits(float32(v)))
	if bits >= 1<<31 {
		return 1<<31 - bits
	}
	return bits
}

func load(t testing.TB, folder, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func numbersOf(t testing.TB, folder, name string) []float64 {
	t.Helper()
	data := load(t, folder, name)
	out := make([]float64, len(data)/8)
	for i := range out {
		out[i] = math.Float64frombits(binary.LittleEndian.Uint64(data[8*i:]))
	}
	return out
}
