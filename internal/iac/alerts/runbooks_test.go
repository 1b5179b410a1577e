package alerts

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const runbooks = root + "/docs/runbooks"

// alert is an entry of alerts.json.
type alert struct{ Severity, Means, Check, Fix string }

func pages(t *testing.T) map[string]string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(runbooks, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	pages := map[string]string{}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		pages[strings.TrimSuffix(filepath.Base(name), ".md")] = string(data)
	}
	return pages
}

func TestEachAlertHasItsPage(t *testing.T) {
	t.Parallel()
	alerts, pages := readJSON[map[string]alert](t, "alerts.json"), pages(t)
	code, err := os.ReadFile(filepath.Join(module, "alerts.tf"))
	if err != nil {
		t.Fatal(err)
	}
	more, err := os.ReadFile(filepath.Join(module, "conditions.tf"))
	if err != nil {
		t.Fatal(err)
	}
	raised := map[string]bool{}
	for _, m := range regexp.MustCompile(`alert\s+= "([a-z-]+)"`).FindAllStringSubmatch(string(code)+string(more), -1) {
		raised[m[1]] = true
	}
	if got, want := slices.Sorted(maps.Keys(raised)), slices.Sorted(maps.Keys(alerts)); !slices.Equal(got, want) {
		t.Errorf("Terraform raises %q, alerts.json has %q", got, want)
	}
	if got, want := slices.Sorted(maps.Keys(pages)), slices.Sorted(maps.Keys(alerts)); !slices.Equal(got, want) {
		t.Errorf("docs/runbooks has %q, alerts.json has %q", got, want)
	}
	for name, a := range alerts {
		if a.Means == "" || a.Check == "" || a.Fix == "" || !slices.Contains([]string{"CRITICAL", "ERROR", "WARNING"}, a.Severity) {
			t.Errorf("alerts.json: %s is %+v, expected a severity and three texts", name, a)
		}
		page := pages[name]
		at := 0
		for _, part := range []string{"# " + name + "\n", "\n## Means\n", "\n## Check\n", "\n## Fix\n"} {
			i := strings.Index(page[at:], part)
			if i < 0 {
				t.Errorf("docs/runbooks/%s.md: no %q, or not in the order title, Means, Check, Fix", name, strings.TrimSpace(part))
				break
			}
			at += i
		}
		if !strings.Contains(page, "```sh\n") {
			t.Errorf("docs/runbooks/%s.md has no command to type", name)
		}
	}
}

func TestLinksOfRunbooksLeadSomewhere(t *testing.T) {
	t.Parallel()
	for name, page := range pages(t) {
		for _, m := range regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(page, -1) {
			if _, err := os.Stat(filepath.Join(runbooks, m[1])); err != nil {
				t.Errorf("docs/runbooks/%s.md links %s: %v", name, m[1], err)
			}
		}
	}
}

// Texts of alerts and pages name log keys; a renamed key must not stay in them.
func TestRunbooksFilterByKeysThatAreLogged(t *testing.T) {
	t.Parallel()
	all := map[string]bool{"ms": true, "rows": true} // of the request line, which is made in parts
	for _, lines := range eventLines(t) {
		maps.Copy(all, keysOf(lines))
	}
	for name, page := range pages(t) {
		for _, m := range regexp.MustCompile(`jsonPayload\.([a-z_]+)`).FindAllStringSubmatch(page, -1) {
			if !all[m[1]] {
				t.Errorf("docs/runbooks/%s.md filters by %q, which no line has", name, m[1])
			}
		}
	}
}

var gcloud = regexp.MustCompile(`gcloud [a-z][^\n|)]*`)

// gcloudCommands are the gcloud commands of all pages, with the values of their variables.
func gcloudCommands(t *testing.T) []string {
	var all []string
	values := strings.NewReplacer(`"$PROJECT"`, "my-project", `"$REGION"`, "europe-west1", `"$SERVICE"`, "predict-bike-demand",
		`$SERVICE`, "predict-bike-demand", "$PROJECT", "my-project", "$RUN", "r", `\"`, "'")
	for _, page := range pages(t) {
		for block := range strings.SplitSeq(page, "```sh\n") {
			block, _, ok := strings.Cut(block, "```")
			if !ok {
				continue
			}
			for _, c := range gcloud.FindAllString(strings.ReplaceAll(block, "value(status.url)", "json"), -1) {
				all = append(all, values.Replace(strings.TrimSpace(c)))
			}
		}
	}
	return all
}

func TestGcloudKnowsTheCommandsOfRunbooks(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("gcloud"); err != nil {
		t.Skip("skipped: gcloud is not installed")
	}
	var commands []map[string]string
	for _, c := range gcloudCommands(t) {
		commands = append(commands, map[string]string{"command_string": c})
	}
	list, err := json.Marshal(commands)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "commands.json")
	if err := os.WriteFile(file, list, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "gcloud", "meta", "lint-gcloud-commands", "--commands-file="+file)
	cmd.Env = append(os.Environ(), "CLOUDSDK_CONFIG="+t.TempDir(), "CLOUDSDK_CORE_DISABLE_PROMPTS=1")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("gcloud meta lint-gcloud-commands: %v", err)
	}
	var results []struct {
		Command string `json:"command_string"`
		Error   string `json:"error_message"`
		Success bool   `json:"success"`
	}
	if err := json.Unmarshal(out, &results); err != nil {
		t.Fatalf("%v: %.200s", err, out)
	}
	if len(results) == 0 {
		t.Error("nothing was checked")
	}
	for _, r := range results {
		if !r.Success {
			t.Errorf("%s: %s", r.Command, r.Error)
		}
	}
}
