package predict

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace-ml/millrace/shared/entry"
	"github.com/millrace-ml/millrace/shared/fault"
)

const bike = "../../models/bike-demand"

func open(t testing.TB, env map[string]string) http.Handler {
	t.Helper()
	f, err := Open(t.Context(), func(k string) string { return env[k] })
	if err != nil {
		t.Fatal(err)
	}
	return entry.Serve("Predict", f, entry.ServeOptions{Log: entry.NewLogger(io.Discard)})
}

func do(t testing.TB, h http.Handler, method, path, body string) (int, http.Header, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body)))
	return w.Code, w.Header(), strings.TrimSpace(w.Body.String())
}

// parity gives the instances of the folder's parity rows and what XGBoost predicted, after the manifest's rule min: 0.
func parity(t testing.TB) (instances []json.RawMessage, want []float64) {
	t.Helper()
	f, err := os.Open(filepath.Join(bike, "parity.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for in := bufio.NewScanner(f); in.Scan(); {
		var row struct {
			Instance   json.RawMessage
			Prediction float64
		}
		if err := json.Unmarshal(in.Bytes(), &row); err != nil {
			t.Fatal(err)
		}
		instances, want = append(instances, row.Instance), append(want, max(row.Prediction, 0))
	}
	return instances, want
}

// forms are the bodies that carry the same instances.
func forms(t testing.TB, instances []json.RawMessage) map[string]string {
	t.Helper()
	names := []string{"dteday", "hr", "season", "holiday", "workingday", "weathersit", "temp", "atemp", "hum", "windspeed"}
	columns, lists := map[string][]any{}, [][]any{}
	for _, raw := range instances {
		row := map[string]any{}
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.UseNumber() // keeps the digits
		if err := dec.Decode(&row); err != nil {
			t.Fatal(err)
		}
		list := []any{}
		for _, n := range names {
			list = append(list, row[n])
			columns[n] = append(columns[n], row[n])
		}
		lists = append(lists, list)
	}
	indexed := map[string]map[string]any{}
	for n, c := range columns {
		indexed[n] = map[string]any{}
		for i, v := range c {
			indexed[n][string(rune('a'+i/26))+string(rune('a'+i%26))] = v
		}
	}
	text := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	return map[string]string{
		"rows as objects": `{"instances":` + text(instances) + `}`, "rows as lists": `{"inputs":` + text(lists) + `,"signature_name":"x"}`,
		"columns": `{"inputs":` + text(columns) + `}`, "payload": `{"payload":` + text(columns) + `}`, "payload as pandas writes it": `{"payload":` + text(indexed) + `}`,
	}
}

func TestEveryFormGivesTheTrainersBits(t *testing.T) {
	t.Parallel()
	h := open(t, map[string]string{"MODEL_DIR": bike})
	instances, want := parity(t)
	for name, body := range forms(t, instances) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, header, answer := do(t, h, http.MethodPost, "/v1/models/bike-demand:predict", body)
			if status != http.StatusOK || header.Get("X-Millrace-Model-Version") != "2011" || !strings.HasPrefix(header.Get("X-Millrace-Model-Digest"), "sha256:") {
				t.Fatalf("answer %d %v %.300s", status, header, answer)
			}
			var got struct {
				Predictions, Outputs []float64
				Version              string `json:"model_version"`
				Digest               string `json:"model_digest"`
			}
			if err := json.Unmarshal([]byte(answer), &got); err != nil {
				t.Fatal(err)
			}
			if (name == "columns") != (got.Predictions == nil) || got.Version != "2011" || got.Digest != header.Get("X-Millrace-Model-Digest") {
				t.Errorf("answer %.200s", answer)
			}
			if diff := cmp.Diff(want, append(got.Predictions, got.Outputs...), cmp.Comparer(func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) })); diff != "" {
				t.Errorf("predictions differ from XGBoost's (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	h := open(t, map[string]string{"MODEL_DIR": bike, "AIP_HEALTH_ROUTE": "/health/e", "AIP_PREDICT_ROUTE": "/predict/e"})
	instances, _ := parity(t)
	body := `{"instances":[` + string(instances[0]) + `]}`
	for _, tc := range []struct {
		method, path, body string
		status             int
		want               string // part of the answer
	}{
		{"GET", "/", "", 200, `{"status":"alive"}`},
		{"HEAD", "/", "", 200, ""},
		{"GET", "/health/e", "", 200, "alive"},
		{"POST", "/predict/e", body, 200, `{"predictions":[25.27`},
		{"POST", "/", body, 200, `{"predictions":[25.27`},
		{"GET", "/v1/models", "", 200, `{"models":["bike-demand"]}`},
		{"GET", "/v1/models/bike-demand", "", 200, `"state":"AVAILABLE"`},
		{"GET", "/v1/models/bike-demand/versions/2011", "", 200, `"ready":true`},
		{"GET", "/v1/models/bike-demand/metadata", "", 200, `"dteday":{"dtype":"DT_STRING"`},
		{"POST", "/v1/models/bike-demand/versions/2011:predict", body, 200, `{"predictions":[25.27`},
		{"GET", "/v1/models/bike-demand/versions/9", "", 404, `{"error":"Request for unknown model: 'bike-demand/versions/9' is not found`},
		{"POST", "/v1/models/other:predict", body, 404, `{"error":"Request for unknown model: 'other' is not found`},
		{"GET", "/v1/models/bike-demand:predict", "", 405, `"error":"GET is not allowed here, POST is"`},
		{"POST", "/v1/models", "{}", 405, "error"},
		{"POST", "/v1/models/bike-demand:explain", body, 501, `:explain is not offered`},
		{"POST", "/v1/models/bike-demand:sing", body, 404, `no such verb \"sing\"`},
		{"GET", "/robots.txt", "", 404, "no such route"},
	} {
		status, header, answer := do(t, h, tc.method, tc.path, tc.body)
		if status != tc.status || !strings.Contains(answer, tc.want) || header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s = %d %s %.300s, want %d with %s", tc.method, tc.path, status, header.Get("Content-Type"), answer, tc.status, tc.want)
		}
	}
}

