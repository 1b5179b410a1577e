package deploy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/millrace-ml/millrace/internal/identity"
	"github.com/millrace-ml/millrace/shared/fault"
)

const (
	askLimit  = time.Minute
	maxAnswer = 32 << 20
)

// asker sends requests to private services.
type asker struct {
	client *http.Client
	token  func(ctx context.Context, audience string) (string, error)
}

// server is one revision at its own URL.
type server struct {
	*asker
	revision string
	url      string
	audience string // the service's URL: tokens name it, not the tag's
}

func (a *asker) server(revision, at, service string) (*server, error) {
	audience, err := identity.Audience(service)
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(at)
	if err != nil || u.Host == "" || u.Scheme != "https" && !loopback(u.Hostname()) {
		return nil, fault.New(fault.Invalid, err, "the URL of %s is %q, expected https://…: a token is sent over nothing else", revision, at)
	}
	return &server{a, revision, at, audience}, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// reply is an answer and how long it took.
type reply struct {
	status int
	body   []byte
	took   time.Duration
}

// send asks once. An error means that no answer came.
func (s *server) send(ctx context.Context, method string, body []byte) (reply, error) {
	token, err := s.token(ctx, s.audience)
	if err != nil {
		return reply{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, s.url+"/", bytes.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	start := time.Now()
	resp, err := s.client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return reply{resp.StatusCode, answer, time.Since(start)}, err
}

// patiently asks until check is content, for as long as a new revision may take to be reached and to start. A refusal of
// the caller is final at once.
func (s *server) patiently(ctx context.Context, patience time.Duration, method string, body []byte, check func(reply) error) error {
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 3*time.Second) {
		r, err := s.send(ctx, method, body)
		if err == nil {
			err = check(r)
		}
		final := fault.KindOf(err) == fault.Unauthenticated || err != nil && (r.status == http.StatusUnauthorized || r.status == http.StatusForbidden)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case final && r.status != 0:
			return fault.New(fault.Forbidden, nil, "%s does not let this caller in (%d): it needs roles/run.invoker on the service", s.url, r.status)
		case final:
			return err
		}
		select {
		case <-time.After(pause):
		case <-deadline.C:
			return fmt.Errorf("%s: %w", s.revision, err)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// errorAnswer says that an answer is the server's failure, not the caller's.
func errorAnswer(r reply, err error) bool {
	return err != nil && !errors.Is(err, context.Canceled) || r.status >= 500 || r.status == http.StatusTooManyRequests
}
