package candidate

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/millrace-ml/millrace/internal/batchtest"
	"github.com/millrace-ml/millrace/shared/batch"
	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/score"
)

// three are parity rows with an id, a number and a label.
func three() *rows {
	return &rows{
		n: 3, lines: []int{1, 2, 4}, version: "7", ids: []string{"ticket"}, idText: [][]string{{"a"}, {"b"}, {"c, d"}},
		want: &score.Predictions{Rows: 3, Outputs: []score.Output{
			{Name: "price", Values: []float64{0.1, math.NaN(), 1e21}}, {Name: "class", Labels: []string{"low", "high", "1.0"}},
		}},
	}
}

const right = "ticket,row,price,class,model_version\na,1,0.1,low,7\nb,2,,high,7\n\"c, d\",3,1e+21,1.0,7\n"

func TestCompare(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ from, to, says string }{
		"as it should be":         {"", "", ""},
		"another notation":        {"1e+21", "1000000000000000000000", ""},
		"another order":           {"a,1,0.1,low,7\nb,2,,high,7\n", "b,2,,high,7\na,1,0.1,low,7\n", ""},
		"the last bit":            {"0.1,", "0.10000000000000002,", `parity.jsonl:1: price is "0.10000000000000002", expected "0.1"`},
		"a number for null":       {"2,,", "2,0,", `parity.jsonl:2: price is "0", expected ""`},
		"null for a number":       {"1,0.1,", "1,,", `parity.jsonl:1: price is "", expected "0.1"`},
		"no number":               {"1,0.1,", "1,x,", `price is "x"`},
		"a label":                 {"high", "low", `parity.jsonl:2: class is "low", expected "high"`},
		"a label like the number": {",1.0,", ",1,", `parity.jsonl:4: class is "1", expected "1.0"`},
		"an id":                   {`"c, d"`, "c", `parity.jsonl:4: ticket is "c", expected "c, d"`},
		"a version":               {"high,7", "high,8", `model_version is "8", expected "7"`},
		"two rows":                {"0.1,low,7\nb,2,,high", "0.2,low,7\nb,2,,low", `parity.jsonl:1: price is "0.2", expected "0.1" (2 differ)`},
		"no row 2":                {"b,2,,high,7\n", "", "parity.jsonl:2 has no prediction"},
		"row 1 twice":             {"b,2,,high,7\n", "a,1,0.1,low,7\n", "parity.jsonl:1 is predicted twice"},
		"row 4":                   {"b,2", "b,4", `predicts row "4" of 3`},
		"row 0":                   {"b,2", "b,0", `predicts row "0" of 3`},
		"no number of a row":      {"b,2", "b,x", `predicts row "x" of 3`},
		"another column":          {"price,class", "class,price", "has the columns"},
		"a row cut short":         {"b,2,,high,7", "b,2", "cannot be read"},
		"nothing":                 {right, "", "file"},
	} {
		c := &comparison{rows: three(), seen: make([]bool, 3)}
		var got string
		if err := c.file("file", []byte(strings.Replace(right, tc.from, tc.to, 1))); err != nil {
			var d *difference
			if got = err.Error(); !errors.As(err, &d) {
				t.Errorf("%s: %v is no difference", name, err)
			}
		} else {
			got = c.verdict()
		}
		if (tc.says == "") != (got == "") || !strings.Contains(strings.Replace(got, " of 3 rows differ", " differ", 1), tc.says) {
			t.Errorf("%s: %q, want %q", name, got, tc.says)
		}
	}
}

// rewrite changes what a run says of itself.
func rewrite(l *lab, id string, change func(*batch.Success)) error {
	name := batch.SuccessObject(model, id)
	data, err := l.get(context.Background(), batchtest.Staging, name)
	if err != nil {
		return err
	}
	var s batch.Success
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	change(&s)
	if data, err = json.Marshal(s); err != nil {
		return err
	}
	return l.put(context.Background(), batchtest.Staging, name, data)
}

func TestTryNamesWhatIsWrongWithTheProof(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	id := l.try(t).RunID
	rejects := batch.OutputPrefix(model, id) + "rejected_rows.csv"
	if err := l.put(t.Context(), batchtest.Staging, rejects, []byte("row,column,value,reason\n2,x,abc,type: expected a number\n")); err != nil {
		t.Fatal(err)
	}
	proof, err := l.get(t.Context(), batchtest.Staging, batch.SuccessObject(model, id))
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		change func(*batch.Success)
		says   string
	}{
		"a rejected row":      {func(s *batch.Success) { s.Rejected, s.Scored = 1, s.Scored-1 }, `1 of 3 parity rows were rejected, first parity.jsonl:3, column x = "abc": type: expected a number`},
		"a row too few":       {func(s *batch.Success) { s.Rows--; s.Scored-- }, "2 rows, 2 of them scored, of 3 parity rows"},
		"another run":         {func(s *batch.Success) { s.RunID = "x" }, `_SUCCESS.json is of run "x"`},
		"another artifact":    {func(s *batch.Success) { s.Digest = "sha256:0" }, `artifact "sha256:0"`},
		"another version":     {func(s *batch.Success) { s.Version = "0" }, `version "0"`},
		"an object elsewhere": {func(s *batch.Success) { s.Objects[0].Name = "other/" + s.Objects[0].Name }, "which is not below stump/" + id},
		"other bytes":         {func(s *batch.Success) { s.Objects[0].CRC32C++ }, "is not what _SUCCESS.json says"},
		"no predictions":      {func(s *batch.Success) { s.Objects = nil }, "parity.jsonl:1 has no prediction (0 of"},
	} {
		if err := l.put(t.Context(), batchtest.Staging, batch.SuccessObject(model, id), proof); err != nil {
			t.Fatal(err)
		}
		if err := rewrite(l, id, tc.change); err != nil {
			t.Fatal(err)
		}
		if _, err := Try(t.Context(), l.options(t)); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), tc.says) || !strings.Contains(err.Error(), id) {
			t.Errorf("%s: got %v, want something with %q", name, err, tc.says)
		}
	}
	l.untouched(t)
}
