package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/millrace-ml/millrace/internal/identity"
)

// maxAnswer bounds one answer; a page of services is below 1 MB.
const maxAnswer = 16 << 20

// maxPages bounds a list: more than this is no project of Millrace alone.
const maxPages = 20

// client asks Google's APIs, read methods only. The REST form is used, with own types for the few fields that are read: the
// generated packages of google.golang.org/api for these eleven services hold 13 MB of source.
type client struct {
	base  string // in place of https://
	cred  *identity.Credential
	quota string
	http  *http.Client
}

func newClient(base string, cred *identity.Credential, project string) *client {
	c := &client{base: "https://", cred: cred, http: &http.Client{Timeout: callLimit}}
	if base != "" {
		c.base = strings.TrimSuffix(base, "/") + "/"
	}
	if cred.Quota { // a person's credentials for programs have no project whose quota pays
		c.quota = project
	}
	return c
}

// apiError is an answer that is no success.
type apiError struct {
	host    string
	status  int
	reason  string // of google.rpc.ErrorInfo, such as SERVICE_DISABLED
	message string
}

func (e *apiError) Error() string {
	return fmt.Sprintf("%s answered %d: %s", e.host, e.status, e.message)
}

// status is the HTTP status that an error reports, 0 when there was no answer.
func status(err error) int {
	var e *apiError
	if errors.As(err, &e) {
		return e.status
	}
	return 0
}

// call makes one request. The path is an endpoint's with its variables filled in, already escaped.
func (c *client) call(ctx context.Context, e endpoint, vars map[string]string, query url.Values, body, into any) error {
	host, path := e.fill(vars)
	target := c.base + host + "/" + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(b)
	}
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, e.method, target, content)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.cred.Token)
	if c.quota != "" {
		req.Header.Set("X-Goog-User-Project", c.quota)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // without the address, which is long and says nothing more
		}
		return fmt.Errorf("no answer from %s: %w", host, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("no whole answer from %s: %w", host, err)
	}
	if resp.StatusCode != http.StatusOK {
		return failure(host, resp.StatusCode, answer)
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("%s answered something that is not what its API says: %w", host, err)
	}
	return nil
}

// failure reads Google's two forms of an error.
func failure(host string, code int, answer []byte) error {
	var doc struct {
		Error struct {
			Message string
			Details []struct{ Reason string }
		}
	}
	e := &apiError{host: host, status: code, message: http.StatusText(code)}
	if err := json.Unmarshal(answer, &doc); err != nil {
		return e // a proxy's page
	}
	if doc.Error.Message != "" {
		e.message, _, _ = strings.Cut(doc.Error.Message, "\n")
	}
	for _, d := range doc.Error.Details {
		if d.Reason != "" {
			e.reason = d.Reason
		}
	}
	return e
}

// pages reads a list to its end. page decodes one answer and gives the token of the next.
func (c *client) pages(ctx context.Context, e endpoint, vars map[string]string, query url.Values, page func(json.RawMessage) (next string, err error)) error {
	if query == nil {
		query = url.Values{}
	}
	for range maxPages {
		var raw json.RawMessage
		if err := c.call(ctx, e, vars, query, nil, &raw); err != nil {
			return err
		}
		next, err := page(raw)
		if err != nil {
			return fmt.Errorf("%s answered something that is not what its API says: %w", e.host, err)
		}
		if next == "" {
			return nil
		}
		query.Set("pageToken", next)
	}
	return fmt.Errorf("%s has more than %d pages of this", e.host, maxPages)
}

// unread is the finding of a check whose question got no usable answer.
func (p *probe) unread(err error, what string) []Finding {
	f := p.noAnswer(err, what)
	f[0].unread = true
	return f
}

func (p *probe) noAnswer(err error, what string) []Finding {
	var e *apiError
	switch {
	case !errors.As(err, &e):
		return []Finding{fail(do("# is there a way to the internet, or a proxy to be named in HTTPS_PROXY?"), "%s: %v", what, err)}
	case e.status == http.StatusUnauthorized:
		return []Finding{fail(do("gcloud auth login", "gcloud auth application-default login"), "%s: %s does not take the credentials any more (401)", what, e.host)}
	case e.reason == "SERVICE_DISABLED" || e.reason == "SERVICE_NOT_ACTIVATED":
		return []Finding{fail(do("gcloud services enable "+apiOf(e.host)+" --project="+p.project), "%s: %s is not enabled in %s", what, apiOf(e.host), p.project)}
	case e.status == http.StatusForbidden:
		return []Finding{{Status: Skip, Message: fmt.Sprintf("%s: not allowed to read it (%s)", what, e.message), Fix: p.grantReader()}}
	}
	return []Finding{fail(nil, "%s: %v", what, e)}
}

// grantReader lets whoever runs this read everything that is looked at, and change nothing.
func (p *probe) grantReader() []string {
	lines := do(p.grant(p.me(), "roles/viewer"), p.grant(p.me(), "roles/iam.securityReviewer"))
	if p.cred.Quota {
		lines = append(lines, p.grant(p.me(), "roles/serviceusage.serviceUsageConsumer"))
	}
	return lines
}

// apiOf is the API behind a host: Vertex has one host for each region.
func apiOf(host string) string {
	if strings.HasSuffix(host, "-aiplatform.googleapis.com") {
		return "aiplatform.googleapis.com"
	}
	return host
}
