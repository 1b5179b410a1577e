package step_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace-ml/millrace/pipelines/batchscore"
	"github.com/millrace-ml/millrace/shared/batch"
	"github.com/millrace-ml/millrace/shared/score"
)

// table reads a CSV file with the standard library.
func table(t testing.TB, text string) [][]string {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// published is a run's output, checked against its own _SUCCESS.json.
type published struct {
	success     batch.Success
	summary     map[string]any
	predictions [][]string // all files, one header
	rejected    [][]string // without the header
}

func (w *world) published(t testing.TB) *published {
	t.Helper()
	prefix := batch.OutputPrefix(model, runID)
	text, ok := w.get(t, outbox, prefix+"_SUCCESS.json")
	if !ok {
		verdict, _ := w.get(t, staging, batch.VerdictObject(runID))
		t.Fatalf("there is no _SUCCESS.json; verdict: %s", verdict)
	}
	p := &published{}
	if err := json.Unmarshal([]byte(text), &p.success); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, o := range p.success.Objects {
		a, err := w.client.Bucket(outbox).Object(o.Name).Attrs(t.Context())
		if err != nil || a.CRC32C != o.CRC32C || a.Size != o.Size {
			t.Fatalf("object %+v is %+v, %v", o, a, err)
		}
		names = append(names, strings.TrimPrefix(o.Name, prefix))
		text, _ := w.get(t, outbox, o.Name)
		switch base := filepath.Base(o.Name); {
		case base == "summary.json":
			if err := json.Unmarshal([]byte(text), &p.summary); err != nil {
				t.Fatal(err)
			}
		case base == "rejected_rows.csv":
			p.rejected = table(t, text)[1:]
		default:
			rows := table(t, text)
			if p.predictions == nil {
				p.predictions = rows[:1]
			}
			p.predictions = append(p.predictions, rows[1:]...)
		}
	}
	there := w.list(t, outbox, prefix)
	if slices.Sort(names); !slices.Equal(slices.Sorted(slices.Values(append(names, "_SUCCESS.json"))), there) {
		t.Errorf("the outbox has %q, _SUCCESS.json lists %q", there, names)
	}
	if s := p.success; s.Rows != s.Scored+s.Rejected || s.Scored != int64(len(p.predictions)-1) || s.Rejected != int64(len(p.rejected)) {
		t.Errorf("_SUCCESS.json counts %d = %d + %d, the files have %d and %d", s.Rows, s.Scored, s.Rejected, len(p.predictions)-1, len(p.rejected))
	}
	return p
}

func TestSmallDatasetIsOneTask(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bikes(t))
	generation := w.put(t, inbox, "bike-demand/new.csv", sample(t))
	if mode := w.whole(t, object("bike-demand/new.csv", generation)); mode != batchscore.ModeDone {
		t.Fatalf("mode is %q", mode)
	}
	p := w.published(t)
	rows := table(t, sample(t))
	if diff := cmp.Diff([]string{"instant", "row", "count", "model_version"}, p.predictions[0]); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	if int(p.success.Rows) != len(rows)-1 || len(p.rejected) != 0 || p.success.Model != model || p.success.Version != "2011" || p.success.RunID != runID {
		t.Errorf("of %d rows: %+v, rejected %v", len(rows)-1, p.success, p.rejected)
	}
	for i, row := range p.predictions[1:] {
		if row[0] != rows[i+1][0] || row[1] != strconv.Itoa(i+1) || row[3] != "2011" {
			t.Fatalf("row %d is %q", i+1, row)
		}
	}
	lineage := p.summary["lineage"].(map[string]any)
	input := lineage["input"].([]any)[0].(map[string]any)
	if lineage["folder_digest"] != w.digest || lineage["spec_digest"] != "sha256:5bec" || lineage["image"] != "steps@sha256:1" || lineage["commit"] != "c0ffee" ||
		lineage["artifact_digest"] != p.success.Digest || input["generation"] != fmt.Sprint(generation) || input["object"] != "gs://millrace-inbox/bike-demand/new.csv" {
		t.Errorf("lineage is %v", lineage)
	}
}

