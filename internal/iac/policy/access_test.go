package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// can says what each account needs and where, by permission.
var can = []struct {
	account, permission string
	where               []string
}{
	{"onupload-push", "run.routes.invoke", []string{"service onupload"}},
	{"batchtrigger-tick", "run.routes.invoke", []string{"service batchtrigger"}},
	{"onupload", "aiplatform.pipelineJobs.create", []string{"project"}},
	{"onupload", "iam.serviceAccounts.actAs", []string{"account pipeline-runner"}},
	{"onupload", "datastore.entities.create", []string{"project"}},
	{"onupload", "storage.objects.get", []string{"bucket artifacts", "bucket inbox"}},
	{"batchtrigger", "aiplatform.pipelineJobs.create", []string{"project"}},
	{"batchtrigger", "aiplatform.pipelineJobs.get", []string{"project"}},
	{"batchtrigger", "iam.serviceAccounts.actAs", []string{"account pipeline-runner"}},
	{"batchtrigger", "datastore.entities.update", []string{"project"}},
	{"batchtrigger", "storage.objects.list", []string{"bucket artifacts", "bucket inbox", "bucket outbox", "bucket staging"}},
	{"pipeline-runner", "storage.objects.get", []string{"bucket artifacts", "bucket inbox", "bucket outbox", "bucket staging"}},
	{"pipeline-runner", "storage.objects.create", []string{"bucket outbox", "bucket staging"}},
	{"pipeline-runner", "storage.objects.delete", []string{"bucket staging"}},
	{"pipeline-runner", "datastore.entities.update", []string{"project"}},
	{"pipeline-runner", "logging.logEntries.create", []string{"project"}},
	{"deployer", "run.routes.invoke", []string{ // smoke tests, and trials of batch releases
		"service batchtrigger", "service onupload", "service predict-bike-demand", "service predict-prices", "service predict-the-longest-of-names-x",
	}},
	{"deployer", "storage.objects.create", []string{"bucket artifacts", "bucket run-sources", "bucket staging"}},
	{"deployer", "artifactregistry.repositories.uploadArtifacts", []string{"repository images"}},
	{"deployer", "iam.serviceAccounts.actAs", []string{
		"account batchtrigger", "account builder", "account onupload",
		"account predict-bike-demand", "account predict-prices", "account predict-the-longest-of-names-x",
	}},
}

// never are permissions that no account of the plan may have anywhere.
var never = []string{
	"resourcemanager.projects.setIamPolicy", "iam.serviceAccounts.setIamPolicy", "iam.serviceAccountKeys.create", "iam.roles.update",
	"run.services.setIamPolicy", "storage.buckets.setIamPolicy", "storage.buckets.delete", "datastore.databases.delete", "pubsub.topics.delete",
}

// cannot are permissions that single accounts must not have. A place says where; without one it is anywhere.
var cannot = []struct{ account, permission, where string }{
	{"pipeline-runner", "storage.objects.delete", "bucket outbox"},
	{"pipeline-runner", "storage.objects.delete", "bucket inbox"},
	{"pipeline-runner", "run.services.update", ""},
	{"pipeline-runner", "iam.serviceAccounts.actAs", ""},
	{"onupload", "storage.objects.create", ""},
	{"onupload", "storage.objects.delete", ""},
	{"onupload", "run.services.update", ""},
	{"batchtrigger", "storage.objects.create", ""},
	{"batchtrigger", "storage.objects.delete", ""},
	{"batchtrigger", "run.services.update", ""},
	{"batchtrigger", "aiplatform.models.delete", ""},
	{"batchtrigger", "aiplatform.endpoints.delete", ""},
	{"predict-prices", "storage.objects.get", ""},
	{"predict-prices", "datastore.entities.get", ""},
	{"predict-prices", "aiplatform.pipelineJobs.create", ""},
	{"predict-prices", "run.routes.invoke", ""},
	{"tester", "run.services.update", ""},
	{"tester", "run.services.create", ""},
	{"tester", "iam.serviceAccounts.actAs", ""},
	{"tester", "storage.objects.create", "bucket artifacts"},
	{"tester", "artifactregistry.repositories.uploadArtifacts", "repository images"},
	{"deployer", "storage.objects.get", "bucket inbox"},
	{"deployer", "storage.objects.get", "bucket outbox"},
	{"deployer", "storage.objects.delete", "bucket outbox"},
	{"builder", "run.services.update", ""},
	{"builder", "iam.serviceAccounts.actAs", ""},
}

// short takes the project out of the names of buckets and accounts.
func short(where string) string {
	kind, name, _ := strings.Cut(where, " ")
	switch kind {
	case "bucket":
		name = strings.TrimPrefix(name, "millrace-test-")
		if strings.HasPrefix(name, "run-sources-") {
			name = "run-sources"
		}
	case "account":
		name, _, _ = strings.Cut(name, "@")
	}
	return strings.TrimSpace(kind + " " + name)
}

// where gives the places in which an account has a permission.
func where(p *Plan, known *Roles, account, permission string) []string {
	var out []string
	for _, w := range p.Can(known, p.account(account), permission) {
		out = append(out, short(w))
	}
	slices.Sort(out)
	return out
}

func TestAccountsCanWhatTheyNeed(t *testing.T) {
	t.Parallel()
	known, p := roles(t), read(t, planned(t).wired)
	for _, c := range can {
		if p.account(c.account) == "" {
			t.Errorf("there is no account %s", c.account)
		} else if got := where(p, known, c.account, c.permission); !slices.Equal(got, c.where) {
			t.Errorf("%s has %s on %q, needs it on %q", c.account, c.permission, got, c.where)
		}
	}
}

func TestAccountsCannotWhatTheyMustNot(t *testing.T) {
	t.Parallel()
	known, p := roles(t), read(t, planned(t).wired)
	for _, r := range p.Of("google_service_account") {
		for _, permission := range never {
			if got := where(p, known, r.Text("account_id"), permission); got != nil {
				t.Errorf("%s has %s on %q, expected nobody to have it", r.Text("account_id"), permission, got)
			}
		}
	}
	for _, c := range cannot {
		if got := where(p, known, c.account, c.permission); c.where == "" && got != nil || slices.Contains(got, c.where) || c.where != "" && slices.Contains(got, "project") {
			t.Errorf("%s has %s on %q, must not on %q", c.account, c.permission, got, c.where)
		}
	}
}

// batchtrigger runs a candidate for the callers in OPERATORS alone, and a deployment is one.
func TestTheDeployerMayTryReleases(t *testing.T) {
	t.Parallel()
	p := read(t, planned(t).wired)
	deployer := strings.TrimPrefix(p.account("deployer"), "serviceAccount:")
	for _, r := range p.Of("google_cloud_run_v2_service") {
		if r.Text("name") != "batchtrigger" {
			continue
		}
		for _, v := range r.Get("template.0.containers.*.env.*") {
			if e, ok := v.(map[string]any); ok && e["name"] == "OPERATORS" && slices.Contains(strings.Split(fmt.Sprint(e["value"]), ","), deployer) {
				return
			}
		}
	}
	t.Errorf("OPERATORS of batchtrigger does not name %s", deployer)
}
