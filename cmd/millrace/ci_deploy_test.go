package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace-ml/millrace/internal/change"
)

func TestDryRunsNeedNothing(t *testing.T) {
	t.Parallel()
	dir := project(t)
	for name, tc := range map[string]struct {
		args []string
		want []string
	}{
		"deploy": {[]string{"deploy", "--build", filepath.Join(dir, "build")}, []string{
			"as if nothing had ever been deployed\n",
			"\n# take gs://PROJECT-artifacts/deploying/onupload.json",
			"\ngcloud run deploy predict-bike-demand --source ",
			" --image REGION-docker.pkg.dev/PROJECT/functions ",
			"\ngcloud run services update-traffic predict-bike-demand --to-revisions predict-bike-demand-NEW=10,predict-bike-demand-PREVIOUS=90 --region REGION --project PROJECT --quiet --format json\n",
			"\n# move gs://PROJECT-artifacts/released/bike-demand.json to the release\n",
		}},
		"deploy one":  {[]string{"deploy", "onupload", "--build", filepath.Join(dir, "build"), "--project", "shop", "--region", "europe-west1"}, []string{"\ngcloud run deploy onupload ", "--project shop "}},
		"rollback":    {[]string{"rollback", "bike-demand"}, []string{"gcloud run services update-traffic predict-bike-demand --to-revisions predict-bike-demand-BEFORE=100 ", "# move gs://PROJECT-artifacts/released/bike-demand.json to the release before\n"}},
		"rollback to": {[]string{"rollback", "bike-demand", "--to", "predict-bike-demand-00007"}, []string{"--to-revisions predict-bike-demand-00007=100 "}},
		"deploy-dev":  {[]string{"deploy-dev", "bike-demand"}, []string{"gcloud run deploy predict-bike-demand --source build/dev/bundles/predict@bike-demand ", "\ncurl -H "}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, out, errs := millrace(t, "", nil, append(append([]string{"ci", "--repo", dir}, tc.args...), "--dry-run")...)
			if code != 0 {
				t.Fatalf("exit %d: %s", code, errs)
			}
			for _, want := range tc.want {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
		})
	}
	if _, err := os.Stat(filepath.Join(dir, "build")); err == nil {
		t.Error("a dry run wrote something")
	}
}

// git runs git in a repository of its own.
func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-c", "user.name=x", "-c", "user.email=x@example.com"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestDeployRefuses(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("no git on PATH")
	}
	repository := func(t *testing.T) (dir string, b *change.Build) {
		dir = t.TempDir()
		git(t, dir, "init", "-q", "-b", "main")
		git(t, dir, "commit", "-q", "--allow-empty", "-m", "x")
		b = change.NewBuild(t.Context(), dir, func(string) string { return "" }, nil)
		return dir, b
	}
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "gcloud"), []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	env, _ := artifacts(t)
	for name, tc := range map[string]struct {
		edit func(dir string, b *change.Build)
		env  map[string]string
		args []string
		want string // of the error; "" is none
	}{
		"nothing":              {nil, nil, nil, ""},
		"no build":             {func(_ string, b *change.Build) { b.Units = nil; b.Commit = "none" }, nil, []string{"--build", "nowhere"}, "nowhere/changed.json is not there; run: make changed"},
		"a dirty build":        {func(_ string, b *change.Build) { b.Dirty = true }, nil, nil, "not committed"},
		"a dirty tree":         {func(dir string, _ *change.Build) { _ = os.WriteFile(filepath.Join(dir, "x"), nil, 0o644) }, nil, nil, "not committed"},
		"another branch":       {func(dir string, _ *change.Build) { git(t, dir, "switch", "-q", "-c", "mine") }, nil, nil, "this is the branch mine: only main is deployed"},
		"a build of another":   {nil, map[string]string{"BRANCH_NAME": "mine"}, nil, "this is the branch mine"},
		"no branch":            {func(dir string, b *change.Build) { b.Branch = ""; git(t, dir, "switch", "-q", "--detach") }, nil, nil, "set BRANCH_NAME=main"},
		"another commit":       {func(dir string, _ *change.Build) { git(t, dir, "commit", "-q", "--allow-empty", "-m", "y") }, nil, nil, "run: make changed"},
		"no project":           {nil, map[string]string{"GOOGLE_CLOUD_PROJECT": ""}, nil, "where to? give --project and --region"},
		"not a deployment":     {func(_ string, b *change.Build) { b.Branch = "mine" }, map[string]string{"DEPLOY": "false", "PATH": ""}, nil, ""},
		"no gcloud":            {nil, map[string]string{"PATH": ""}, nil, "gcloud is not on PATH: install it"},
		"a unit that is none":  {nil, nil, []string{"predict@none"}, `"predict@none" is no unit of this build`},
		"only asked, and fine": {nil, nil, []string{"--ready"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, b := repository(t)
			if tc.edit != nil {
				tc.edit(dir, b)
			}
			build := t.TempDir()
			if err := b.Write(build); err != nil {
				t.Fatal(err)
			}
			all := map[string]string{"PATH": bin, "GOOGLE_CLOUD_PROJECT": "shop", "REGION": "europe-west1"}
			for _, more := range []map[string]string{env, tc.env} {
				for k, v := range more {
					all[k] = v
				}
			}
			project := []string{}
			for flag, key := range map[string]string{"--project": "GOOGLE_CLOUD_PROJECT", "--region": "REGION"} {
				if all[key] != "" {
					project = append(project, flag, all[key])
				}
			}
			code, out, errs := millrace(t, "", all, append(append(append([]string{"ci", "--repo", dir, "deploy", "--build", build}, project...), "--artifacts", "artifacts"), tc.args...)...)
			if tc.want == "" && (code != 0 || out != "") || tc.want != "" && (code != 1 || !strings.Contains(errs, tc.want) || strings.Count(errs, "\n") != 1) {
				t.Errorf("exit %d, %q, %q; want %q in one line", code, out, errs, tc.want)
			}
		})
	}
}

func TestAHolderIsNamed(t *testing.T) {
	t.Parallel()
	if got := holder(func(k string) string { return map[string]string{"BUILD_ID": "7"}[k] }); got != "build 7" {
		t.Errorf("%q", got)
	}
	if got := holder(func(string) string { return "" }); !strings.HasPrefix(got, "process ") {
		t.Errorf("%q", got)
	}
	if err := (&deployDevCmd{Model: "x"}).Run(context.Background(), console{getenv: func(string) string { return "" }}, &ciCmd{}); err == nil || !strings.Contains(err.Error(), "--project") {
		t.Errorf("%v", err)
	}
}
