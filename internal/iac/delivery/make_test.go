package delivery

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// workplace is a folder with the Makefile and files, empty ones.
func workplace(t *testing.T, files ...string) string {
	t.Helper()
	for _, tool := range []string{"make", "bash", "git"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("skipped: %s is not on PATH", tool)
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Makefile"), read(t, "Makefile"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// fresh are the variables that make test, or a person, may have set and that a make in a test must not see.
var fresh = []string{"MAKEFLAGS=", "MAKELEVEL=", "MFLAGS=", "BASE_BRANCH=", "DEPLOY=", "DATA=", "BUILD=elsewhere"}

// tool runs a program in dir with some variables more, and gives what it says.
func tool(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), append(fresh[:len(fresh):len(fresh)], env...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestCleanRemovesWhatIsMade(t *testing.T) {
	t.Parallel()
	kept := []string{"elsewhere/kept", "models/a/model.yaml", "python/exporter.py", ".git/x.pyc"}
	made := []string{"bin/millrace", "build/changed.json", ".millrace/env", "python/__pycache__/a", "models/a/__pycache__/b/c", "models/a/train.pyc"}
	dir := workplace(t, append(made, kept...)...)
	tool(t, dir, nil, "make", "clean")
	for _, name := range kept {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Errorf("clean took %s: %v", name, err)
		}
	}
	for _, name := range made {
		if _, err := os.Stat(filepath.Join(dir, name)); !os.IsNotExist(err) {
			t.Errorf("clean left %s: %v", name, err)
		}
	}
	tool(t, dir, nil, "make", "clean") // with nothing to do
}

// A build's clone has one commit; a pull request is compared with the branch that it goes to.
func TestHistory(t *testing.T) {
	t.Parallel()
	origin := workplace(t)
	git := func(dir string, args ...string) string {
		t.Helper()
		return tool(t, dir, nil, "git", append([]string{"-c", "user.name=Test", "-c", "user.email=test@example.com"}, args...)...)
	}
	git(origin, "init", "-q", "-b", "main")
	git(origin, "add", "Makefile")
	git(origin, "commit", "-q", "-m", "first")
	git(origin, "checkout", "-q", "-b", "topic")
	git(origin, "commit", "-q", "--allow-empty", "-m", "a change")
	base := git(origin, "rev-parse", "main")
	for name, flags := range map[string][]string{"a clone of one commit": {"--depth=1"}, "a whole clone of one branch": {"--single-branch"}, "a whole clone": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "clone")
			git(origin, append(append([]string{"clone", "-q", "--branch=topic"}, flags...), "file://"+origin, dir)...)
			if out := tool(t, dir, nil, "make", "history"); !strings.Contains(out, "nothing to fetch") {
				t.Errorf("a build of main: %q", out)
			}
			tool(t, dir, []string{"BASE_BRANCH=main"}, "make", "history")
			if got := git(dir, "merge-base", "origin/main", "HEAD"); got != base {
				t.Errorf("the commit in common is %q, want %q", got, base)
			}
		})
	}
}

func TestApplyWaitsForTheWord(t *testing.T) {
	t.Parallel()
	dir := workplace(t, "terraform/main.tf")
	stub := filepath.Join(dir, "terraform-stub")
	if err := os.WriteFile(stub, []byte("#!/bin/sh\necho terraform \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	out := tool(t, dir, []string{"TERRAFORM=" + stub, "STATE=my-state", "ENVIRONMENT=prod"}, "make", "plan-terraform")
	plan := filepath.Join(dir, "build", "terraform.plan")
	for _, want := range []string{"init -input=false", "-backend-config=environments/prod.gcs.tfbackend -backend-config=bucket=my-state", "-var-file=environments/prod.tfvars -out=" + plan} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	out = tool(t, dir, []string{"TERRAFORM=" + stub, "DEPLOY=false"}, "make", "apply-terraform")
	if out != "skipped: this build does not deploy (DEPLOY=false)" {
		t.Errorf("a pull request: %q", out)
	}
	out = tool(t, dir, []string{"TERRAFORM=" + stub, "DEPLOY=true"}, "make", "apply-terraform")
	if want := "terraform -chdir=terraform apply -input=false -lock-timeout=5m " + plan; out != want {
		t.Errorf("main: %q, want %q", out, want)
	}
}
