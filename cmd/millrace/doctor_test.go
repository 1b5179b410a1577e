package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDoctor(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }))
	t.Cleanup(srv.Close)
	tools := t.TempDir()
	for _, name := range []string{"git", "make", "go", "terraform", "gcloud"} {
		if err := os.WriteFile(filepath.Join(tools, name), []byte("#!/bin/sh\necho 999.0.0\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	repo := filepath.Dir(models)
	signed := map[string]string{"PATH": tools, apiVariable: srv.URL, "GOOGLE_OAUTH_ACCESS_TOKEN": "ya29.secret"}
	for name, tc := range map[string]struct {
		args []string
		env  map[string]string
		code int
		out  []string
		err  string
	}{
		"nothing installed":      {nil, map[string]string{}, 1, []string{"fail  gcloud", "fail  credentials", "checks of the project are left out", "# install gcloud: https://", "  gcloud auth login\n"}, ""},
		"a project of no name":   {[]string{"--project", "acme-prod", "--region", "us-central1"}, signed, 1, []string{"project acme-prod, region us-central1\n", "ok    gcloud", "fail  state", "acme-prod does not exist, or whoever is signed in may not see it", "skip  because of state: billing, apis"}, ""},
		"a zone for a region":    {[]string{"--project", "acme-prod", "--region", "us-central1-a"}, signed, 1, []string{`--region is "us-central1-a", which is a zone`, "  bin/millrace doctor --region us-central1\n"}, ""},
		"a server that is not":   {[]string{"--project", "acme-prod", "--region", "us-central1"}, map[string]string{"PATH": tools, apiVariable: "https://example.com", "GOOGLE_OAUTH_ACCESS_TOKEN": "x"}, 1, nil, "a loopback address"},
		"a flag that is not one": {[]string{"--projet", "x"}, nil, 2, nil, "--projet"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, out, errs := millrace(t, "", tc.env, append([]string{"doctor", "--repo", repo}, tc.args...)...)
			if code != tc.code || !strings.Contains(errs, tc.err) || strings.Contains(out+errs, "ya29.secret") {
				t.Errorf("exit %d, want %d; err %q, want %q", code, tc.code, errs, tc.err)
			}
			for _, want := range tc.out {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
		})
	}
	code, out, _ := millrace(t, "", signed, "doctor", "--repo", repo, "--project", "acme-prod", "--region", "us-central1", "--json")
	var report struct {
		Project  string
		Findings []struct{ Check, Status, Message string }
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil || code != 1 || report.Project != "acme-prod" || len(report.Findings) < 20 || report.Findings[0].Check != "git" {
		t.Errorf("exit %d, %v\n%s", code, err, out)
	}
}
