// Package identity says who this process is: the identity token with which a private Cloud Run service lets a caller in, of a
// service account where there is one, else of the person who is signed in to gcloud; and the access token for the few
// requests to Google's APIs that go without one of Google's clients, which find theirs themselves. A token is never printed
// and never part of an error.
package identity

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/millrace-ml/millrace/shared/fault"
)

// Variable holds a token that was made elsewhere; when set, nothing else is asked.
const Variable = "MILLRACE_IDENTITY_TOKEN"

// limit bounds one Token in all. gcloud alone takes seconds to start on a slow machine.
const limit = 45 * time.Second

// errNone says that a source does not exist here, so that the next one is asked.
var errNone = errors.New("no such credentials here")

// Token gives an identity token for the service at audience, its URL without a path (see [Audience]). The sources, in this
// order: MILLRACE_IDENTITY_TOKEN; the file of GOOGLE_APPLICATION_CREDENTIALS; the metadata server, on Google Cloud; the
// credentials that gcloud left for programs; gcloud itself. A person's token names no audience, since only service accounts
// may choose one; Cloud Run takes gcloud's.
func Token(ctx context.Context, getenv func(string) string, audience string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if given := strings.TrimSpace(getenv(Variable)); given != "" {
		return check(given, Variable)
	}
	if audience == "" {
		return "", fault.New(fault.Invalid, nil, "an identity token needs an audience: the service's URL without a path")
	}
	sources := []func(context.Context, func(string) string, string) (string, error){named, metadata, wellKnown, gcloud}
	for _, source := range sources {
		token, err := source(ctx, getenv, audience)
		if !errors.Is(err, errNone) {
			return token, err
		}
	}
	return "", fault.New(fault.Unauthenticated, nil, "no credentials to call %s with: install gcloud (https://cloud.google.com/sdk/docs/install) and run: gcloud auth login; "+
		"or put a token into %s", audience, Variable)
}

// Audience is what a token for a Cloud Run service names: scheme and host of the service. A revision's tag in front of the
// host is not part of it: https://c-1a2b---predict-x-abc-uc.a.run.app is reached with a token for
// https://predict-x-abc-uc.a.run.app.
func Audience(service string) (string, error) {
	u, err := url.Parse(service)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return "", fault.New(fault.Invalid, nil, "%q is no URL of a service, expected https://HOST", service)
	}
	host := strings.ToLower(u.Host)
	if _, rest, tagged := strings.Cut(host, "---"); tagged && strings.HasSuffix(u.Hostname(), ".run.app") {
		host = rest
	}
	return u.Scheme + "://" + host, nil
}

// check refuses what cannot be one HTTP header value, without showing it.
func check(token, source string) (string, error) {
	token = strings.TrimSpace(token)
	printable := func(r rune) bool { return r > ' ' && r < 0x7f }
	switch {
	case token == "":
		return "", fault.New(fault.Unauthenticated, nil, "%s gave an empty identity token", source)
	case strings.TrimFunc(token, printable) != "":
		return "", fault.New(fault.Unauthenticated, nil, "%s gave something that is no identity token: it holds spaces or line breaks", source)
	}
	return token, nil
}
