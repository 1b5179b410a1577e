package identity

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const service = "https://predict-bike-abc-uc.a.run.app"

func env(pairs ...string) func(string) string {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return func(k string) string { return m[k] }
}

func write(t *testing.T, path, text string, mode os.FileMode) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// google plays the metadata server, the token endpoint of service accounts and of federation, and IAM Credentials.
func google(t *testing.T) (host string, rt http.RoundTripper) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /computeMetadata/v1/instance/service-accounts/default/identity", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Metadata-Flavor") != "Google" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		fmt.Fprintf(w, "metadata.%s\n", r.FormValue("audience"))
	})
	for path, answer := range map[string]string{"service-accounts/default/token": `{"access_token":"machine","expires_in":1}`, "service-accounts/default/email": "vm@p.iam.gserviceaccount.com\n"} {
		mux.HandleFunc("GET /computeMetadata/v1/instance/"+path, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, answer) })
	}
	mux.HandleFunc("GET /computeMetadata/v1/project/project-id", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "p") })
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		parts := strings.Split(r.FormValue("assertion"), ".")
		w.Header().Set("Content-Type", "application/json")
		// An identity token as long as three parts say that it is one; the library reads its expiry.
		fmt.Fprintf(w, `{"access_token":"access","expires_in":3600,"token_type":"Bearer","id_token":%q}`, strings.Join(parts[:min(len(parts), 2)], ".")+".signed")
	})
	mux.HandleFunc("POST /sts", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"access_token":"of-%s","expires_in":3600,"token_type":"Bearer","issued_token_type":"urn:ietf:params:oauth:token-type:access_token"}`, r.FormValue("subject_token"))
	})
	mux.HandleFunc("POST /v1/projects/-/serviceAccounts/{call}", func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Audience     string
			IncludeEmail bool
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || !body.IncludeEmail {
			t.Errorf("generateIdToken: %v, %+v", err, body)
		}
		fmt.Fprintf(w, `{"token":"%s.for.%s.by.%s"}`, r.PathValue("call"), body.Audience, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	u, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host, roundTrip(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.URL.Scheme, r.URL.Host = "http", u.Host // iamcredentials.googleapis.com has a fixed address in the library
		return http.DefaultTransport.RoundTrip(r)
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// fakeGcloud is a program that answers as gcloud does to a person or to a service account.
func fakeGcloud(t *testing.T, script string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "gcloud"), "#!/bin/sh\n"+script+"\n", 0o755)
	return dir
}

const person = `case "$*" in *--audiences*) echo "ERROR: (gcloud.auth.print-identity-token) Invalid account type for \` + "`--audiences\\`" + `. Requires valid service account." >&2; exit 1;; esac
echo person.of.$CLOUDSDK_CORE_DISABLE_PROMPTS`

func TestTheSources(t *testing.T) {
	t.Parallel()
	host, _ := google(t)
	signed, missing := fakeGcloud(t, person), filepath.Join(t.TempDir(), "none.json")
	home := t.TempDir()
	write(t, filepath.Join(home, ".config", "gcloud", "application_default_credentials.json"), `{"type":"authorized_user","refresh_token":"secret"}`, 0o600)
	for name, tc := range map[string]struct {
		env  func(string) string
		want string // the token, or part of the error
	}{
		"the variable":                       {env(Variable, " given.as.is\n", "GCE_METADATA_HOST", host), "given.as.is"},
		"the metadata server":                {env("GCE_METADATA_HOST", host, "PATH", signed), "metadata." + service},
		"a person, by gcloud":                {env("PATH", signed), "person.of.1"},
		"a person with a file for programs":  {env("PATH", signed, "HOME", home), "person.of.1"},
		"a service account, by gcloud":       {env("PATH", fakeGcloud(t, `echo "account.$4"`)), "account.--audiences=" + service},
		"nothing at all":                     {env(), "run: gcloud auth login"},
		"a path without gcloud":              {env("PATH", t.TempDir()), "install gcloud"},
		"gcloud without a login":             {env("PATH", fakeGcloud(t, `echo "ERROR: (gcloud.auth) You do not currently have an active account selected." >&2; exit 1`)), "active account selected.); run: gcloud auth login"},
		"gcloud that prints nothing":         {env("PATH", fakeGcloud(t, `exit 0`)), "empty identity token"},
		"gcloud that prints a warning":       {env("PATH", fakeGcloud(t, `echo "update available: 999"`)), "no identity token: it holds spaces"},
		"a named file that is not there":     {env(fileVariable, missing, "PATH", signed), fileVariable + " names " + missing},
		"a variable with two lines":          {env(Variable, "a.b.c\nX-Evil: 1"), Variable + " gave something that is no identity token"},
		"a metadata server that is not one":  {env("GCE_METADATA_HOST", "127.0.0.1:1"), "the metadata server at 127.0.0.1:1"},
		"a metadata host that is no address": {env("GCE_METADATA_HOST", "a b"), `GCE_METADATA_HOST is "a b"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			token, err := Token(t.Context(), tc.env, service)
			if err != nil {
				token = err.Error()
			}
			if token != tc.want && (err == nil || !strings.Contains(token, tc.want)) {
				t.Errorf("%q, want %q", token, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "999") {
				t.Errorf("the error shows what was given as a token: %v", err)
			}
		})
	}
}

