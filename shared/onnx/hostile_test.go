package onnx

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/millrace-ml/millrace/shared/fault"
)

// forestFile is a regressor of full trees over features numbers.
func forestFile(trees, depth, features int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	ints := map[string][]int64{}
	var modes []string
	var values, weights []float32
	add := func(name string, v int) { ints[name] = append(ints[name], int64(v)) }
	for t := range trees {
		splits := 1<<depth - 1
		for i := range 2*splits + 1 {
			add("nodes_treeids", t)
			add("nodes_nodeids", i)
			add("nodes_featureids", r.IntN(features))
			values = append(values, float32(r.NormFloat64()))
			if i < splits {
				add("nodes_truenodeids", 2*i+1)
				add("nodes_falsenodeids", 2*i+2)
				modes = append(modes, "BRANCH_LEQ")
				continue
			}
			add("nodes_truenodeids", 0)
			add("nodes_falsenodeids", 0)
			modes = append(modes, "LEAF")
			add("target_treeids", t)
			add("target_nodeids", i)
			add("target_ids", 0)
			weights = append(weights, float32(r.NormFloat64()))
		}
	}
	attributes := [][]byte{textsOf("nodes_modes", modes), floatsOf("nodes_values", values), floatsOf("target_weights", weights), intOf("n_targets", 1)}
	for name, list := range ints {
		attributes = append(attributes, intsOf(name, list))
	}
	return fileOf(uint64(features), nodeOf("TreeEnsembleRegressor", "ai.onnx.ml", []string{"X"}, []string{"Y"}, attributes...))
}

// measure is what Read allocates.
func measure(data []byte) (took uint64, err error) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	_, err = Read(data)
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc, err
}

// Reading takes no more memory than four times the file, small files aside. Not parallel: it counts all allocations.
func TestMemory(t *testing.T) {
	data := forestFile(300, 6, 28)
	took, err := measure(data)
	t.Logf("%d bytes for a file of %d", took, len(data))
	if err != nil || took > 4*uint64(len(data)) {
		t.Errorf("%d bytes for a file of %d: %v", took, len(data), err)
	}
}

func tensorOf(elem uint64, dims []uint64, num protowire.Number, body []byte) []byte {
	var b []byte
	for _, d := range dims {
		b = protowire.AppendVarint(protowire.AppendTag(b, 1, protowire.VarintType), d)
	}
	b = protowire.AppendVarint(protowire.AppendTag(b, 2, protowire.VarintType), elem)
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), body)
}

func constantOf(name string, elem uint64, dims []uint64, num protowire.Number, body []byte) []byte {
	value := attributeOf("value", typeTensor, func(b []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(b, 5, protowire.BytesType), tensorOf(elem, dims, num, body))
	})
	return nodeOf("Constant", "", nil, []string{name}, value)
}

