package policy

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// valueMistake is a value of a plan that the provider takes, and that only Google Cloud would refuse, after half of an
// environment has been made.
type valueMistake struct {
	name       string
	kind, path string
	value      any
	want       string // part of what the policy says
}

var valueMistakes = []valueMistake{
	{"a service account id of three characters", "google_service_account", "account_id", "abc", "6 to 30 characters"},
	{"a misspelt HTTP method", "google_cloud_scheduler_job", "http_target.0.http_method", "PSOT", "http_method is \"PSOT\""},
	{"a misspelt lifecycle action", "google_storage_bucket", "lifecycle_rule.0.action.0.type", "Remove", "is \"Remove\""},
	{"a retention in days", "google_pubsub_subscription", "message_retention_duration", "7d", "is \"7d\", expected a duration"},
	{"a bucket name in capitals", "google_storage_bucket", "name", "IN!", "is \"IN!\""},
	{"200 delivery attempts", "google_pubsub_subscription", "dead_letter_policy.0.max_delivery_attempts", 200, "is \"200\", expected 5 to 100"},
	{"hour 25", "google_cloud_scheduler_job", "schedule", "0 25 * * *", "five fields of a crontab"},
	{"CPUs with a blank", "google_cloud_run_v2_service", "template.0.containers.0.resources.0.limits.cpu", "3500 m", "limits.cpu is"},
	{"a region of another planet", "google_cloud_run_v2_service", "location", "mars", "location is \"mars\""},
	{"a misspelt event type", "google_eventarc_trigger", "matching_criteria.0.value", "google.cloud.storage.object.v1.finalised", "waits for"},
	{"a trigger with two destinations", "google_eventarc_trigger", "destination.0.workflow", "projects/p/locations/l/workflows/w", "has 2 destinations"},
	{"a misspelt role", "google_storage_bucket_iam_member", "role", "roles/storage.objectViwer", "there is no role"},
	{"a runtime that does not exist", "google_cloud_run_v2_service", "build_config", []any{map[string]any{"base_image": "go999"}}, "base_image is \"go999\""},
	{"a run of two hours", "google_cloud_run_v2_service", "template.0.timeout", "7200s", "timeout is \"7200s\""},
	{"public access prevention, nearly", "google_storage_bucket", "public_access_prevention", "enforce", "is \"enforce\""},
}

// moreMistakes are others of the same kind, which the rules were made for.
var moreMistakes = []valueMistake{
	{"a role for everybody", "google_cloud_run_v2_service_iam_member", "member", "allUsers", "is everybody"},
	{"a basic role", "google_project_iam_member", "role", "roles/editor", "is a basic role"},
	{"a role on the project that a bucket has", "google_project_iam_member", "role", "roles/storage.objectViewer", "expected it on the resource"},
	{"the ledger without a condition", "google_project_iam_member", "condition.0.expression", "true", "without a condition"},
	{"a schedule in a zone of its own", "google_cloud_scheduler_job", "time_zone", "Europe/Atlantis", "IANA time zone"},
	{"a subscription that expires", "google_pubsub_subscription", "expiration_policy.0.ttl", "2678400s", "expiration_policy"},
	{"an audience with a path", "google_pubsub_subscription", "push_config.0.oidc_token.0.audience", "https://onupload.run.invalid/projects/p", "without a path"},
	{"a push to another service", "google_pubsub_subscription", "push_config.0.push_endpoint", "https://batchtrigger.run.invalid/", "calls batchtrigger"},
	{"a job without a token", "google_cloud_scheduler_job", "http_target.0.oidc_token", []any{}, "calls without a token"},
	{"a service with a command", "google_cloud_run_v2_service", "template.0.containers.0.command", []any{"/app"}, "sets a command"},
	{"a service that runs as its caller", "google_cloud_run_v2_service", "template.0.service_account", "onupload-push@millrace-test.iam.gserviceaccount.com", "which may call"},
	{"a service of nobody", "google_cloud_run_v2_service", "labels", map[string]any{}, "has no label owner"},
	{"everybody an operator", "google_cloud_run_v2_service", "template.0.containers.0.env", []any{map[string]any{"name": "OPERATORS", "value": "*"}}, "people by name"},
	{"an alert that nobody hears", "google_monitoring_alert_policy", "notification_channels", []any{}, "notification_channels.* is not set"},
	{"an alert without a page", "google_monitoring_alert_policy", "user_labels.alert", "no-such", "expected docs/runbooks/no-such.md"},
	{"a permission that does not exist", "google_project_iam_custom_role", "permissions.0", "aiplatform.pipelineJobs.cancell", "there is no permission"},
	{"a dead letter that is read once and gone", "google_pubsub_subscription", "dead_letter_policy.0.dead_letter_topic", "projects/p/topics/none", "has no subscription"},
}

