package onnx

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/millrace-ml/millrace/shared/fault"
)

const ml = "ai.onnx.ml"

func x(names ...string) []string { return names }

// one is a model of X with four columns, of one node.
func one(op, domain string, attributes ...[]byte) []byte {
	return fileOf(4, nodeOf(op, domain, x("X"), x("Y"), attributes...))
}

// with is the file with more fields behind it: protobuf takes the last of a scalar.
func with(data []byte, num protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(append([]byte{}, data...), num, protowire.VarintType), v)
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	identity := one("Identity", "")
	external := tensorOf(1, []uint64{4}, 13, nil)
	initializer := func(body []byte) []byte {
		return editGraph(t, identity, func(graph []byte) []byte {
			return protowire.AppendBytes(protowire.AppendTag(append([]byte{}, graph...), 5, protowire.BytesType), body)
		})
	}
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"nothing":                          {nil, "ir_version is 0"},
		"text":                             {[]byte("tree\nversion=v4\n"), "damaged or no ONNX model"},
		"a pickle":                         {[]byte("\x80\x04model"), "it is a pickle, which is not read: load it in Python and write skl2onnx.to_onnx"},
		"a later format":                   {with(identity, 1, 99), "ir_version is 99; this reader knows 3 to 13"},
		"no graph":                         {rewrite(t, identity, 7, func(int, []byte) []byte { return nil }), "0 graphs, expected one"},
		"an unknown operator":              {one("TfIdfVectorizer", ""), `node 0 "it" (TfIdfVectorizer of ai.onnx): the operator is not read`},
		"an unknown domain":                {one("Inverse", "com.microsoft"), `node 0 "it" (Inverse of com.microsoft): the operator is not read`},
		"vector machines":                  {one("SVMClassifier", ml), `node 0 "it" (SVMClassifier of ai.onnx.ml): the operator is not read: support vector machines are not scored`},
		"an operator that nobody asks for": {fileOf(4, nodeOf("Identity", "", x("X"), x("Y")), nodeOf("TopK", "", x("X"), x("a", "b"))), `node 1 "it" (TopK of ai.onnx)`},
		"no version of a domain":           {rewrite(t, one("Scaler", ml), 8, func(int, []byte) []byte { return nil }), `(Scaler of ai.onnx.ml): opset_import has version 0 of its domain`},
		"too many inputs":                  {fileOf(4, nodeOf("Abs", "", x("X", "X"), x("Y"))), "2 inputs and 1 outputs"},
		"an unknown attribute":             {one("Scaler", ml, floatsOf("offsets", nil)), `attribute "offsets" is not known; known are offset, scale`},
		"an attribute twice":               {one("Scaler", ml, floatsOf("scale", nil), floatsOf("scale", nil)), "attribute scale stands there twice"},
		"an attribute of a kind":           {one("Scaler", ml, intsOf("scale", nil)), "attribute scale is of type 7, expected 6"},
		"a word":                           {one("Normalizer", ml, textOf("norm", "L3")), `attribute norm is "L3", expected one of MAX, L1, L2`},
		"an unknown input":                 {fileOf(4, nodeOf("Abs", "", x("Z"), x("Y"))), `its input "Z" is not defined before it`},
		"a later node's output":            {fileOf(4, nodeOf("Abs", "", x("Z"), x("Y")), nodeOf("Abs", "", x("X"), x("Z"))), `node 0 "it" (Abs of ai.onnx): its input "Z" is not defined before it`},
		"an output of two nodes":           {fileOf(4, nodeOf("Abs", "", x("X"), x("Y")), nodeOf("Neg", "", x("X"), x("Y"))), `its output "Y" is also another's`},
		"an output called as an input":     {fileOf(4, nodeOf("Abs", "", x("X"), x("X")), nodeOf("Neg", "", x("X"), x("Y"))), `"X" is defined twice`},
		"no node for the output":           {fileOf(4, nodeOf("Abs", "", x("X"), x("Z"))), `output "Y": no node gives it`},
		"a constant output":                {fileOf(4, constantOf("Y", 1, []uint64{1}, 9, make([]byte, 4))), `output "Y" does not depend on the inputs`},
		"data in another file":             {initializer(external), "its data lies in another file: save the model in one piece"},
		"elements of another kind":         {initializer(tensorOf(10, []uint64{1}, 9, make([]byte, 2))), "elements of type 10 are not read"},
		"elements less than said":          {initializer(tensorOf(1, []uint64{3}, 9, make([]byte, 8))), "2 elements, its dimensions [3] say 3"},
		"a sum over rows":                  {one("ReduceSum", ""), "it reduces all axes of float[N,4], the rows among them"},
		"the greatest row":                 {one("ArgMax", "", intOf("axis", 0)), "it works along axis 0 of float[N,4], which is the rows"},
		"rows below rows":                  {fileOf(4, nodeOf("Concat", "", x("X", "X"), x("Y"), intOf("axis", 0))), "it puts rows below rows"},
		"rows by columns":                  {fileOf(4, nodeOf("Transpose", "", x("X"), x("t")), nodeOf("Add", "", x("X", "t"), x("Y"))), "the rows lie on different axes"},
		"rows as one":                      {fileOf(4, constantOf("s", 7, []uint64{1}, 7, protowire.AppendVarint(nil, 1<<64-1)), nodeOf("Reshape", "", x("X", "s"), x("Y"))), "float[N,4] in the shape [-1]: another number of elements"},
		"a product of rows":                {fileOf(4, nodeOf("MatMul", "", x("X", "X"), x("Y"))), "expected rows by a constant table"},
		"kinds that do not mix":            {fileOf(4, nodeOf("Cast", "", x("X"), x("d"), intOf("to", 11)), nodeOf("Add", "", x("X", "d"), x("Y"))), "float with double"},
		"a cast to text":                   {fileOf(4, nodeOf("Cast", "", x("X"), x("d"), intOf("to", 8)), nodeOf("OneHotEncoder", ml, x("d"), x("Y"))), "of float to string"},
		"a count of rows":                  {fileOf(4, nodeOf("Shape", "", x("X"), x("s")), nodeOf("Cast", "", x("s"), x("f"), intOf("to", 1)), nodeOf("Div", "", x("X", "f"), x("Y"))), "it calculates with the number of rows"},
		"columns that do not fit":          {one("Scaler", ml, floatsOf("offset", []float32{1, 2}), floatsOf("scale", []float32{1, 2})), "2 offsets and 2 scales for 4 columns"},
		"weights that do not fit":          {one("LinearRegressor", ml, floatsOf("coefficients", []float32{1, 2}), intOf("targets", 1)), "2 columns of weights for float[N,4]"},
		"no values to impute":              {one("Imputer", ml), "no values to put in"},
		"no categories":                    {one("OneHotEncoder", ml), "with 0 strings and 0 whole numbers as categories"},
		"text categories of numbers":       {one("OneHotEncoder", ml, textsOf("cats_strings", []string{"a"})), "of float[N,4] with 1 strings"},
		"keys of another kind":             {one("LabelEncoder", ml, textsOf("keys_strings", []string{"a"}), intsOf("values_int64s", []int64{1})), "keys of string for float"},
		"a key too many":                   {one("LabelEncoder", ml, floatsOf("keys_floats", []float32{1, 2}), intsOf("values_int64s", []int64{1})), "2 keys and 1 values"},
		"one class":                        {one("TreeEnsembleClassifier", ml, textsOf("classlabels_strings", []string{"a"})), "1 class labels, expected 2 to 10000"},
		"no trees":                         {one("TreeEnsembleRegressor", ml), "no nodes"},
		"an unknown aggregate":             {one("TreeEnsembleRegressor", ml, textOf("aggregate_function", "MEAN")), `attribute aggregate_function is "MEAN"`},
		"labels that do not fit":           {one("ZipMap", ml, textsOf("classlabels_strings", []string{"a"})), "1 labels for float[N,4]"},
		"a step of nothing":                {one("Slice", "", intsOf("starts", []int64{0}), intsOf("ends", []int64{2}), intsOf("axes", []int64{1}), intsOf("steps", []int64{0})), "a step of 0"},
		"an index too far":                 {fileOf(4, constantOf("i", 7, []uint64{1}, 7, []byte{4}), nodeOf("Gather", "", x("X", "i"), x("Y"), intOf("axis", 1))), "index 4 of 4"},
		"a division by 0":                  {fileOf(4, nodeOf("Cast", "", x("X"), x("i"), intOf("to", 7)), constantOf("z", 7, []uint64{1}, 7, []byte{0}), nodeOf("Div", "", x("i", "z"), x("Y"))), "a whole number is divided by 0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkRefused(t, name, c.data, c.want)
		})
	}
}

