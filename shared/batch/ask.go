package batch

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/ledger"
)

// Ask is the body with which schedules, people and the command line ask for a run. It is written in more than one place,
// so that its form stands here.
type Ask struct {
	Model    string    `json:"model"`
	Schedule string    `json:"schedule"`
	At       time.Time `json:"at,omitzero"` // what {date} and {hour} mean; zero for now
}

// ParseAsk reads one Ask and nothing else.
func ParseAsk(body []byte) (Ask, error) {
	var a Ask
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(&a)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("there is more than one value")
		}
	}
	if err != nil {
		return Ask{}, fault.New(fault.Invalid, err, "the body is not {\"model\":…,\"schedule\":…,\"at\":RFC 3339, optional}: %.200s", err)
	}
	return a, a.valid()
}

// valid lists every problem by its place in the body.
func (a *Ask) valid() error {
	var problems []fault.Problem
	for _, f := range []struct{ pointer, value, expected string }{
		{"/model", a.Model, "the name of a model"}, {"/schedule", a.Schedule, "the name of one of its schedules"},
	} {
		if f.value == "" {
			problems = append(problems, fault.Problem{Pointer: f.pointer, Code: "missing", Expected: f.expected, Got: "nothing"})
		}
	}
	if y := a.At.Year(); !a.At.IsZero() && (y < 1970 || y > 9999) {
		problems = append(problems, fault.Problem{Pointer: "/at", Code: "range", Expected: "a time from 1970 to 9999", Got: a.At.Format(time.RFC3339)})
	}
	if problems == nil {
		return nil
	}
	p := problems[0]
	err := fault.New(fault.Invalid, nil, "%s: %s, expected %s", p.Pointer, p.Got, p.Expected)
	err.Problems = problems
	return err
}

// Operators are the emails that may start runs by hand; "*" is everyone.
type Operators []string

// Who names the caller, if it may start runs. The platform has checked the token's signature before the request came here,
// and has replaced it, so it cannot be checked again.
func (o Operators) Who(h http.Header) (string, error) {
	email := caller(h)
	switch {
	case slices.Contains(o, "*"):
		return email, nil
	case email == "":
		return "", fault.New(fault.Unauthenticated, nil, "to start a run, send an identity token with an email")
	case !slices.Contains(o, email):
		return "", fault.New(fault.Forbidden, nil, "%.120s may not start runs; the setting OPERATORS names who may", email)
	}
	return email, nil
}

// caller is the email of the identity token that the platform has checked, or "". Cloud Run takes the token from
// X-Serverless-Authorization if that is sent, and then leaves Authorization unchecked: that one must not be believed.
func caller(h http.Header) string {
	tokens := h.Values("X-Serverless-Authorization")
	if len(tokens) == 0 {
		tokens = h.Values("Authorization")
	}
	if len(tokens) != 1 {
		return ""
	}
	kind, token, _ := strings.Cut(tokens[0], " ")
	parts := strings.Split(token, ".")
	if !strings.EqualFold(kind, "Bearer") || len(parts) != 3 {
		return ""
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	var claims struct {
		Email    string `json:"email"`
		Verified bool   `json:"email_verified"`
	}
	if err != nil || json.Unmarshal(raw, &claims) != nil || !claims.Verified {
		return ""
	}
	return claims.Email
}

// Unscored is what a person reads of a run that ended before it was submitted; nil for any other.
func Unscored(run *ledger.Run) error {
	if !run.SubmitAt.IsZero() {
		return nil
	}
	switch run.State {
	case ledger.Invalid, ledger.Ignored:
		return fault.New(fault.Invalid, nil, "run %s is %s: %s", run.ID, run.State, run.Reason)
	case ledger.Superseded, ledger.Failed, ledger.Cancelled:
		return fault.New(fault.Conflict, nil, "run %s is %s: %s", run.ID, run.State, run.Reason)
	}
	return nil
}
