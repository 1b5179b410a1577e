package doctor

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the reference page instead of comparing with it")

const introduction = `# What millrace doctor looks at

` + "`bin/millrace doctor`" + ` looks at this machine and at the project on Google Cloud, changes nothing, and prints the commands that mend what is wrong. It fails
(exit code 1) if something does not work; a warning is no failure. ` + "`--json`" + ` prints the same for programs.

The checks run at once, in so far as one does not need what another found out. One that cannot be made says why and is no failure: because another
one failed, because its API is not enabled, or because the account may not read it (` + "`roles/viewer`" + ` and ` + "`roles/iam.securityReviewer`" + ` on the project read all
of it). Without credentials there is nothing to look at but this machine.

`

// The page of the checks is made of their table.
func TestReferencePage(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString(introduction)
	for _, part := range []struct {
		title  string
		checks []check
	}{{"This machine", localChecks}, {"The project", projectChecks}} {
		fmt.Fprintf(&b, "## %s\n\n| Check | In order when | Needs |\n|---|---|---|\n", part.title)
		for _, c := range part.checks {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", c.name, c.about, strings.Join(c.needs, ", "))
		}
		b.WriteString("\n")
	}
	page := strings.TrimSuffix(b.String(), "\n")
	const path = "../../docs/reference/doctor.md"
	if *update {
		if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(path)
	if err != nil || string(have) != page {
		t.Errorf("docs/reference/doctor.md is not what the table of checks says (%v); write it with: go test ./internal/doctor -run TestReferencePage -update", err)
	}
}

// A check that names what does not come before it would wait for itself or for nothing.
func TestTheTableOfChecks(t *testing.T) {
	t.Parallel()
	seen, afterAPIs := map[string]bool{}, map[string]bool{"apis": true}
	for _, c := range append(append([]check{}, localChecks...), projectChecks...) {
		for _, need := range c.needs {
			if !seen[need] {
				t.Errorf("%s needs %s, which does not stand before it", c.name, need)
			}
		}
		afterAPIs[c.name] = afterAPIs[c.name] || slices.ContainsFunc(c.needs, func(need string) bool { return afterAPIs[need] })
		if c.api != "" && !afterAPIs[c.name] {
			t.Errorf("%s asks %s before it is known whether that is enabled", c.name, c.api)
		}
		if seen[c.name] || c.about == "" || c.run == nil {
			t.Errorf("%+v", c)
		}
		seen[c.name] = true
	}
}