// mutate sets a value of the first resource of a type that has the place for it.
func mutate(t *testing.T, data []byte, m valueMistake) []byte {
	t.Helper()
	var plan map[string]any
	if err := json.Unmarshal(data, &plan); err != nil {
		t.Fatal(err)
	}
	for _, c := range plan["resource_changes"].([]any) {
		c := c.(map[string]any)
		if c["mode"] == "managed" && c["type"] == m.kind && set(c["change"].(map[string]any)["after"], strings.Split(m.path, "."), m.value) {
			out, err := json.Marshal(plan)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
	}
	t.Fatalf("no %s of the plan has %s", m.kind, m.path)
	return nil
}

// set writes a value; false when there is no such place.
func set(in any, path []string, value any) bool {
	switch in := in.(type) {
	case map[string]any:
		if len(path) == 1 {
			_, has := in[path[0]]
			in[path[0]] = value
			return has
		}
		return set(in[path[0]], path[1:], value)
	case []any:
		i, err := strconv.Atoi(path[0])
		if err != nil || i >= len(in) {
			return false
		}
		if len(path) == 1 {
			in[i] = value
			return true
		}
		return set(in[i], path[1:], value)
	}
	return false
}

// caught says whether the policy says something of a mistake that it does not say of the plan as it is.
func caught(t *testing.T, known *Roles, before, after []byte, m valueMistake) bool {
	t.Helper()
	old := read(t, before).Check(known)
	for _, breach := range read(t, after).Check(known) {
		if !slices.Contains(old, breach) && strings.Contains(breach, m.want) {
			return true
		}
	}
	return false
}

// planMistake passes validate, since it refers to another resource, and stops at the plan.
const planMistake = `
resource "google_service_account" "seeded" {
  project    = "millrace-test"
  account_id = "seeded-account"
}

resource "google_project_iam_member" "seeded" {
  project = "millrace-test"
  role    = "roles/logging.logWriter"
  member  = google_service_account.seeded.email
}
`

// 32 mistakes that people make, put into the configuration or its plan one by one. 31 caught is the bar.
func TestSeededMistakes(t *testing.T) {
	t.Parallel()
	s := planned(t)
	known, _ := readRoles() // without them a misspelt role is not seen
	total, found := 0, 0
	count := func(name string, ok bool) {
		total++
		if ok {
			found++
		} else {
			t.Logf("not caught: %s", name)
		}
	}
	for name, ok := range textMistakes(t, s) {
		count(name, ok)
	}
	for _, m := range valueMistakes {
		before := s.wired
		if m.kind == "google_eventarc_trigger" {
			before = small(t) // no trigger is made where a push subscription delivers
		}
		count(m.name, caught(t, known, before, mutate(t, before, m), m))
	}
	count("an email where a member is wanted", planFails(t, s))
	t.Logf("seeded mistakes: %d of %d caught", found, total)
	if total != 32 || found < 31 {
		t.Errorf("%d of %d seeded mistakes are caught, expected at least 31 of 32", found, total)
	}
}

// textMistakes adds testdata/mistakes.tf to the configuration and says for each of its blocks, by the comment above it,
// whether validate finds an error in it.
func textMistakes(t *testing.T, s *stages) map[string]bool {
	t.Helper()
	w, err := s.fork(t)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join("testdata", "mistakes.tf"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.dir, "terraform", "mistakes.tf"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := w.run("validate", "-json")
	if err == nil {
		t.Fatal("validate finds nothing")
	}
	var result struct {
		Diagnostics []struct {
			Severity string
			Range    struct {
				Filename string
				Start    struct{ Line int }
			}
		}
	}
	if err := json.NewDecoder(bytes.NewReader(out)).Decode(&result); err != nil {
		t.Fatalf("%v: %.300s", err, out)
	}
	lines := strings.Split(string(text), "\n")
	found := map[string]bool{}
	for _, line := range lines {
		if name, ok := strings.CutPrefix(line, "# "); ok {
			found[name] = false
		}
	}
	for _, d := range result.Diagnostics {
		if d.Severity != "error" {
			continue
		}
		if d.Range.Filename != "mistakes.tf" {
			t.Errorf("validate finds an error in %s", d.Range.Filename)
			continue
		}
		for i := d.Range.Start.Line - 1; i >= 0; i-- {
			if name, ok := strings.CutPrefix(lines[i], "# "); ok {
				found[name] = true
				break
			}
		}
	}
	return found
}

func planFails(t *testing.T, s *stages) bool {
	t.Helper()
	w, err := s.fork(t)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.dir, "terraform", "mistakes.tf"), []byte(planMistake), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = w.plan()
	return err != nil && strings.Contains(err.Error(), "seeded")
}

func TestFurtherMistakesAreCaught(t *testing.T) {
	t.Parallel()
	s, known := planned(t), roles(t)
	for _, m := range moreMistakes {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			if !caught(t, known, s.wired, mutate(t, s.wired, m), m) {
				t.Errorf("%s.%s = %v is not caught", m.kind, m.path, m.value)
			}
		})
	}
}
