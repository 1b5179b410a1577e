package entry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/millrace-ml/millrace/shared/fault"
)

func TestConfigReportsEveryProblemAtOnce(t *testing.T) {
	t.Parallel()
	var cfg struct {
		Model string        `env:"MODEL,required"`
		Limit int           `env:"LIMIT"`
		Wait  time.Duration `env:"WAIT" envDefault:"2s"`
		Ratio float64       `env:"RATIO"`
		On    bool          `env:"ON"`
		Inner struct {
			Since time.Time `env:"SINCE"`
		}
	}
	set := map[string]string{"LIMIT": "x", "WAIT": "soon", "RATIO": "1,5", "ON": "yes", "SINCE": "monday"}
	err := Config(func(k string) string { return set[k] }, &cfg)
	if fault.KindOf(err) != fault.Invalid {
		t.Fatalf("Config: %v, want an invalid fault", err)
	}
	for _, want := range []string{
		"MODEL is not set", `LIMIT: "x" is not a whole number`, `WAIT: "soon" is not a duration`, `RATIO: "1,5" is not a number`,
		`ON: "yes" is not true or false`, `SINCE: "monday" is not a time`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("Config = %q, want it to say %q", err, want)
		}
	}
	ok := map[string]string{"MODEL": "m", "LIMIT": "3", "SINCE": "2026-01-31T00:00:00Z"}
	if err := Config(func(k string) string { return ok[k] }, &cfg); err != nil || cfg.Limit != 3 || cfg.Wait != 2*time.Second {
		t.Errorf("Config of good values: %v, %+v", err, cfg)
	}
}

// serve answers one request through Serve over a real connection and gives the answer, its body and the log lines.
func serve(t *testing.T, h http.HandlerFunc, o ServeOptions, edit func(*http.Request)) (*http.Response, string, []map[string]any) {
	t.Helper()
	var log bytes.Buffer
	o.Log = NewLogger(&log)
	srv := httptest.NewServer(Serve("Test", &Function{Handler: h}, o))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+"/p", strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		edit(req)
	}
	resp, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	srv.Close() // waits for the handler, and so for its log line
	var lines []map[string]any
	for line := range strings.Lines(log.String()) {
		m := map[string]any{}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("log line %q: %v", line, err)
		}
		lines = append(lines, m)
	}
	return resp, string(body), lines
}

func TestServe(t *testing.T) {
	t.Parallel()
	secret := errors.New("secret")
	for name, tc := range map[string]struct {
		handler  http.HandlerFunc
		options  ServeOptions
		edit     func(*http.Request)
		status   int
		body     string
		severity string
	}{
		"an answer": {
			handler: func(w http.ResponseWriter, r *http.Request) { WriteJSON(w, 201, map[string]int{"a": 1}) },
			status:  201, body: `{"a":1}`, severity: "INFO",
		},
		"a panic after a partial answer is a clean 500": {
			handler: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Half", "yes")
				_, _ = io.WriteString(w, "half an ans")
				panic("secret")
			},
			status: 500, body: `{"error":"internal error"}`, severity: "ERROR",
		},
		"a body over the route's limit": {
			handler: func(w http.ResponseWriter, r *http.Request) {
				_, err := ReadBody(w, r, 4)
				WriteError(w, r, err)
			},
			status: 413, body: `{"error":"the body is larger than 4 bytes"}`, severity: "WARNING",
		},
		"a body of unknown length over the process's limit": {
			handler: func(w http.ResponseWriter, r *http.Request) {
				_, err := ReadBody(w, r, 1<<20)
				WriteError(w, r, err)
			},
			options: ServeOptions{MaxBody: 10},
			edit: func(r *http.Request) {
				r.Body, r.ContentLength = io.NopCloser(strings.NewReader(strings.Repeat("x", 100))), -1
			},
			status: 413, body: `{"error":"the body is larger than 10 bytes"}`, severity: "WARNING",
		},
		"a body of unknown length over the route's limit": {
			handler: func(w http.ResponseWriter, r *http.Request) {
				_, err := ReadBody(w, r, 99)
				WriteError(w, r, err)
			},
			edit: func(r *http.Request) {
				r.Body, r.ContentLength = io.NopCloser(strings.NewReader(strings.Repeat("x", 100))), -1
			},
			status: 413, body: `{"error":"the body is larger than 99 bytes"}`, severity: "WARNING",
		},
		"an error keeps its cause from the caller": {
			handler: func(w http.ResponseWriter, r *http.Request) {
				WriteError(w, r, fault.New(fault.Unavailable, secret, "the ledger is busy"))
			},
			status: 503, body: `{"error":"the ledger is busy"}`, severity: "ERROR",
		},
		"a deadline": {
			handler: func(w http.ResponseWriter, r *http.Request) {
				<-r.Context().Done()
				WriteError(w, r, r.Context().Err())
			},
			options: ServeOptions{Timeout: time.Millisecond},
			status:  504, body: `{"error":"the deadline passed before the work was done"}`, severity: "ERROR",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resp, body, lines := serve(t, tc.handler, tc.options, tc.edit)
			if resp.StatusCode != tc.status || strings.TrimSpace(body) != tc.body {
				t.Errorf("answer %d %q, want %d %q", resp.StatusCode, body, tc.status, tc.body)
			}
			if resp.Header.Get("Content-Type") != "application/json" || resp.Header.Get("X-Half") != "" || resp.ContentLength < 0 {
				t.Errorf("headers %v, length %d", resp.Header, resp.ContentLength)
			}
			if tc.status == 503 && resp.Header.Get("Retry-After") == "" {
				t.Error("503 without Retry-After")
			}
			if strings.Contains(body, "secret") {
				t.Errorf("the answer tells a cause: %q", body)
			}
			if len(lines) != 1 || lines[0]["severity"] != tc.severity || lines[0]["status"] != float64(tc.status) {
				t.Fatalf("log %v, want one line of severity %s", lines, tc.severity)
			}
			if tc.status >= 500 && tc.options.Timeout == 0 && !strings.Contains(lines[0]["error"].(string), "secret") {
				t.Errorf("log line without the cause: %v", lines[0])
			}
		})
	}
}

