package catboost

import (
	"runtime"
	"testing"
)

// FuzzRead: any bytes give a model that can be used, or a fault.Invalid of moderate length.
func FuzzRead(f *testing.F) {
	for _, name := range []string{"rmse", "onehot", "lossguide_multi"} {
		f.Add(file(f, testFolder, name+".json"))
		f.Add(file(f, testFolder, name+".cbm"))
	}
	categories := categoriesOf(f, "onehot")
	f.Fuzz(func(t *testing.T, data []byte) {
		harmless(t, data, categories)
		harmless(t, data, nil)
	})
}

// A file that promises much must not make the reader believe it.
func TestAllocationIsBounded(t *testing.T) {
	data := file(t, testFolder, "deep.cbm")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := Read(data, nil); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if got, most := after.TotalAlloc-before.TotalAlloc, uint64(4*len(data)); got > most {
		t.Errorf("%d bytes allocated for a file of %d", got, len(data))
	}
}
