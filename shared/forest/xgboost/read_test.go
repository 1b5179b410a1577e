package xgboost

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/forest"
)

func TestSniff(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		data string
		want bool
	}{
		{"JSON", `{"learner":{`, true},
		{"indented JSON", "{\n  \"learner\": {", true},
		{"JSON that starts with the version", `{"version":[3`, true},
		{"UBJSON", "{L\x00\x00\x00\x00\x00\x00\x00\x07learner{", true},
		{"the old binary format, to be refused with advice", "binf\x00", true},
		{"JSON of something else", `{"oblivious_trees":[`, false},
		{"UBJSON of something else", "{L\x00\x00\x00\x00\x00\x00\x00\x07forests{", false},
		{"text", "tree\nversion=v4\n", false},
		{"nothing", "", false},
		{"one bracket", "{", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := Sniff([]byte(c.data)); got != c.want {
				t.Errorf("Sniff = %v, want %v", got, c.want)
			}
		})
	}
	for _, ext := range []string{".json", ".ubj"} {
		if !Sniff(file(t, testFolder, "logistic"+ext)) {
			t.Errorf("logistic%s is not recognised", ext)
		}
	}
}

func TestInfo(t *testing.T) {
	t.Parallel()
	m, err := Read(file(t, testFolder, "logistic.ubj"))
	if err != nil {
		t.Fatal(err)
	}
	got := m.Info()
	got.Nodes = 0 // counted by forest's own test
	want := forest.Info{Format: "xgboost", Version: "3.4.1", Objective: "binary:logistic", Trees: 9, Features: 4, Margins: 1, Outputs: 1,
		FeatureNames: []string{"size", "age", "colour", "shop"}, FeatureTypes: []string{"float", "float", "c", "c"},
		Categorical:   []bool{false, false, true, true},
		Categories:    [][]string{nil, nil, {"red", "grün", "", "日本", "blue"}, {"10", "-20", "3", "4", "500", "7"}},
		BestIteration: 8}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("info (-want +got):\n%s", diff)
	}
}