func TestOtherFormatsAreRefusedByType(t *testing.T) {
	t.Parallel()
	h := open(t, map[string]string{"MODEL_DIR": bike})
	for kind, want := range map[string]int{"text/csv": 415, "multipart/form-data; boundary=x": 415, "application/x-www-form-urlencoded": 200, "": 200, "application/octet-stream": 200} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(`{"instances":[]}`))
		r.Header.Set("Content-Type", kind)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("Content-Type %q: %d %s, want %d", kind, w.Code, w.Body, want)
		}
	}
}

func TestABadRequestGetsEveryProblem(t *testing.T) {
	t.Parallel()
	h := open(t, map[string]string{"MODEL_DIR": bike})
	status, _, answer := do(t, h, http.MethodPost, "/", `{"instances":[
		{"dteday":"8/1/2012","hr":8,"season":3,"holiday":false,"workingday":true,"weathersit":1,"temp":0.7,"atemp":0.6,"hum":0.6,"windspeed":0.1},
		{"dteday":"tomorrow","hr":25,"seasen":3,"holiday":"no","workingday":true,"weathersit":9,"temp":null,"atemp":1e400,"hum":[1,2],"windspeed":0.1,"windspeed":0.2}]}`)
	var got struct {
		Error  string
		Errors []fault.Problem
	}
	if err := json.Unmarshal([]byte(answer), &got); err != nil || status != http.StatusBadRequest {
		t.Fatalf("answer %d %s: %v", status, answer, err)
	}
	codes := map[string]string{}
	for _, p := range got.Errors {
		if p.Expected == "" || p.Got == "" {
			t.Errorf("problem without expected or got: %+v", p)
		}
		codes[p.Pointer] = p.Code
	}
	want := map[string]string{
		"/instances/1/dteday": "format", "/instances/1/hr": "range", "/instances/1/seasen": "unknown", "/instances/1/season": "missing", "/instances/1/holiday": "type",
		"/instances/1/weathersit": "unknown_category", "/instances/1/temp": "null", "/instances/1/atemp": "range", "/instances/1/hum": "type", "/instances/1/windspeed": "duplicate",
	}
	if diff := cmp.Diff(want, codes); diff != "" {
		t.Errorf("problems (-want +got):\n%s\n%s", diff, answer)
	}
	if !strings.Contains(answer, `did you mean \"season\"?`) || !strings.HasPrefix(got.Error, "instances[1].") || !strings.HasSuffix(got.Error, "(and 9 more)") {
		t.Errorf("error %q", got.Error)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	h := open(t, map[string]string{"MODEL_DIR": bike})
	for name, tc := range map[string]struct {
		body   string
		status int
	}{
		"too many rows":    {`{"instances":[` + strings.Repeat("[],", 10000) + `[]]}`, 413},
		"too many bytes":   {strings.Repeat(" ", 1<<20) + `{"instances":[]}`, 413},
		"nested too deep":  {`{"parameters":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, 400},
		"not JSON":         {`{"instances":[}`, 400},
		"two documents":    {`{"instances":[]}{"instances":[]}`, 400},
		"empty":            {``, 400},
		"a lone surrogate": {`{"instances":[{"\ud800":1}]}`, 400},
		"not UTF-8":        {"{\"instances\":[{\"\xff\":1}]}", 400},
		"two data keys":    {`{"instances":[],"inputs":[]}`, 400},
		"Instances":        {`{"Instances":[]}`, 400},
		"no rows":          {`{"instances":[]}`, 200},
	} {
		if status, _, answer := do(t, h, http.MethodPost, "/", tc.body); status != tc.status || (status != 200) != strings.HasPrefix(answer, `{"error":"`) {
			t.Errorf("%s: %d %.200s, want %d", name, status, answer, tc.status)
		}
	}
}

// A body of 32 MiB of empty lists would cost a gigabyte as a tree of values (performance of encoding/json).
func TestABombCostsLittle(t *testing.T) {
	h := open(t, map[string]string{"MODEL_DIR": bike})
	for name, item := range map[string]string{"lists": "[],", "objects": "{},", "unknown keys": `{"x":1},`} {
		body := `{"instances":[` + strings.Repeat(item, 32<<20/len(item)-8) + `[]]}`
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		status, _, answer := do(t, h, http.MethodPost, "/", body)
		runtime.ReadMemStats(&after)
		if cost := after.TotalAlloc - before.TotalAlloc; status != http.StatusRequestEntityTooLarge || cost > 8<<20 {
			t.Errorf("%s: %d %.100s, %d bytes allocated, want 413 for less than 8 MiB", name, status, answer, cost)
		}
	}
}

func TestConcurrentRequestsDoNotMix(t *testing.T) {
	t.Parallel()
	h := open(t, map[string]string{"MODEL_DIR": bike})
	instances, want := parity(t)
	var all sync.WaitGroup
	for i := range instances {
		all.Go(func() {
			for range 20 {
				_, _, answer := do(t, h, http.MethodPost, "/", `{"instances":[`+string(instances[i])+`]}`)
				var got struct{ Predictions []float64 }
				if err := json.Unmarshal([]byte(answer), &got); err != nil || len(got.Predictions) != 1 || got.Predictions[0] != want[i] {
					t.Errorf("row %d: %.200s, want %v", i, answer, want[i])
					return
				}
			}
		})
	}
	all.Wait()
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	altered := filepath.Join(t.TempDir(), "bike-demand")
	if err := os.CopyFS(altered, os.DirFS(bike)); err != nil {
		t.Fatal(err)
	}
	rows, err := os.ReadFile(filepath.Join(bike, "parity.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	rows = bytes.Replace(rows, []byte(`"prediction": 25.27`), []byte(`"prediction": 25.28`), 1)
	if err := os.WriteFile(filepath.Join(altered, "parity.jsonl"), rows, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ dir, want string }{
		"no folder":            {filepath.Join(t.TempDir(), "none"), "model.yaml"},
		"a changed parity row": {altered, "25.28"},
	} {
		f, err := Open(t.Context(), func(k string) string { return map[string]string{"MODEL_DIR": tc.dir}[k] })
		if err == nil || f != nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: Open = %v, want an error that says %q", name, err, tc.want)
		}
	}
}

func BenchmarkPredictOneRow(b *testing.B) {
	h := open(b, map[string]string{"MODEL_DIR": bike})
	instances, _ := parity(b)
	bodies := make([][]byte, len(instances))
	for i := range instances {
		bodies[i] = []byte(`{"instances":[` + string(instances[i]) + `]}`)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/", bytes.NewReader(bodies[i%len(bodies)])))
		if w.Code != http.StatusOK {
			b.Fatal(w.Body)
		}
	}
}
