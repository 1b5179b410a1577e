package main

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/millrace-ml/millrace/internal/identity"
)

// jwt is a token of somebody, which nobody signed.
func jwt(email string) string {
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(`{"email":"`+email+`"}`)) + ".c2ln"
}

func TestPredictAtAURL(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		status, answer := http.StatusOK, fmt.Sprintf(`{"predictions":[%q,%q,%q]}`, r.URL.Path, r.Header.Get("Authorization"), body)
		switch path := r.URL.Path; {
		case strings.HasPrefix(path, "/closed/"):
			status, answer = http.StatusForbidden, "<html>Your client does not have permission</html>"
		case strings.HasPrefix(path, "/stranger/"):
			status, answer = http.StatusUnauthorized, "<html>401</html>"
		case strings.HasPrefix(path, "/nowhere/"):
			status, answer = http.StatusNotFound, "<html>404</html>"
		case strings.HasPrefix(path, "/broken/"):
			status, answer = http.StatusServiceUnavailable, "<html>503</html>"
		case strings.HasPrefix(path, "/bad/"):
			status, answer = http.StatusBadRequest, `{"error":"instances[0].hr: 99"}`
		case strings.HasPrefix(path, "/moved/"):
			http.Redirect(w, r, "/v1/models/m:predict", http.StatusTemporaryRedirect)
			return
		}
		w.WriteHeader(status)
		fmt.Fprint(w, answer)
	}))
	t.Cleanup(srv.Close)
	const service = "https://predict-m-123.europe-west1.run.app"
	token := jwt("ada@example.com")
	for name, tc := range map[string]struct {
		url  string
		args []string
		code int
		out  string
		err  string
	}{
		"loopback gets no token":       {srv.URL, nil, 0, `{"predictions":["/v1/models/m:predict","","{\"instances\":[{\"a\":1}]}"]}`, ""},
		"a slash at the end":           {srv.URL + "/", nil, 0, `["/v1/models/m:predict"`, ""},
		"below a path":                 {srv.URL + "/base", nil, 0, `["/base/v1/models/m:predict"`, ""},
		"the whole route":              {srv.URL + "/v1/models/other:predict", nil, 0, `["/v1/models/other:predict"`, ""},
		"a token that was asked for":   {srv.URL, []string{"--audience", service}, 0, `"Bearer ` + token + `"`, ""},
		"refused with a token":         {srv.URL + "/closed", []string{"--audience", service}, 1, "", "answers 403: ada@example.com may not call it; run: gcloud run services add-iam-policy-binding predict-m --region=europe-west1 --member=user:ada@example.com --role=roles/run.servicesInvoker; to keep it so, add it to realtime.invokers in models/m/model.yaml\n"},
		"refused without a token":      {srv.URL + "/stranger", nil, 1, "", "answers 401: it wants an identity token; name its run.app URL: --audience https://SERVICE.run.app\n"},
		"no such service":              {srv.URL + "/nowhere", nil, 1, "", "answers 404 with a page that is no prediction; the service's own URL is what this prints: gcloud run services describe predict-m --region=REGION"},
		"a service that is broken":     {srv.URL + "/broken", nil, 1, "", "its log says why: gcloud run services logs read predict-m --region=REGION --limit=50"},
		"an answer that is an error":   {srv.URL + "/bad", nil, 1, "", "instances[0].hr: 99\"}\n"},
		"a redirect is not followed":   {srv.URL + "/moved", []string{"--audience", service}, 1, "", "answers 307"},
		"no server":                    {"http://127.0.0.1:1", nil, 1, "", "connection refused"},
		"no scheme":                    {"predict-m.run.app", nil, 1, "", `--url is "predict-m.run.app", expected https://HOST`},
		"a query":                      {srv.URL + "?x=1", nil, 1, "", "without user, query and fragment"},
		"a service by http":            {"http://predict-m-123.europe-west1.run.app", nil, 1, "", "Cloud Run is reached by https: --url https://predict-m-123.europe-west1.run.app"},
		"a token over http":            {"http://example.com", []string{"--audience", service}, 1, "", "an identity token is sent by https or to this machine only"},
		"an audience that is no URL":   {srv.URL, []string{"--audience", "predict-m"}, 1, "", `"predict-m" is no URL of a service`},
		"an audience without a server": {"", []string{"--audience", service}, 1, "", "--audience is for --url"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"predict", "m", "-", "--models", models}, tc.args...)
			if tc.url != "" {
				args = append(args, "--url", tc.url)
			}
			code, out, errs := millrace(t, `{"a":1}`, map[string]string{identity.Variable: token}, args...)
			if code != tc.code || !strings.Contains(out, tc.out) || !strings.Contains(errs, tc.err) {
				t.Errorf("exit %d, out %q, err %q; want %d, %q, %q", code, out, errs, tc.code, tc.out, tc.err)
			}
			if strings.Contains(errs, token) {
				t.Errorf("the token is shown: %q", errs)
			}
		})
	}
}

