package batchtrigger

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/grpc/codes"

	"github.com/millrace-ml/millrace/internal/batchtest"
	"github.com/millrace-ml/millrace/internal/localcloud/chaos"
	"github.com/millrace-ml/millrace/shared/batch"
	"github.com/millrace-ml/millrace/shared/entry"
	"github.com/millrace-ml/millrace/shared/ledger"
)

type server struct {
	*testing.T
	url string
}

func serve(t *testing.T, c *batchtest.Cloud, env map[string]string) server {
	t.Helper()
	all := map[string]string{"OPERATORS": "ann@example.com,bob@example.com", "SWEEP_MIN_AGE": "0s"}
	for k, v := range env {
		all[k] = v
	}
	f, err := Open(t.Context(), c.Getenv(all))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(entry.Serve("BatchTrigger", f, entry.ServeOptions{Log: slog.New(slog.DiscardHandler)}))
	t.Cleanup(func() {
		s.Close()
		if err := f.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
	return server{t, s.URL}
}

// call sends a request and gives status, header and body. Header pairs follow the body.
func (s server) call(method, path, body string, pairs ...string) (int, http.Header, string) {
	s.Helper()
	req, err := http.NewRequestWithContext(s.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	for i := 0; i < len(pairs); i += 2 {
		req.Header.Add(pairs[i], pairs[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		s.Fatal(err)
	}
	return res.StatusCode, res.Header, string(b)
}

// bearer is a token as it reaches a function: checked by the platform, its signature replaced.
func bearer(claims string) string {
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	return "Bearer " + part(`{"alg":"RS256"}`) + "." + part(claims) + ".SIGNATURE_REMOVED_BY_GOOGLE"
}

var ann = bearer(`{"aud":"https://x","email":"ann@example.com","email_verified":true}`)

const nightly = `{"model":"rides","schedule":"nightly"}`

// A function reads the real clock, so ticks of the test are those of the last night.
func lastTick() string {
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		panic(err)
	}
	now := time.Now().In(zone)
	at := time.Date(now.Year(), now.Month(), now.Day(), 2, 15, 0, 0, zone)
	if at.After(now) {
		at = at.AddDate(0, 0, -1)
	}
	return at.Format(time.RFC3339)
}

func TestTicks(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	s := serve(t, c, nil)
	at := lastTick()
	var first ledger.Run
	for i, path := range []string{"/ticks", "/", "/ticks"} {
		status, _, body := s.call("POST", path, nightly, "X-CloudScheduler-ScheduleTime", at, "X-CloudScheduler", "true", "Content-Type", "application/octet-stream")
		var run ledger.Run
		if err := json.Unmarshal([]byte(body), &run); err != nil || status != 200 || run.State != ledger.Submitted || run.Trigger.Manual {
			t.Fatalf("tick %d: %d %s; expected 200 and a submitted tick", i, status, body)
		}
		if i == 0 {
			first = run
		}
		if run.Key != first.Key {
			t.Errorf("the same tick became %s and %s", first.ID, run.ID)
		}
	}
	if len(c.Vertex.Jobs()) != 1 {
		t.Errorf("jobs %v, expected one", c.Vertex.Jobs())
	}
	for name, header := range map[string]string{"no time": "", "no time at all": "tomorrow"} {
		status, _, body := s.call("POST", "/ticks", nightly, "X-CloudScheduler-ScheduleTime", header)
		if !strings.Contains(body, `"manual":true`) || status/100 != 2 {
			t.Errorf("%s: %d %s; expected a manual run", name, status, body)
		}
	}
}

func TestATickThatIsNotScoredIsAnAnswer(t *testing.T) {
	t.Parallel()
	s := serve(t, batchtest.New(t), nil)
	at, err := time.Parse(time.RFC3339, lastTick())
	if err != nil {
		t.Fatal(err)
	}
	status, _, body := s.call("POST", "/ticks", nightly, "X-CloudScheduler-ScheduleTime", at.Add(-time.Hour).Format(time.RFC3339))
	if status != 200 || !strings.Contains(body, `"state":"ignored"`) {
		t.Errorf("a time off the schedule: %d %s; expected 200 and ignored", status, body)
	}
}

func TestGETSaysWhatIsDeployed(t *testing.T) {
	t.Parallel()
	f, err := Open(entry.WithUnit(t.Context(), "sha256:1234"), batchtest.New(t).Getenv(map[string]string{"OPERATORS": "*"}))
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	f.Handler.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if want := `{"function":"BatchTrigger","unit":"sha256:1234"}`; w.Code != 200 || strings.TrimSpace(w.Body.String()) != want {
		t.Errorf("GET /: %d %s, want %s", w.Code, w.Body, want)
	}
	if err := f.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	s := serve(t, batchtest.New(t), nil)
	key := func(more ...string) []string {
		return append([]string{"Authorization", ann, "Content-Type", "application/json", "Idempotency-Key", "k"}, more...)
	}
	cases := map[string]struct {
		method, path, body string
		header             []string
		status             int
		says               string
	}{
		"no route":             {"POST", "/run", nightly, nil, 404, "no route"},
		"tick by GET":          {"GET", "/ticks", "", nil, 405, "POST"},
		"root by PUT":          {"PUT", "/", "", nil, 405, "GET, POST"},
		"runs by DELETE":       {"DELETE", "/runs", "", nil, 405, "GET, POST"},
		"tick without a body":  {"POST", "/ticks", "", nil, 400, "the body is not"},
		"tick with more":       {"POST", "/ticks", nightly + nightly, nil, 400, "more than one"},
		"tick, unknown field":  {"POST", "/ticks", `{"model":"rides","schedule":"nightly","x":1}`, nil, 400, "unknown field"},
		"tick, nothing named":  {"POST", "/ticks", `{}`, nil, 400, `"pointer":"/schedule"`},
		"tick, unknown model":  {"POST", "/ticks", `{"model":"none","schedule":"nightly"}`, nil, 404, "no released model"},
		"tick, too large":      {"POST", "/ticks", strings.Repeat(" ", 64<<10+1), nil, 413, "larger"},
		"person, no token":     {"POST", "/runs", nightly, nil, 401, "identity token"},
		"person, no operator":  {"POST", "/runs", nightly, []string{"Authorization", bearer(`{"email":"eve@example.com","email_verified":true}`)}, 403, "eve@example.com"},
		"person, not verified": {"POST", "/runs", nightly, []string{"Authorization", bearer(`{"email":"ann@example.com","email_verified":false}`)}, 401, "identity token"},
		"person, broken token": {"POST", "/runs", nightly, []string{"Authorization", "Bearer a.b.c"}, 401, "identity token"},
		"person, basic":        {"POST", "/runs", nightly, []string{"Authorization", strings.Replace(ann, "Bearer", "Basic", 1)}, 401, "identity token"},
		"person, two tokens":   {"POST", "/runs", nightly, []string{"Authorization", ann, "Authorization", ann}, 401, "identity token"},
		"person, unchecked token": {"POST", "/runs", nightly, []string{"Authorization", ann, "X-Serverless-Authorization",
			bearer(`{"email":"eve@example.com","email_verified":true}`)}, 403, "eve@example.com"},
		"person, no key":      {"POST", "/runs", nightly, []string{"Authorization", ann, "Content-Type", "application/json"}, 400, "Idempotency-Key"},
		"person, a form":      {"POST", "/runs", "model=rides", []string{"Authorization", ann, "Content-Type", "application/x-www-form-urlencoded", "Idempotency-Key", "k"}, 415, "application/json"},
		"person, bad time":    {"POST", "/runs", `{"model":"rides","schedule":"nightly","at":"noon"}`, key(), 400, "RFC 3339"},
		"person, year 0":      {"POST", "/runs", `{"model":"rides","schedule":"nightly","at":"0000-06-01T00:00:00Z"}`, key(), 400, `"pointer":"/at"`},
		"person, no schedule": {"POST", "/runs", `{"model":"rides","schedule":"weekly"}`, key(), 404, "weekly"},
		"list, unknown word":  {"GET", "/runs?sate=failed", "", nil, 400, "sate"},
		"list, unknown state": {"GET", "/runs?state=done&limit=0", "", nil, 400, `"pointer":"/limit"`},
		"list, bad token":     {"GET", "/runs?page_token=x", "", nil, 400, "page_token"},
		"show, unknown run":   {"GET", "/runs/none", "", nil, 404, "none"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			status, _, body := s.call(tc.method, tc.path, tc.body, tc.header...)
			if status != tc.status || !strings.Contains(body, tc.says) || !strings.Contains(body, `"error":`) {
				t.Errorf("%d %s; expected %d with %q", status, body, tc.status, tc.says)
			}
		})
	}
}

func TestRequestsOfPeople(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	s := serve(t, c, nil)
	ask := func(key, body string) (int, string) {
		status, _, answer := s.call("POST", "/runs", body, "Authorization", ann, "Content-Type", "application/json; charset=utf-8", "Idempotency-Key", key)
		return status, answer
	}
	const at = `{"model":"rides","schedule":"nightly","at":"2031-07-02T12:00:00Z"}`
	status, body := ask("k1", at)
	if status != 200 || !strings.Contains(body, `"by":"ann@example.com"`) || !strings.Contains(body, "scheduled/rides/2031-07-02.csv") {
		t.Fatalf("%d %s; expected a run of that day by ann", status, body)
	}
	if again, second := ask("k1", at); again != 200 || second != body && !strings.Contains(second, c.TheRun(t).ID) {
		t.Errorf("the same again: %d %s", again, second)
	}
	if status, body := ask("k1", nightly); status != 409 {
		t.Errorf("another body under the same key: %d %s; expected 409", status, body)
	}
	c.Vertex.Script(batchtest.Answer{Code: codes.PermissionDenied})
	if status, body := ask("k2", at); status != 409 || !strings.Contains(body, "failed") {
		t.Errorf("a run that Vertex refuses: %d %s; expected 409", status, body)
	}
	if status, body := ask("k2", at); status != 409 {
		t.Errorf("the refused request again: %d %s; expected 409", status, body)
	}
	c.Vertex.Script(batchtest.Answer{Code: codes.ResourceExhausted})
	if status, body := ask("k3", at); status != 202 || !strings.Contains(body, "pending") {
		t.Errorf("without quota: %d %s; expected 202", status, body)
	}
	if n := len(c.Vertex.Jobs()); n != 1 {
		t.Errorf("%d jobs, expected 1", n)
	}
}

func TestEveryoneMayOperateALaptop(t *testing.T) {
	t.Parallel()
	s := serve(t, batchtest.New(t), map[string]string{"OPERATORS": "*"})
	if status, _, body := s.call("POST", "/runs", nightly, "Content-Type", "application/json", "Idempotency-Key", "k"); status != 200 {
		t.Errorf("%d %s; expected 200 without a token", status, body)
	}
}

func TestListAndShow(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	s := serve(t, c, map[string]string{"OPERATORS": "*"})
	var list struct {
		Runs []ledger.Run
		Next string `json:"next_page_token"`
	}
	if _, _, body := s.call("GET", "/runs", ""); !strings.Contains(body, `"runs":[]`) {
		t.Errorf("no runs: %s; expected an empty list", body)
	}
	for i := range 3 {
		if status, _, body := s.call("POST", "/runs", nightly, "Content-Type", "application/json", "Idempotency-Key", fmt.Sprint(i)); status != 200 {
			t.Fatalf("%d %s", status, body)
		}
	}
	seen := map[string]bool{}
	for token, pages := "", 0; pages == 0 || token != ""; pages++ {
		status, _, body := s.call("GET", "/runs?model=rides&state=submitted&limit=2&page_token="+token, "")
		if err := json.Unmarshal([]byte(body), &list); err != nil || status != 200 {
			t.Fatalf("%d %s", status, body)
		}
		for _, r := range list.Runs {
			seen[r.ID] = true
		}
		if token = list.Next; pages > 3 {
			t.Fatal("the pages do not end")
		}
	}
	if len(seen) != 3 {
		t.Errorf("listed %d runs, expected 3", len(seen))
	}
	for id := range seen {
		c.Vertex.End(id, aiplatformpb.PipelineState_PIPELINE_STATE_FAILED, "out of memory")
		c.Put(t, batchtest.Outbox, batch.SummaryObject("rides", id), map[string]int{"rows": 5})
		status, _, body := s.call("GET", "/runs/"+id, "")
		var d batch.Detail
		if err := json.Unmarshal([]byte(body), &d); err != nil || status != 200 {
			t.Fatalf("%d %s", status, body)
		}
		if d.JobState != "FAILED" || len(d.Tasks) != 2 || d.Tasks[1].Error != "out of memory" || string(d.Summary) != `{"rows":5}` || len(d.Problems) != 0 {
			t.Errorf("detail is %s", body)
		}
		for _, secret := range []string{"owner", "writer", "lease"} {
			if strings.Contains(body, `"`+secret) {
				t.Errorf("the answer shows the record's %s", secret)
			}
		}
	}
	c.Faults.Arm(chaos.Fault{Match: "vertex:GetPipelineJob", Code: codes.Unavailable})
	for id := range seen {
		if status, _, body := s.call("GET", "/runs/"+id, ""); status != 200 || !strings.Contains(body, "cannot be read now") {
			t.Errorf("with Vertex down: %d %s; expected the record and a problem", status, body)
		}
		break
	}
}

func TestDrainAndReconcile(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	s := serve(t, c, nil)
	c.Upload(t, "rides/a.csv", "x\n1\n") // its event is lost
	c.Vertex.Script(batchtest.Answer{Code: codes.ResourceExhausted})
	status, _, body := s.call("POST", "/reconcile", "")
	if status != 200 || !strings.Contains(body, `"found":1`) {
		t.Fatalf("reconcile: %d %s; expected one found", status, body)
	}
	status, _, body = s.call("POST", "/drain", "{}")
	if status != 200 {
		t.Fatalf("drain: %d %s", status, body)
	}
	if run := c.TheRun(t); run.State != ledger.Submitted {
		t.Errorf("run is %s, expected submitted", run.State)
	}
	c.Faults.Arm(chaos.Fault{Match: "firestore:RunQuery", Code: codes.FailedPrecondition})
	if status, _, body := s.call("POST", "/drain", ""); status != 500 || strings.Contains(body, "chaos") {
		t.Errorf("drain with a missing index: %d %s; expected 500 without its cause", status, body)
	}
}

func TestSixteenTicksAtOnce(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	s, at := serve(t, c, nil), lastTick()
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			status, header, body := s.call("POST", "/ticks", nightly, "X-CloudScheduler-ScheduleTime", at)
			if n, err := strconv.Atoi(header.Get("Retry-After")); status == 503 && (err != nil || n < 1) || status != 200 && status != 503 {
				t.Errorf("%d, Retry-After %q: %s", status, header.Get("Retry-After"), body)
			}
		})
	}
	wg.Wait()
	if len(c.Vertex.Jobs()) != 1 {
		t.Errorf("jobs %v, expected one", c.Vertex.Jobs())
	}
	c.TheRun(t)
}

