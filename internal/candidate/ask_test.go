package candidate

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/millrace-ml/millrace/internal/batchtest"
	"github.com/millrace-ml/millrace/shared/fault"
)

// roundTrip makes a function a transport.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestLostAnswersStartNothingTwice(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	o := l.options(t)
	var posts, gets atomic.Int64
	keys := make(chan string, 10)
	o.HTTP.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		n := gets.Add(1)
		if r.Method == http.MethodPost {
			keys <- r.Header.Get("Idempotency-Key")
			n = posts.Add(1)
		}
		if n <= 2 { // applied, and nobody hears of it
			_ = resp.Body.Close()
			return nil, errors.New("connection reset by peer")
		}
		return resp, nil
	})
	r, err := Try(t.Context(), o)
	if err != nil || r.Found || posts.Load() < 3 || len(l.Vertex.Jobs()) != 1 {
		t.Errorf("%+v, %v after %d posts and %d jobs", r, err, posts.Load(), len(l.Vertex.Jobs()))
	}
	if first := <-keys; first != <-keys || first == "" {
		t.Errorf("the request was sent again under another key than %q", first)
	}
}

func TestTryEndsAtItsDeadlineAndSaysWhereToLook(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		answers []batchtest.Answer
		says    string
	}{
		"the job never begins":       {nil, "is still submitted after"},
		"it never leaves the line":   {[]batchtest.Answer{{Code: codes.ResourceExhausted}}, "is still pending (it waits in the line"},
		"batchtrigger cannot say so": {[]batchtest.Answer{{Code: codes.Unavailable}, {Code: codes.Unavailable}, {Code: codes.Unavailable}, {Code: codes.Unavailable}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.with(func(*lab, string) error { return nil })
			l.Vertex.Script(tc.answers...)
			o := l.options(t)
			o.Deadline = 700 * time.Millisecond
			_, err := Try(t.Context(), o)
			if !fault.KindOf(err).Retry() || !strings.Contains(err.Error(), tc.says) {
				t.Fatalf("got %v (%v)", err, fault.KindOf(err))
			}
			if tc.says != "" && !strings.Contains(err.Error(), "runs --url "+l.url+" show "+l.TheRun(t).ID) {
				t.Errorf("%v does not say where to look", err)
			}
			l.untouched(t)
			if tc.answers != nil {
				return
			}
			id := l.TheRun(t).ID
			if err := l.steps(id); err != nil { // it goes on
				t.Fatal(err)
			}
			if r := l.try(t); !r.Found || r.RunID != id {
				t.Errorf("tried again: %+v", r)
			}
		})
	}
}

func TestTheCallersEndIsToldApart(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	ctx, cancel := context.WithCancel(t.Context())
	l.with(func(*lab, string) error { cancel(); return nil })
	if _, err := Try(ctx, l.options(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	refuse := func(status int) func(*http.Request) (*http.Response, error) {
		return func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader("<html>no</html>")), Request: r}, nil
		}
	}
	o := l.options(t)
	given := 0
	o.Token = func(context.Context) (string, error) { given++; return strings.Repeat("t", given), nil }
	o.HTTP.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.Header.Get("Authorization") == "Bearer t" { // over
			return refuse(http.StatusUnauthorized)(r)
		}
		if r.Header.Get("Authorization") != "Bearer tt" {
			return nil, errors.New("no token")
		}
		return http.DefaultTransport.RoundTrip(r)
	})
	if _, err := Try(t.Context(), o); err != nil || given != 2 {
		t.Errorf("%v after %d tokens, expected one that is over and one that is good", err, given)
	}
	for name, tc := range map[string]struct {
		token     func(context.Context) (string, error)
		transport roundTrip
		kind      fault.Kind
		says      string
	}{
		"a refused caller": {o.Token, refuse(http.StatusForbidden), fault.Forbidden, "OPERATORS"},
		"tokens of no use": {o.Token, refuse(http.StatusUnauthorized), fault.Forbidden, "roles/run.invoker"},
		"no token":         {func(context.Context) (string, error) { return "", errors.New("run: gcloud auth login") }, refuse(500), fault.Unauthenticated, "gcloud auth login"},
		"a redirect": {o.Token, func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 302, Header: http.Header{"Location": {"https://elsewhere.example/"}}, Body: http.NoBody, Request: r}, nil
		}, fault.Internal, "answers 302"},
		"another's page": {o.Token, refuse(http.StatusNotFound), fault.Conflict, "look at the trial"},
		"no run": {o.Token, func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(`{"function":"x"}`)), Request: r}, nil
		}, fault.Internal, "expected a run"},
	} {
		o := l.options(t)
		o.Unit = strings.Repeat("f", 64)
		o.Token, o.HTTP.Transport = tc.token, tc.transport
		if _, err := Try(t.Context(), o); err == nil || fault.KindOf(err) != tc.kind || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: got %v (%v), want something with %q", name, err, fault.KindOf(err), tc.says)
		}
	}
}
