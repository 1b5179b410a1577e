package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	"github.com/millrace-ml/millrace/internal/localcloud/chaos"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		want []chaos.Fault
		err  string
	}{
		"nothing":         {text: ""},
		"a kill":          {text: "match=storage:objects.insert,n=3,action=kill,when=after", want: []chaos.Fault{{Match: "storage:objects.insert", N: 3, Action: chaos.Kill, After: true}}},
		"a failure":       {text: "match=firestore:Commit,action=fail:DEADLINE_EXCEEDED", want: []chaos.Fault{{Match: "firestore:Commit", N: 1, Code: codes.DeadlineExceeded}}},
		"two faults":      {text: "action=drop;match=x,action=kill", want: []chaos.Fault{{N: 1, Action: chaos.Drop}, {Match: "x", N: 1, Action: chaos.Kill}}},
		"no action":       {text: "match=x", err: "no action"},
		"unknown key":     {text: "match=x,action=kill,where=here", err: `unknown key "where"`},
		"n of zero":       {text: "action=kill,n=0", err: `n is "0"`},
		"bad when":        {text: "action=kill,when=never", err: `when is "never"`},
		"unknown action":  {text: "action=explode", err: `action is "explode"`},
		"unknown code":    {text: "action=fail:NOPE", err: "NOPE"},
		"a missing code":  {text: "action=fail", err: "code"},
		"surplus of kill": {text: "action=kill:now", err: `action is "kill:now"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := chaos.Parse(c.text)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("error %v, want one with %q", err, c.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			for _, f := range got { // what String writes, Parse reads
				again, err := chaos.Parse(f.String())
				if err != nil || len(again) != 1 || again[0].String() != f.String() {
					t.Errorf("%s read again: %v, %v", f, again, err)
				}
			}
		})
	}
}

func TestEveryCodeIsReadBack(t *testing.T) {
	t.Parallel()
	for c := codes.Canceled; c <= codes.Unauthenticated; c++ {
		f := chaos.Fault{Action: chaos.Fail, Code: c}
		got, err := chaos.Parse(f.String())
		if err != nil || got[0].Code != c {
			t.Errorf("%v: %v, %v", c, got, err)
		}
	}
}

func TestFromEnvNamesTheVariable(t *testing.T) {
	t.Parallel()
	_, err := chaos.FromEnv(func(string) string { return "nonsense" })
	if err == nil || !strings.Contains(err.Error(), chaos.Variable) {
		t.Errorf("%v", err)
	}
}

// counter is an HTTP service that counts what it applies and refuses on demand.
func counter(s *chaos.Switch, applied *int) http.Handler {
	name := func(r *http.Request) string { return "svc:" + strings.TrimPrefix(r.URL.Path, "/") }
	return s.Middleware(name, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/refuse" {
			http.Error(w, "no", http.StatusPreconditionFailed)
			return
		}
		*applied++
		_, _ = io.WriteString(w, "done")
	}))
}

func TestMiddleware(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault   string
		path    string
		status  int
		applied int
	}{
		"nothing armed":                {"", "/a", 200, 1},
		"fails before":                 {"action=fail:UNAVAILABLE", "/a", 503, 0},
		"fails after":                  {"action=fail:UNAVAILABLE,when=after", "/a", 503, 1},
		"fails with quota":             {"action=fail:RESOURCE_EXHAUSTED", "/a", 429, 0},
		"another call":                 {"match=svc:b,action=fail:UNAVAILABLE", "/a", 200, 1},
		"by prefix":                    {"match=svc:,action=fail:INTERNAL", "/a", 500, 0},
		"the second call":              {"n=2,action=fail:INTERNAL", "/a", 200, 1},
		"a refusal is not made a lie":  {"action=fail:UNAVAILABLE,when=after", "/refuse", 412, 0},
		"before, a refusal is a fault": {"action=fail:UNAVAILABLE", "/refuse", 503, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := armed(t, c.fault)
			applied := 0
			w := httptest.NewRecorder()
			counter(s, &applied).ServeHTTP(w, httptest.NewRequest(http.MethodPost, c.path, strings.NewReader("x")))
			if w.Code != c.status || applied != c.applied {
				t.Errorf("status %d, applied %d; want %d, %d", w.Code, applied, c.status, c.applied)
			}
		})
	}
}

func armed(t *testing.T, text string) *chaos.Switch {
	t.Helper()
	s, err := chaos.FromEnv(func(string) string { return text })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestFaultsAreSpentOnceAndCallsCounted(t *testing.T) {
	t.Parallel()
	s := armed(t, "n=2,action=fail:INTERNAL;match=svc:a,n=3,action=fail:UNAVAILABLE")
	applied := 0
	h := counter(s, &applied)
	var got []int
	for _, path := range []string{"/a", "/b", "/a", "/a", "/a"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, nil))
		got = append(got, w.Code)
	}
	if d := cmp.Diff([]int{200, 500, 200, 503, 200}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"svc:a", "svc:b", "svc:a", "svc:a", "svc:a"}, s.Calls()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if s.Arm(chaos.Fault{}); s.Disarm() != 1 {
		t.Error("the armed fault was not counted")
	}
	if s.Reset(); len(s.Calls()) != 0 {
		t.Error("calls after Reset")
	}
}

func TestDroppedAnswerNeverComes(t *testing.T) {
	t.Parallel()
	for when, want := range map[string]int{"before": 0, "after": 1} {
		applied := 0
		srv := httptest.NewServer(counter(armed(t, "action=drop,when="+when), &applied))
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, srv.URL+"/a", strings.NewReader("body"))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: %v", when, err)
		}
		cancel()
		srv.Close() // waits for the handler: it must have noticed that the caller left
		if applied != want {
			t.Errorf("%s: applied %d, want %d", when, applied, want)
		}
	}
}

// TestTwoFaultsOfOneCall: a call takes one fault, the other waits for the next.
func TestTwoFaultsOfOneCall(t *testing.T) {
	t.Parallel()
	s := armed(t, "n=2,action=fail:INTERNAL;n=2,action=fail:UNAVAILABLE")
	applied := 0
	h := counter(s, &applied)
	var got []int
	for range 4 {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/a", nil))
		got = append(got, w.Code)
	}
	if d := cmp.Diff([]int{200, 500, 503, 200}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestKill starts this test binary again as a server that a fault kills.
func TestKill(t *testing.T) {
	t.Parallel()
	if os.Getenv("MILLRACE_CHAOS_CHILD") != "" {
		applied := 0
		s, err := chaos.FromEnv(os.Getenv)
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		counter(s, &applied).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/a", nil))
		fmt.Println("survived")
		return
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKill$")
	cmd.Env = append(os.Environ(), "MILLRACE_CHAOS_CHILD=1", chaos.Variable+"=action=kill,when=after")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != -1 || strings.Contains(string(out), "survived") {
		t.Errorf("err %v, output %q; want death by a signal", err, out)
	}
}