// TestFilesScoreAsRequestsDo: the same bits from both doors of the one scoring path.
func TestFilesScoreAsRequestsDo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bikes(t))
	w.put(t, inbox, "bike-demand/new.csv", sample(t))
	w.whole(t, object("bike-demand/new.csv", 0))
	got := w.published(t).predictions[1:]

	m, err := score.Open(os.DirFS(filepath.Join("..", "..", "..", "models", model)))
	if err != nil {
		t.Fatal(err)
	}
	rows := table(t, sample(t))
	s := m.NewScorer()
	for i, row := range rows[1:] { // one request each
		s.Rows().Reset()
		n := s.Rows().Append()
		for j, name := range rows[0] {
			input, ok := m.Contract().Lookup([]byte(name))
			if !ok {
				continue
			}
			text := []byte(row[j])
			switch v, err := strconv.ParseFloat(row[j], 64); {
			case name == "holiday" || name == "workingday":
				s.Rows().SetBool(n, input, row[j] == "1")
			case err == nil:
				s.Rows().SetNumber(n, input, v, text)
			default:
				s.Rows().SetString(n, input, text)
			}
		}
		s.Rows().Finish()
		if problems := s.Rows().Problems(); len(problems) > 0 {
			t.Fatalf("row %d: %v", i+1, problems[0])
		}
		p, err := s.Score()
		if err != nil {
			t.Fatal(err)
		}
		if want := strconv.FormatFloat(p.Outputs[0].Values[0], 'g', -1, 64); got[i][2] != want {
			t.Fatalf("row %d: the file gives %s, the request %s", i+1, got[i][2], want)
		}
	}
}

// small makes any dataset be cut.
var small = []string{`small_dataset: "1KiB"`, `shard_size: "4KiB"`}

func TestShardsScoreAsTheWhole(t *testing.T) {
	t.Parallel()
	whole, cut := newWorld(t, bikes(t)), newWorld(t, bikes(t, small...))
	for _, w := range []*world{whole, cut} {
		w.put(t, inbox, "bike-demand/new.csv", sample(t))
	}
	whole.whole(t, object("bike-demand/new.csv", 0))
	if mode := cut.whole(t, object("bike-demand/new.csv", 0)); mode != batchscore.ModeSharded {
		t.Fatalf("mode is %q", mode)
	}
	a, b := whole.published(t), cut.published(t)
	if n := len(b.success.Objects); n < 5 {
		t.Errorf("there are %d objects, want several shards", n)
	}
	if diff := cmp.Diff(a.predictions, b.predictions); diff != "" {
		t.Errorf("predictions (-whole +shards):\n%s", diff)
	}
}

// rewrite writes the sample in another form of CSV.
func rewrite(t testing.TB, change func(rows [][]string) string) string {
	t.Helper()
	return change(table(t, sample(t)))
}

func TestFormsOfCSVScoreTheSame(t *testing.T) {
	t.Parallel()
	join := func(rows [][]string, delimiter, end, quote string) string {
		var b strings.Builder
		for _, row := range rows {
			b.WriteString(quote + strings.Join(row, quote+delimiter+quote) + quote + end)
		}
		return b.String()
	}
	w := newWorld(t, bikes(t))
	w.put(t, inbox, "f.csv", sample(t))
	w.whole(t, object("f.csv", 0))
	want := w.published(t).predictions
	for name, tc := range map[string]struct {
		lines  []string
		change func(rows [][]string) string
	}{
		"CRLF":          {nil, func(rows [][]string) string { return join(rows, ",", "\r\n", "") }},
		"lone CR":       {nil, func(rows [][]string) string { return join(rows, ",", "\r", "") }},
		"quotes":        {nil, func(rows [][]string) string { return join(rows, ",", "\n", `"`) }},
		"BOM":           {nil, func(rows [][]string) string { return "\uFEFF" + join(rows, ",", "\n", "") }},
		"no last end":   {nil, func(rows [][]string) string { return strings.TrimSuffix(join(rows, ",", "\n", ""), "\n") }},
		"semicolons":    {[]string{`delimiter: ";"`}, func(rows [][]string) string { return join(rows, ";", "\n", "") }},
		"columns moved": {nil, func(rows [][]string) string { return join(reverse(rows, ""), ",", "\n", "") }},
		"line ends in quotes, sharded": {small, func(rows [][]string) string {
			return join(reverse(rows, "a \"\"note\"\",\nof two lines"), ",", "\r\n", `"`)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, bikes(t, tc.lines...))
			w.put(t, inbox, "f.csv", rewrite(t, tc.change))
			w.whole(t, object("f.csv", 0))
			if diff := cmp.Diff(want, w.published(t).predictions); diff != "" {
				t.Errorf("predictions (-plain +%s):\n%s", name, diff)
			}
		})
	}
}

