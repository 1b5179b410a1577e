package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const models = "../../models"

// millrace runs one command line and gives its exit code and outputs.
func millrace(t *testing.T, in string, env map[string]string, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), args, console{strings.NewReader(in), &o, &e, func(k string) string { return env[k] }})
	return code, o.String(), e.String()
}

func TestCommandLines(t *testing.T) {
	t.Parallel()
	broken := filepath.Join(t.TempDir(), "models")
	if err := os.CopyFS(broken, os.DirFS(models)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(broken, "bike-demand", "model.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Replace(text, []byte("owner:"), []byte("ownr:"), 1), 0o644); err != nil {
		t.Fatal(err)
	}
	instance := `{"dteday": "1/1/2011", "hr": 0, "season": 1, "holiday": false, "workingday": false, "weathersit": 1, "temp": 0.24, "atemp": 0.2879, "hum": 0.81, "windspeed": 0.0}`
	for name, tc := range map[string]struct {
		args []string
		in   string
		code int
		out  string // part of stdout
		err  string // part of stderr
	}{
		"validate all":              {[]string{"validate", "--models", models}, "", 0, "bike-demand: ok, version 2011", ""},
		"validate one":              {[]string{"validate", "bike-demand", "--models", models}, "", 0, "300 trees", ""},
		"validate a broken one":     {[]string{"validate", "--models", broken}, "", 1, "", `did you mean "owner"`},
		"validate one that is none": {[]string{"validate", "nobody", "--models", models}, "", 1, "", "nobody"},
		"validate an empty folder":  {[]string{"validate", "--models", t.TempDir()}, "", 1, "", "no model folder"},
		"predict an instance":       {[]string{"predict", "bike-demand", "-", "--models", models}, instance, 0, `{"predictions":[25.27`, ""},
		"predict a list":            {[]string{"predict", "bike-demand", "-", "--models", models}, "[" + instance + "]", 0, `{"predictions":[25.27`, ""},
		"predict a request":         {[]string{"predict", "bike-demand", "-", "--models", models}, `{"instances":[` + instance + "]}", 0, `{"predictions":[25.27`, ""},
		"predict rubbish":           {[]string{"predict", "bike-demand", "-", "--models", models}, "rubbish", 1, "", "not JSON"},
		"predict a wrong instance":  {[]string{"predict", "bike-demand", "-", "--models", models}, `{"hr": 99}`, 1, "", `"pointer":"/instances/0/hr"`},
		"predict without a file":    {[]string{"predict", "bike-demand", "no-such-file", "--models", models}, "", 1, "", "no-such-file"},
		"no command":                {nil, "", 2, "", "--help"},
		"an unknown command":        {[]string{"sing"}, "", 2, "", "sing"},
		"help":                      {[]string{"--help"}, "", 0, "Start everything on this machine", ""},
		"version":                   {[]string{"version"}, "", 0, "millrace ", ""},
		"runs without a server":     {[]string{"runs", "--data", t.TempDir(), "list"}, "", 1, "", "make run"},
		"dev on a bad port":         {[]string{"dev", "--port", "99999"}, "", 1, "", "--port 99999"},
		"dev without models":        {[]string{"dev", "--port", "0", "--models", "nowhere", "--data", t.TempDir()}, "", 1, "", "expected a folder with one folder per model"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, out, errs := millrace(t, tc.in, nil, tc.args...)
			if code != tc.code || !strings.Contains(out, tc.out) || !strings.Contains(errs, tc.err) {
				t.Errorf("exit %d, out %q, err %q; want %d, %q, %q", code, out, errs, tc.code, tc.out, tc.err)
			}
		})
	}
}

// The answers of batchtrigger are played back, so that every column and state can be shown.
func TestRuns(t *testing.T) {
	t.Parallel()
	run := map[string]any{
		"run_id": "m-20260101-aa", "model": "m", "kind": "upload", "state": "succeeded", "dataset": map[string]string{"bucket": "b", "object": "m/\tx.csv"},
		"counts": map[string]int{"rows": 10, "scored": 9, "rejected": 1}, "created": "2026-01-01T00:00:00Z", "finished": "2026-01-01T00:00:02Z",
		"history": []map[string]string{{"at": "2026-01-01T00:00:00Z", "to": "pending", "cause": "upload"}, {"at": "2026-01-01T00:00:01Z", "from": "pending", "to": "claimed", "cause": "claimed"}},
		"tasks":   []map[string]string{{"name": "plan", "state": "SUCCEEDED"}},
	}
	failed := map[string]any{"run_id": "f", "model": "m", "state": "failed", "reason": "task score: out of memory"}
	var key, body string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := any(run)
		switch {
		case r.Method == http.MethodPost:
			var b bytes.Buffer
			if _, err := b.ReadFrom(r.Body); err != nil {
				t.Error(err)
			}
			key, body = r.Header.Get("Idempotency-Key"), b.String()
		case r.URL.Path == "/runs":
			answer = map[string]any{"runs": []any{run, failed}}
		case r.URL.Path == "/runs/f":
			answer = failed
		case r.URL.Path != "/runs/m-20260101-aa":
			w.WriteHeader(http.StatusNotFound)
			answer = map[string]string{"error": "no run is named so"}
		}
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			t.Error(err)
		}
	}))
	defer srv.Close()
	for name, tc := range map[string]struct {
		args []string
		code int
		want []string
	}{
		"list":                  {[]string{"list"}, 0, []string{"RUN", "m-20260101-aa", "succeeded", "10", "2s", `"gs://b/m/\tx.csv"`, "failed"}},
		"show":                  {[]string{"show", "m-20260101-aa"}, 0, []string{"10 = 9 scored + 1 rejected", "pending", "claimed", "1s", "plan", "SUCCEEDED"}},
		"show one that is none": {[]string{"show", "x"}, 1, []string{"no run is named so"}},
		"watch":                 {[]string{"watch", "m-20260101-aa"}, 0, []string{"succeeded, 10 rows"}},
		"watch a failure":       {[]string{"watch", "f"}, 1, []string{"failed: task score: out of memory"}},
		"json":                  {[]string{"show", "m-20260101-aa", "--json"}, 0, []string{`"run_id": "m-20260101-aa"`}},
		"start":                 {[]string{"start", "m", "--schedule", "nightly", "--at", "2026-01-31T02:15:00Z", "--key", "k1"}, 0, []string{"m-20260101-aa"}},
		"start at a bad time":   {[]string{"start", "m", "--schedule", "nightly", "--at", "monday"}, 1, []string{"--at"}},
	} {
		t.Run(name, func(t *testing.T) { // one after the other: they share the server's record
			code, out, errs := millrace(t, "", nil, append([]string{"runs", "--url", srv.URL}, tc.args...)...)
			if code != tc.code {
				t.Errorf("exit %d, want %d: %s %s", code, tc.code, out, errs)
			}
			for _, w := range tc.want {
				if !strings.Contains(out+errs, w) {
					t.Errorf("prints %q, want %q", out+errs, w)
				}
			}
		})
	}
	if key != "k1" || body != `{"at":"2026-01-31T02:15:00Z","model":"m","schedule":"nightly"}` {
		t.Errorf("start sent key %q, body %s", key, body)
	}
}
