package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// checkGitHub compares who may sign in from GitHub with the repository of this checkout. A wrong owner or name shows there
// as iam.serviceAccounts.getAccessToken denied.
func checkGitHub(ctx context.Context, p *probe) []Finding {
	found, err := p.poolNames(ctx)
	if err != nil {
		return p.unread(err, "the workload identity pools")
	}
	if len(found) == 0 {
		return good("no workload identity pool: nothing signs in from GitHub")
	}
	repo := p.repository(ctx)
	if repo == "" {
		return skip("the checkout has no remote origin on GitHub to compare the %d pools with", len(found))
	}
	var grants policy
	if err := p.api.call(ctx, accountPolicy, p.at("account", p.email(deployer)), queryVersion3(), nil, &grants); err != nil {
		return p.unread(err, "who may act as "+deployer)
	}
	var problems []Finding
	matched := ""
	for _, pool := range found {
		ours, bad, err := p.providers(ctx, pool, repo)
		if err != nil {
			return p.unread(err, "the providers of the pool "+pool)
		}
		problems = append(problems, bad...)
		if !ours {
			continue // a pool for something else than GitHub
		}
		allowed := callers(grants, pool)
		if slices.ContainsFunc(allowed, func(who string) bool { return names(who, repo) }) {
			matched = pool
			continue
		}
		member := fmt.Sprintf("principalSet://iam.googleapis.com/projects/%s/locations/global/workloadIdentityPools/%s/attribute.repository/%s", p.number, pool, repo)
		problems = append(problems, fail(do(fmt.Sprintf("gcloud iam service-accounts add-iam-policy-binding %s --project=%s --member=%s --role=roles/iam.workloadIdentityUser", p.email(deployer), p.project, member), lasting),
			"the repository %s may not sign in as %s; allowed: %s", repo, deployer, or(list(allowed), "nobody")))
	}
	if matched == "" && len(problems) == 0 {
		return good("no pool is GitHub's")
	}
	return orGood(problems, "%s signs in by the pool %s", repo, matched)
}

func (p *probe) poolNames(ctx context.Context) (names []string, err error) {
	err = p.api.pages(ctx, pools, p.at(), nil, func(raw json.RawMessage) (string, error) {
		var page struct {
			WorkloadIdentityPools []struct {
				Name, State string
				Disabled    bool
			}
			NextPageToken string
		}
		err := json.Unmarshal(raw, &page)
		for _, w := range page.WorkloadIdentityPools {
			if w.State == "ACTIVE" && !w.Disabled {
				names = append(names, w.Name[strings.LastIndex(w.Name, "/")+1:])
			}
		}
		return page.NextPageToken, err
	})
	return names, err
}

// providers says whether a pool trusts GitHub, and what is wrong with the conditions of those that do.
func (p *probe) providers(ctx context.Context, pool, repo string) (found bool, bad []Finding, err error) {
	err = p.api.pages(ctx, poolProviders, p.at("pool", pool), nil, func(raw json.RawMessage) (string, error) {
		var page struct {
			WorkloadIdentityPoolProviders []struct {
				Name, AttributeCondition string
				Oidc                     struct{ IssuerURI string }
			}
			NextPageToken string
		}
		err := json.Unmarshal(raw, &page)
		for _, w := range page.WorkloadIdentityPoolProviders {
			if w.Oidc.IssuerURI != "https://token.actions.githubusercontent.com" {
				continue
			}
			found = true
			if !trusts(w.AttributeCondition, repo) {
				bad = append(bad, fail(do(fmt.Sprintf(`gcloud iam workload-identity-pools providers update-oidc %s --workload-identity-pool=%s --location=global --project=%s --attribute-condition="assertion.repository == '%s' && assertion.ref == 'refs/heads/main' && assertion.event_name == 'push'"`,
					w.Name[strings.LastIndex(w.Name, "/")+1:], pool, p.project, repo), lasting), "the pool %s lets in %q, which does not name %s", pool, w.AttributeCondition, repo))
			}
		}
		return page.NextPageToken, err
	})
	return found, bad, err
}

// byNumber finds a condition or a member that names the repository by its number, which stays when it is renamed. Nothing
// here knows that number, so it is taken on trust.
var byNumber = regexp.MustCompile(`repository(_owner)?_id\b`)

// byName finds a condition that names the repository as OWNER/NAME.
var byName = regexp.MustCompile(`repository\s*==`)

// lasting is what makes a mended sign-in stay.
const lasting = "# and name the repository in Terraform's variable github, or the next apply takes this back"

// trusts says whether a provider's condition lets the repository in: by its name, else by its owner's or its number.
func trusts(condition, repo string) bool {
	quoted := strings.ReplaceAll(condition, `"`, "'")
	if byName.MatchString(quoted) {
		return strings.Contains(quoted, "'"+repo+"'")
	}
	owner, _, _ := strings.Cut(repo, "/")
	return strings.Contains(quoted, "'"+owner+"'") || byNumber.MatchString(quoted)
}

// names says whether one of callers is the repository: as an attribute's value, or in the subject of one of its branches.
func names(who, repo string) bool {
	return who == "attribute.repository/"+repo || strings.HasPrefix(who, "attribute.") && strings.HasSuffix(who, "/"+repo) ||
		strings.HasPrefix(who, "subject/repo:"+repo+":") || strings.Contains(who, "/"+repo+"/") || strings.Contains(who, "/"+repo+"@") || byNumber.MatchString(who)
}

// callers are those of a pool who may sign in, as what stands in their members after the pool.
func callers(grants policy, pool string) []string {
	var all []string
	for _, b := range grants.Bindings {
		for _, m := range b.Members {
			if _, who, ok := strings.Cut(m, "/workloadIdentityPools/"+pool+"/"); ok && b.Role == "roles/iam.workloadIdentityUser" {
				all = append(all, who)
			}
		}
	}
	slices.Sort(all)
	return all
}
