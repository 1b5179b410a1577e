package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// checkGitHub compares who may sign in from GitHub with the repository of this checkout. A wrong owner or name shows there
// as iam.serviceAccounts.getAccessToken denied.
func checkGitHub(ctx context.Context, p *probe) []Finding {
	names, err := p.poolNames(ctx)
	if err != nil {
		return p.unread(err, "the workload identity pools")
	}
	if len(names) == 0 {
		return good("no workload identity pool: nothing signs in from GitHub")
	}
	repo := p.repository(ctx)
	if repo == "" {
		return skip("the checkout has no remote origin on GitHub to compare the %d pools with", len(names))
	}
	var grants policy
	if err := p.api.call(ctx, accountPolicy, p.at("account", p.email(deployer)), queryVersion3(), nil, &grants); err != nil {
		return p.unread(err, "who may act as "+deployer)
	}
	var problems []Finding
	matched := ""
	for _, pool := range names {
		found, bad, err := p.providers(ctx, pool, repo)
		if err != nil {
			return p.unread(err, "the providers of the pool "+pool)
		}
		problems = append(problems, bad...)
		if !found {
			continue // a pool for something else than GitHub
		}
		member := fmt.Sprintf("principalSet://iam.googleapis.com/projects/%s/locations/global/workloadIdentityPools/%s/attribute.repository/%s", p.number, pool, repo)
		if grants.has(member, "roles/iam.workloadIdentityUser") {
			matched = pool
			continue
		}
		problems = append(problems, fail(do(fmt.Sprintf("gcloud iam service-accounts add-iam-policy-binding %s --project=%s --member=%s --role=roles/iam.workloadIdentityUser", p.email(deployer), p.project, member)),
			"the repository %s may not sign in as %s%s", repo, deployer, otherRepository(grants, pool)))
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
			owner, _, _ := strings.Cut(repo, "/")
			if !strings.Contains(w.AttributeCondition, "'"+repo+"'") && !strings.Contains(w.AttributeCondition, `"`+repo+`"`) && !strings.Contains(w.AttributeCondition, "'"+owner+"'") && !strings.Contains(w.AttributeCondition, `"`+owner+`"`) {
				bad = append(bad, fail(do(fmt.Sprintf(`gcloud iam workload-identity-pools providers update-oidc %s --workload-identity-pool=%s --location=global --project=%s --attribute-condition="assertion.repository == '%s'"`,
					w.Name[strings.LastIndex(w.Name, "/")+1:], pool, p.project, repo)), "the pool %s lets in %q, which does not name %s", pool, w.AttributeCondition, repo))
			}
		}
		return page.NextPageToken, err
	})
	return found, bad, err
}

// otherRepository says which repositories may sign in by the pool instead.
func otherRepository(grants policy, pool string) string {
	var others []string
	for _, b := range grants.Bindings {
		for _, m := range b.Members {
			if _, repo, ok := strings.Cut(m, "/workloadIdentityPools/"+pool+"/attribute.repository/"); ok && b.Role == "roles/iam.workloadIdentityUser" {
				others = append(others, repo)
			}
		}
	}
	if len(others) == 0 {
		return ""
	}
	slices.Sort(others)
	return "; " + list(others) + " may"
}