// Which requests carry a token, without making them.
func TestWhoGetsAToken(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"https://predict-m-abc-ew.a.run.app":                "https://predict-m-abc-ew.a.run.app",
		"https://c-1a---predict-m-abc-ew.a.run.app/v1":      "https://predict-m-abc-ew.a.run.app",
		"https://predict-m-123.europe-west1.run.app":        "https://predict-m-123.europe-west1.run.app",
		"https://models.example.com":                        "",
		"https://run.app.example.com":                       "",
		"http://127.0.0.1:8080":                             "",
		"https://127.0.0.1:8443":                            "",
		"https://predict-m-123.europe-west1.run.app.evil.x": "",
	} {
		p := predictCmd{Model: "m", URL: address}
		target, err := p.target()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := p.audience(target); got != want || err != nil {
			t.Errorf("%s: %q, %v, want %q", address, got, err, want)
		}
	}
}

// The command of runs signs requests to Cloud Run alike.
func TestSignedRequests(t *testing.T) {
	t.Parallel()
	c := console{getenv: func(k string) string { return map[string]string{identity.Variable: jwt("ada@example.com")}[k] }}
	given := http.Header{"Idempotency-Key": {"k"}}
	for address, want := range map[string]string{"https://batchtrigger-123.europe-west1.run.app": "Bearer " + jwt("ada@example.com"), "http://127.0.0.1:8084": "", "https://example.com": ""} {
		header, _, err := c.signed(t.Context(), address, given)
		if err != nil || header.Get("Authorization") != want || header.Get("Idempotency-Key") != "k" {
			t.Errorf("%s: %v, %v", address, header, err)
		}
	}
	if len(given) != 1 {
		t.Errorf("the caller's header was changed: %v", given)
	}
	if header, _, err := c.signed(t.Context(), "https://x-1.us-central1.run.app", nil); err != nil || header.Get("Authorization") == "" {
		t.Errorf("without a header: %v, %v", header, err)
	}
	none := console{getenv: func(string) string { return "" }}
	if _, _, err := none.signed(t.Context(), "https://x-1.us-central1.run.app", nil); err == nil || !strings.Contains(err.Error(), "gcloud auth login") {
		t.Errorf("without credentials: %v", err)
	}
	if got, want := letIn("https://batchtrigger-123.europe-west1.run.app", "batchtrigger", jwt("a@p.iam.gserviceaccount.com")),
		"a@p.iam.gserviceaccount.com may not call it; run: gcloud run services add-iam-policy-binding batchtrigger --region=europe-west1 --member=serviceAccount:a@p.iam.gserviceaccount.com --role=roles/run.servicesInvoker"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestServiceNames(t *testing.T) {
	t.Parallel()
	for host, want := range map[string][2]string{
		"predict-bike-demand-123456.us-central1.run.app":      {"predict-bike-demand", "us-central1"},
		"c-1---predict-bike-demand-12.us-central1.run.app":    {"predict-bike-demand", "us-central1"},
		"predict-bike-demand-abcdefghij-uc.a.run.app":         {"predict-bike-demand", "REGION"},
		"c-1---predict-bike-demand-abcdefghij-ew.a.run.app":   {"predict-bike-demand", "REGION"},
		"models.example.com":                                  {"predict-m", "REGION"},
		"$(reboot)-12.us-central1.run.app":                    {"predict-m", "REGION"},
		"predict-bike-demand-123456.us-central1.run.app.evil": {"predict-m", "REGION"},
	} {
		if got := [2]string{serviceName(host, "predict-m"), regionOf(host)}; got != want {
			t.Errorf("%s: %v, want %v", host, got, want)
		}
	}
	for token, want := range map[string]string{jwt("ada@example.com"): "ada@example.com", "x": "", "a.b.c": "", jwt("$(reboot)@x"): "", jwt("x@y; reboot"): ""} {
		if got := whose(token); got != want {
			t.Errorf("%s: %q, want %q", token, got, want)
		}
	}
}
