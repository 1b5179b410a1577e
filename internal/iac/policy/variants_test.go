package policy

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// declared says whether the root module has a variable.
func declared(t *testing.T, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "terraform", "*.tf"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(files, func(f string) bool {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		return regexp.MustCompile(`(?m)^variable "` + name + `"`).Match(text)
	})
}

// The rules hold for what an environment may choose, too.
func TestVariantsKeepTheRules(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ variable, value, kind string }{
		"uploads through Eventarc": {"events", "eventarc", "google_eventarc_trigger"},
		"a key of one's own":       {"kms_key", "projects/millrace-test/locations/europe-west1/keyRings/r/cryptoKeys/k", ""},
		"a budget":                 {"budget", `{"billing_account":"012345-6789AB-CDEF01","amount":100}`, "google_billing_budget"},
		"a network of one's own":   {"vpc_connector", "projects/millrace-test/locations/europe-west1/connectors/c", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := planned(t)
			if !declared(t, tc.variable) {
				t.Skipf("skipped: the configuration has no variable %s", tc.variable)
			}
			w, err := s.fork(t)
			if err != nil {
				t.Fatal(err)
			}
			data, err := w.plan("-var", tc.variable+"="+tc.value)
			if err != nil {
				t.Fatal(err)
			}
			if changed := strings.Contains(string(data), `"actions":["update"]`) || strings.Contains(string(data), `"create"`); !changed {
				t.Errorf("%s changes nothing", tc.variable)
			}
			p := read(t, data)
			if tc.kind != "" && len(p.Of(tc.kind)) == 0 {
				t.Errorf("%s=%s makes no %s", tc.variable, tc.value, tc.kind)
			}
			for _, breach := range p.Check(nil) {
				t.Error(breach)
			}
		})
	}
}

// What is wrong is said before anything is made, by the name of the variable.
func TestBadVariablesAreNamed(t *testing.T) {
	t.Parallel()
	s := planned(t)
	bad := map[string]string{
		"region": "mars", "project": "P", "bucket_prefix": "IN!", "firestore_database": "x", "operators": `["*"]`, "owners": `{"platform":{}}`,
	}
	args := []string{"-lock=false", "-refresh=false"}
	for variable, value := range bad {
		if declared(t, variable) {
			args = append(args, "-var", variable+"="+value)
		}
	}
	_, err := s.plan(args...)
	if err == nil {
		t.Fatalf("a plan with %q is made", bad)
	}
	for variable, value := range bad {
		if !declared(t, variable) {
			t.Logf("skipped: the configuration has no variable %s", variable)
		} else if !strings.Contains(err.Error(), "var."+variable) {
			t.Errorf("%s=%s is not complained of:\n%v", variable, value, err)
		}
	}
}
