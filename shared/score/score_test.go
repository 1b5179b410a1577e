package score

import (
	"math"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/forest"
	"github.com/millrace-ml/millrace/shared/manifest"
)

func open(t testing.TB, fsys fstest.MapFS) *Model {
	t.Helper()
	m, err := Open(fsys)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestScoreGivesTheRecordedPredictions(t *testing.T) {
	t.Parallel()
	m := open(t, folder(t, folderOptions{}))
	if got := m.Digest(); !strings.HasPrefix(got, "sha256:") || len(got) != 71 || !strings.Contains(manifestSHA(m), got[7:]) {
		t.Errorf("digest %q", got)
	}
	x, want := matrixOf(t, "logistic")
	s := m.NewScorer()
	var instances []map[string]any
	for i := range want {
		instances = append(instances, instance(x[i*4:i*4+4]))
	}
	fill(t, s, instances)
	p, err := s.Score()
	if err != nil {
		t.Fatal(err)
	}
	if p.Rows != len(want) || len(p.Outputs) != 2 || p.Outputs[0].Name != "probability" || p.Outputs[1].Name != "verdict" {
		t.Fatalf("predictions %+v", p)
	}
	seen := map[string]bool{}
	for i, v := range want {
		if got := p.Outputs[0].Values[i]; got != v {
			t.Errorf("row %d: %v, XGBoost says %v", i, got, v)
		}
		verdict := map[bool]string{true: "accept", false: "reject"}[v >= 0.7]
		if got := p.Outputs[1].Labels[i]; got != verdict {
			t.Errorf("row %d: %s for %v, want %s", i, got, v, verdict)
		}
		seen[verdict] = true
	}
	if len(seen) != 2 {
		t.Errorf("the rows show only the verdicts %v", seen)
	}
	s.Rows().Reset()
	if p, err := s.Score(); err != nil || p.Rows != 0 || len(p.Outputs[0].Values) != 0 || p.Outputs[1].Labels == nil {
		t.Errorf("no rows: %+v, %v", p, err)
	}
}

func manifestSHA(m *Model) string { return m.Manifest().Artifact.SHA256 }

func TestClassesAndClip(t *testing.T) {
	t.Parallel()
	m := open(t, folder(t, folderOptions{model: "softprob"}))
	x, want := matrixOf(t, "softprob")
	s := m.NewScorer()
	for i := range len(want) / 3 {
		fill(t, s, []map[string]any{instance(x[i*4 : i*4+4])})
		p, err := s.Score()
		if err != nil {
			t.Fatal(err)
		}
		row := want[i*3 : i*3+3]
		class := "low"
		if row[1] > row[0] && row[1] >= row[2] {
			class = "mid"
		} else if row[2] > row[0] && row[2] > row[1] {
			class = "high"
		}
		got := []float64{p.Outputs[0].Values[0], p.Outputs[1].Values[0], p.Outputs[2].Values[0]}
		if diff := cmp.Diff([]float64{row[0], row[1], min(row[2], 0.5)}, got); diff != "" {
			t.Errorf("row %d (-want +got):\n%s", i, diff)
		}
		if got := p.Outputs[3].Labels[0]; got != class {
			t.Errorf("row %d: class %s of %v, want %s", i, got, row, class)
		}
	}
}

func TestScorersAreIndependent(t *testing.T) {
	t.Parallel()
	m := open(t, folder(t, folderOptions{}))
	x, want := matrixOf(t, "logistic")
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			s := m.NewScorer()
			for i := w; i < len(want); i++ {
				fill(t, s, []map[string]any{instance(x[i*4 : i*4+4])})
				if p, err := s.Score(); err != nil || p.Outputs[0].Values[0] != want[i] {
					t.Errorf("row %d: %v, %v, want %v", i, p.Outputs[0].Values, err, want[i])
				}
			}
		})
	}
	wg.Wait()
}

