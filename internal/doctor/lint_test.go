package doctor

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Every command that the faults expect is one that gcloud knows, with flags that it knows.
func TestPrintedCommandsAreGcloudCommands(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("gcloud")
	if err != nil {
		t.Skip("skipped: gcloud is not on PATH, so the commands that doctor prints are not held against it")
	}
	var commands []string
	add := func(lines []string) {
		for _, l := range lines {
			if strings.HasPrefix(l, "gcloud ") && !slices.Contains(commands, l) {
				commands = append(commands, l)
			}
		}
	}
	for _, f := range slices.Concat(stuckPoints, otherFaults) {
		add(f.fix)
	}
	add(do("gcloud auth login", "gcloud auth application-default login", "gcloud config set project PROJECT", "gcloud config set run/region REGION", "gcloud run regions list", "gcloud components update"))
	type command struct {
		CommandString string `json:"command_string"`
		Success       bool   `json:"success,omitempty"`
		ErrorMessage  string `json:"error_message,omitempty"`
	}
	var input []command
	for _, c := range commands {
		input = append(input, command{CommandString: c})
	}
	b, err := json.Marshal(input)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "commands.json")
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), program, "meta", "lint-gcloud-commands", "--commands-file="+file).Output()
	if err != nil {
		t.Skipf("skipped: gcloud's linter does not run here: %v", err)
	}
	var results []command
	if err := json.Unmarshal(out, &results); err != nil {
		t.Fatalf("%v\n%.2000s", err, out)
	}
	if len(results) < len(commands) {
		t.Errorf("%d of %d commands were looked at", len(results), len(commands))
	}
	for _, r := range results {
		if !r.Success {
			t.Errorf("%s: %s", r.CommandString, r.ErrorMessage)
		}
	}
}
