package batch_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace-ml/millrace/shared/batch"
	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/ledger"
)

func TestParseAsk(t *testing.T) {
	t.Parallel()
	got, err := batch.ParseAsk([]byte(` {"model":"rides","schedule":"nightly","at":"2031-07-02T12:00:00+02:00"} `))
	if err != nil || got.Model != "rides" || got.Schedule != "nightly" || !got.At.Equal(time.Date(2031, 7, 2, 10, 0, 0, 0, time.UTC)) {
		t.Errorf("ParseAsk = %+v, %v", got, err)
	}
	cases := map[string]struct {
		body     string
		pointers []string
		says     string
	}{
		"nothing":         {"", nil, "the body is not"},
		"a list":          {"[]", nil, "the body is not"},
		"two values":      {`{"model":"rides","schedule":"nightly"} 1`, nil, "more than one value"},
		"noise behind":    {`{"model":"rides","schedule":"nightly"} x`, nil, "more than one value"},
		"unknown field":   {`{"model":"rides","schedule":"nightly","sched":1}`, nil, `"sched"`},
		"a number":        {`{"model":7,"schedule":"nightly"}`, nil, "model"},
		"null":            {`null`, []string{"/model", "/schedule"}, "/model"},
		"nothing named":   {`{"at":"1969-01-01T00:00:00Z"}`, []string{"/model", "/schedule", "/at"}, "/model"},
		"half a schedule": {`{"model":"rides","schedule":""}`, []string{"/schedule"}, "/schedule"},
		"no time":         {`{"model":"rides","schedule":"nightly","at":"noon"}`, nil, "noon"},
	}
	for name, tc := range cases {
		_, err := batch.ParseAsk([]byte(tc.body))
		p := fault.Public(err)
		var pointers []string
		for _, problem := range p.Problems {
			pointers = append(pointers, problem.Pointer)
		}
		if p.Kind != fault.Invalid || !strings.Contains(p.Message, tc.says) || cmp.Diff(tc.pointers, pointers) != "" {
			t.Errorf("%s: %v with %v, expected invalid with %q and %v", name, err, pointers, tc.says, tc.pointers)
		}
	}
}

func TestParseRequest(t *testing.T) {
	t.Parallel()
	got, err := batch.ParseRequest([]byte(`{"model":"rides","schedule":"nightly","at":"2031-07-02T12:00:00Z"}`), "k", "ann")
	if q, ok := got.(batch.Request); err != nil || !ok || q.Schedule != "nightly" || q.Key != "k" || q.By != "ann" || q.At.IsZero() {
		t.Errorf("ParseRequest = %+v, %v", got, err)
	}
	got, err = batch.ParseRequest([]byte(`{"model":"rides","candidate":"gs://a/c","dataset":{"bucket":"b","object":"o","generation":"7"}}`), "k", "ann")
	if q, ok := got.(batch.Trial); err != nil || !ok || q.Candidate != "gs://a/c" || q.Dataset.Generation != 7 || q.Key != "k" || q.By != "ann" {
		t.Errorf("ParseRequest = %+v, %v", got, err)
	}
	for name, tc := range map[string]struct{ body, says string }{
		"nothing":          {``, "the body is not"},
		"no schedule":      {`{"model":"rides"}`, "/schedule"},
		"no dataset":       {`{"model":"rides","candidate":"gs://a/c"}`, "/dataset/bucket"},
		"no candidate":     {`{"model":"rides","dataset":{"bucket":"b","object":"o","generation":"7"}}`, "/candidate"},
		"both":             {`{"model":"rides","schedule":"nightly","candidate":"gs://a/c"}`, "beside a candidate"},
		"a time":           {`{"model":"rides","at":"2031-07-02T12:00:00Z","candidate":"gs://a/c"}`, "beside a candidate"},
		"another field":    {`{"model":"rides","candidate":"gs://a/c","image":"x"}`, `"image"`},
		"a bad generation": {`{"model":"rides","candidate":"gs://a/c","dataset":{"bucket":"b","object":"o","generation":"x"}}`, "the body is not"},
	} {
		if _, err := batch.ParseRequest([]byte(tc.body), "k", "ann"); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, expected invalid with %q", name, err, tc.says)
		}
	}
}

