package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace-ml/millrace/internal/folder"
)

const trained = "../../shared/forest/xgboost/testdata/xgb-3.4.1/logistic.json"

// do runs a command line with answers on its standard input.
func do(t *testing.T, answers string, args ...string) (code int, out, said string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), args, console{strings.NewReader(answers), &o, &e, func(string) string { return "" }})
	return code, o.String(), e.String()
}

// A model from a file, its next version, and what that changes: as a person types it.
func TestTheLifeOfAModel(t *testing.T) {
	t.Parallel()
	dir, next := t.TempDir(), t.TempDir()
	data, err := os.ReadFile(trained)
	if err != nil {
		t.Fatal(err)
	}
	newer := filepath.Join(t.TempDir(), "newer.json")
	if err := os.WriteFile(newer, bytes.Replace(data, []byte(`"[3.9E-1]"`), []byte(`"[4.1E-1]"`), 1), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, answers string
		args          []string
		code          int
		out, said     string
	}{
		{"asked", "both\nshop\n", []string{"new", "--models", dir, "--artifact", trained, "--labels", "no,yes"}, 0, "serves realtime and batch", "[y/N/both]"},
		{"taken", "", []string{"new", "shop", "--models", dir}, 1, "", "exists already"},
		{"no answer", "", []string{"new", "shop-two", "--models", dir}, 1, "", "--kind realtime, batch or both"},
		{"the next version's rows", "", []string{"new", "shop", "--models", next, "--kind", "batch", "--artifact", newer}, 0, "made", ""},
		{"old rows", "", []string{"model", "update", "shop", "--models", dir, "--artifact", newer}, 1, "", "nothing was changed"},
		{"updated", "", []string{"model", "update", "shop", "--models", dir, "--artifact", newer, "--parity", filepath.Join(next, "shop", "parity.jsonl")}, 0, "version 1 → 2", ""},
		{"validated", "", []string{"validate", "shop", "--models", dir}, 0, "version 2", ""},
		{"looked into", "", []string{"model", "inspect", "shop", "--models", dir, "--top", "1", "--tree", "8"}, 0, "and 3 more", ""},
		{"looked into as JSON", "", []string{"model", "inspect", "shop", "--models", dir, "--json"}, 0, `"importance": "gain"`, ""},
		{"looked for", "", []string{"model", "inspect", "shops", "--models", dir}, 1, "", "there is no"},
		{"compared with nothing", "", []string{"model", "diff", "shop", "--models", dir, "--url", "http://127.0.0.1:1"}, 1, "", "127.0.0.1:1"},
		{"compared with two", "", []string{"model", "diff", "shop", "--models", dir, "--url", "http://127.0.0.1:1", "--base", "HEAD"}, 1, "", "not both"},
	} {
		code, out, said := do(t, c.answers, c.args...)
		if code != c.code || !strings.Contains(out, c.out) || !strings.Contains(said, c.said) {
			t.Fatalf("%s: code %d, want %d\n%s%s", c.name, code, c.code, out, said)
		}
	}
}

func TestPrintDiff(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c := console{out: &out}
	r := &folder.Report{
		Model: "shop", Rows: 3, Refused: 1, Differ: 2, Base: folder.Version{Source: "HEAD", Version: "1"}, Here: folder.Version{Source: "the folder", Version: "2"},
		Outputs: []folder.Output{{Name: "price", Differ: 1, Max: 0.5, Mean: 0.25, Shift: -0.25}, {Name: "class", Differ: 2}},
		Largest: []folder.Change{{Row: 2, Output: "class", Base: "a", Here: "b", By: 1.7976931348623157e308}, {Row: 7, Output: "price", Base: 1.5, Here: 1.0, By: 0.5}},
	}
	if err := printDiff(c, r); err != nil {
		t.Fatal(err)
	}
	if err := printJSON(c, r); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"version 1 (HEAD) → 2 (the folder)", "3 rows, 2 differ; 1 more are refused", "price   1       0.5      0.25  -0.25", "7    price   1.5   1     0.5"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the text lacks %q:\n%s", want, out.String())
		}
	}
	_, text, _ := strings.Cut(out.String(), "\n{")
	var back folder.Report
	if err := json.Unmarshal([]byte("{"+text), &back); err != nil || back.Differ != 2 || len(back.Largest) != 2 {
		t.Errorf("JSON %s: %v", text, err)
	}
}
