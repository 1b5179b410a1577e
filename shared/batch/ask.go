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

const askForm = `{"model":…,"schedule":…,"at":RFC 3339, optional}`

// ParseAsk reads one Ask and nothing else.
func ParseAsk(body []byte) (Ask, error) {
	var a Ask
	if err := strict(body, &a, askForm); err != nil {
		return Ask{}, err
	}
	return a, a.valid()
}

// ParseRequest reads what a person or a deployment asks for: a schedule's dataset, or the trial of a candidate. key is the
// Idempotency-Key, by is who asks.
func ParseRequest(body []byte, key, by string) (Trigger, error) {
	var a struct {
		Model     string    `json:"model"`
		Schedule  string    `json:"schedule"`
		At        time.Time `json:"at"`
		Candidate string    `json:"candidate"`
		Dataset   Dataset   `json:"dataset"`
	}
	const form = askForm + ` or {"model":…,"candidate":gs://…,"dataset":{"bucket":…,"object":…,"generation":…}}`
	if err := strict(body, &a, form); err != nil {
		return nil, err
	}
	if a.Candidate == "" && a.Dataset == (Dataset{}) {
		r := Request{Ask: Ask{Model: a.Model, Schedule: a.Schedule, At: a.At}, Key: key, By: by}
		return r, r.valid()
	}
	if a.Schedule != "" || !a.At.IsZero() {
		return nil, fault.New(fault.Invalid, nil, "the body names a schedule or a time beside a candidate or a dataset; expected %s", form)
	}
	t := Trial{TrialAsk: TrialAsk{Model: a.Model, Candidate: a.Candidate, Dataset: a.Dataset}, Key: key, By: by}
	return t, t.valid()
}

// strict decodes one JSON value of the form that is described, and nothing else.
func strict(body []byte, v any, form string) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("there is more than one value")
		}
	}
	if err != nil {
		return fault.New(fault.Invalid, err, "the body is not %s: %.200s", form, err)
	}
	return nil
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
	return refuse(problems)
}

// refuse makes one error of all problems, nil of none.
func refuse(problems []fault.Problem) error {
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