// Releases 3.1 to 3.3 cut category names wrongly once one is not ASCII; such names must not be believed.
func TestCategoryNames(t *testing.T) {
	t.Parallel()
	list := func(s string) []int64 {
		var v []int64
		for _, b := range []byte(s) {
			v = append(v, int64(int8(b)))
		}
		return v
	}
	for _, c := range []struct {
		name  string
		enc   encoding
		bytes bool
		want  []string
		err   string
	}{
		{"ASCII of any release", encoding{offsets: []int32{0, 3, 3}, values: list("red")}, false, []string{"red", ""}, ""},
		{"other characters of 3.3", encoding{offsets: []int32{0, 4}, values: list("grü")}, false, nil, ""},
		{"other characters of 3.4", encoding{offsets: []int32{0, 5}, values: list("grün")}, true, []string{"grün"}, ""},
		{"integers", encoding{values: []int64{5, -1 << 40}}, true, []string{"5", "-1099511627776"}, ""},
		{"none", encoding{}, true, nil, ""},
		{"an offset outside", encoding{offsets: []int32{0, 4}, values: list("red")}, true, nil, "offsets 0 and 4 cut no text out of 3 bytes"},
		{"falling offsets", encoding{offsets: []int32{2, 1}, values: list("red")}, true, nil, "offsets 2 and 1"},
		{"a negative offset", encoding{offsets: []int32{-1, 1}, values: list("red")}, true, nil, "offsets -1 and 1"},
		{"a value that is no byte", encoding{offsets: []int32{0, 1}, values: []int64{200}}, true, nil, "value 0 is 200"},
		{"a cut character", encoding{offsets: []int32{0, 3}, values: list("grün")}, true, nil, "category 0 is not UTF-8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := c.enc.names(c.bytes)
			if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) || c.err == "" && err != nil {
				t.Fatalf("error %v, want %q", err, c.err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBareNaNIsRead(t *testing.T) {
	t.Parallel()
	doc := load(t, "logistic")
	want, err := Read(toJSON(doc))
	if err != nil {
		t.Fatal(err)
	}
	bent := 0 // releases up to 3.0 have NaN as the threshold of categorical splits
	for i := range 9 {
		tree := treeOf(doc, i)
		for node := range tree["split_type"].(list) {
			if numberAt(tree, "split_type", node) == 1 {
				tree["split_conditions"].(list)[node] = json.Number("NaN")
				bent++
			}
		}
	}
	got, err := Read(toJSON(doc))
	if err != nil || bent == 0 {
		t.Fatalf("%v after %d NaN", err, bent)
	}
	if !reflect.DeepEqual(want, got) {
		t.Error("NaN as the threshold of a categorical split changes the model")
	}
}

// Releases up to 1.5 wrote default_left as true and false.
func TestBooleansAreRead(t *testing.T) {
	t.Parallel()
	doc := load(t, "softprob")
	want, err := Read(toJSON(doc))
	if err != nil {
		t.Fatal(err)
	}
	for i := range boosterOf(doc)["trees"].(list) {
		flags := treeOf(doc, i)["default_left"].(list)
		for j := range flags {
			flags[j] = flags[j] == num(1)
		}
	}
	for syntax, data := range map[string][]byte{"JSON": toJSON(doc), "UBJSON": toUBJSON(doc)} {
		if got, err := Read(data); err != nil || !reflect.DeepEqual(want, got) {
			t.Errorf("%s: error %v, or another model", syntax, err)
		}
	}
}

func TestSyntaxErrors(t *testing.T) {
	t.Parallel()
	const learner = "{L\x00\x00\x00\x00\x00\x00\x00\x07learner"
	size := func(n uint64) string { return "L" + string(binary.BigEndian.AppendUint64(nil, n)) }
	for _, c := range []struct{ name, data, want string }{
		{"the old binary format", "binf\x00\x00", "load it with XGBoost older than 3.1 and save it again as .ubj"},
		{"older binary format without a mark", "\x00\x00\x00\x80\x7f", "load it with XGBoost older than 3.1"},
		{"an empty file", "", "neither JSON nor UBJSON"},
		{"JSON that ends early", `{"learner":{"attributes":{`, "the file ends, expected a key"},
		{"JSON with a comma too many", `{"learner":{},}`, `expected a key`},
		{"JSON without a colon", `{"learner" {}}`, "expected a colon"},
		{"JSON without a comma", `{"version":[1 2]}`, "expected a comma or the end of the bracket"},
		{"a number with a leading zero", `{"version":[01]}`, "expected a comma or the end of the bracket"},
		{"half a number", `{"version":[1.]}`, "expected a number"},
		{"a minus alone", `{"version":[-]}`, "expected a number"},
		{"a fraction where a count must be", `{"version":[1.5]}`, `version[0]: expected a whole number, got "1.5"`},
		{"a text where a number must be", `{"version":["1"]}`, "version[0]: expected a whole number, got a text"},
		{"a word that is none", `{"version":tree}`, "expected a value"},
		{"something behind the document", `{"version":[]} {}`, "something follows the document"},
		{"a key twice", `{"version":[],"version":[]}`, "version: stands there twice"},
		{"an unknown key with a control character", `{"a\u0007b":[]}`, "a?b: unknown field"},
		{"a wrong escape", `{"vers\xion":[]}`, "expected an escape"},
		{"half a surrogate", `{"\ud800":[]}`, "expected four hexadecimal digits"},
		{"bytes that are no UTF-8", "{\"\xff\":[]}", "text that is not UTF-8"},
		{"a line break in a text", "{\"a\nb\":[]}", "a control character in a text"},
		{"a text without its end", `{"learner`, "expected the closing quote"},
		{"brackets of one kind closed by the other", `{"version":[}`, "expected a value"},
		{"deep nesting", `{"learner":{"objective":{"x":` + strings.Repeat("[", 100_000), "nested deeper than 64"},
		{"UBJSON that ends in a key", learner[:8], "bytes expected, the file ends after"},
		{"UBJSON that ends in an object", learner + "{", "9 bytes expected, the file ends after 0"},
		{"an array of 2^60 numbers", learner + "{" + size(10) + "attributes[$l#" + size(1<<60), "1152921504606846976 elements cannot stand in the 0 bytes that follow"},
		{"a negative count", learner + "{" + size(10) + "attributes[#" + size(1<<63), "length -9223372036854775808"},
		{"a text of 2^62 bytes", learner + "S" + size(1<<62), "4611686018427387904 bytes expected"},
		{"an array of unknown type", learner + "[$x#" + size(1), `array of type 'x'`},
		{"a typed array without a count", learner + "[$l]", "without a count"},
		{"a marker that is none", learner + "H", `marker 'H' is no value that XGBoost writes`},
		{"a count with another marker", learner + "[#i\x05 and more", "expected the L of a length"},
		{"UBJSON nested deep", learner + "{" + size(9) + "objective{" + size(1) + "x" + strings.Repeat("[", 100_000), "nested deeper than 64"},
		{"something behind UBJSON", "{" + size(7) + "version[]}}", "something follows the document"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := Read([]byte(c.data))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want one with %q", err, c.want)
			}
			if fault.KindOf(err) != fault.Invalid || len(err.Error()) > 300 {
				t.Errorf("kind %v, %d bytes: %v", fault.KindOf(err), len(err.Error()), err)
			}
		})
	}
}

func TestEscapesAreRead(t *testing.T) {
	t.Parallel()
	doc := load(t, "logistic")
	doc["learner"].(object)["feature_names"] = list{"a\"\\\n", "é😀", "c", "d"}
	data := bytes.ReplaceAll(toJSON(doc), []byte("é😀"), []byte(`\u00e9\uD83d\ude00`))
	m, err := Read(data)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Info().FeatureNames; got[0] != "a\"\\\n" || got[1] != "é😀" {
		t.Errorf("names %q", got)
	}
}

// No beginning of a file is accepted.
func TestTruncated(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"vectors.json", "vectors.ubj"} {
		data := file(t, testFolder, name)
		for n := 0; n < len(data); n += 5 {
			if _, err := Read(data[:n]); fault.KindOf(err) != fault.Invalid || err == nil {
				t.Fatalf("the first %d of %d bytes of %s: error %v", n, len(data), name, err)
			}
		}
	}
}

func TestBaseScores(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, objective, written string
		minor                    int32
		want                     []float64
		err                      string
	}{
		{"one for all", "reg:squarederror", "5E-1", 0, []float64{0.5, 0.5}, ""},
		{"a list of one", "reg:squarederror", "[5E-1]", 1, []float64{0.5, 0.5}, ""},
		{"one each", "reg:squarederror", "[5E-1,-2]", 1, []float64{0.5, -2}, ""},
		{"a probability", "binary:logistic", "5E-1", 0, []float64{0, 0}, ""},
		{"certainty up to 3.1", "binary:logistic", "[1]", 1, nil, "base_score 1, expected a probability between 0 and 1"},
		{"certainty from 3.2 on", "binary:logistic", "[1]", 2, []float64{13.745160102844238, 13.745160102844238}, ""},
		{"a mean", "count:poisson", "1", 0, []float64{0, 0}, ""},
		{"a mean of 0", "count:poisson", "0", 0, nil, "base_score 0, expected a number above 0"},
		{"three for two", "reg:squarederror", "[1,2,3]", 1, nil, "base_score has 3 values for 2 outputs"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			doc := &content{version: []int32{3, c.minor, 0}, objective: c.objective}
			doc.param.baseScore = c.written
			o, err := doc.lookUp()
			if err != nil {
				t.Fatal(err)
			}
			got, err := doc.baseScores(o, 2)
			if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) || c.err == "" && err != nil {
				t.Fatalf("error %v, want %q", err, c.err)
			}
			if c.want != nil && (math.Abs(got[0]-c.want[0]) > 1e-6 || math.Abs(got[1]-c.want[1]) > 1e-6) {
				t.Errorf("margins %v, want %v", got, c.want)
			}
		})
	}
}

func TestQuantilesAreSortedFrom34(t *testing.T) {
	t.Parallel()
	for minor, want := range map[int32]forest.Link{3: forest.Identity, 4: forest.Ascending} {
		doc := &content{version: []int32{3, minor, 0}, objective: "reg:quantileerror"}
		if o, err := doc.lookUp(); err != nil || o.link != want {
			t.Errorf("3.%d: link %v, error %v, want %v", minor, o.link, err, want)
		}
	}
}
