package xgboost

import (
	"fmt"
	"math"
	"testing"

	"github.com/millrace-ml/millrace/shared/fault"
)

// FuzzRead: any bytes give a model that can be used, or a fault.Invalid of moderate length.
func FuzzRead(f *testing.F) {
	for _, name := range []string{"dart", "linear_softprob"} {
		f.Add(file(f, testFolder, name+".ubj"))
	}
	for _, name := range []string{"logistic", "softprob", "vectors"} {
		f.Add(file(f, testFolder, name+".json"))
		f.Add(file(f, testFolder, name+".ubj"))
		for _, m := range modelMutants() {
			doc := load(f, name)
			m.bend(doc)
			f.Add(toUBJSON(doc))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Read(data)
		if err != nil {
			if fault.KindOf(err) != fault.Invalid || len(err.Error()) > 2000 {
				t.Errorf("kind %v, %d bytes: %v", fault.KindOf(err), len(err.Error()), err)
			}
			return
		}
		info := m.Info()
		x, out := make([]float64, info.Features), make([]float64, info.Outputs)
		s := m.NewScratch()
		for _, v := range []float64{0, math.NaN(), 1e30} {
			for i := range x {
				x[i] = v
			}
			m.Predict(x, 1, out, s)
		}
	})
}

// Flipping one bit gives a model or an error, never a panic.
func TestFlippedBits(t *testing.T) {
	t.Parallel()
	data := file(t, testFolder, "vectors.ubj")
	accepted := 0
	for i := 0; i < len(data); i += 3 {
		data[i] ^= 1 << (i % 8)
		if _, err := Read(data); err == nil {
			accepted++ // a threshold or a leaf changed: parity rows find that
		}
		data[i] ^= 1 << (i % 8)
	}
	if accepted == 0 || accepted == len(data) {
		t.Errorf("%d of %d accepted", accepted, len(data))
	}
}

func BenchmarkRead(b *testing.B) {
	doc := load(b, "logistic")
	m := boosterOf(doc)
	trees := m["trees"].(list)
	for len(trees) < 500 {
		trees = append(trees, trees[:9]...)
	}
	m["trees"] = trees[:500]
	m["tree_info"] = make(list, 500)
	for i := range 500 {
		m["tree_info"].(list)[i] = num(0)
	}
	m["iteration_indptr"] = list{num(0), num(500)}
	m["gbtree_model_param"].(object)["num_trees"] = "500"
	for syntax, data := range map[string][]byte{"JSON": toJSON(doc), "UBJSON": toUBJSON(doc)} {
		b.Run(fmt.Sprintf("%s of 500 trees", syntax), func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if _, err := Read(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
