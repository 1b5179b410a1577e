package doctor

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// checkout is a folder with one model, as the faults below suppose.
func checkout(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../models/bike-demand/model.yaml")
	if err != nil {
		t.Fatal(err)
	}
	const block = "realtime: {}"
	if !bytes.Contains(text, []byte(block)) {
		t.Fatal("models/bike-demand/model.yaml has another realtime block than this test knows")
	}
	text = bytes.Replace(text, []byte(block), []byte(`realtime: {invokers: ["serviceAccount:shop@example.iam.gserviceaccount.com"]}`), 1)
	root := t.TempDir()
	dir := filepath.Join(root, "models", "bike-demand")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(root, "terraform"), 0o755); err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string][]byte{filepath.Join(dir, "model.yaml"): text, filepath.Join(root, "terraform", "versions.tf"): []byte("terraform {\n  required_version = \">= 1.11.0\"\n}\n"), filepath.Join(root, "go.mod"): []byte("module m\n\ngo 1.26.0\n")} {
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func environment(t *testing.T, pairs ...string) func(string) string {
	t.Helper()
	m := map[string]string{"GOOGLE_OAUTH_ACCESS_TOKEN": token}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return func(k string) string { return m[k] }
}

func TestAHealthyProject(t *testing.T) {
	t.Parallel()
	r, err := Run(t.Context(), Options{Root: checkout(t), API: healthy().serve(t), Getenv: environment(t, "PATH", tools(t, nil))})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Findings {
		if f.Status != OK {
			t.Errorf("%s: %s, %s", f.Check, f.Status, f.Message)
		}
	}
	if n := len(localChecks) + len(projectChecks); len(r.Findings) != n {
		t.Errorf("%d findings of %d checks", len(r.Findings), n)
	}
	var b strings.Builder
	if err := r.Text(&b); err != nil || !strings.HasPrefix(b.String(), "project acme-prod, region europe-west1\n") || !strings.HasSuffix(b.String(), "\nall is well\n") || strings.Contains(b.String(), token) {
		t.Errorf("%v\n%s", err, b.String())
	}
}

// Without credentials there is one thing to do, and no project to talk of.
func TestWithoutCredentials(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		scripts map[string]string
		want    []string // lines, in this order
	}{
		"and without gcloud": {map[string]string{"gcloud": ""}, []string{
			"fail  gcloud       not on PATH", "fail  credentials  no credentials for Google Cloud: install gcloud", "30 checks of the project are left out", "fix\n",
			"# install gcloud: https://cloud.google.com/sdk/docs/install\n", "  gcloud auth login\n", "  gcloud auth application-default login\n", "2 to mend, "}},
		"with gcloud": {map[string]string{"gcloud": `case "$1" in version) echo "Google Cloud SDK 528.0.0";; *) echo "ERROR: (gcloud) no active account" >&2; exit 1;; esac`}, []string{
			"ok    gcloud       528.0.0", "fail  credentials  gcloud auth print-access-token gave nothing ((gcloud) no active account)", "skip  because of credentials: project, region", "fix\n", "  gcloud auth login\n", "1 to mend, "}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := Run(t.Context(), Options{Root: checkout(t), Getenv: environment(t, "GOOGLE_OAUTH_ACCESS_TOKEN", "", "PATH", tools(t, tc.scripts))})
			if err != nil {
				t.Fatal(err)
			}
			if !r.Failed() || r.LeftOut != len(projectChecks) {
				t.Errorf("failed %v, left out %d", r.Failed(), r.LeftOut)
			}
			var b strings.Builder
			if err := r.Text(&b); err != nil {
				t.Fatal(err)
			}
			rest := b.String()
			for _, want := range tc.want {
				_, after, ok := strings.Cut(rest, want)
				if !ok {
					t.Fatalf("%q is missing, or not in this order, in:\n%s", want, b.String())
				}
				rest = after
			}
		})
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		o       Options
		env     []string
		scripts map[string]string
		check   string
		status  Status
		message string
		fix     string
	}{
		"two projects":           {Options{}, []string{"GOOGLE_CLOUD_PROJECT", "acme-test"}, nil, "project", Warn, "acme-test (GOOGLE_CLOUD_PROJECT), but gcloud's project is acme-prod", "gcloud config set project acme-test"},
		"a project by name":      {Options{Project: "acme-prod"}, []string{"GOOGLE_CLOUD_PROJECT", "acme-test"}, nil, "project", OK, "acme-prod (--project)", ""},
		"no project":             {Options{}, nil, map[string]string{"gcloud": ""}, "project", Fail, "no project is named", "gcloud config set project PROJECT"},
		"a number for a project": {Options{Project: "123"}, nil, nil, "project", Fail, `"123", which is no project id`, "gcloud projects list"},
		"a zone":                 {Options{Region: "europe-west1-b"}, nil, nil, "region", Fail, "which is a zone", "bin/millrace doctor --region europe-west1"},
		"a region of no form":    {Options{Region: "../evil"}, nil, nil, "region", Fail, "no region such as us-central1", "gcloud run regions list"},
		"no region":              {Options{Project: "acme-prod"}, nil, map[string]string{"gcloud": ""}, "region", Fail, "no region is named", "gcloud config set run/region REGION"},
		"region of the variable": {Options{}, []string{"REGION", "us-central1"}, nil, "region", OK, "us-central1 (REGION)", ""},
		"gcloud alone":           {Options{}, []string{"GOOGLE_OAUTH_ACCESS_TOKEN", ""}, nil, "credentials", Warn, "ada@example.com, of gcloud alone", "gcloud auth application-default login"},
		"an old gcloud":          {Options{}, nil, map[string]string{"gcloud": "echo Google Cloud SDK 400.0.0"}, "gcloud", Warn, "528.0.0 or later", "gcloud components update"},
		"an old go":              {Options{}, nil, map[string]string{"go": "echo go1.25.3"}, "go", Warn, "1.26.0 or later", "# install go 1.26.0 or later: https://go.dev/dl/"},
		"a terraform that fails": {Options{}, nil, map[string]string{"terraform": "echo dyld: no >&2; exit 6"}, "terraform", Fail, "exit status 6: dyld: no", "# install terraform again"},
		"a make without version": {Options{}, nil, map[string]string{"make": "echo bmake"}, "make", Warn, "gives no version", ""},
		"no git":                 {Options{}, nil, map[string]string{"git": ""}, "git", Warn, "not on PATH", "# install git"},
		"an old terraform":       {Options{}, nil, map[string]string{"terraform": "echo Terraform v1.10.9"}, "terraform", Warn, "1.11.0 or later", "# install terraform 1.11.0 or later"},
		"an empty folder":        {Options{Root: t.TempDir()}, nil, nil, "models", Fail, "has no folder models", "# run this in the checkout, or name it:"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.o.Getenv = environment(t, append([]string{"PATH", tools(t, tc.scripts)}, tc.env...)...)
			tc.o.API = world{}.serve(t)
			if tc.o.Root == "" {
				tc.o.Root = checkout(t)
			}
			r, err := Run(t.Context(), tc.o)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range r.Findings {
				if f.Check == tc.check {
					if f.Status != tc.status || !strings.Contains(f.Message, tc.message) || !strings.Contains(strings.Join(f.Fix, "\n"), tc.fix) {
						t.Errorf("%+v, want %s, %q, %q", f, tc.status, tc.message, tc.fix)
					}
					return
				}
			}
			t.Errorf("no finding of %s", tc.check)
		})
	}
}