// Rows that the runtime ends a call for are refused, one by one; the others are scored.
func TestRefusedRows(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		data []byte
		bad  float64
		want string
	}{
		"an unknown category": {fileOf(1, nodeOf("OneHotEncoder", ml, x("X"), x("Y"), intsOf("cats_int64s", []int64{1, 2}), intOf("zeros", 0))), 7, "a category that training did not have"},
		"a missing value":     {fileOf(1, nodeOf("Binarizer", ml, x("X"), x("Y"))), math.NaN(), "a missing value"},
		"an index too far": {fileOf(1, nodeOf("Cast", "", x("X"), x("i"), intOf("to", 7)), constantOf("list", 1, []uint64{3}, 9, make([]byte, 12)),
			nodeOf("ArrayFeatureExtractor", ml, x("list", "i"), x("Y"))), 3, "index 3 of 3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := Read(c.data)
			if err != nil {
				t.Fatal(err)
			}
			rows := 130
			in, out := make([]float64, rows), make([]float64, rows*m.Info().Outputs)
			for i := range in {
				in[i] = 1
			}
			in[5], in[129] = c.bad, c.bad
			refused := m.Predict(in, rows, out, m.NewScratch())
			if len(refused) != 2 || refused[0].Row != 5 || refused[1].Row != 129 || !strings.Contains(refused[0].Reason, c.want) {
				t.Errorf("refused %v, want rows 5 and 129 for %q", refused, c.want)
			}
			width := m.Info().Outputs
			for i, v := range out {
				if math.IsNaN(v) != (i/width == 5 || i/width == 129) {
					t.Fatalf("row %d: %v", i/width, v)
				}
			}
		})
	}
}

