package delivery

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// Workflow is what the checks need of a workflow of GitHub; actionlint checks the rest.
type Workflow struct {
	Permissions any `yaml:"permissions"`
	Concurrency struct {
		Group  string `yaml:"group"`
		Cancel any    `yaml:"cancel-in-progress"`
	} `yaml:"concurrency"`
	Jobs map[string]Job `yaml:"jobs"`
}

// Job is one job.
type Job struct {
	If          string            `yaml:"if"`
	Permissions map[string]string `yaml:"permissions"`
	Timeout     int               `yaml:"timeout-minutes"`
	Env         map[string]string `yaml:"env"`
	Steps       []Step            `yaml:"steps"`
}

// Step is a step of a job.
type Step struct {
	Uses string         `yaml:"uses"`
	Run  string         `yaml:"run"`
	With map[string]any `yaml:"with"`
}

// ReadWorkflow reads a workflow.
func ReadWorkflow(text []byte) (*Workflow, error) {
	w := &Workflow{}
	return w, yaml.Unmarshal(text, w)
}

var (
	usesLine = regexp.MustCompile(`(?m)^[ \t-]*uses:[ \t]*(.*)$`)
	// pinnedAction is an action by commit, with its version for people behind it.
	pinnedAction = regexp.MustCompile(`^([\w.-]+/[\w./-]+)@[0-9a-f]{40} # (v\d+)(\.\d+){0,2}$`)
	// deployments are the actions that only a job with an identity may run.
	deployments = "google-github-actions/"
)

// WorkflowProblems are the rules that a workflow breaks: each action by commit, no more rights than needed, none of them for
// pull requests, and an end to everything.
func WorkflowProblems(text []byte) ([]string, error) {
	w, err := ReadWorkflow(text)
	if err != nil {
		return nil, err
	}
	var found []string
	add := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	for _, m := range usesLine.FindAllStringSubmatch(string(text), -1) {
		if use := strings.TrimSpace(m[1]); !strings.HasPrefix(use, "./") && !pinnedAction.MatchString(use) {
			add("uses: %s: expected owner/name@<40 hex> # vX.Y.Z, since a tag moves", use)
		}
	}
	if rights, ok := w.Permissions.(map[string]any); !ok || len(rights) > 0 {
		add("permissions: expected {}, so that each job names its own")
	}
	if w.Concurrency.Group == "" {
		add("there is no concurrency group: two deployments at once would wait for each other's leases")
	}
	if w.Concurrency.Cancel == true {
		add("cancel-in-progress: true ends a deployment in the middle")
	}
	for _, name := range slices.Sorted(maps.Keys(w.Jobs)) {
		for _, p := range w.Jobs[name].problems() {
			add("job %s: %s", name, p)
		}
	}
	return found, nil
}

func (j Job) problems() (found []string) {
	identity := j.Permissions["id-token"] == "write"
	for right, level := range j.Permissions {
		if right != "contents" && right != "id-token" || right == "contents" && level != "read" {
			found = append(found, fmt.Sprintf("permission %s: %s is not needed", right, level))
		}
	}
	if j.Permissions == nil {
		found = append(found, "it names no permissions")
	}
	if identity && !strings.Contains(j.If, "github.ref == 'refs/heads/main'") {
		found = append(found, "has an identity on branches other than main")
	}
	if j.Timeout == 0 {
		found = append(found, "has no timeout-minutes")
	}
	for _, s := range j.Steps {
		switch {
		case strings.HasPrefix(s.Uses, deployments) && !identity:
			found = append(found, s.Uses+" without the permission id-token: write")
		case strings.HasPrefix(s.Uses, "actions/checkout@") && s.With["persist-credentials"] != false:
			found = append(found, "the checkout keeps its credential: persist-credentials: false")
		case s.With["credentials_json"] != nil:
			found = append(found, "uses a key: workload identity federation needs none")
		}
		if strings.Contains(s.Run, "${{") {
			found = append(found, fmt.Sprintf("%q: an expression in a command is not quoted; give it by env", s.Run))
		}
	}
	return found
}

// Commands are what a job runs, in order.
func (j Job) Commands() (out []string) {
	for _, s := range j.Steps {
		for line := range strings.Lines(s.Run) {
			if line = strings.TrimSpace(line); line != "" {
				out = append(out, line)
			}
		}
	}
	return out
}

// Unpinned is the workflow with versions in the place of commits, as actionlint knows them.
func Unpinned(text []byte) []byte {
	return usesLine.ReplaceAllFunc(text, func(line []byte) []byte {
		before, use, _ := strings.Cut(string(line), "uses:")
		if m := pinnedAction.FindStringSubmatch(strings.TrimSpace(use)); m != nil {
			return []byte(before + "uses: " + m[1] + "@" + m[2])
		}
		return line
	})
}
