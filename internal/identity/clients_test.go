package identity_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrace-ml/millrace/functions/predict"
	"github.com/millrace-ml/millrace/shared/entry"
)

// code gives the blocks of a language on docs/clients.md.
func code(t *testing.T, language string) []string {
	t.Helper()
	b, err := os.ReadFile("../../docs/clients.md")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for i, block := range strings.Split(string(b), "```") {
		if text, ok := strings.CutPrefix(block, language+"\n"); i%2 == 1 && ok {
			found = append(found, text)
		}
	}
	return found
}

// private is the predict function behind a door that lets in the token of the metadata server beside it, and no other.
func private(t *testing.T) (service, metadata, want string) {
	t.Helper()
	f, err := predict.Open(t.Context(), func(k string) string { return map[string]string{"MODEL_DIR": "../../models/bike-demand"}[k] })
	if err != nil {
		t.Fatal(err)
	}
	h := entry.Serve("Predict", f, entry.ServeOptions{Log: entry.NewLogger(io.Discard)})
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	token := func(audience string) string {
		return strings.Join([]string{part(`{"alg":"RS256","typ":"JWT","kid":"1"}`), part(fmt.Sprintf(`{"aud":%q,"exp":%d,"iat":%d,"email":"shop@p.iam.gserviceaccount.com"}`,
			audience, time.Now().Add(time.Hour).Unix(), time.Now().Unix())), part("signature")}, ".")
	}
	var url string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		parts := strings.Split(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "), ".")
		claims, err := base64.RawURLEncoding.DecodeString(parts[min(1, len(parts)-1)])
		if err != nil || !strings.Contains(string(claims), fmt.Sprintf(`"aud":%q`, url)) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	url = srv.URL
	meta := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Metadata-Flavor", "Google")
		switch {
		case strings.HasSuffix(r.URL.Path, "/identity"):
			fmt.Fprint(w, token(r.FormValue("audience")))
		case strings.HasSuffix(r.URL.Path, "/email"):
			fmt.Fprint(w, "shop@p.iam.gserviceaccount.com")
		case strings.HasSuffix(r.URL.Path, "/project-id"):
			fmt.Fprint(w, "p")
		case strings.HasSuffix(r.URL.Path, "/universe-domain") || strings.HasSuffix(r.URL.Path, "/universe_domain"):
			fmt.Fprint(w, "googleapis.com")
		default:
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"email":"shop@p.iam.gserviceaccount.com","scopes":[],"aliases":["default"],"access_token":"x","expires_in":3600}`)
		}
	}))
	t.Cleanup(meta.Close)
	return srv.URL, strings.TrimPrefix(meta.URL, "http://"), predicted(t, h)
}

// predicted is what the function answers to the request that the page sends with curl.
func predicted(t *testing.T, h http.Handler) string {
	t.Helper()
	for _, block := range code(t, "sh") {
		_, rest, ok := strings.Cut(block, "-d '")
		body, _, closed := strings.Cut(rest, "'")
		if !ok || !closed {
			continue
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/models/bike-demand:predict", strings.NewReader(body)))
		var answer struct{ Predictions []json.Number }
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || len(answer.Predictions) != 1 {
			t.Fatalf("%v, %s", err, w.Body)
		}
		return answer.Predictions[0].String()
	}
	t.Fatal("docs/clients.md has no request of curl")
	return ""
}

// The code of the page gets a prediction through a door that wants a token. Each client is run where it is installed.
func TestTheCodeOfTheClientsPage(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		language, about string // the block of the language that has about in it
		file            string
		has, run        []string
	}{
		"Go":                     {"go", "idtoken.NewClient", "main.go", []string{"go", "version"}, []string{"go", "run", "-tags", "disable_grpc_modules"}},
		"Python and google-auth": {"python", "AuthorizedSession", "ask.py", []string{"python3", "-c", "import google.auth, requests"}, []string{"python3"}},
		"KServe's client":        {"python", "InferenceRESTClient", "ask_kserve.py", []string{"python3", "-c", "import kserve, google.auth"}, []string{"python3"}},
		"Node.js":                {"js", "getIdTokenClient", "ask.js", []string{"node", "-e", "require('google-auth-library')"}, []string{"node"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := ""
			for _, block := range code(t, tc.language) {
				if strings.Contains(block, tc.about) {
					text = block
				}
			}
			if text == "" {
				t.Fatalf("docs/clients.md has no %s with %s", tc.language, tc.about)
			}
			if err := exec.CommandContext(t.Context(), tc.has[0], tc.has[1:]...).Run(); err != nil {
				t.Skipf("skipped: %q does not run here", strings.Join(tc.has, " "))
			}
			service, metadata, want := private(t)
			file := filepath.Join(t.TempDir(), tc.file)
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), tc.run[0], append(tc.run[1:], file)...)
			cmd.Env = append(os.Environ(), "SERVICE="+service, "GCE_METADATA_HOST="+metadata, "GCE_METADATA_IP="+metadata, "GCE_METADATA_ROOT="+metadata,
				"METADATA_SERVER_DETECTION=assume-present", "GOOGLE_APPLICATION_CREDENTIALS=")
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), want) {
				t.Errorf("%v, want %s in\n%s", err, want, out)
			}
		})
	}
}
