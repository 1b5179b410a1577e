package deploy

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/millrace-ml/millrace/internal/change"
)

var fileFlag = regexp.MustCompile(` --build-env-vars-file \S+`)

// Where Google's own gcloud is installed, its linter says whether it knows the commands of a plan; it asks no network.
func TestGcloudKnowsTheCommandsOfAPlan(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("gcloud"); err != nil {
		t.Skip("skipped: gcloud is not on PATH")
	}
	var plan strings.Builder
	predict := change.Change{Unit: unit, Action: change.Deploy, Hash: "sha256:aa"}
	o := Options{Project: "shop", Region: "europe-west1", Build: &change.Build{Commit: "1111", Units: []change.Change{predict}}, Dir: "build", DryRun: true, Out: &plan, Now: time.Now}
	if _, err := Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if err := Rollback(t.Context(), o, Revert{Model: "tiny"}); err != nil {
		t.Fatal(err)
	}
	if _, err := Dev(t.Context(), o, predict); err != nil {
		t.Fatal(err)
	}
	type command struct {
		Command string `json:"command_string"`
		Success bool   `json:"success,omitempty"`
		Error   string `json:"error_message,omitempty"`
	}
	var in, out []command
	for line := range strings.Lines(plan.String()) {
		// The linter reads the file, and finds nothing wrong with a command whose file it cannot read.
		c := command{Command: fileFlag.ReplaceAllString(strings.TrimSpace(line), "")}
		if strings.HasPrefix(line, "gcloud ") && !slices.Contains(in, c) {
			in = append(in, c)
		}
	}
	data, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "commands.json")
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "gcloud", "meta", "lint-gcloud-commands", "--commands-file="+file)
	cmd.Env = append(os.Environ(), "CLOUDSDK_CORE_DISABLE_PROMPTS=1", "CLOUDSDK_CONFIG="+t.TempDir())
	cmd.WaitDelay = time.Second
	answer, err := cmd.Output()
	if err != nil {
		t.Skipf("skipped: gcloud's linter does not run here: %v", err)
	}
	if err := json.Unmarshal(answer, &out); err != nil {
		t.Fatal(err)
	}
	if len(in) < 5 || len(out) < len(in) {
		t.Errorf("%d of %d commands were looked at", len(out), len(in))
	}
	for _, c := range out {
		if !c.Success {
			t.Errorf("%s: %s", c.Command, c.Error)
		}
	}
}