func TestOperators(t *testing.T) {
	t.Parallel()
	token := func(kind, claims string) string {
		return kind + " e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".x"
	}
	ann := token("Bearer", `{"email":"ann@example.com","email_verified":true}`)
	eve := token("Bearer", `{"email":"eve@example.com","email_verified":true}`)
	const denied, unknown = "forbidden", "unauthenticated"
	cases := map[string]struct {
		header http.Header
		want   string // who, or the kind of the error
	}{
		"an operator":              {http.Header{"Authorization": {ann}}, "ann@example.com"},
		"small letters":            {http.Header{"Authorization": {strings.Replace(ann, "Bearer", "bearer", 1)}}, "ann@example.com"},
		"padded base64":            {http.Header{"Authorization": {strings.Replace(ann, ".x", "==.x", 1)}}, "ann@example.com"},
		"somebody else":            {http.Header{"Authorization": {eve}}, denied},
		"no token":                 {http.Header{}, unknown},
		"basic":                    {http.Header{"Authorization": {token("Basic", `{"email":"ann@example.com","email_verified":true}`)}}, unknown},
		"no email":                 {http.Header{"Authorization": {token("Bearer", `{"sub":"1"}`)}}, unknown},
		"email not verified":       {http.Header{"Authorization": {token("Bearer", `{"email":"ann@example.com"}`)}}, unknown},
		"claims that are no JSON":  {http.Header{"Authorization": {token("Bearer", `{`)}}, unknown},
		"two parts":                {http.Header{"Authorization": {"Bearer a.b"}}, unknown},
		"two tokens":               {http.Header{"Authorization": {ann, ann}}, unknown},
		"the checked one is eve's": {http.Header{"Authorization": {ann}, "X-Serverless-Authorization": {eve}}, denied},
		"the checked one is ann's": {http.Header{"Authorization": {eve}, "X-Serverless-Authorization": {ann}}, "ann@example.com"},
	}
	for name, tc := range cases {
		got, err := batch.Operators{"bob@example.com", "ann@example.com"}.Who(tc.header)
		if err != nil {
			got = fault.KindOf(err).String()
		}
		if got != tc.want {
			t.Errorf("%s: %s (%v), expected %s", name, got, err, tc.want)
		}
	}
	if who, err := (batch.Operators{"*"}).Who(http.Header{}); err != nil || who != "" {
		t.Errorf("everyone, without a token: %q, %v", who, err)
	}
	if who, err := (batch.Operators{"*"}).Who(http.Header{"Authorization": {eve}}); err != nil || who != "eve@example.com" {
		t.Errorf("everyone, with a token: %q, %v; expected the name to be kept", who, err)
	}
	if _, err := (batch.Operators{}).Who(http.Header{"Authorization": {ann}}); fault.KindOf(err) != fault.Forbidden {
		t.Errorf("no operators: %v, expected forbidden", err)
	}
}

func TestUnscored(t *testing.T) {
	t.Parallel()
	want := map[ledger.State]fault.Kind{
		ledger.Invalid: fault.Invalid, ledger.Ignored: fault.Invalid,
		ledger.Failed: fault.Conflict, ledger.Superseded: fault.Conflict, ledger.Cancelled: fault.Conflict,
	}
	for _, s := range ledger.States() {
		kind, isError := want[s]
		if err := batch.Unscored(&ledger.Run{State: s}); (err != nil) != isError || isError && fault.KindOf(err) != kind {
			t.Errorf("never submitted and %s: %v, expected %v: %v", s, err, isError, kind)
		}
		if err := batch.Unscored(&ledger.Run{State: s, SubmitAt: time.Unix(1, 0)}); err != nil {
			t.Errorf("submitted and %s: %v, expected the run itself", s, err)
		}
	}
}
