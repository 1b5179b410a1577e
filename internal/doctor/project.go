package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// checkProjectState reads the project's number, which service agents are named after.
func checkProjectState(ctx context.Context, p *probe) []Finding {
	var answer struct{ Name, State string }
	err := p.api.call(ctx, getProject, p.at(), nil, nil, &answer)
	switch s := status(err); {
	case reasonOf(err) == "USER_PROJECT_DENIED":
		return []Finding{fail(do("# an owner of the project runs", p.grant(p.me(), "roles/serviceusage.serviceUsageConsumer"), "# or, to look with another account:", "gcloud auth application-default login"),
			"%s may not use the quota of %s, or that does not exist", orSomeone(p.account), p.project)}
	case s == http.StatusNotFound || s == http.StatusForbidden && !disabled(err):
		return []Finding{fail(do("gcloud projects list", "gcloud config set account ACCOUNT"), "%s does not exist, or %s may not see it", p.project, orSomeone(p.account))}
	case err != nil:
		return p.unread(err, p.project)
	case answer.State != "ACTIVE":
		return []Finding{fail(do("gcloud projects undelete "+p.project), "%s is %s", p.project, strings.ToLower(strings.ReplaceAll(answer.State, "_", " ")))}
	}
	p.number = strings.TrimPrefix(answer.Name, "projects/")
	return good("number %s", p.number)
}

// reasonOf is the word that an API gives for a refusal, "" if it gives none.
func reasonOf(err error) string {
	var e *apiError
	if !errors.As(err, &e) {
		return ""
	}
	return e.reason
}

func disabled(err error) bool { return reasonOf(err) == "SERVICE_DISABLED" }

func orSomeone(account string) string {
	if account == "" {
		return "whoever is signed in"
	}
	return account
}

// checkBilling looks for a billing account, without which hardly any API can be enabled.
func checkBilling(ctx context.Context, p *probe) []Finding {
	var answer struct {
		BillingEnabled     bool
		BillingAccountName string
	}
	if err := p.api.call(ctx, billing, p.at(), nil, nil, &answer); disabled(err) {
		return skip("cloudbilling.googleapis.com is not enabled; gcloud billing projects describe %s shows it", p.project)
	} else if err != nil {
		return p.unread(err, "billing")
	}
	if !answer.BillingEnabled {
		return []Finding{fail(do("gcloud billing accounts list", "gcloud billing projects link "+p.project+" --billing-account=ACCOUNT"), "no billing account is linked: services refuse to work")}
	}
	return good("%s", answer.BillingAccountName)
}

// wantAPIs are the services that a deployment uses.
var wantAPIs = []string{
	"aiplatform.googleapis.com", "artifactregistry.googleapis.com", "cloudbuild.googleapis.com", "cloudresourcemanager.googleapis.com", "cloudscheduler.googleapis.com",
	"firestore.googleapis.com", "iam.googleapis.com", "iamcredentials.googleapis.com", "logging.googleapis.com", "monitoring.googleapis.com", "pubsub.googleapis.com",
	"run.googleapis.com", "serviceusage.googleapis.com", "storage.googleapis.com",
}

// checkAPIs asks which services are enabled. Eventarc is only for who chose it.
func checkAPIs(ctx context.Context, p *probe) []Finding {
	query := url.Values{}
	for _, api := range append([]string{"eventarc.googleapis.com"}, wantAPIs...) {
		query.Add("names", "projects/"+p.project+"/services/"+api)
	}
	var answer struct {
		Services []struct{ Name, State string }
	}
	if err := p.api.call(ctx, apis, p.at(), query, nil, &answer); err != nil {
		return p.unread(err, "the list of enabled APIs")
	}
	enabled := map[string]bool{}
	for _, s := range answer.Services {
		enabled[s.Name[strings.LastIndex(s.Name, "/")+1:]] = s.State == "ENABLED"
	}
	missing := gone(wantAPIs, enabled)
	for _, api := range append(slices.Clone(missing), "eventarc.googleapis.com") {
		p.disabled[api] = !enabled[api]
	}
	if len(missing) > 0 {
		return []Finding{fail(do("gcloud services enable "+strings.Join(missing, " ")+" --project="+p.project), "not enabled: %s", list(missing))}
	}
	return good("%d are enabled", len(wantAPIs))
}

// checkLocations asks each service whether it works in the region, and which region all of them work in.
func checkLocations(ctx context.Context, p *probe) []Finding {
	var lacking []string
	common := map[string]int{}
	asked := 0
	for _, e := range locationsOf {
		if p.disabled[e.host] {
			continue
		}
		here := map[string]bool{}
		err := p.api.pages(ctx, e, p.at(), nil, func(raw json.RawMessage) (string, error) {
			var page struct {
				Locations     []struct{ LocationID string }
				NextPageToken string
			}
			err := json.Unmarshal(raw, &page)
			for _, l := range page.Locations {
				here[l.LocationID] = true
			}
			return page.NextPageToken, err
		})
		if err != nil {
			return p.unread(err, "the regions of "+e.host)
		}
		asked++
		for l := range here {
			common[l]++
		}
		if !here[p.region] {
			lacking = append(lacking, e.host)
		}
	}
	if len(lacking) == 0 {
		return good("%s has all of the %d services that were asked", p.region, asked)
	}
	var everywhere []string
	for l, n := range common {
		if n == asked && regionName.MatchString(l) {
			everywhere = append(everywhere, l)
		}
	}
	slices.SortFunc(everywhere, func(a, b string) int { return nearer(p.region, a, b) })
	fix := do("gcloud run regions list")
	if len(everywhere) > 0 {
		fix = do("# regions that have all of them: "+list(everywhere), "bin/millrace doctor --region "+everywhere[0])
	}
	return []Finding{fail(fix, "%s has no %s", p.region, list(lacking))}
}

// nearer orders regions: those of the same continent first, then by name.
func nearer(region, a, b string) int {
	area, _, _ := strings.Cut(region, "-")
	x, y := strings.HasPrefix(a, area+"-"), strings.HasPrefix(b, area+"-")
	switch {
	case x && !y:
		return -1
	case y && !x:
		return 1
	}
	return strings.Compare(a, b)
}
