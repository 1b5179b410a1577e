package catboost

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/forest"
)

// TestBinaryMutants overwrites each aligned word of .cbm with values that break something, and each byte with another. What
// is accepted must be harmless: a threshold, a leaf, or what nothing reads.
func TestBinaryMutants(t *testing.T) {
	t.Parallel()
	count, refused := 0, 0
	for _, model := range []string{"onehot", "onehot_lossguide"} {
		data, categories := file(t, testFolder, model+".cbm"), categoriesOf(t, model)
		try := func(data []byte) {
			count++
			if !harmless(t, data, categories) {
				refused++
			}
		}
		for at := 4; at+4 <= len(data); at += 4 {
			if !bytes.ContainsFunc(data[at:at+4], func(r rune) bool { return r < ' ' || r > '~' }) {
				continue // a text about the training
			}
			for _, v := range []uint32{0, 1, 0xffffffff, 0x7fffffff, 1 << 20, uint32(len(data))} {
				bent := bytes.Clone(data)
				binary.LittleEndian.PutUint32(bent[at:], v)
				try(bent)
			}
		}
		for n := 0; n < len(data); n += 61 {
			try(data[:n])
		}
	}
	t.Logf("%d mutants, %d refused", count, refused)
	if count < 1000 || refused < 300 || refused == count {
		t.Errorf("%d of %d mutants refused", refused, count)
	}
}

// harmless reads data and scores with what was read; false when it is refused, as fault.Invalid and in few words.
func harmless(t testing.TB, data []byte, categories [][]string) bool {
	t.Helper()
	m, err := Read(data, categories)
	if err != nil {
		if fault.KindOf(err) != fault.Invalid || len(err.Error()) > 2000 {
			t.Errorf("kind %v, %d bytes: %v", fault.KindOf(err), len(err.Error()), err)
		}
		return false
	}
	score(m)
	return true
}

func score(m *forest.Model) {
	info := m.Info()
	x, out := make([]float64, 9*info.Features), make([]float64, 9*info.Outputs)
	s := m.NewScratch()
	for _, v := range []float64{0, math.NaN(), 1e30, math.Inf(-1)} {
		for i := range x {
			x[i] = v
		}
		m.Predict(x, 1, out, s)
		m.Predict(x, 9, out, s)
	}
}
