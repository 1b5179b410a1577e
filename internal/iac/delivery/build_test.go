package delivery

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// root is the checkout.
const root = "../../.."

// builds are all build files of the checkout.
func builds(t *testing.T) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, pattern := range []string{"cloudbuild*.yaml", "*/cloudbuild*.yaml", "*/*/cloudbuild*.yaml"} {
		names, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			rel, err := filepath.Rel(root, name)
			if err != nil {
				t.Fatal(err)
			}
			out[rel] = read(t, rel)
		}
	}
	if len(out) < 2 {
		t.Fatalf("found only %d build files", len(out))
	}
	return out
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestTheBuildFilesKeepTheRules(t *testing.T) {
	t.Parallel()
	for name, text := range builds(t) {
		b, err := ReadBuild(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, p := range Problems(b) {
			t.Errorf("%s: %s", name, p)
		}
	}
}

const image = "golang:1.26.6@sha256:640a234f4bea3e399c056b7b8f9c667c4939befae8db2f14e9785e16eccd4205"

// good keeps all rules; each of the cases below breaks one.
const good = `
steps:
  - {id: one, name: "` + image + `", entrypoint: make, args: [test, "NAME=$_NAME", "$$HOME"], timeout: 60s}
  - {id: two, name: "` + image + `", entrypoint: make, args: [check], waitFor: [one], timeout: 60s}
timeout: 120s
serviceAccount: projects/$PROJECT_ID/serviceAccounts/tester@$PROJECT_ID.iam.gserviceaccount.com
substitutions: {_NAME: "${PROJECT_ID}-a"}
options: {logging: CLOUD_LOGGING_ONLY, substitutionOption: ALLOW_LOOSE, dynamicSubstitutions: true}
`

func TestABrokenBuildFileIsFound(t *testing.T) {
	t.Parallel()
	if b, err := ReadBuild([]byte(good)); err != nil || len(Problems(b)) > 0 {
		t.Fatalf("the good one: %v, %q", err, Problems(b))
	}
	for name, tc := range map[string]struct{ old, new, want string }{
		"a key misspelt":                      {"waitFor:", "waitfor:", `unknown field "waitfor"`},
		"an option misspelt":                  {"dynamicSubstitutions", "dynamicSubstitution", "unknown field"},
		"an option that only the docs have":   {"logging:", "pubsubTopic: x, logging:", "unknown field"},
		"a value that is none":                {"logging:", "machineType: E2_HIGHCPU_9, logging:", "invalid value for enum"},
		"a duration without a unit":           {"timeout: 120s", "timeout: 120", "unexpected token 120"},
		"no image":                            {`name: "` + image + `", entrypoint: make, args: [check]`, `entrypoint: make, args: [check]`, "has no image"},
		"an image by tag":                     {"@sha256:640a234f4bea3e399c056b7b8f9c667c4939befae8db2f14e9785e16eccd4205\", entrypoint: make, args: [check]", "\", entrypoint: make, args: [check]", "since a tag moves"},
		"an image without its version":        {"golang:1.26.6@", "golang@", "expected name:version@sha256"},
		"no id":                               {"id: two, ", "", "has no id"},
		"an id twice":                         {"id: two", "id: one", "taken by an earlier step"},
		"waiting for a step that is none":     {"waitFor: [one]", "waitFor: [zero]", `waits for "zero"`},
		"waiting for a later step":            {"timeout: 60s}\n  - {id: two", "waitFor: [two], timeout: 60s}\n  - {id: two", `waits for "two"`},
		"a substitution that nobody declares": {"[check]", `["$_OTHER"]`, "uses $_OTHER"},
		"a variable of the shell":             {"[check]", `["$HOME"]`, "a dollar is $$"},
		"a substitution that nobody uses":     {"{_NAME:", "{_UNUSED: a, _NAME:", "_UNUSED is declared and used nowhere"},
		"a substitution without its bar":      {"{_NAME:", "{NAME: a, _NAME:", "names of own ones begin with _"},
		"an account without a log":            {"logging: CLOUD_LOGGING_ONLY, ", "", "needs options.logging"},
		"no account":                          {"serviceAccount: projects/$PROJECT_ID/serviceAccounts/tester@$PROJECT_ID.iam.gserviceaccount.com", "", "no serviceAccount"},
		"a script with arguments":             {"entrypoint: make, args: [check]", "script: make check, args: [check]", "excludes entrypoint and args"},
		"a script with a substitution":        {"entrypoint: make, args: [check]", "script: make $_NAME", "gets no substitutions"},
		"steps longer than the build":         {"timeout: 120s", "timeout: 119s", "the steps may take 2m0s"},
		"a step without an end":               {"waitFor: [one], timeout: 60s", "waitFor: [one]", "has no timeout"},
		"a build without an end":              {"timeout: 120s\n", "", "after 60 minutes"},
		"strict substitutions":                {"substitutionOption: ALLOW_LOOSE, ", "", "set both"},
		"substitutions taken as they are":     {", dynamicSubstitutions: true", "", "set both"},
		"a volume for one step":               {"[check],", "[check], volumes: [{name: v, path: /v}],", "volume v is used by one step alone"},
		"no steps":                            {good[:strings.Index(good, "timeout: 120s")], "", "has no steps"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := strings.Replace(good, tc.old, tc.new, 1)
			if text == good {
				t.Fatalf("%q is not in the good file", tc.old)
			}
			b, err := ReadBuild([]byte(text))
			if err != nil {
				if !strings.Contains(err.Error(), tc.want) {
					t.Errorf("refused with %v, want %q", err, tc.want)
				}
				return
			}
			if got := strings.Join(Problems(b), "\n"); !strings.Contains(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
