package delivery

import (
	"errors"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"cloud.google.com/go/cloudbuild/apiv1/v2/cloudbuildpb"
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

// value is what a flag is given; where it comes from differs.
var value = regexp.MustCompile(`(--[a-z-]+)=\S+`)

// words is a command with the values of its flags left out.
func words(command string) string { return value.ReplaceAllString(command, "$1") }

// commandOf is what a step of Cloud Build runs.
func commandOf(s *cloudbuildpb.BuildStep) string {
	return words(strings.Join(append([]string{s.Entrypoint}, s.Args...), " "))
}

// onlyCompare are the steps that a build of main has no use for, onlyDeploy those that a pull request's has none for.
var (
	onlyCompare = []string{"make history", "make diff"}
	onlyDeploy  = []string{"make bundle", "make image", "bin/millrace ci deploy --artifacts --staging"}
)

func without(all, some []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(c string) bool { return slices.Contains(some, c) })
}

func TestCloudBuildAndGitHubRunTheSame(t *testing.T) {
	t.Parallel()
	b, err := ReadBuild(read(t, "cloudbuild.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for i, s := range b.Steps {
		all = append(all, commandOf(s))
		if i > 0 && !slices.Equal(s.WaitFor, []string{b.Steps[i-1].Id}) {
			t.Errorf("step %s does not wait for the one before it alone, so that a failure would not stop it", s.Id)
		}
	}
	want := []string{"make history", "make changed", "make test", "make check", "make diff", "make bundle", "make image", "bin/millrace ci deploy --artifacts --staging"}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Errorf("cloudbuild.yaml (-want +got)\n%s", diff)
	}
	w, err := ReadWorkflow(read(t, ".github/workflows/ci-cd.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for job, left := range map[string][]string{"pull-request": onlyDeploy, "main": onlyCompare} {
		var got []string
		for _, c := range w.Jobs[job].Commands() {
			got = append(got, words(c))
		}
		if diff := cmp.Diff(without(all, left), got); diff != "" {
			t.Errorf("job %s against cloudbuild.yaml (-want +got)\n%s", job, diff)
		}
	}
}

// What decides whether a build deploys: nobody but the trigger of main says so.
func TestOnlyMainDeploys(t *testing.T) {
	t.Parallel()
	for name, text := range builds(t) {
		b, err := ReadBuild(text)
		if err != nil {
			t.Fatal(err)
		}
		if b.Substitutions["_DEPLOY"] != "false" || !slices.Contains(b.Options.Env, "DEPLOY=$_DEPLOY") {
			t.Errorf("%s: without its trigger's word it deploys: _DEPLOY %q, env %q", name, b.Substitutions["_DEPLOY"], b.Options.Env)
		}
		for _, s := range b.Steps {
			c := commandOf(s)
			safe := slices.Contains(onlyCompare, c) || slices.Contains([]string{"make changed", "make test", "make check", "make plan-terraform", "cp /bin/terraform /tools/terraform"}, c)
			guarded := slices.Contains(onlyDeploy, c) || slices.Contains([]string{"make apply-terraform", "make record UNIT=terraform"}, c)
			if !safe && !guarded {
				t.Errorf("%s: %s: say in this test whether it changes anything, and let it look at DEPLOY if so", name, c)
			}
			if guarded && s.AllowFailure {
				t.Errorf("%s: %s may fail without stopping what follows", name, c)
			}
		}
	}
	w, err := ReadWorkflow(read(t, ".github/workflows/ci-cd.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if got := w.Jobs["pull-request"].Env["DEPLOY"]; got != "" && got != "false" {
		t.Errorf("pull requests have DEPLOY=%s", got)
	}
}

// The last step runs bin/millrace on another system than the one that built it, so that the steps that build it link it
// statically.
func TestTheLastStepCanRunWhatTheOthersBuilt(t *testing.T) {
	t.Parallel()
	makefile := string(read(t, "Makefile"))
	b, err := ReadBuild(read(t, "cloudbuild.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	built := 0
	for _, s := range b.Steps {
		if s.Entrypoint != "make" || !strings.Contains(makefile, "\n"+s.Args[0]+": build ") {
			continue
		}
		built++
		if !slices.Contains(s.Env, "CGO_ENABLED=0") {
			t.Errorf("step %s builds bin/millrace without CGO_ENABLED=0", s.Id)
		}
	}
	if built == 0 {
		t.Error("no step builds bin/millrace")
	}
}

// The versions that stand in several files are the same everywhere, and Go's is one that all modules of the checkout take.
func TestVersionsAgree(t *testing.T) {
	t.Parallel()
	images := map[string]string{}
	for name, text := range builds(t) {
		b, err := ReadBuild(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range b.Steps {
			repository, _, _ := strings.Cut(s.Name, ":")
			if was := images[repository]; was != "" && was != s.Name {
				t.Errorf("%s: step %s has %s, another one %s", name, s.Id, s.Name, was)
			}
			images[repository] = s.Name
		}
	}
	_, gcloud, _ := strings.Cut(images["gcr.io/google.com/cloudsdktool/google-cloud-cli"], ":")
	gcloud, _, _ = strings.Cut(gcloud, "-slim@")
	if !strings.Contains(string(read(t, ".github/workflows/ci-cd.yaml")), "version: "+gcloud+"\n") {
		t.Errorf("cloudbuild.yaml has gcloud %s, ci-cd.yaml another", gcloud)
	}
	_, version, _ := strings.Cut(images["golang"], ":")
	version, _, _ = strings.Cut(version, "@")
	for _, mod := range []string{"go.mod", "tools/go.mod", "tools/ko/go.mod", "tools/actionlint/go.mod"} {
		m := regexp.MustCompile(`(?m)^go (1\.\d+)\.(\d+)$`).FindStringSubmatch(string(read(t, mod)))
		if m == nil {
			t.Errorf("%s names no Go version", mod)
			continue
		}
		minor, patch, _ := strings.Cut(strings.TrimPrefix(version, "1."), ".")
		if "1."+minor != m[1] || len(patch) < len(m[2]) || len(patch) == len(m[2]) && patch < m[2] {
			t.Errorf("%s needs Go %s.%s, the builder image has %s and does not download another", mod, m[1], m[2], version)
		}
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
