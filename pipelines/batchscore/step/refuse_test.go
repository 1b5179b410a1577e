package step_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace-ml/millrace/pipelines/batchscore"
	"github.com/millrace-ml/millrace/shared/batch"
)

// verdict reads verdict.json; both outcomes at once are a fault.
func (w *world) verdict(t testing.TB) batch.Verdict {
	t.Helper()
	text, ok := w.get(t, staging, batch.VerdictObject(runID))
	if !ok {
		t.Fatal("there is no verdict.json")
	}
	if names := w.list(t, outbox, ""); len(names) > 0 {
		t.Errorf("the outbox has %q beside a verdict", names)
	}
	var v batch.Verdict
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// TestDatasetsThatCannotBeScored: plan answers "done" with exit 0, and the verdict tells a person what to do.
func TestDatasetsThatCannotBeScored(t *testing.T) {
	t.Parallel()
	lines := strings.SplitAfter(sample(t), "\n")
	header := lines[0]
	utf16 := func(s string) string {
		out := "\xff\xfe"
		for _, c := range []byte(s) {
			out += string([]byte{c, 0})
		}
		return out
	}
	for name, tc := range map[string]struct {
		file   string
		absent bool
		want   string // part of the reason
	}{
		"nothing there":   {"", true, "no dataset: gs://millrace-inbox/f.csv does not exist"},
		"empty":           {"", false, "gs://millrace-inbox/f.csv: the file is empty: its first row must name the columns"},
		"header only":     {header, false, "no rows: gs://millrace-inbox/f.csv has a header and nothing below it"},
		"UTF-16":          {utf16(sample(t)), false, "gs://millrace-inbox/f.csv: the file is UTF-16 text (little endian), not CSV: save it as CSV UTF-8"},
		"binary":          {"\x7fELF\x00\x01\x02" + sample(t), false, "the file is binary data (a NUL byte at offset 4), not CSV"},
		"a workbook":      {"PK\x03\x04....", false, "an Excel workbook, not CSV: export it as CSV UTF-8"},
		"wrong columns":   {"instant,dteday,hr,Season\n1,2012-01-01,3,1\n", false, `column "season" is missing`},
		"no id column":    {strings.Replace(sample(t), "instant", "number", 1), false, `id column "instant" is missing`},
		"wrong delimiter": {strings.ReplaceAll(sample(t), ",", ";"), false, `if ';' separates the fields, set batch.delimiter in model.yaml`},
		"duplicate names": {strings.Replace(sample(t), "casual,registered", "casual,casual", 1), false, `header: column 16: the name "casual" stands at column 15 already`},
		"an open quote":   {header + lines[1] + `"` + strings.Join(lines[2:10], ""), false, fmt.Sprintf("the quote that opens at byte %d, in row 2, is never closed, so the 7 lines after it cannot be told apart", len(header+lines[1]))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, bikes(t))
			if !tc.absent {
				w.put(t, inbox, "f.csv", tc.file)
			}
			for range 2 { // a second try settles nothing anew
				r := w.run(t, batchscore.StepPlan, object("f.csv", 0)).ok(t)
				if mode := r.text(t, batchscore.OutMode); mode != batchscore.ModeDone {
					t.Errorf("mode is %q", mode)
				}
			}
			if v := w.verdict(t); v.State != "invalid" || !strings.Contains(v.Reason, tc.want) {
				t.Errorf("verdict is %s: %s\nwant invalid: …%s…", v.State, v.Reason, tc.want)
			}
		})
	}
}

func TestEmptyPrefix(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bikes(t))
	w.put(t, inbox, "day/_SUCCESS", "x")
	r := w.run(t, batchscore.StepPlan, map[string]any{batchscore.ParamDataset: batch.Dataset{Bucket: inbox, Prefix: "day/"}}).ok(t)
	if v := w.verdict(t); v.State != "invalid" || v.Reason != "no dataset: there is no data below gs://millrace-inbox/day/" || r.text(t, batchscore.OutMode) != batchscore.ModeDone {
		t.Errorf("verdict is %+v", v)
	}
}

// rowsWithFaults is the sample with one row of each kind of fault, at rows 3 to 6.
func rowsWithFaults(t testing.TB) string {
	t.Helper()
	lines := strings.SplitAfter(sample(t), "\n")
	lines[3] = "only,three,fields\n"
	lines[4] = strings.Replace(lines[4], "8/1/2012", "yesterday", 1)
	lines[5] = `x"y` + lines[5]
	cells := strings.Split(lines[6], ",")
	cells[10], cells[11], cells[12] = "1.5", "warm", ""
	lines[6] = strings.Join(cells, ",")
	return strings.Join(lines, "")
}

