package doctor

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// policy is who may do what with one resource.
type policy struct {
	Bindings []struct {
		Role    string
		Members []string
	}
}

// has says whether a member has one of the roles. A role that ends in * stands for all that begin so.
func (p *policy) has(member string, roles ...string) bool {
	for _, b := range p.Bindings {
		for _, role := range roles {
			prefix, any := strings.CutSuffix(role, "*")
			if (b.Role == role || any && strings.HasPrefix(b.Role, prefix)) && slices.Contains(b.Members, member) {
				return true
			}
		}
	}
	return false
}

// public gives a role that everybody has, "" if there is none.
func (p *policy) public() (role, member string) {
	for _, b := range p.Bindings {
		for _, m := range b.Members {
			if m == "allUsers" || m == "allAuthenticatedUsers" {
				return b.Role, m
			}
		}
	}
	return "", ""
}

// version3 asks for conditions too; without it a policy that has some is not shown whole.
var version3 = map[string]any{"options": map[string]int{"requestedPolicyVersion": 3}}

func queryVersion3() url.Values { return url.Values{"options.requestedPolicyVersion": {"3"}} }

func checkPolicy(ctx context.Context, p *probe) []Finding {
	var answer policy
	if err := p.api.call(ctx, projectPolicy, p.at(), nil, version3, &answer); err != nil {
		return p.unread(err, "who has which role on the project")
	}
	p.policy = &answer
	for _, role := range []string{"roles/owner", "roles/editor"} {
		if answer.has(p.member(runner), role) {
			return []Finding{warn(do(fmt.Sprintf("gcloud projects remove-iam-policy-binding %s --member=%s --role=%s --all", p.project, p.member(runner), role)),
				"%s has %s: every step of every pipeline may do nearly everything", p.email(runner), role)}
		}
	}
	if role, member := answer.public(); role != "" {
		return []Finding{fail(do(fmt.Sprintf("gcloud projects remove-iam-policy-binding %s --member=%s --role=%s --all", p.project, member, role)), "%s has %s on the whole project", member, role)}
	}
	return good("%d roles are given", len(answer.Bindings))
}

// serviceAgent is an account of Google's that works for a service inside the project. The first use of a service makes it
// and gives it its role, which takes minutes: too late for whoever depends on it in the same apply.
type serviceAgent struct {
	domain, api, role string
	needed            func(*probe) bool
}

func always(*probe) bool { return true }

var agents = []serviceAgent{
	{"gcp-sa-pubsub", "pubsub.googleapis.com", "roles/pubsub.serviceAgent", always},
	{"gcp-sa-cloudscheduler", "cloudscheduler.googleapis.com", "roles/cloudscheduler.serviceAgent", always},
	{"serverless-robot-prod", "run.googleapis.com", "roles/run.serviceAgent", always},
	{"gcp-sa-aiplatform", "aiplatform.googleapis.com", "roles/aiplatform.serviceAgent", always},
	{"gcp-sa-eventarc", "eventarc.googleapis.com", "roles/eventarc.serviceAgent", func(p *probe) bool { return !p.disabled["eventarc.googleapis.com"] }},
}

// checkAgents finds service agents that do not exist yet, or lost their role.
func checkAgents(_ context.Context, p *probe) []Finding {
	var missing, fix []string
	ok := 0
	for _, a := range agents {
		if p.disabled[a.api] || !a.needed(p) {
			continue
		}
		if member := p.agent(a.domain); !p.policy.has(member, a.role) {
			missing = append(missing, strings.TrimPrefix(member, "serviceAccount:")+" does not have "+a.role)
			fix = append(fix, "gcloud beta services identity create --service="+a.api+" --project="+p.project, p.grant(member, a.role))
			continue
		}
		ok++
	}
	if len(missing) > 0 {
		fix = append(fix, "# wait a minute or two until the roles hold everywhere, then")
		return []Finding{fail(p.apply(fix...), "%s; what works through them is denied", list(missing))}
	}
	return good("%d service agents have their roles", ok)
}

// checkStepAgent finds out whether Vertex can pull the step image. Vertex makes this agent when it first runs a container
// of ours, and that run is then denied the registry.
func checkStepAgent(_ context.Context, p *probe) []Finding {
	member := p.agent("gcp-sa-aiplatform-cc")
	if p.policy.has(member, "roles/aiplatform.customCodeServiceAgent", "roles/artifactregistry.reader") {
		return good("Vertex may pull the step image")
	}
	return []Finding{warn(do(
		"gcloud beta services identity create --service=aiplatform.googleapis.com --project="+p.project,
		"# if this is still here afterwards: a job that does nothing makes the account (about a minute of one small machine is billed)",
		"gcloud ai custom-jobs create --project="+p.project+" --region="+p.region+" --display-name=make-service-agent --worker-pool-spec=machine-type=e2-standard-4,replica-count=1,container-image-uri=us-docker.pkg.dev/cloudrun/container/job:latest",
		fmt.Sprintf("gcloud artifacts repositories add-iam-policy-binding %s --project=%s --location=%s --member=%s --role=roles/artifactregistry.reader", images, p.project, p.region, member)),
		"%s is not there yet: the first run may end with \"does not have permission to access Artifact Registry repository\"", strings.TrimPrefix(member, "serviceAccount:"))}
}

// powers are permissions of whoever applies the infrastructure, and the roles that give them.
var powers = []struct{ permission, role string }{
	{"serviceusage.services.enable", "roles/serviceusage.serviceUsageAdmin"},
	{"iam.serviceAccounts.create", "roles/iam.serviceAccountAdmin"},
	{"iam.roles.create", "roles/iam.roleAdmin"},
	{"resourcemanager.projects.setIamPolicy", "roles/resourcemanager.projectIamAdmin"},
	{"storage.buckets.create", "roles/storage.admin"},
	{"run.services.setIamPolicy", "roles/run.admin"},
	{"cloudscheduler.jobs.create", "roles/cloudscheduler.admin"},
	{"pubsub.topics.setIamPolicy", "roles/pubsub.admin"},
	{"datastore.databases.create", "roles/datastore.owner"},
	{"datastore.indexes.create", "roles/datastore.indexAdmin"},
	{"artifactregistry.repositories.create", "roles/artifactregistry.admin"},
	{"cloudbuild.builds.create", "roles/cloudbuild.builds.editor"},
	{"monitoring.alertPolicies.create", "roles/monitoring.editor"},
	{"logging.logMetrics.create", "roles/logging.configWriter"},
}

// checkPowers tells who could not apply the infrastructure. Others need none of it, so it is a warning.
func checkPowers(ctx context.Context, p *probe) []Finding {
	var want []string
	for _, w := range powers {
		want = append(want, w.permission)
	}
	var answer struct{ Permissions []string }
	if err := p.api.call(ctx, projectTest, p.at(), nil, map[string]any{"permissions": want}, &answer); err != nil {
		return p.unread(err, "what "+orSomeone(p.account)+" may do")
	}
	var fix, missing []string
	for _, w := range powers {
		if !slices.Contains(answer.Permissions, w.permission) {
			fix, missing = append(fix, p.grant(p.me(), w.role)), append(missing, w.permission)
		}
	}
	if len(missing) > 0 {
		return []Finding{warn(append(do("# only if this account shall apply the infrastructure; an owner of the project runs"), fix...),
			"%s may not apply the infrastructure; missing: %s", orSomeone(p.account), list(missing))}
	}
	return good("%s may apply the infrastructure", orSomeone(p.account))
}
