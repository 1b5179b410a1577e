package doctor

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// inSubstitution finds a gcloud command in $( ).
var inSubstitution = regexp.MustCompile(`\$\((gcloud [^)]*\)?[^)]*)\)`)

// onPage gives the gcloud commands in the shell blocks of a page.
func onPage(t *testing.T, path string) []string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for i, block := range strings.Split(string(b), "```") {
		if i%2 == 0 || !strings.HasPrefix(block, "sh\n") {
			continue
		}
		for line := range strings.Lines(strings.TrimPrefix(block, "sh\n")) {
			line = strings.TrimSpace(line)
			if strings.HasPrefix(line, "gcloud ") {
				found = append(found, line)
			}
			for _, m := range inSubstitution.FindAllStringSubmatch(line, -1) {
				found = append(found, m[1])
			}
		}
	}
	if len(found) < 4 {
		t.Errorf("%s: found only the commands %q", path, found)
	}
	return found
}

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
	add(do("gcloud run services describe predict-m --region=REGION --format='value(status.url)'", "gcloud run services logs read predict-m --region=REGION --limit=50")) // of millrace predict
	add(onPage(t, "../../docs/clients.md"))
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