func TestRejectedRows(t *testing.T) {
	t.Parallel()
	for name, lines := range map[string][]string{"small": {`max_rejected: "10%"`}, "sharded": append([]string{"max_rejected: 4"}, small...)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, bikes(t, lines...))
			w.put(t, inbox, "f.csv", rowsWithFaults(t))
			w.whole(t, object("f.csv", 0))
			p := w.published(t)
			want := [][]string{
				{"3", "", "only,three,fields", "3 fields, the header has 17"},
				{"4", "dteday", "yesterday", "format: expected a timestamp"},
				{"5", "", `x"y`, "a quote inside a field that does not begin with one"},
				{"6", "temp", "1.5", "range: expected a number from 0 to 1 (and 2 more in this row)"},
			}
			if len(p.rejected) != len(want) {
				t.Fatalf("rejected rows are %q", p.rejected)
			}
			for i, row := range p.rejected {
				if row[0] != want[i][0] || row[1] != want[i][1] || !strings.Contains(row[2], want[i][2]) || !strings.Contains(row[3], want[i][3]) {
					t.Errorf("rejected row %q, want %q", row, want[i])
				}
			}
			for _, row := range p.predictions[1:] {
				if row[1] >= "3" && row[1] <= "6" && len(row[1]) == 1 {
					t.Errorf("row %s is among the predictions too", row[1])
				}
			}
			wantBy := []any{
				map[string]any{"code": "unreadable", "rows": 2.0},
				map[string]any{"column": "dteday", "code": "format", "rows": 1.0},
				map[string]any{"column": "temp", "code": "range", "rows": 1.0},
			}
			if diff := cmp.Diff(wantBy, p.summary["rejected_by"]); diff != "" {
				t.Errorf("rejected_by (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTooManyRejectedRows(t *testing.T) {
	t.Parallel()
	for name, lines := range map[string][]string{"small": {`max_rejected: "1%"`}, "sharded": append([]string{"max_rejected: 3"}, small...)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, bikes(t, lines...))
			w.put(t, inbox, "f.csv", rowsWithFaults(t))
			w.whole(t, object("f.csv", 0))
			v := w.verdict(t)
			rows := len(strings.Split(strings.TrimSpace(sample(t)), "\n")) - 1
			if v.State != "failed" || !strings.HasPrefix(v.Reason, fmt.Sprintf("4 of %d rows were rejected, batch.max_rejected allows ", rows)) {
				t.Errorf("verdict is %+v", v)
			}
			_, name, _ := strings.Cut(v.Reason, "gs://"+staging+"/")
			text, ok := w.get(t, staging, name)
			if lines := strings.Count(text, "\n"); !ok || lines != 5 {
				t.Errorf("the reason names %q, which has %d lines", name, lines)
			}
		})
	}
}

// TestOverwrittenDataset: what was claimed and is gone is a verdict at any step, not a failure that is tried again.
func TestOverwrittenDataset(t *testing.T) {
	t.Parallel()
	setup := func(t *testing.T) (*world, int64) {
		w := newWorld(t, bikes(t, small...))
		return w, w.put(t, inbox, "f.csv", sample(t))
	}
	overwrite := func(t *testing.T, w *world) string {
		return fmt.Sprintf("was replaced by #%d before this run had read it; the newer upload gets a run of its own", w.put(t, inbox, "f.csv", sample(t)))
	}
	remove := func(t *testing.T, w *world) string {
		if err := w.client.Bucket(inbox).Object("f.csv").Delete(t.Context()); err != nil {
			t.Fatal(err)
		}
		return "was deleted before this run had read it"
	}
	for name, change := range map[string]func(*testing.T, *world) string{"overwritten": overwrite, "deleted": remove} {
		t.Run(name+" before plan", func(t *testing.T) {
			t.Parallel()
			w, generation := setup(t)
			want := change(t, w)
			w.run(t, batchscore.StepPlan, object("f.csv", generation)).ok(t)
			if v := w.verdict(t); v.State != "invalid" || !strings.HasSuffix(v.Reason, want) {
				t.Errorf("verdict is %+v, want %s", v, want)
			}
		})
		t.Run(name+" between plan and score", func(t *testing.T) {
			t.Parallel()
			w, generation := setup(t)
			planned := w.run(t, batchscore.StepPlan, object("f.csv", generation)).ok(t)
			var shards []json.RawMessage
			if err := json.Unmarshal(planned.outputs[batchscore.OutShards], &shards); err != nil {
				t.Fatal(err)
			}
			want := change(t, w)
			for _, s := range shards {
				w.run(t, batchscore.StepScore, map[string]any{batchscore.ParamShard: s, batchscore.ParamHeader: planned.outputs[batchscore.OutHeader]}).ok(t)
			}
			w.run(t, batchscore.StepPublish, map[string]any{batchscore.ParamCount: len(shards)}).ok(t)
			if v := w.verdict(t); v.State != "invalid" || !strings.HasSuffix(v.Reason, want) {
				t.Errorf("verdict is %+v, want %s", v, want)
			}
		})
	}
}
