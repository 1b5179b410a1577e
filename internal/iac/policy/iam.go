package policy

import (
	"fmt"
	"slices"
	"strings"
)

// Grant is one role of one principal on one resource.
type Grant struct {
	Principal string // serviceAccount:…, principalSet:…, user:…
	Role      string
	Resource  string // project, or a kind and a name, such as "bucket p-inbox"
	Condition string // the expression, "" = always
	from      *Resource
}

// String is a line of the golden table.
func (g Grant) String() string {
	s := g.Principal + "  " + g.Role + "  " + g.Resource
	if g.Condition != "" {
		s += "  if " + g.Condition
	}
	return s
}

// grantKinds says which attribute names the resource of a grant, and what it is called in the table.
var grantKinds = map[string]struct{ attribute, called string }{
	"google_artifact_registry_repository_iam": {"repository", "repository"},
	"google_bigquery_dataset_iam":             {"dataset_id", "dataset"},
	"google_cloud_run_service_iam":            {"service", "service"},
	"google_cloud_run_v2_job_iam":             {"name", "job"},
	"google_cloud_run_v2_service_iam":         {"name", "service"},
	"google_kms_crypto_key_iam":               {"crypto_key_id", "key"},
	"google_project_iam":                      {"", "project"},
	"google_pubsub_subscription_iam":          {"subscription", "subscription"},
	"google_pubsub_topic_iam":                 {"topic", "topic"},
	"google_secret_manager_secret_iam":        {"secret_id", "secret"},
	"google_service_account_iam":              {"service_account_id", "account"},
	"google_storage_bucket_iam":               {"bucket", "bucket"},
	"google_storage_managed_folder_iam":       {"bucket", "folder of bucket"},
}

// Grants are all roles that the plan gives away, sorted.
func (p *Plan) Grants() []Grant {
	var all []Grant
	for _, r := range p.Resources {
		base, last, _ := cutLast(r.Type, "_")
		kind, ok := grantKinds[base]
		if !ok || last != "member" && last != "binding" {
			continue
		}
		g := Grant{Role: r.Text("role"), Resource: kind.called, Condition: r.Text("condition.0.expression"), from: r}
		if kind.attribute != "" {
			g.Resource += " " + name(r.Text(kind.attribute))
		}
		for _, member := range append(r.Get("member"), r.Get("members.*")...) {
			g.Principal = fmt.Sprint(member)
			all = append(all, g)
		}
	}
	slices.SortFunc(all, func(a, b Grant) int { return strings.Compare(a.String(), b.String()) })
	return all
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// principals checks who gets roles, and that each grant adds to what others have granted.
func (p *Plan) principals(report reporter) {
	for _, r := range p.Resources {
		if strings.HasSuffix(r.Type, "_iam_policy") || r.Type == "google_project_iam_binding" || strings.HasPrefix(r.Type, "google_service_account_key") {
			report(r, "the type %s takes away what others have granted, or is a key; expected an _iam_member", r.Type)
		}
	}
	for _, g := range p.Grants() {
		switch {
		case g.Principal == "allUsers" || g.Principal == "allAuthenticatedUsers":
			report(g.from, "%s is everybody", g.Principal)
		case slices.Contains([]string{"roles/owner", "roles/editor", "roles/viewer"}, g.Role):
			report(g.from, "%s is a basic role", g.Role)
		case strings.HasSuffix(g.Principal, "-compute@developer.gserviceaccount.com"):
			report(g.from, "%s is the account that everything without one of its own runs as", g.Principal)
		}
	}
}

// onlyOnProject are the roles that no single resource of ours takes, with the reason; a role that is not here belongs on
// the resource.
var onlyOnProject = map[string]string{
	"roles/aiplatform.user":                      "the runner account: metadata and executions have no resource of their own",
	"roles/artifactregistry.serviceAgent":        "service agent",
	"roles/cloudbuild.builds.builder":            "builds have no resource of their own",
	"roles/cloudbuild.serviceAgent":              "service agent",
	"roles/cloudscheduler.serviceAgent":          "service agent",
	"roles/cloudtrace.agent":                     "traces have no resource of their own",
	"roles/datastore.user":                       "with a condition on the database",
	"roles/datastore.viewer":                     "with a condition on the database",
	"roles/eventarc.eventReceiver":               "Eventarc takes it on the project alone",
	"roles/eventarc.serviceAgent":                "service agent",
	"roles/logging.logWriter":                    "logs have no resource of their own",
	"roles/monitoring.metricWriter":              "metrics have no resource of their own",
	"roles/monitoring.viewer":                    "metrics have no resource of their own",
	"roles/pubsub.serviceAgent":                  "service agent",
	"roles/run.builder":                          "the build account: reads sources and pushes images of every service",
	"roles/run.serviceAgent":                     "service agent",
	"roles/run.sourceDeveloper":                  "source deploys: builds are submitted to the project",
	"roles/serviceusage.serviceUsageConsumer":    "source deploys",
	"roles/storage.bucketViewer":                 "source deploys: gcloud lists the project's buckets",
	"roles/aiplatform.serviceAgent":              "service agent",
	"roles/aiplatform.customCodeServiceAgent":    "service agent",
	"roles/firebaserules.system":                 "service agent",
	"roles/containerregistry.ServiceAgent":       "service agent",
	"roles/cloudkms.cryptoKeyEncrypterDecrypter": "",
}

// onProject checks the roles on the whole project.
func (p *Plan) onProject(report reporter) {
	for _, g := range p.Grants() {
		if g.Resource != "project" || strings.HasPrefix(g.Role, "projects/") {
			continue
		}
		eventarc := g.Role == "roles/pubsub.publisher" && len(p.Of("google_eventarc_trigger")) > 0 && strings.Contains(g.Principal, "gs-project-accounts")
		if onlyOnProject[g.Role] == "" && !eventarc {
			report(g.from, "%s has %s on the whole project, expected it on the resource", g.Principal, g.Role)
		}
		if strings.HasPrefix(g.Role, "roles/datastore.") && !strings.Contains(g.Condition, "/databases/") {
			report(g.from, "%s has %s without a condition on the database", g.Principal, g.Role)
		}
	}
}
