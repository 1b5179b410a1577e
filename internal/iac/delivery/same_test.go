package delivery

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"cloud.google.com/go/cloudbuild/apiv1/v2/cloudbuildpb"
	"github.com/google/go-cmp/cmp"
)

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
	if got := w.Jobs["pull-request"].Env["DEPLOY"]; got != "false" {
		t.Errorf("pull requests have DEPLOY=%q", got)
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

var (
	triggersOf   = regexp.MustCompile(`(?m)^ +(code|iac) += (\{.*\})$`) // what all triggers of one build file set
	substitution = regexp.MustCompile(`(_[A-Z]+) =`)
)

// What a trigger sets and its build file does not declare would be dropped without a word.
func TestTriggersSetWhatTheBuildsDeclare(t *testing.T) {
	t.Parallel()
	text, files := string(read(t, "terraform/modules/delivery/triggers.tf")), map[string]string{"code": "cloudbuild.yaml", "iac": "terraform/cloudbuild.yaml"}
	found := triggersOf.FindAllStringSubmatch(text, -1)
	if len(found) != len(files) {
		t.Fatalf("found %d sets of substitutions, want %d", len(found), len(files))
	}
	for _, m := range found {
		b, err := ReadBuild(read(t, files[m[1]]))
		if err != nil {
			t.Fatal(err)
		}
		names := []string{"_ACCOUNT", "_DEPLOY"} // each trigger's own
		for _, s := range substitution.FindAllStringSubmatch(m[2], -1) {
			names = append(names, s[1])
		}
		for _, name := range names {
			if _, ok := b.Substitutions[name]; !ok {
				t.Errorf("triggers set %s, which %s does not declare", name, files[m[1]])
			}
		}
		for name := range b.Substitutions {
			if !slices.Contains(names, name) {
				t.Errorf("%s declares %s, which no trigger sets", files[m[1]], name)
			}
		}
	}
}

func TestTerraformGetsVariablesThatItHas(t *testing.T) {
	t.Parallel()
	b, err := ReadBuild(read(t, "terraform/cloudbuild.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	given, variables := 0, string(read(t, "terraform/variables.tf"))
	for _, e := range b.Options.Env {
		name, _, _ := strings.Cut(e, "=")
		if name, ok := strings.CutPrefix(name, "TF_VAR_"); ok {
			given++
			if !strings.Contains(variables, "\nvariable \""+name+"\" {") {
				t.Errorf("terraform has no variable %s", name)
			}
		}
	}
	if given == 0 {
		t.Error("terraform gets no variables")
	}
}

// What a build sets for its deployment does not reach the tests, which would take it for a person's.
func TestTestsDoNotSeeTheBuild(t *testing.T) {
	t.Parallel()
	_, list, _ := strings.Cut(string(read(t, "Makefile")), "CLEAN_ENV := env $(addprefix -u ,")
	list, _, _ = strings.Cut(list, ")")
	kept := strings.Fields(list)
	harmless := []string{"GOCACHE", "GOMODCACHE"}
	b, err := ReadBuild(read(t, "cloudbuild.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	w, err := ReadWorkflow(read(t, ".github/workflows/ci-cd.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range b.Options.Env {
		name, _, _ := strings.Cut(e, "=")
		names = append(names, name)
	}
	for _, j := range w.Jobs {
		names = slices.AppendSeq(names, maps.Keys(j.Env))
	}
	for _, name := range names {
		if !slices.Contains(kept, name) && !slices.Contains(harmless, name) {
			t.Errorf("%s is set in builds and not taken from the tests: add it to CLEAN_ENV in the Makefile", name)
		}
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
	if set := strings.Count(string(read(t, ".github/workflows/ci-cd.yaml")), "go-version: "+version+"\n"); set != 2 { // go.mod names the oldest that will do, which tools may refuse
		t.Errorf("cloudbuild.yaml has Go %s, and %d of the 2 jobs of ci-cd.yaml", version, set)
	}
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
