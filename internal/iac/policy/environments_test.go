package policy

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var environments = []string{"dev", "prod", "test"}

// Each environment has its variables and its state, and no other has.
func TestEnvironmentsHaveTheirFiles(t *testing.T) {
	t.Parallel()
	for _, ext := range []string{".tfvars", ".gcs.tfbackend"} {
		var got []string
		files, err := filepath.Glob(filepath.Join(root, "terraform", "environments", "*"+ext))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			got = append(got, strings.TrimSuffix(filepath.Base(f), ext))
		}
		if !slices.Equal(got, environments) {
			t.Errorf("environments/*%s are of %q, expected %q", ext, got, environments)
		}
	}
}

// Each environment can be planned, and keeps the rules.
func TestEnvironmentsKeepTheRules(t *testing.T) {
	t.Parallel()
	for _, name := range environments {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, err := planned(t).fork(t)
			if err != nil {
				t.Fatal(err)
			}
			data, err := w.plan("-lock=false", "-refresh=false", "-var-file=environments/"+name+".tfvars")
			if err != nil {
				t.Fatal(err)
			}
			p := read(t, data)
			for _, breach := range p.Check(nil) {
				if !strings.Contains(breach, "notification_channels") { // whom to tell is for who uses it to say
					t.Error(breach)
				}
			}
			if name == "prod" {
				protected(t, p)
			}
		})
	}
}

// protected checks what production must not lose by accident, and what waits for a person there.
func protected(t *testing.T, p *Plan) {
	t.Helper()
	for kind, path := range map[string]string{"google_cloud_run_v2_service": "deletion_protection", "google_cloudbuild_trigger": "approval_config.0.approval_required"} {
		for _, r := range p.Of(kind) {
			if r.Text("name") != "pull-request" && r.Text(path) != "true" {
				t.Errorf("%s: %s is %q in production", r.Address, path, r.Text(path))
			}
		}
	}
	for _, r := range p.Of("google_storage_bucket") {
		if r.Text("force_destroy") != "false" {
			t.Errorf("%s may be deleted with what it holds", r.Address)
		}
	}
	for _, r := range p.Of("google_firestore_database") {
		if r.Text("delete_protection_state") != "DELETE_PROTECTION_ENABLED" {
			t.Errorf("%s may be deleted", r.Address)
		}
	}
}

// granted finds the roles that docs/deploy.md lets the applying account give away.
var granted = regexp.MustCompile(`modifiedGrantsByRole', \[\]\)\.hasOnly\(\[([^\]]*)\]\)`)

// What the applying account may give away on the project is what it has to, and nothing that would make it an owner.
func TestTheApplierMayGrantWhatIsGranted(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "docs", "deploy.md"))
	if err != nil {
		t.Fatal(err)
	}
	m := granted.FindStringSubmatch(string(text))
	if m == nil {
		t.Fatal("docs/deploy.md says no condition on the roles that terraformer may give away")
	}
	var may, want []string
	for _, role := range strings.Split(m[1], ",") {
		may = append(may, strings.ReplaceAll(strings.Trim(strings.TrimSpace(role), "'"), "$PROJECT", "millrace-test"))
	}
	for _, g := range read(t, planned(t).wired).Grants() {
		if g.Resource == "project" {
			want = append(want, g.Role)
		}
	}
	slices.Sort(may)
	slices.Sort(want)
	if want = slices.Compact(want); !slices.Equal(may, want) {
		t.Errorf("docs/deploy.md lets terraformer grant %q, the plan grants %q", may, want)
	}
}
