package identity

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"cloud.google.com/go/auth"
	"cloud.google.com/go/auth/credentials"
	"cloud.google.com/go/auth/credentials/idtoken"
	"cloud.google.com/go/auth/credentials/impersonate"

	"github.com/millrace-ml/millrace/shared/fault"
)

const fileVariable = "GOOGLE_APPLICATION_CREDENTIALS"

// scope is what a caller needs to have a token made for another account.
const scope = "https://www.googleapis.com/auth/cloud-platform"

// named reads the credentials that the environment names. A file that is not there is an error: falling back to somebody
// else's credentials would call the service as the wrong account.
func named(ctx context.Context, getenv func(string) string, audience string) (string, error) {
	path := getenv(fileVariable)
	if path == "" {
		return "", errNone
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fault.New(fault.Unauthenticated, err, "%s names %s, which cannot be read", fileVariable, path)
	}
	return fromFile(ctx, b, path, audience, http.DefaultTransport)
}

// wellKnown reads the credentials that `gcloud auth application-default login` wrote.
func wellKnown(ctx context.Context, getenv func(string) string, audience string) (string, error) {
	path := wellKnownPath(getenv)
	if path == "" {
		return "", errNone
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", errNone
	}
	if err != nil {
		return "", fault.New(fault.Unauthenticated, err, "%s cannot be read", path)
	}
	return fromFile(ctx, b, path, audience, http.DefaultTransport)
}

// wellKnownPath is where gcloud leaves credentials for programs, "" when the environment names no home.
func wellKnownPath(getenv func(string) string) string {
	folder := getenv("HOME")
	if folder != "" {
		folder = filepath.Join(folder, ".config")
	}
	if runtime.GOOS == "windows" {
		folder = getenv("APPDATA")
	}
	if folder == "" {
		return ""
	}
	return filepath.Join(folder, "gcloud", "application_default_credentials.json")
}

// keys are the parts of a credentials file that decide how a token is made of it.
type keys struct {
	Type          credentials.CredType `json:"type"`
	Impersonation string               `json:"service_account_impersonation_url"`
	Source        json.RawMessage      `json:"source_credentials"`
}

// fromFile makes a token of a credentials file. A person's file is none to make one of: gcloud is asked for that.
func fromFile(ctx context.Context, b []byte, path, audience string, rt http.RoundTripper) (string, error) {
	var k keys
	if err := json.Unmarshal(b, &k); err != nil {
		return "", fault.New(fault.Unauthenticated, nil, "%s holds no credentials: it is not JSON", path)
	}
	var creds *auth.Credentials
	var err error
	switch k.Type {
	case credentials.AuthorizedUser:
		return "", errNone
	case credentials.ServiceAccount:
		creds, err = idtoken.NewCredentialsFromJSON(k.Type, b, &idtoken.Options{Audience: audience, Client: &http.Client{Transport: rt, Timeout: limit}})
	case credentials.ImpersonatedServiceAccount, credentials.ExternalAccount:
		creds, err = impersonated(b, k, path, audience, rt)
	default:
		return "", fault.New(fault.Unauthenticated, nil, "%s holds credentials of type %q; an identity token comes of a service account's, impersonated ones or workload identity federation", path, k.Type)
	}
	if err != nil {
		return "", unusable(err, path)
	}
	token, err := creds.Token(ctx)
	if err != nil {
		return "", unusable(err, path)
	}
	return check(token.Value, path)
}

// unusable keeps an error that says itself what to do, and names the file in any other.
func unusable(err error, path string) error {
	var known *fault.Error
	if errors.As(err, &known) {
		return err
	}
	return fault.New(fault.Unauthenticated, err, "the credentials of %s gave no identity token", path)
}

// impersonated asks for a token of another account. The source authorises the request itself here: the library's own way
// from a file sends that request without credentials when it is given a client.
func impersonated(b []byte, k keys, path, audience string, rt http.RoundTripper) (*auth.Credentials, error) {
	account := impersonatedAccount(k.Impersonation)
	if account == "" {
		return nil, fault.New(fault.Unauthenticated, nil, "the credentials of %s impersonate no service account, and only those have identity tokens: "+
			"name one (service_account: of google-github-actions/auth, or --service-account= of gcloud iam workload-identity-pools create-cred-config)", path)
	}
	source, kind := k.Source, struct{ Type credentials.CredType }{}
	if k.Type == credentials.ExternalAccount {
		var err error
		if source, err = without(b, "service_account_impersonation_url"); err != nil {
			return nil, err
		}
	}
	if err := json.Unmarshal(source, &kind); err != nil {
		return nil, fault.New(fault.Unauthenticated, nil, "%s has no source_credentials", path)
	}
	base, err := credentials.NewCredentialsFromJSON(kind.Type, source, &credentials.DetectOptions{
		Scopes: []string{scope}, UseSelfSignedJWT: true, Client: &http.Client{Transport: rt, Timeout: limit},
	})
	if err != nil {
		return nil, err
	}
	return impersonate.NewIDTokenCredentials(&impersonate.IDTokenOptions{
		Audience: audience, TargetPrincipal: account, IncludeEmail: true, Credentials: base,
		Client: &http.Client{Transport: bearer{base, rt}, Timeout: limit},
	})
}

// impersonatedAccount is the account in the address of its token: …/serviceAccounts/ACCOUNT:generateAccessToken.
func impersonatedAccount(url string) string {
	account, _, _ := strings.Cut(url[strings.LastIndex(url, "/")+1:], ":")
	return account
}

// without is a JSON object less one key.
func without(object []byte, key string) ([]byte, error) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(object, &all); err != nil {
		return nil, err
	}
	delete(all, key)
	return json.Marshal(all)
}

// bearer puts an access token on each request.
type bearer struct {
	creds *auth.Credentials
	next  http.RoundTripper
}

var _ http.RoundTripper = bearer{}

// RoundTrip sends a copy of the request with the token.
func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := b.creds.Token(r.Context())
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+token.Value)
	return b.next.RoundTrip(r)
}