func TestBind(t *testing.T) {
	t.Parallel()
	m, err := Read(load(t, testFolder, "encoders.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	text, whole, number := Feature{Name: "T", Type: "categorical", Texts: []string{"bb", "a"}}, Feature{Name: "I", Type: "integer"}, Feature{Name: "X", Type: "number"}
	score := func(x float64, i int, features ...Feature) string {
		bound, err := m.Bind(features)
		if err != nil {
			return err.Error()
		}
		in := make([]float64, len(features))
		in[i] = x
		out := make([]float64, bound.Info().Outputs)
		refused := bound.Predict(in, 1, out, bound.NewScratch())
		return fmt.Sprint(out[:2], refused)
	}
	numbers := Feature{Name: "T", Type: "categorical", Numbers: []float64{10, 20}}
	for name, c := range map[string]struct{ got, want string }{
		"a code's text":                 {score(1, 0, text, whole, number), "[1.5 10] []"},
		"another code's text":           {score(0, 0, text, whole, number), "[2.5 20] []"},
		"a missing text":                {score(math.NaN(), 0, text, whole, number), "[-7 -1] []"},
		"features in another order":     {score(1, 2, number, whole, text), "[1.5 10] []"},
		"numbers as texts":              {score(1, 0, numbers, whole, number), "[-7 -1] []"},
		"a fraction for a whole number": {score(0.5, 1, text, whole, number), `[NaN NaN] [{0 input "I" is 0.5, expected a value of type int64}]`},
		"a feature too few":             {score(0, 0, text, whole), "features: 2 are listed, the graph's inputs have 3 columns; its inputs are T, I, X"},
		"another name":                  {score(0, 0, text, whole, Feature{Name: "Z"}), `features: there is none for the graph's input "X"; its inputs are T, I, X`},
		"an expression for texts":       {score(0, 0, Feature{Name: "T"}, whole, number), `feature "T" is an expression, the graph's input "T" takes strings`},
	} {
		if !strings.Contains(c.got, c.want) {
			t.Errorf("%s: %s, want %s", name, c.got, c.want)
		}
	}
	if _, err := m.Bind(nil); fault.KindOf(err) != fault.Invalid {
		t.Errorf("kind %v", fault.KindOf(err))
	}
}

// A number of a category takes the place of its code; what encoders and classifiers know is told.
func TestInfo(t *testing.T) {
	t.Parallel()
	m, err := Read(fileOf(2, nodeOf("Identity", "", x("X"), x("Y"))))
	if err != nil {
		t.Fatal(err)
	}
	bound, err := m.Bind([]Feature{{Name: "a", Type: "categorical", Numbers: []float64{10, -20}}, {Name: "b", Type: "number"}})
	if err != nil {
		t.Fatal(err)
	}
	out := make([]float64, 4)
	bound.Predict([]float64{1, 5, math.NaN(), 6}, 2, out, bound.NewScratch())
	if fmt.Sprint(out, bound.Info().Categorical) != "[-20 5 NaN 6] [true false]" {
		t.Errorf("%v, categorical %v", out, bound.Info().Categorical)
	}
	if m, err = Read(load(t, testFolder, "pipeline_forest.onnx")); err != nil {
		t.Fatal(err)
	}
	info := m.Info()
	if got := fmt.Sprint(info.FeatureNames, info.FeatureTypes, info.Categories, info.Classes, info.Objective, info.Outputs, m.Exact()); got !=
		"[size age colour shape shop] [float float string string int64] [[] [] [ blue grün red 日本] [flat round square] []] [high low mid]TreeEnsembleClassifier3 true" {
		t.Error(got)
	}
}

func TestSniff(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		data []byte
		want bool
	}{
		"a model":       {load(t, testFolder, "linear.onnx"), true},
		"half a model":  {load(t, testFolder, "linear.onnx")[:300], false},
		"nothing":       {nil, false},
		"JSON":          {[]byte(`{"learner": {}}`), false},
		"UBJSON":        {[]byte("{L\x00\x00\x00\x00\x00\x00\x00\x07learner"), false},
		"a tree's text": {[]byte("tree\nversion=v4\n"), false},
		"CatBoost":      {[]byte("CBM1\x00\x00\x00\x00"), false},
	} {
		if got := Sniff(c.data); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