func TestACheckoutElsewhere(t *testing.T) {
	t.Parallel()
	for _, root := range []string{"/nonexistent", "../../go.mod"} {
		if _, err := Run(t.Context(), Options{Root: root, Getenv: environment(t)}); err == nil || !strings.Contains(err.Error(), root+" is no folder") {
			t.Errorf("%s: %v", root, err)
		}
	}
}

func TestAnotherServerMustBeLoopback(t *testing.T) {
	t.Parallel()
	for _, api := range []string{"http://example.com", "https://127.0.0.1:1", "127.0.0.1:1", "http://10.0.0.1"} {
		if _, err := Run(t.Context(), Options{API: api, Getenv: environment(t)}); err == nil || !strings.Contains(err.Error(), api) {
			t.Errorf("%s: %v", api, err)
		}
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	w := healthy()
	delete(w, get("storage", "storage/v1/b/acme-prod-outbox"))
	r, err := Run(t.Context(), Options{Root: checkout(t), API: w.serve(t), Getenv: environment(t, "PATH", tools(t, nil))})
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"check":"buckets","status":"fail","message":"gs://acme-prod-outbox does not exist","fix":["` + plan + `","` + act + `"]}`
	if !strings.Contains(string(b), want) || !strings.HasPrefix(string(b), `{"project":"acme-prod","region":"europe-west1","findings":[`) {
		t.Errorf("%s", b)
	}
}