func TestDependencyDownAndDeadline(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	s := serve(t, c, map[string]string{"START_DEADLINE": "1s", "DEADLINE": "2s"})
	for range 100 {
		c.Faults.Arm(chaos.Fault{Match: "firestore:", Action: chaos.Drop})
	}
	began := time.Now()
	for _, path := range []string{"/ticks", "/drain", "/reconcile"} {
		status, _, body := s.call("POST", path, nightly, "X-CloudScheduler-ScheduleTime", lastTick())
		if status != 503 && status != 504 {
			t.Errorf("%s with a silent ledger: %d %s; expected 503 or 504", path, status, body)
		}
	}
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("three answers took %v, expected 5 s at most", took)
	}
}

func TestOpenNamesEveryBadSetting(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	_, err := Open(t.Context(), c.Getenv(map[string]string{"DEADLINE": "x", "SWEEP_SINCE": "yesterday"}))
	for _, name := range []string{"OPERATORS", "DEADLINE", "SWEEP_SINCE"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("Open = %v, expected it to name %s", err, name)
		}
	}
	for name, value := range map[string]string{"DEADLINE": "1s", "SWEEP_MIN_AGE": "-1s", "OUTBOX_BUCKET": batchtest.Inbox} {
		_, err := Open(t.Context(), c.Getenv(map[string]string{"OPERATORS": "*", name: value}))
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("Open with %s=%s = %v, expected it to name it", name, value, err)
		}
	}
	f, err := Open(t.Context(), c.Getenv(map[string]string{"OPERATORS": "*", "SWEEP_SINCE": "2031-07-02T00:00:00Z"}))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
