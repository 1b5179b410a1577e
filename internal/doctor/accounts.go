package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/millrace-ml/millrace/internal/identity"
	"github.com/millrace-ml/millrace/shared/manifest"
)

// checkAccounts looks for the service accounts, and for one that somebody disabled.
func checkAccounts(ctx context.Context, p *probe) []Finding {
	enabled, there := map[string]bool{}, map[string]bool{}
	err := p.api.pages(ctx, accounts, p.at(), nil, func(raw json.RawMessage) (string, error) {
		var page struct {
			Accounts []struct {
				Email    string
				Disabled bool
			}
			NextPageToken string
		}
		err := json.Unmarshal(raw, &page)
		for _, a := range page.Accounts {
			there[a.Email], enabled[a.Email] = true, !a.Disabled
		}
		return page.NextPageToken, err
	})
	if err != nil {
		return p.unread(err, "the service accounts")
	}
	want := []string{runner, deployer, builder, pushAccount, tickAccount}
	var problems []Finding
	for _, id := range append(want, p.wantServices()...) {
		switch email := p.email(id); {
		case !there[email]:
			problems = append(problems, fail(p.apply(), "the account %s does not exist", id))
		case !enabled[email]:
			problems = append(problems, fail(do("gcloud iam service-accounts enable "+email+" --project="+p.project), "the account %s is disabled", id))
		}
	}
	return orGood(problems, "%d are there", len(there))
}

const actAs = "roles/iam.serviceAccountUser"

// checkActAs reads who may run something as which account. "You do not have permission to act as service_account" is what
// Vertex and Cloud Run say otherwise.
func checkActAs(ctx context.Context, p *probe) []Finding {
	needs := map[string][]string{runner: {onUpload, batchTrigger}, builder: {deployer}}
	for _, s := range p.wantServices() {
		needs[s] = []string{deployer}
	}
	var problems []Finding
	pairs := 0
	for _, account := range append([]string{runner, builder}, p.wantServices()...) {
		var answer policy
		if err := p.api.call(ctx, accountPolicy, p.at("account", p.email(account)), queryVersion3(), nil, &answer); status(err) == http.StatusNotFound {
			continue // the check of the accounts says so
		} else if err != nil {
			return p.unread(err, "who may act as "+account)
		}
		for _, id := range needs[account] {
			pairs++
			if member := p.member(id); !answer.has(member, actAs) {
				problems = append(problems, fail(do(fmt.Sprintf("gcloud iam service-accounts add-iam-policy-binding %s --project=%s --member=%s --role=%s", p.email(account), p.project, member, actAs)),
					"%s may not act as %s", id, account))
			}
		}
	}
	return orGood(problems, "%d grants to act as another account", pairs)
}

// checkOwnActAs asks whether whoever runs this could deploy from this machine.
func checkOwnActAs(ctx context.Context, p *probe) []Finding {
	var fix, missing []string
	const permission = "iam.serviceAccounts.actAs"
	for _, id := range append([]string{builder}, p.wantServices()...) {
		var answer struct{ Permissions []string }
		if err := p.api.call(ctx, accountTest, p.at("account", p.email(id)), nil, map[string]any{"permissions": []string{permission}}, &answer); status(err) == http.StatusNotFound {
			continue
		} else if err != nil {
			return p.unread(err, "whether "+orSomeone(p.account)+" may act as "+id)
		}
		if !slices.Contains(answer.Permissions, permission) {
			missing = append(missing, id)
			fix = append(fix, fmt.Sprintf("gcloud iam service-accounts add-iam-policy-binding %s --project=%s --member=%s --role=%s", p.email(id), p.project, p.me(), actAs))
		}
	}
	if len(missing) > 0 {
		return []Finding{warn(append(do("# only if this account shall deploy from its own machine"), fix...), "%s may not act as %s: make deploy from here would be refused", orSomeone(p.account), list(missing))}
	}
	return good("%s may deploy", orSomeone(p.account))
}

// deployRoles are what each delivery account does on the project, by any of these roles; the first is the narrowest.
var deployRoles = []struct {
	id, does string
	roles    []string
}{
	{deployer, "deploy from source", []string{"roles/run.sourceDeveloper", "roles/run.developer", "roles/run.admin"}},
	{deployer, "use the project's APIs", []string{"roles/serviceusage.serviceUsageConsumer", "roles/serviceusage.serviceUsageAdmin"}},
	{deployer, "write a build's log", []string{"roles/logging.logWriter", "roles/cloudbuild.builds.builder"}},
	{deployer, "see the bucket of sources", []string{"roles/storage.bucketViewer", "roles/storage.admin"}},
	{deployer, "read how a new revision does", []string{"roles/monitoring.viewer", "roles/monitoring.editor", "roles/monitoring.admin"}},
	{builder, "build", []string{"roles/run.builder", "roles/cloudbuild.builds.builder"}},
}

// checkDeployer reads what a source deploy takes on the project. Roles of the project's own making are taken on trust.
func checkDeployer(_ context.Context, p *probe) []Finding {
	own := "projects/" + p.project + "/roles/*"
	var problems []Finding
	for _, d := range deployRoles {
		if member := p.member(d.id); !p.policy.has(member, append([]string{own}, d.roles...)...) {
			problems = append(problems, fail(do(p.grant(member, d.roles[0])), "%s may not %s", d.id, d.does))
		}
	}
	return orGood(problems, "%s may deploy from source, %s may build", deployer, builder)
}

// checkSubmitters reads what starting a run on Vertex takes. The roles of the project's own making are taken on trust: what
// they hold is Terraform's to say.
func checkSubmitters(_ context.Context, p *probe) []Finding {
	own := "projects/" + p.project + "/roles/*"
	var problems []Finding
	if len(p.serving(manifest.ServeBatch)) == 0 {
		return good("no batch model, nothing runs on Vertex")
	}
	for _, id := range []string{onUpload, batchTrigger, runner} {
		if member := p.member(id); !p.policy.has(member, "roles/aiplatform.*", own) {
			fix := p.apply()
			if id == runner {
				fix = do(p.grant(member, "roles/aiplatform.user"))
			}
			problems = append(problems, fail(fix, "%s has no role on Vertex: runs cannot start", id))
		}
		if member := p.member(id); !p.policy.has(member, "roles/datastore.*", own) {
			problems = append(problems, fail(p.apply(), "%s has no role on Firestore: runs are not recorded", id))
		}
	}
	return orGood(problems, "%s, %s and %s may start runs and record them", onUpload, batchTrigger, runner)
}

// repository is OWNER/REPO of the checkout's GitHub remote, "" if it has none.
func (p *probe) repository(ctx context.Context) string {
	program := identity.Find(p.o.Getenv, "git")
	if program == "" {
		return ""
	}
	out, err := p.tool(ctx, program, "remote", "get-url", "origin")
	if err != nil {
		return ""
	}
	_, rest, ok := strings.Cut(strings.TrimSpace(string(out)), "github.com")
	if !ok {
		return ""
	}
	return strings.TrimSuffix(strings.TrimLeft(rest, ":/"), ".git")
}