func TestTraceReachesEveryLine(t *testing.T) {
	t.Parallel()
	const id = "0af7651916cd43dd8448eb211c80319c"
	for name, tc := range map[string]struct{ header, value, want string }{
		"w3c":              {"Traceparent", "00-" + id + "-b7ad6b7169203331-01", "projects/p/traces/" + id},
		"google":           {"X-Cloud-Trace-Context", id + "/123;o=1", "projects/p/traces/" + id},
		"one digit more":   {"X-Cloud-Trace-Context", id + "0", ""},
		"forged, no digit": {"X-Cloud-Trace-Context", strings.Repeat("z", 32), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := func(w http.ResponseWriter, r *http.Request) {
				Log(r.Context()).Info("inside")
				Annotate(r.Context(), slog.String("model", "m"))
				WriteJSON(w, 200, 1)
			}
			_, _, lines := serve(t, h, ServeOptions{Project: "p"}, func(r *http.Request) { r.Header.Set(tc.header, tc.value) })
			if len(lines) != 2 || lines[1]["model"] != "m" {
				t.Fatalf("log %v, want two lines, the last annotated", lines)
			}
			for _, l := range lines {
				if got, _ := l[traceKey].(string); got != tc.want {
					t.Errorf("trace of %v = %q, want %q", l["message"], got, tc.want)
				}
			}
		})
	}
}

func TestHTTPBeforeStartAnswers503(t *testing.T) {
	t.Parallel()
	h := HTTP("NotStarted", func(context.Context, func(string) string) (*Function, error) { return nil, errors.New("opened") })
	w := httptest.NewRecorder()
	h(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "FUNCTION_TARGET=NotStarted") {
		t.Errorf("answer %d %q", w.Code, w.Body)
	}
	if _, err := lookup("Missing"); err == nil || !strings.Contains(err.Error(), "NotStarted") {
		t.Errorf("lookup of a missing name: %v, want the known names", err)
	}
}

func TestStartFailsOnABadSetting(t *testing.T) {
	t.Parallel()
	HTTP("Opens", func(context.Context, func(string) string) (*Function, error) { return nil, errors.New("parity row 3") })
	set := map[string]string{"CLOUD_RUN_TIMEOUT_SECONDS": "ten"}
	if err := start("Opens", "", func(k string) string { return set[k] }); err == nil || !strings.Contains(err.Error(), "CLOUD_RUN_TIMEOUT_SECONDS") {
		t.Errorf("start = %v, want the bad setting", err)
	}
	if err := start("Opens", "", func(string) string { return "" }); err == nil || err.Error() != "parity row 3" {
		t.Errorf("start = %v, want Open's error", err)
	}
}

func TestDrainWaitsForOpenRequests(t *testing.T) {
	t.Parallel()
	d := &drain{started: time.Now()}
	d.leaving.Store(true)
	d.enter()
	done := make(chan struct{})
	go func() { d.idle(t.Context()); close(done) }()
	select {
	case <-done:
		t.Fatal("idle returned while a request was open")
	case <-time.After(drainIdle + 50*time.Millisecond):
	}
	left := time.Now()
	d.leave()
	select {
	case <-done:
		if since := time.Since(left); since < drainIdle-drainPoll {
			t.Errorf("idle returned %v after the last request, want %v", since, drainIdle)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("idle did not return")
	}
}
