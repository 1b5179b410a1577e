package doctor

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/millrace-ml/millrace/internal/identity"
)

// A list of several pages is read to its end, and one without an end is given up.
func TestPages(t *testing.T) {
	t.Parallel()
	endless := false
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page, next := r.FormValue("pageToken"), ""
		if page == "" || endless {
			next = "two"
		}
		if r.Header.Get("X-Goog-User-Project") != "p" || r.FormValue("prefix") != "released/" {
			t.Errorf("%v, %s", r.Header, r.URL)
		}
		fmt.Fprintf(w, `{"items":[{"name":"of page %s"}],"nextPageToken":%q}`, page, next)
	}))
	t.Cleanup(srv.Close)
	c := newClient(srv.URL, &identity.Credential{Token: token, Quota: true}, "p")
	read := func() (names []string, err error) {
		err = c.pages(t.Context(), objects, map[string]string{"bucket": "b"}, map[string][]string{"prefix": {"released/"}}, func(raw json.RawMessage) (string, error) {
			var page struct {
				Items         []struct{ Name string }
				NextPageToken string
			}
			err := json.Unmarshal(raw, &page)
			for _, i := range page.Items {
				names = append(names, i.Name)
			}
			return page.NextPageToken, err
		})
		return names, err
	}
	if names, err := read(); err != nil || !slices.Equal(names, []string{"of page ", "of page two"}) {
		t.Errorf("%q, %v", names, err)
	}
	endless = true
	if _, err := read(); err == nil || !strings.Contains(err.Error(), "more than 20 pages") {
		t.Errorf("without an end: %v", err)
	}
}

// A person's credentials for programs make requests that name the project whose quota pays; others have their own.
func TestQuotaProject(t *testing.T) {
	t.Parallel()
	if c := newClient("", &identity.Credential{}, "p"); c.quota != "" || c.base != "https://" {
		t.Errorf("%+v", c)
	}
	p := &probe{project: "p", account: "ada@example.com", cred: &identity.Credential{Quota: true}}
	if lines := p.grantReader(); len(lines) != 3 || !strings.Contains(lines[2], "--member=user:ada@example.com --role=roles/serviceusage.serviceUsageConsumer") {
		t.Errorf("%q", lines)
	}
	p.account = "ci@p.iam.gserviceaccount.com"
	if me := p.me(); me != "serviceAccount:ci@p.iam.gserviceaccount.com" {
		t.Error(me)
	}
}

func TestNamesOfAnotherForm(t *testing.T) {
	t.Parallel()
	p := &probe{project: "example.com:models", o: Options{Prefix: "acme"}}
	if got := p.email("deployer"); got != "deployer@models.example.com.iam.gserviceaccount.com" {
		t.Error(got)
	}
	if got := p.bucket(inbox); got != "acme-inbox" {
		t.Error(got)
	}
	p = &probe{project: "p", region: "r", o: Options{Prefix: "acme", Database: "runs"}}
	if got := p.apply("a"); !slices.Equal(got, []string{"a", "TF_VAR_project=p TF_VAR_region=r TF_VAR_bucket_prefix=acme TF_VAR_firestore_database=runs make plan-terraform STATE=p-terraform", "make apply-terraform"}) {
		t.Errorf("%q", got)
	}
	environments := filepath.Join(t.TempDir(), "terraform", "environments")
	if err := os.MkdirAll(environments, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"dev": "project = \"p-dev\"\nregion = \"r\"\n", "prod": "region = \"r\"\n", "test": "project      = \"p-test\"\nstate_bucket = \"kept\"\n"} {
		if err := os.WriteFile(filepath.Join(environments, name+".tfvars"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for project, want := range map[string]string{
		"p-dev":  "make plan-terraform STATE=p-dev-terraform ENVIRONMENT=dev",
		"p-test": "make plan-terraform STATE=kept ENVIRONMENT=test",
		"p":      "TF_VAR_project=p TF_VAR_region=r make plan-terraform STATE=p-terraform ENVIRONMENT=prod", // no file names it, and prod's names no other
	} {
		q := &probe{project: project, region: "r", o: Options{Root: filepath.Dir(filepath.Dir(environments))}}
		if got := q.apply()[0]; got != want {
			t.Errorf("%s: %q, want %q", project, got, want)
		}
	}
	if err := os.Remove(filepath.Join(environments, "prod.tfvars")); err != nil {
		t.Fatal(err)
	}
	q := &probe{project: "p", region: "r", o: Options{Root: filepath.Dir(filepath.Dir(environments))}}
	if got := q.apply()[0]; strings.Contains(got, "ENVIRONMENT") {
		t.Errorf("an environment of another project: %q", got)
	}
	if got := p.deploy(); got != "make deploy PROJECT=p REGION=r ARTIFACTS=acme-artifacts STAGING=acme-staging" {
		t.Error(got)
	}
	if host, path := getProject.fill(map[string]string{"project": "example.com:models"}); host+"/"+path != "cloudresourcemanager.googleapis.com/v3/projects/example.com:models" {
		t.Error(host, path)
	}
}
