package main

import (
	"strings"
	"testing"
)

func TestCITryOnPaper(t *testing.T) {
	t.Parallel()
	env, client := artifacts(t)
	hash := strings.Repeat("ab", 32)
	try := func(model string, args ...string) (code int, out, errs string) {
		return millrace(t, "", env, append([]string{"ci", "--repo", "../..", "try", model, "--bucket", "gs://artifacts/", "--staging", "staging", "--unit", "sha256:" + hash}, args...)...)
	}
	image := "example.invalid/step@sha256:" + strings.Repeat("0", 64)
	code, out, errs := try("bike-demand", "--image", image, "--trigger", "https://batchtrigger.example", "--dry-run")
	for _, want := range []string{
		"gs://artifacts/models/bike-demand/", "gs://artifacts/pipelines/bike-demand/", "gs://artifacts/candidates/bike-demand/",
		"gs://staging/smoke/bike-demand/" + hash + ".csv\twrite", "https://batchtrigger.example/runs\task", "gs://staging/bike-demand/RUN/\tread",
	} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("exit %d, %s\n%s: expected %q", code, errs, out, want)
		}
	}
	for name, tc := range map[string]struct {
		model string
		args  []string
		says  string
	}{
		"no model":       {"none", []string{"--image", image, "--trigger", "https://batchtrigger.example"}, "none"},
		"a tag":          {"bike-demand", []string{"--image", "step:latest", "--trigger", "https://batchtrigger.example"}, "is not named by digest"},
		"no URL":         {"bike-demand", []string{"--image", image, "--trigger", "batchtrigger"}, "is no URL of a service"},
		"http to a host": {"bike-demand", []string{"--image", image, "--trigger", "http://example.com"}, "a token is sent over nothing else"},
	} {
		if code, out, errs := try(tc.model, tc.args...); code != 1 || !strings.Contains(errs, tc.says) {
			t.Errorf("%s: exit %d, %s%s; expected %q", name, code, out, errs, tc.says)
		}
	}
	if names := objects(t.Context(), t, client); names != nil {
		t.Errorf("it wrote %q", names)
	}
}
