package candidate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/millrace-ml/millrace/shared/fault"
)

const (
	askLimit  = time.Minute     // of one request; batchtrigger's own deadline of a start is 8 s
	patience  = 3 * time.Minute // with a batchtrigger that gives no answer of use
	maxAnswer = 4 << 20
	maxPause  = 15 * time.Second
)

var (
	errDeadline = errors.New("the deadline of the trial is over")
	errPatience = fmt.Errorf("asked for %s", patience)
)

// answer is what batchtrigger said, as far as it is of use.
type answer struct {
	status int
	body   []byte
	after  time.Duration // Retry-After
}

// ask sends a request until an answer comes that says something, or the trial's deadline does. It is sent again only where
// a repeat does no harm: a look, or a start under its Idempotency-Key, so that a lost answer starts nothing twice.
func (t *trial) ask(ctx context.Context, method, path string, body []byte, key string) (answer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errPatience)
	defer cancel()
	var last error
	signed := 0
	for pause := t.Poll; ; pause = min(2*pause, maxPause) {
		a, err := t.send(ctx, method, path, body, key)
		switch {
		case fault.KindOf(err) == fault.Unauthenticated: // no token: asking again gives none
			return a, err
		case err != nil:
			last = err
		case a.status == http.StatusUnauthorized && signed == 0 && t.Token != nil:
			signed++ // a token lives an hour, a trial may outlast it
			t.token = ""
			continue
		case a.status < 500 && a.status != http.StatusTooManyRequests && a.status != http.StatusRequestTimeout:
			return a, nil
		default:
			last = fmt.Errorf("%s %s: status %d: %s", method, t.base.JoinPath(path), a.status, a.said())
		}
		if err := sleep(ctx, max(pause, min(a.after, maxPause))); err != nil {
			return a, fault.New(fault.Unavailable, errors.Join(err, last), "batchtrigger does not answer: %v", last)
		}
	}
}

// send asks once. An error means that no answer came.
func (t *trial) send(ctx context.Context, method, path string, body []byte, key string) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, t.base.JoinPath(path).String(), bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", key)
	}
	if t.Token != nil && t.token == "" {
		if t.token, err = t.Token(ctx); err != nil {
			return answer{}, fault.New(fault.Unauthenticated, err, "no identity token for %s: %v", t.base, err)
		}
	}
	if t.token != "" {
		req.Header.Set("Authorization", "Bearer "+t.token)
	}
	resp, err := t.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
		a.after = time.Duration(seconds) * time.Second
	}
	a.body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return a, err
}

// said is an answer in words: batchtrigger's own error, or the beginning of what somebody in front of it wrote.
func (a *answer) said() string {
	var own struct{ Error string }
	if json.Unmarshal(a.body, &own) == nil && own.Error != "" {
		return own.Error
	}
	return fmt.Sprintf("%.200q", strings.TrimSpace(string(a.body)))
}

// refusal makes an error of an answer that is none of the wanted ones.
func (t *trial) refusal(what string, a answer) error {
	switch a.status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return fault.New(fault.Forbidden, nil, "%s: %s does not let this caller in (%d: %s): it needs roles/run.invoker on batchtrigger, and its email in OPERATORS there",
			what, t.base, a.status, a.said())
	case http.StatusBadRequest, http.StatusConflict, http.StatusNotFound, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
		return fault.New(fault.Conflict, nil, "%s: %s", what, a.said())
	}
	return fault.New(fault.Internal, nil, "%s: %s answers %d: %s", what, t.base, a.status, a.said())
}

// sleep waits, or ends with the reason for which ctx did.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
