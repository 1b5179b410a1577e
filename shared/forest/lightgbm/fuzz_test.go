package lightgbm

import (
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/millrace-ml/millrace/shared/fault"
)

// FuzzRead: any bytes give a model that can be used, or a fault.Invalid of moderate length.
func FuzzRead(f *testing.F) {
	for _, name := range []string{"binary", "multiclassova", "linear_binary", "constant"} {
		text := string(file(f, "testdata/lgb-4.7.0", name+".txt"))
		f.Add([]byte(text))
		if name != "constant" {
			for i, m := range append(headerMutants(text), treeMutants(text)...) {
				if i%20 == 0 {
					f.Add([]byte(m.text))
				}
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) { readAndUse(t, data) })
}

// readAndUse is whether data is a model.
func readAndUse(t *testing.T, data []byte) bool {
	t.Helper()
	m, err := Read(data)
	if err != nil {
		if fault.KindOf(err) != fault.Invalid || len(err.Error()) > 2000 {
			t.Errorf("kind %v, %d bytes: %v", fault.KindOf(err), len(err.Error()), err)
		}
		return false
	}
	info := m.Info()
	x, out := make([]float64, info.Features), make([]float64, info.Outputs)
	s := m.NewScratch()
	for _, v := range []float64{0, math.NaN(), 1e30, math.Inf(-1)} {
		for i := range x {
			x[i] = v
		}
		m.Predict(x, 1, out, s)
	}
	return true
}

// Flipping one bit gives a model or an error, never a panic.
func TestFlippedBits(t *testing.T) {
	t.Parallel()
	data := file(t, "testdata/lgb-4.7.0", "linear_binary.txt")
	accepted := 0
	for i := range data {
		data[i] ^= 1 << (i % 8)
		if readAndUse(t, data) {
			accepted++ // a threshold or a leaf changed: parity rows find that
		}
		data[i] ^= 1 << (i % 8)
	}
	if accepted == 0 || accepted == len(data) {
		t.Errorf("%d of %d accepted", accepted, len(data))
	}
}

// A file cut anywhere before its trees end is refused.
func TestCutOff(t *testing.T) {
	t.Parallel()
	text := string(file(t, "testdata/lgb-4.7.0", "rf.txt"))
	for i := range strings.Index(text, "end of trees") + len("end of tree") {
		if readAndUse(t, []byte(text[:i])) {
			t.Fatalf("accepted when cut at byte %d", i)
		}
	}
}

// Numbers that claim much must not make the reader take much memory.
func TestClaimsCostNoMemory(t *testing.T) {
	text := string(file(t, "testdata/lgb-4.7.0", "linear_binary.txt"))
	for name, bent := range map[string]string{
		"leaves":     line(text, "num_leaves=", "num_leaves=5000000\n"),
		"sets":       line(text, "num_cat=", "num_cat=8\n"),
		"boundaries": line(text, "cat_boundaries=", "cat_boundaries=0 2147483647\n"),
		"terms":      line(text, "num_features=", "num_features=2000000000 0 0 0 0 0 0\n"),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if readAndUse(t, []byte(bent)) {
			t.Errorf("%s: accepted", name)
		}
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 4*uint64(len(bent)) {
			t.Errorf("%s: %d bytes allocated for a file of %d", name, took, len(bent))
		}
	}
}

func BenchmarkRead(b *testing.B) {
	data := file(b, "testdata/lgb-4.7.0", "dart.txt")
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := Read(data); err != nil {
			b.Fatal(err)
		}
	}
}