// A small file cannot ask for much memory, whatever it says of sizes.
func TestGreed(t *testing.T) {
	huge := protowire.AppendVarint(nil, 1<<24)
	var doubled [][]byte
	last := "X"
	for i := range 40 {
		next := fmt.Sprintf("x%d", i)
		doubled = append(doubled, nodeOf("Concat", "", []string{last, last}, []string{next}, intOf("axis", 1)))
		last = next
	}
	doubled = append(doubled, nodeOf("Identity", "", []string{last}, []string{"Y"}))
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"a constant of a shape":     {fileOf(4, constantOf("s", 7, []uint64{1}, 7, huge), nodeOf("ConstantOfShape", "", []string{"s"}, []string{"k"}), nodeOf("Add", "", []string{"X", "k"}, []string{"Y"})), "it needs 16777216 numbers"},
		"an expansion":              {fileOf(4, constantOf("s", 7, []uint64{2}, 7, append([]byte{1}, huge...)), nodeOf("Expand", "", []string{"X", "s"}, []string{"Y"})), "[N,4] with "},
		"doubling":                  {fileOf(4, doubled...), "more than a file of this size may ask for"},
		"a cut and filled vector":   {fileOf(4, nodeOf("FeatureVectorizer", "ai.onnx.ml", []string{"X"}, []string{"Y"}, intsOf("inputdimensions", []int64{1 << 23}))), "inputdimensions[0] is 8388608"},
		"columns":                   {fileOf(1<<24, nodeOf("Identity", "", []string{"X"}, []string{"Y"})), "more than 1048576 columns"},
		"more columns than numbers": {fileOf(1<<40, nodeOf("Identity", "", []string{"X"}, []string{"Y"})), "dimension"},
		"targets":                   {fileOf(4, nodeOf("TreeEnsembleRegressor", "ai.onnx.ml", []string{"X"}, []string{"Y"}, intOf("n_targets", 1<<40))), "n_targets is 1099511627776"},
		"linear targets":            {fileOf(4, nodeOf("LinearRegressor", "ai.onnx.ml", []string{"X"}, []string{"Y"}, intOf("targets", 1<<40))), "0 coefficients"},
		"a tensor without elements": {fileOf(4, constantOf("s", 7, []uint64{1 << 20}, 9, nil), nodeOf("Reshape", "", []string{"X", "s"}, []string{"Y"})), "0 elements, its dimensions [1048576] say 1048576"},
		"a tensor of many axes":     {fileOf(4, constantOf("s", 7, slices.Repeat([]uint64{1 << 24}, 9), 9, nil), nodeOf("Reshape", "", []string{"X", "s"}, []string{"Y"})), "more than 16777216 elements"},
	} {
		took, err := measure(c.data)
		if err == nil || fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), c.want) || len(err.Error()) > 1000 {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
		if took > 4<<20 {
			t.Errorf("%s: %d bytes for a file of %d", name, took, len(c.data))
		}
	}
}

// Flipping one bit, or cutting the file, gives a model or an error, never a panic; what is accepted can be used.
func TestFlippedBits(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"pipeline_ordinal", "encoders_4", "shapes", "five_float32", "calibrated"} {
		data := load(t, testFolder, name+".onnx")
		accepted := 0
		for i := 0; i < len(data); i += 1 + len(data)/800 {
			data[i] ^= 1 << (i % 8)
			if use(t, data) {
				accepted++ // a number changed: parity rows find that
			}
			data[i] ^= 1 << (i % 8)
			use(t, data[:i])
		}
		if accepted == 0 {
			t.Errorf("%s: none accepted: what was tried?", name)
		}
	}
}

// use reads a file and scores with what it gives.
func use(t *testing.T, data []byte) bool {
	t.Helper()
	m, err := Read(data)
	if err != nil {
		if fault.KindOf(err) != fault.Invalid || len(err.Error()) > 2000 {
			t.Errorf("kind %v, %d bytes: %v", fault.KindOf(err), len(err.Error()), err)
		}
		return false
	}
	features := make([]Feature, len(m.Columns()))
	for i, c := range m.Columns() {
		features[i].Name = c.Name
		if c.Text {
			features[i].Texts = []string{"red", ""}
		}
	}
	if m, err = m.Bind(features); err != nil {
		return false // two inputs of one name
	}
	info := m.Info()
	x, out := make([]float64, 3*info.Features), make([]float64, 3*info.Outputs)
	s := m.NewScratch()
	for _, v := range []float64{0, math.NaN(), 1e30, 1} {
		for i := range x {
			x[i] = v
		}
		m.Predict(x, 3, out, s)
	}
	return true
}

// FuzzRead: any bytes give a model that can be used, or a fault.Invalid of moderate length.
func FuzzRead(f *testing.F) {
	for _, name := range []string{"pipeline_ordinal", "pipeline_logistic", "encoders_4", "shapes", "five_float32", "forest_words", "arithmetic"} {
		f.Add(load(f, testFolder, name+".onnx"))
	}
	f.Add(bytes.Repeat([]byte{8, 9}, 100))
	f.Fuzz(func(t *testing.T, data []byte) { use(t, data) })
}
