package delivery

import (
	"errors"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// workflows are all workflows of the checkout.
func workflows(t *testing.T) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(root, ".github", "workflows", "*"))
	if err != nil || len(names) == 0 {
		t.Fatalf("workflows: %q, error %v", names, err)
	}
	out := map[string][]byte{}
	for _, name := range names {
		out[filepath.Base(name)] = read(t, ".github/workflows/"+filepath.Base(name))
	}
	return out
}

func TestTheWorkflowsKeepTheRules(t *testing.T) {
	t.Parallel()
	for name, text := range workflows(t) {
		found, err := WorkflowProblems(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, p := range found {
			t.Errorf("%s: %s", name, p)
		}
	}
}

func TestABrokenWorkflowIsFound(t *testing.T) {
	t.Parallel()
	good := string(read(t, ".github/workflows/ci-cd.yaml"))
	for name, tc := range map[string]struct{ old, new, want string }{
		"an action by tag":                     {"actions/checkout@de0fac2e4500dabe0009e67214ff5f5447ce83dd # v6.0.2", "actions/checkout@v6", "since a tag moves"},
		"an action by commit without version":  {" # v6.0.2", "", "expected owner/name@<40 hex> # vX.Y.Z"},
		"rights for all jobs":                  {"permissions: {}", "permissions: write-all", "expected {}"},
		"rights left out":                      {"permissions: {}", "", "expected {}"},
		"a job without rights":                 {"    permissions:\n      contents: read\n    env", "    env", "it names no permissions"},
		"a right too many":                     {"      contents: read\n    env", "      contents: write\n    env", "contents: write is not needed"},
		"an identity for pull requests":        {"      contents: read\n    env", "      contents: read\n      id-token: write\n    env", "has an identity on branches other than main"},
		"an identity for every branch":         {" && github.ref == 'refs/heads/main'", "", "has an identity on branches other than main"},
		"a deployment without an identity":     {"      id-token: write # for workload identity federation: there is no key\n", "", "without the permission id-token"},
		"a deployment that the next one ends":  {"cancel-in-progress: ${{ github.event_name == 'pull_request' }}", "cancel-in-progress: true", "ends a deployment"},
		"no concurrency group":                 {"  group: ${{ github.workflow }}-${{ github.ref }}\n", "", "no concurrency group"},
		"a job without an end":                 {"    timeout-minutes: 90\n", "", "no timeout-minutes"},
		"a checkout that keeps its credential": {"          persist-credentials: false\n", "", "keeps its credential"},
		"a key":                                {"          service_account:", "          credentials_json: ${{ secrets.KEY }}\n          service_account:", "uses a key"},
		"an expression in a command":           {"- run: make diff", "- run: make diff BASE=${{ github.base_ref }}", "is not quoted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := strings.Replace(good, tc.old, tc.new, 1)
			if text == good {
				t.Fatalf("%q is not in ci-cd.yaml", tc.old)
			}
			found, err := WorkflowProblems([]byte(text))
			if err != nil || !strings.Contains(strings.Join(found, "\n"), tc.want) {
				t.Errorf("got %q, error %v, want %q", found, err, tc.want)
			}
		})
	}
}

func TestUnpinned(t *testing.T) {
	t.Parallel()
	in := "      - uses: a/b/c@de0fac2e4500dabe0009e67214ff5f5447ce83dd # v6.0.2\n        uses: ./local\n"
	if diff := cmp.Diff("      - uses: a/b/c@v6\n        uses: ./local\n", string(Unpinned([]byte(in)))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// actionlint builds the pinned linter, in about ten seconds the first time.
func actionlint(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "actionlint")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-modfile="+path.Join("tools", "actionlint", "go.mod"), "-o", bin, "github.com/rhysd/actionlint/cmd/actionlint")
	cmd.Dir, cmd.WaitDelay = root, time.Second
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-trimpath", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("skipped: actionlint, which cannot be built here: %v: %.300s", err, out)
	}
	return bin
}

// actionlint knows the inputs of actions by their versions alone, so it reads a copy without the commits.
func TestActionlint(t *testing.T) {
	t.Parallel()
	bin := actionlint(t)
	lint := func(text []byte) string {
		name := filepath.Join(t.TempDir(), "workflow.yaml")
		if err := os.WriteFile(name, Unpinned(text), 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), bin, "-no-color", "-oneline", name)
		cmd.WaitDelay = time.Second
		out, err := cmd.CombinedOutput()
		if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return string(out)
	}
	for name, text := range workflows(t) {
		if out := lint(text); out != "" {
			t.Errorf("%s: %s", name, out)
		}
		for word, other := range map[string]string{"fetch-depth:": "fetch-dept:", "service_account:": "service_acount:", "runs-on:": "runs-in:"} {
			if out := lint([]byte(strings.Replace(string(text), word, other, 1))); !strings.Contains(out, strings.TrimSuffix(other, ":")) {
				t.Errorf("%s with %s: actionlint says %q", name, other, out)
			}
		}
	}
}