func TestScoreAllocatesNothing(t *testing.T) {
	m := open(t, folder(t, folderOptions{}))
	x, _ := matrixOf(t, "logistic")
	s := m.NewScorer()
	fill(t, s, []map[string]any{instance(x[:4]), instance(x[4:8])})
	if n := testing.AllocsPerRun(50, func() {
		if _, err := s.Score(); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// The model that the README runs on must open too: it is made by the exporter, from real data.
func TestBikeDemandOpens(t *testing.T) {
	t.Parallel()
	m, err := Open(os.DirFS("../../models/bike-demand"))
	if err != nil {
		t.Fatal(err)
	}
	if i := m.Info(); i.Features != m.Contract().Width() || i.Trees == 0 {
		t.Errorf("info %+v", i)
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	limit := func(v float64) *float64 { return &v }
	labels := []string{"a", "b", "c"}
	for _, c := range []struct {
		name   string
		output manifest.Output
		info   forest.Info
		raw    []float64
		want   Output
	}{
		{"below min", manifest.Output{Min: limit(0)}, forest.Info{Outputs: 1, Margins: 1}, []float64{-3, 0, 2}, Output{Values: []float64{0, 0, 2}}},
		{"above max", manifest.Output{Max: limit(1)}, forest.Info{Outputs: 1, Margins: 1}, []float64{-3, 0, 2}, Output{Values: []float64{-3, 0, 1}}},
		{"at the default threshold", manifest.Output{Labels: labels[:2]}, forest.Info{Outputs: 1, Margins: 1}, []float64{0.5, math.Nextafter(0.5, 0)}, Output{Labels: []string{"b", "a"}}},
		{"at a threshold", manifest.Output{Labels: labels[:2], Threshold: limit(0.9)}, forest.Info{Outputs: 1, Margins: 1}, []float64{0.9, 0.89}, Output{Labels: []string{"b", "a"}}},
		{"class numbers", manifest.Output{Labels: labels}, forest.Info{Outputs: 1, Margins: 3}, []float64{2, 0}, Output{Labels: []string{"c", "a"}}},
		{"greatest, the first wins", manifest.Output{Labels: labels}, forest.Info{Outputs: 3, Margins: 3}, []float64{1, 3, 3, 2, 1, 0}, Output{Labels: []string{"b", "a"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			rules, err := newRules([]manifest.Output{c.output}, c.info)
			if err != nil {
				t.Fatal(err)
			}
			var got Output
			rules[0].apply(c.raw, c.info.Outputs, len(c.raw)/c.info.Outputs, &got)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("output (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRulesRefuse(t *testing.T) {
	t.Parallel()
	limit := 0.5
	for _, c := range []struct {
		name, want string
		outputs    []manifest.Output
		info       forest.Info
	}{
		{"a number too many", "names 2 numbers, the artifact (x) gives 1", []manifest.Output{{Name: "a"}, {Name: "b"}}, forest.Info{Outputs: 1, Margins: 1}},
		{"a number too few", "names 1 numbers, the artifact (x) gives 3", []manifest.Output{{Name: "a"}, {Name: "b", Labels: []string{"1", "2", "3"}}}, forest.Info{Outputs: 3, Margins: 3}},
		{"labels that are not the classes", `output "a" has 2 labels, the artifact (x) tells 3 classes apart`, []manifest.Output{{Name: "a", Labels: []string{"1", "2"}}}, forest.Info{Outputs: 3, Margins: 3}},
		{"labels that are not the class numbers", "has 2 labels, the artifact (x) tells 3 classes", []manifest.Output{{Name: "a", Labels: []string{"1", "2"}}}, forest.Info{Outputs: 1, Margins: 3}},
		{"three labels for one number", "has 3 labels, the artifact (x) tells 2 classes", []manifest.Output{{Name: "a", Labels: []string{"1", "2", "3"}}}, forest.Info{Outputs: 1, Margins: 1}},
		{"a threshold for two columns", "has a threshold, but the artifact (x) gives no single number", []manifest.Output{{Name: "a", Labels: []string{"1", "2"}, Threshold: &limit}}, forest.Info{Outputs: 2, Margins: 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.info.Objective = "x"
			if _, err := newRules(c.outputs, c.info); err == nil || fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}
