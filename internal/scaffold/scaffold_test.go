package scaffold

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace-ml/millrace/shared/forest"
	"github.com/millrace-ml/millrace/shared/manifest"
	"github.com/millrace-ml/millrace/shared/score"
)

const (
	trained  = "../../shared/forest/xgboost/testdata/xgb-3.4.1/"
	logistic = trained + "logistic.json"
)

// left lists what a folder of models holds.
func left(t *testing.T, models string) []string {
	t.Helper()
	entries, err := os.ReadDir(models)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func file(t *testing.T, name, content string) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestNames(t *testing.T) {
	t.Parallel()
	models := t.TempDir()
	if err := os.Mkdir(filepath.Join(models, "taken"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"abc": "", "a234567890123456789012": "", "with-2-hyphens": "",
		"ab": "3 to 22", "a2345678901234567890123": "3 to 22", "2nd-model": "opening with a letter", "ends-": "closing with",
		"My Model": `"my-model" would do`, "a_b": `"a-b" would do`, "stats": "not \"stats\"", "../up": "3 to 22", "": "3 to 22", "taken": "exists already",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := CheckName(models, name)
			if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("CheckName = %v, want %q", err, want)
			}
		})
	}
}

// Whatever goes wrong, the models are as they were.
func TestFailuresLeaveNothing(t *testing.T) {
	t.Parallel()
	stopped, stop := context.WithCancel(context.Background())
	stop()
	short := file(t, "short.csv", "size,age\n1,2\n")
	wrong := file(t, "wrong.csv", "size,age,colour,shop,prediction\n1,2,red,10,0.25\n")
	none := file(t, "none.csv", "size,age,colour,shop\nx,2,red,10\n")
	for name, c := range map[string]struct {
		ctx  context.Context
		o    Options
		want string
	}{
		"interrupted":                 {stopped, Options{Name: "abc", Kind: "both"}, "interrupted"},
		"interrupted in a file":       {stopped, Options{Name: "abc", Kind: "both", Artifact: logistic, CSV: short}, "interrupted, nothing was made"},
		"an unknown kind":             {nil, Options{Name: "abc", Kind: "stream"}, "realtime, batch, both"},
		"no folder of models":         {nil, Options{Name: "abc", Kind: "both", Models: "nowhere"}, "no folder nowhere"},
		"a CSV without a model":       {nil, Options{Name: "abc", Kind: "both", CSV: short}, "--artifact"},
		"no model file":               {nil, Options{Name: "abc", Kind: "both", Artifact: short}, "is no model file"},
		"an absent model file":        {nil, Options{Name: "abc", Kind: "both", Artifact: "absent.ubj"}, "absent.ubj"},
		"labels of other classes":     {nil, Options{Name: "abc", Kind: "both", Artifact: logistic, Labels: []string{"a", "b", "c"}}, "tells 2 classes apart"},
		"a CSV that lacks columns":    {nil, Options{Name: "abc", Kind: "both", Artifact: logistic, CSV: short}, "short.csv"},
		"predictions of another one":  {nil, Options{Name: "abc", Kind: "both", Artifact: logistic, CSV: wrong}, "prediction is 0.25, the model gives"},
		"no row that fits":            {nil, Options{Name: "abc", Kind: "both", Artifact: logistic, CSV: none}, "none of its 1 rows fits"},
		"uploads that another covers": {nil, Options{Name: "abc", Kind: "batch"}, "overlaps"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.ctx == nil {
				c.ctx = t.Context()
			}
			models := t.TempDir()
			want := []string{}
			if strings.HasPrefix(name, "uploads") {
				if _, err := New(t.Context(), Options{Name: "other", Kind: "batch", Models: models}); err != nil {
					t.Fatal(err)
				}
				replace(t, filepath.Join(models, "other", manifest.File), `prefix: "other/"`, `prefix: "abc/deep/"`)
				want = []string{"other"}
			}
			if c.o.Models == "" {
				c.o.Models = models
			}
			if r, err := New(c.ctx, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("New = %+v, %v, want an error with %q", r, err, c.want)
			}
			if d := cmp.Diff(want, left(t, models)); d != "" {
				t.Errorf("left behind (-want +got):\n%s", d)
			}
		})
	}
}

