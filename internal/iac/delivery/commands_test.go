package delivery

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace-ml/millrace/internal/change"
	"github.com/millrace-ml/millrace/internal/deploy"
)

// pages are the README and every page of the documentation.
func pages(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{"README.md": string(read(t, "README.md")), "CONTRIBUTING.md": string(read(t, "CONTRIBUTING.md"))}
	err := filepath.WalkDir(filepath.Join(root, "docs"), func(name string, e fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(name, ".md") {
			rel, rerr := filepath.Rel(root, name)
			if rerr != nil {
				return rerr
			}
			out[filepath.ToSlash(rel)] = string(read(t, filepath.ToSlash(rel)))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestHelpShowsNine(t *testing.T) {
	t.Parallel()
	var main, more []string
	for name, marks := range Targets(string(read(t, "Makefile"))) {
		switch marks {
		case "##":
			main = append(main, name)
		case "####":
			more = append(more, name)
		}
	}
	slices.Sort(main)
	want := []string{"bench", "build", "check", "clean", "create-new-model", "deploy", "help", "run", "test"}
	if diff := cmp.Diff(want, main); diff != "" {
		t.Errorf("targets of make help (-want +got)\n%s", diff)
	}
	for _, name := range []string{"bundle", "changed", "clean-pycache", "deploy-dev", "diff", "image", "record", "release", "rollback"} {
		if !slices.Contains(more, name) {
			t.Errorf("make help does not show %s under more", name)
		}
	}
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("skipped: make help, since make is not on PATH")
	}
	out := tool(t, root, nil, "make", "help") + "\n"
	top, rest, _ := strings.Cut(out, "more:\n")
	if got := strings.Count(top, "\n"); got != len(main) {
		t.Errorf("make help shows %d targets, want %d\n%s", got, len(main), top)
	}
	if got := strings.Count(rest, "\n"); got != len(more) {
		t.Errorf("make help shows %d more, want %d\n%s", got, len(more), rest)
	}
}

func TestPagesAndBuildsNameTargetsThatExist(t *testing.T) {
	t.Parallel()
	targets := Targets(string(read(t, "Makefile")))
	check := func(name, shell string) {
		for _, made := range MakeCalls(shell) {
			if _, ok := targets[made]; !ok {
				t.Errorf("%s: there is no target for make %s", name, made)
			}
		}
	}
	for name, page := range pages(t) {
		check(name, CodeOf(page))
	}
	for name, text := range workflows(t) {
		check(name, Uncommented(string(text)))
	}
	for name, text := range builds(t) {
		b, err := ReadBuild(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range b.Steps {
			check(name, commandOf(s))
		}
	}
}

func TestFindingCommands(t *testing.T) {
	t.Parallel()
	shell := "x=$(gcloud a b --format='value(c)') && gcloud d \"e | f\" | head\n\tgcloud g \\\n  --h > i\necho gcloud; CLOUDSDK=1 gcloud j # k\ncurl $(gcloud l m)\n"
	want := []string{"gcloud a b --format='value(c)'", `gcloud d "e | f"`, "gcloud g --h", "gcloud j", "gcloud l m"}
	if diff := cmp.Diff(want, GcloudCommands(shell)); diff != "" {
		t.Errorf("gcloud (-want +got)\n%s", diff)
	}
	page := "Say `make it` and make up your mind.\n```sh\nmake NAME=x one two\nprintf 'y\\n' | make three\n```\n```text\n  make a drawing\n```\n"
	if diff := cmp.Diff([]string{"it", "one", "two", "three"}, MakeCalls(CodeOf(page))); diff != "" {
		t.Errorf("make (-want +got)\n%s", diff)
	}
	want2 := map[string]string{"a": "##", "b-c": "####", "d": "", "bin/e": ""}
	if diff := cmp.Diff(want2, Targets("a: b ## says\nX := 1\nb-c: #### says\nd:\n\techo ## no: x\nbin/e: f/g\n.PHONY: a\n")); diff != "" {
		t.Errorf("targets (-want +got)\n%s", diff)
	}
}

// planned are the commands that a deployment of every kind of unit, a rollback and a first try would run.
func planned(t *testing.T) []string {
	t.Helper()
	b := &change.Build{Commit: strings.Repeat("c", 40)}
	for _, u := range []string{change.OnUpload, change.BatchTrigger, change.Step, "predict@bike-demand", "batch@bike-demand"} {
		b.Units = append(b.Units, change.Change{Unit: u, Action: change.Deploy, Hash: "sha256:" + strings.Repeat("a", 64)})
	}
	b.Units = append(b.Units, change.Change{Unit: "predict@old", Action: change.Remove}, change.Change{Unit: "batch@old", Action: change.Remove})
	var out bytes.Buffer
	o := deploy.Options{Project: "my-project", Region: "europe-west1", Build: b, Dir: "build", Models: filepath.Join(root, "models"), DryRun: true, Out: &out,
		Artifacts: "my-project-artifacts", Watch: time.Minute, Now: time.Now}
	if _, err := deploy.Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if err := deploy.Rollback(t.Context(), o, deploy.Revert{Model: "bike-demand"}); err != nil {
		t.Fatal(err)
	}
	if _, err := deploy.Dev(t.Context(), o, b.Units[3]); err != nil {
		t.Fatal(err)
	}
	commands := GcloudCommands(out.String())
	if len(commands) < 8 {
		t.Errorf("the dry runs show only %q", commands)
	}
	return commands
}

// lintLimit is what gcloud's linter may take: it wants about ten seconds for all commands.
const lintLimit = 2 * time.Minute

// gcloud's own linter knows every command, flag and choice of its version.
func TestEveryGcloudCommandIsOne(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("gcloud"); err != nil {
		t.Skip("skipped: gcloud is not on PATH, so that nobody knows its commands")
	}
	from := map[string]string{} // command to where
	add := func(name string, commands []string) {
		for _, c := range commands {
			from[c] = name
		}
	}
	for name, page := range pages(t) {
		add(name, GcloudCommands(CodeOf(page)))
	}
	for name, text := range workflows(t) {
		add(name, GcloudCommands(Uncommented(string(text))))
	}
	for name, text := range builds(t) {
		add(name, GcloudCommands(Uncommented(string(text))))
	}
	add("Makefile", GcloudCommands(Uncommented(string(read(t, "Makefile")))))
	add("millrace ci deploy --dry-run", planned(t))
	const wrong = "gcloud run deploy predict-x --functions=Predict"
	from[wrong] = "the test"
	for command, problem := range lint(t, from) {
		if command != wrong {
			t.Errorf("%s: %s: %s", from[command], command, problem)
		}
		delete(from, command)
	}
	if _, left := from[wrong]; left {
		t.Error("the linter finds nothing wrong with --functions")
	}
}

// variable stands for a name that gcloud would take.
var variable = regexp.MustCompile(`\$+(?:\{\w+[^}]*\}|\w+)`)

// lint gives what is wrong with commands.
func lint(t *testing.T, commands map[string]string) map[string]string {
	t.Helper()
	type command struct {
		Command string `json:"command_string"`
		Success bool   `json:"success,omitempty"`
		Error   string `json:"error_message,omitempty"`
	}
	var in, results []command
	written := map[string]string{}
	for c := range commands {
		plain := variable.ReplaceAllString(c, "some-value")
		written[plain] = c
		in = append(in, command{Command: plain})
	}
	data, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "commands.json")
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), lintLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "gcloud", "meta", "lint-gcloud-commands", "--commands-file="+file)
	cmd.Env = append(os.Environ(), "CLOUDSDK_CORE_DISABLE_PROMPTS=1", "CLOUDSDK_CONFIG="+t.TempDir())
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("skipped: gcloud's linter does not run here: %v", err)
	}
	if err := json.Unmarshal(out, &results); err != nil {
		t.Fatalf("%v\n%.1000s", err, out)
	}
	if len(results) < len(in) {
		t.Errorf("%d of %d commands were looked at", len(results), len(in))
	}
	problems := map[string]string{}
	for _, r := range results {
		if !r.Success {
			problems[written[r.Command]] = r.Error
		}
	}
	return problems
}
