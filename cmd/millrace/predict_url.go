package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/millrace-ml/millrace/internal/identity"
)

// runDomain ends the addresses that Cloud Run gives its services.
const runDomain = ".run.app"

// ask sends the request to the server of --url.
func (p predictCmd) ask(ctx context.Context, c console, body []byte) error {
	target, err := p.target()
	if err != nil {
		return err
	}
	audience, err := p.audience(target)
	if err != nil {
		return err
	}
	token := ""
	if audience != "" {
		if token, err = identity.Token(ctx, c.getenv, audience); err != nil {
			return err
		}
	}
	status, answer, err := send(ctx, target.String(), body, token)
	if err != nil {
		return err
	}
	if status == http.StatusUnauthorized || status == http.StatusForbidden {
		return fmt.Errorf("%s answers %d: %s", target.Host, status, p.refused(target, token))
	}
	if !json.Valid(answer) {
		return fmt.Errorf("%s answers %d with a page that is no prediction; %s", target.Host, status, p.pageHint(target.Hostname(), status))
	}
	return p.print(c, status, answer)
}

// pageHint says what to look at when a server in front of the function answered in its place.
func (p predictCmd) pageHint(host string, status int) string {
	where := fmt.Sprintf("%s --region=%s", serviceName(host, "predict-"+p.Model), regionOf(host))
	if status >= http.StatusInternalServerError || status == http.StatusTooManyRequests {
		return "its log says why: gcloud run services logs read " + where + " --limit=50"
	}
	return "the service's own URL is what this prints: gcloud run services describe " + where + " --format='value(status.url)'"
}

// target is where the request goes: the route of --url if it names one, else the model's below it.
func (p predictCmd) target() (*url.URL, error) {
	u, err := url.Parse(p.URL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("--url is %q, expected https://HOST or http://127.0.0.1:PORT", p.URL)
	case u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return nil, fmt.Errorf("--url is %q, expected an address without user, query and fragment", p.URL)
	case u.Scheme == "http" && strings.HasSuffix(u.Hostname(), runDomain):
		return nil, fmt.Errorf("--url is %q, but Cloud Run is reached by https: --url https://%s", p.URL, u.Host)
	}
	if !strings.HasSuffix(u.Path, ":predict") {
		u = u.JoinPath("v1", "models", p.Model+":predict")
	}
	return u, nil
}

// audience is what the token names, "" for a request without one. A token goes to Cloud Run, and elsewhere only when it is
// asked for: whoever gets one of a person's can use it against every service that lets the person in.
func (p predictCmd) audience(target *url.URL) (string, error) {
	switch {
	case p.Audience != "":
		if target.Scheme != "https" && !loopbackHost(target.Hostname()) {
			return "", fmt.Errorf("--url is %q: an identity token is sent by https or to this machine only", p.URL)
		}
		return identity.Audience(p.Audience)
	case onCloudRun(target):
		return identity.Audience(p.URL)
	}
	return "", nil
}

func loopbackHost(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// send posts the request. A redirect is an answer and is not followed: it would take the token along.
func send(ctx context.Context, target string, body []byte, token string) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, predictLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxPrediction))
	return resp.StatusCode, answer, err
}

// refused says in one line who was not let in, and what lets them in.
func (p predictCmd) refused(target *url.URL, token string) string {
	if token == "" {
		return "it wants an identity token; name its run.app URL: --audience https://SERVICE" + runDomain
	}
	host := target.String()
	if p.Audience != "" {
		host = p.Audience
	}
	return fmt.Sprintf("%s; to keep it so, add it to realtime.invokers in models/%s/model.yaml", letIn(host, "predict-"+p.Model, token), p.Model)
}

// letIn says who was not let in, and the command that lets them in.
func letIn(service, name, token string) string {
	host := service
	if u, err := url.Parse(service); err == nil {
		host = u.Hostname()
	}
	member, kind := whose(token), "user:"
	switch {
	case member == "":
		member, kind = "MEMBER", ""
	case strings.HasSuffix(member, ".gserviceaccount.com"):
		kind = "serviceAccount:"
	}
	return fmt.Sprintf("%s may not call it; run: gcloud run services add-iam-policy-binding %s --region=%s --member=%s%s --role=roles/run.servicesInvoker",
		member, serviceName(host, name), regionOf(host), kind, member)
}

// signed adds an identity token to a request to Cloud Run; a request to anything else stays as it is.
func (c console) signed(ctx context.Context, address string, header http.Header) (http.Header, string, error) {
	u, err := url.Parse(address)
	if err != nil || !onCloudRun(u) {
		return header, "", nil // what is wrong with the address, the request itself says
	}
	audience, err := identity.Audience(address)
	if err != nil {
		return nil, "", err
	}
	token, err := identity.Token(ctx, c.getenv, audience)
	if err != nil {
		return nil, "", err
	}
	header = header.Clone()
	if header == nil {
		header = http.Header{}
	}
	header.Set("Authorization", "Bearer "+token)
	return header, token, nil
}

func onCloudRun(u *url.URL) bool {
	return u.Scheme == "https" && strings.HasSuffix(u.Hostname(), runDomain)
}

// whose is the address in a token, for words only: nobody checks the signature here.
func whose(token string) string {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return ""
	}
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return ""
	}
	var claims struct{ Email string }
	if err := json.Unmarshal(b, &claims); err != nil || !address.MatchString(claims.Email) {
		return ""
	}
	return claims.Email
}

var (
	address = regexp.MustCompile(`^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+$`)
	// Cloud Run gives each service two names: SERVICE-NUMBER.REGION.run.app and SERVICE-HASH-RC.a.run.app.
	numbered = regexp.MustCompile(`^(?:.*---)?([a-z0-9-]+)-\d+\.([a-z0-9-]+)\.run\.app$`)
	hashed   = regexp.MustCompile(`^(?:.*---)?([a-z0-9-]+)-[a-z0-9]+-[a-z]{2,3}\.a\.run\.app$`)
)

// serviceName is the service behind a name of Cloud Run, else what this project calls it.
func serviceName(host, otherwise string) string {
	for _, form := range []*regexp.Regexp{numbered, hashed} {
		if m := form.FindStringSubmatch(host); m != nil {
			return m[1]
		}
	}
	return otherwise
}

func regionOf(host string) string {
	if m := numbered.FindStringSubmatch(host); m != nil {
		return m[2]
	}
	return "REGION"
}