// reverse turns the columns round and adds one that the contract does not know.
func reverse(rows [][]string, note string) [][]string {
	for i := range rows {
		slices.Reverse(rows[i])
		rows[i] = append(rows[i], note)
	}
	rows[0][len(rows[0])-1] = "note"
	return rows
}

func TestDatasetOfSeveralFiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bikes(t))
	lines := strings.SplitAfter(sample(t), "\n")
	header, data := lines[0], lines[1:len(lines)-1]
	w.put(t, inbox, "day/a.csv", header+strings.Join(data[:10], ""))
	w.put(t, inbox, "day/b.csv", rewrite(t, func(rows [][]string) string { // its header is another
		var b strings.Builder
		for i, row := range reverse(rows, "x") {
			if i == 0 || i > 10 {
				b.WriteString(strings.Join(row, ",") + "\n")
			}
		}
		return b.String()
	}))
	for _, name := range []string{"day/_SUCCESS", "day/.hidden.csv", "day/c.csv.tmp", "day/_temporary/0/part.csv"} {
		w.put(t, inbox, name, "no data")
	}
	w.put(t, inbox, "day/empty.csv", "")
	w.put(t, inbox, "day/sub/", "")
	w.put(t, inbox, "other/a.csv", sample(t))
	prefix := map[string]any{batchscore.ParamDataset: batch.Dataset{Bucket: inbox, Prefix: "day/"}}
	w.whole(t, prefix)
	got := w.published(t)

	alone := newWorld(t, bikes(t))
	alone.put(t, inbox, "f.csv", sample(t))
	alone.whole(t, object("f.csv", 0))
	if diff := cmp.Diff(alone.published(t).predictions, got.predictions); diff != "" {
		t.Errorf("predictions, rows numbered through (-one file +two files):\n%s", diff)
	}
	lineage := got.summary["lineage"].(map[string]any)
	if len(lineage["input"].([]any)) != 2 || len(lineage["ignored"].([]any)) != 6 {
		t.Errorf("lineage is %v", lineage)
	}
	if second := lineage["input"].([]any)[1].(map[string]any); second["first_row"] != 11.0 {
		t.Errorf("the second file begins at row %v, want 11", second["first_row"])
	}
}

// TestDatasetIsResolvedOnce: a file that comes later is not part of a run that is planned again.
func TestDatasetIsResolvedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bikes(t, small...))
	w.put(t, inbox, "day/a.csv", sample(t))
	prefix := map[string]any{batchscore.ParamDataset: batch.Dataset{Bucket: inbox, Prefix: "day/"}}
	first := w.run(t, batchscore.StepPlan, prefix).ok(t)
	w.put(t, inbox, "day/b.csv", sample(t))
	w.remove(t, staging, runID+"/plan.json") // as if the first try had died before it
	second := w.run(t, batchscore.StepPlan, prefix).ok(t)
	if diff := cmp.Diff(string(first.outputs[batchscore.OutShards]), string(second.outputs[batchscore.OutShards])); diff != "" {
		t.Errorf("shards (-first +second):\n%s", diff)
	}
}