func replace(t *testing.T, name, old, new string) {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(data, []byte(old)) {
		t.Fatalf("%s does not hold %s", name, old)
	}
	if err := os.WriteFile(name, bytes.ReplaceAll(data, []byte(old), []byte(new)), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestOutputsFollowTheObjective(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		info   forest.Info
		labels []string
		want   string
	}{
		"a number":                  {forest.Info{Objective: "reg:squarederror", Outputs: 1, Margins: 1}, nil, "prediction"},
		"a probability":             {forest.Info{Objective: "binary:logistic", Outputs: 1, Margins: 1}, nil, "probability"},
		"a probability and names":   {forest.Info{Objective: "binary:logistic", Outputs: 1, Margins: 1}, []string{"no", "yes"}, "probability class"},
		"a class's number":          {forest.Info{Objective: "multi:softmax", Outputs: 1, Margins: 3}, nil, "prediction"},
		"a class's name":            {forest.Info{Objective: "multi:softmax", Outputs: 1, Margins: 3}, []string{"a", "b", "c"}, "class"},
		"probabilities":             {forest.Info{Objective: "multi:softprob", Outputs: 2, Margins: 2}, nil, "probability_0 probability_1"},
		"probabilities with names":  {forest.Info{Objective: "multi:softprob", Outputs: 2, Margins: 2}, []string{"a", "b"}, "probability_a probability_b class"},
		"several numbers":           {forest.Info{Objective: "reg:squarederror", Outputs: 2, Margins: 2}, nil, "output_0 output_1"},
		"a probability of LightGBM": {forest.Info{Objective: "binary", Outputs: 1, Margins: 1}, nil, "probability"},
		"a probability of CatBoost": {forest.Info{Objective: "Logloss", Outputs: 1, Margins: 1, Classes: []string{"no", "yes"}}, nil, "probability class"},
		"classes of CatBoost":       {forest.Info{Objective: "MultiClass", Outputs: 2, Margins: 2, Classes: []string{"a", "b"}}, nil, "probability_a probability_b class"},
		"names of CatBoost's own":   {forest.Info{Objective: "MultiClass", Outputs: 2, Margins: 2, Classes: []string{"a", "b"}}, []string{"c", "d"}, "probability_c probability_d class"},
		"classes of LightGBM":       {forest.Info{Objective: "multiclass", Outputs: 2, Margins: 2}, []string{"a", "b"}, "probability_a probability_b class"},
		"names without classes":     {forest.Info{Objective: "count:poisson", Outputs: 1, Margins: 1}, []string{"a", "b"}, "error: --labels: the objective count:poisson has no classes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := outputsOf(c.info, c.labels)
			var names []string
			for _, o := range out {
				names = append(names, o.Name)
			}
			got := strings.Join(names, " ")
			if err != nil {
				got = "error: " + err.Error()
			}
			if got != c.want {
				t.Errorf("outputs %q, want %q", got, c.want)
			}
		})
	}
}

// A CSV gives parity rows, the baseline and what may be missing; its own predictions are held to the engine's.
func TestFromAFileAndRows(t *testing.T) {
	t.Parallel()
	models := t.TempDir()
	var csv strings.Builder
	csv.WriteString("id,age,size,shop,colour\n")
	for i := range 300 {
		age := fmt.Sprint(i % 70)
		if i == 17 {
			age = ""
		}
		colour := []string{"red", "blue"}[i%2]
		if i == 18 {
			colour = "" // a category of this model
		}
		fmt.Fprintf(&csv, "%d,%s,%d.5,%d,%s\n", i, age, i, []int{10, -20, 3}[i%3], colour)
	}
	csv.WriteString("300,1,2,99,red\n") // a shop that training did not know
	name := file(t, "rows.csv", csv.String())
	r, err := New(t.Context(), Options{Name: "plain", Kind: "both", Models: models, Artifact: logistic, CSV: name})
	if err != nil {
		t.Fatal(err)
	}
	notes := strings.Join(r.Notes, "\n")
	if !strings.Contains(notes, "Millrace's own") || !strings.Contains(notes, "1 rows of the CSV do not fit") || !strings.Contains(notes, "row 301: shop") {
		t.Errorf("notes: %s", notes)
	}
	m, err := manifest.LoadDir(os.DirFS(models), "plain")
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range m.Inputs {
		if in.Nullable != (in.Name == "age") {
			t.Errorf("input %s: nullable is %v", in.Name, in.Nullable)
		}
	}
	var base struct {
		Rows   int
		Inputs map[string]struct {
			Nulls, Count int
			Edges        []float64
			Counts       json.RawMessage
		}
	}
	data, err := os.ReadFile(filepath.Join(models, "plain", "baseline.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &base); err != nil {
		t.Fatal(err)
	}
	if age, size := base.Inputs["age"], base.Inputs["size"]; base.Rows != 300 || age.Nulls != 1 || age.Count != 299 || len(size.Edges) != 11 ||
		size.Edges[0] != 0.5 || size.Edges[5] != 150 || string(size.Counts) != "[30, 30, 30, 30, 30, 30, 30, 30, 30, 30]" ||
		string(base.Inputs["colour"].Counts) != `{"red": 149, "": 1, "blue": 150}` {
		t.Errorf("baseline: %s", data)
	}
	// The same rows with the predictions beside them, as the training library would have written them.
	withPredictions(t, filepath.Join(models, "plain"), name)
	r, err = New(t.Context(), Options{Name: "proven", Kind: "both", Models: models, Artifact: logistic, CSV: name})
	if err != nil || len(r.Notes) != 0 {
		t.Errorf("with the trainer's predictions: %+v, %v", r, err)
	}
	readme, err := os.ReadFile(filepath.Join(models, "proven", "README.md"))
	if err != nil || !strings.Contains(string(readme), "with its own predictions") {
		t.Errorf("README.md: %v\n%s", err, readme)
	}
}

// withPredictions writes the parity rows of a folder as a CSV with their predictions.
func withPredictions(t *testing.T, dir, name string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, score.ParityFile))
	if err != nil {
		t.Fatal(err)
	}
	out := "size,age,colour,shop,prediction\n"
	for line := range strings.Lines(string(data)) {
		var p struct {
			Instance   map[string]any
			Prediction float64
		}
		if err := json.Unmarshal([]byte(line), &p); err != nil {
			t.Fatal(err)
		}
		age := p.Instance["age"]
		if age == nil {
			age = ""
		}
		out += fmt.Sprintf("%v,%v,%v,%v,%.9g\n", p.Instance["size"], age, p.Instance["colour"], p.Instance["shop"], p.Prediction)
	}
	if err := os.WriteFile(name, []byte(out), 0o644); err != nil {
		t.Fatal(err)
	}
}