// serviceAccount is a key file whose token endpoint is the fake one.
func serviceAccount(t *testing.T, host string) map[string]any {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{"type": "service_account", "client_email": "me@p.iam.gserviceaccount.com", "private_key_id": "k", "token_uri": "http://" + host + "/token", "project_id": "p",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))}
}

func TestCredentialFiles(t *testing.T) {
	t.Parallel()
	host, rt := google(t)
	account := serviceAccount(t, host)
	user := map[string]any{"type": "authorized_user", "client_id": "i", "client_secret": "s", "refresh_token": "r"}
	const target = "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/shop@p.iam.gserviceaccount.com:generateAccessToken"
	subject := write(t, filepath.Join(t.TempDir(), "subject"), "github", 0o600)
	federated := func(url string) map[string]any {
		return map[string]any{"type": "external_account", "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/g",
			"subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": "https://sts.googleapis.com/sts",
			"credential_source": map[string]any{"file": subject}, "service_account_impersonation_url": url}
	}
	for name, tc := range map[string]struct {
		file any
		want string
	}{
		"a service account":              {account, ".signed"},
		"impersonation by a person":      {map[string]any{"type": "impersonated_service_account", "service_account_impersonation_url": target, "source_credentials": user}, "shop@p.iam.gserviceaccount.com:generateIdToken.for." + service + ".by.access"},
		"workload identity federation":   {federated(target), "shop@p.iam.gserviceaccount.com:generateIdToken.for." + service + ".by.of-github"},
		"federation without an account":  {federated(""), "impersonate no service account"},
		"impersonation without a source": {map[string]any{"type": "impersonated_service_account", "service_account_impersonation_url": target}, "has no source_credentials"},
		"a person":                       {user, errNone.Error()},
		"an unknown type":                {map[string]any{"type": "api_key"}, `type "api_key"`},
		"no type":                        {map[string]any{}, `type ""`},
		"an account without a key":       {map[string]any{"type": "service_account", "client_email": "x"}, "creds.json gave no identity token"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, err := json.Marshal(tc.file)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			token, err := fromFile(ctx, b, "creds.json", service, rt)
			if err != nil {
				token = err.Error()
			}
			if !strings.Contains(token, tc.want) {
				t.Errorf("%q, want %q", token, tc.want)
			}
		})
	}
	if _, err := fromFile(t.Context(), []byte("rubbish"), "creds.json", service, rt); err == nil || !strings.Contains(err.Error(), "it is not JSON") {
		t.Errorf("rubbish: %v", err)
	}
}

func TestTheFilesOfTheEnvironment(t *testing.T) {
	t.Parallel()
	broken := `{"type":"api_key"}`
	named := write(t, filepath.Join(t.TempDir(), "c.json"), broken, 0o600)
	home := t.TempDir()
	left := write(t, filepath.Join(home, ".config", "gcloud", "application_default_credentials.json"), broken, 0o600)
	for path, e := range map[string]func(string) string{named: env(fileVariable, named), left: env("HOME", home)} {
		if _, err := Token(t.Context(), e, service); err == nil || !strings.HasPrefix(err.Error(), path) {
			t.Errorf("%v, want an error that names %s", err, path)
		}
	}
}

func TestAHangingGcloudEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := Token(ctx, env("PATH", fakeGcloud(t, "sleep 60")), service)
	if err == nil || !strings.Contains(err.Error(), "run it yourself") {
		t.Errorf("%v", err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("took %s", took)
	}
}

func TestAudience(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"https://predict-bike-abc-uc.a.run.app":                      service,
		"https://predict-bike-abc-uc.a.run.app/v1/models/bike?x=1":   service,
		"https://c-1a2b---predict-bike-abc-uc.a.run.app":             service,
		"https://PREDICT-bike-123.us-central1.run.app/":              "https://predict-bike-123.us-central1.run.app",
		"https://a---b.example.com/x":                                "https://a---b.example.com",
		"http://127.0.0.1:8080/v1":                                   "http://127.0.0.1:8080",
		"predict-bike-abc-uc.a.run.app":                              "",
		"ftp://predict-bike-abc-uc.a.run.app":                        "",
		"https://":                                                   "",
		"https://c-1---predict-bike-123.us-central1.run.app/predict": "https://predict-bike-123.us-central1.run.app",
	} {
		got, err := Audience(in)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v, want %q", in, got, err, want)
		}
	}
}
