package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/millrace-ml/millrace/shared/manifest"
)

// job is what is read of a Scheduler job.
type job struct {
	Name, Schedule, TimeZone, State string
	HTTPTarget                      struct {
		URI       string
		OidcToken struct{ ServiceAccountEmail, Audience string }
	}
	Status struct {
		Code    int
		Message string
	}
}

// checkJobs compares the jobs with the schedules of the checkout's models, and with the two sweeps.
func checkJobs(ctx context.Context, p *probe) []Finding {
	found := map[string]job{}
	err := p.api.pages(ctx, jobs, p.at(), nil, func(raw json.RawMessage) (string, error) {
		var page struct {
			Jobs          []job
			NextPageToken string
		}
		err := json.Unmarshal(raw, &page)
		for _, j := range page.Jobs {
			found[j.Name[strings.LastIndex(j.Name, "/")+1:]] = j
		}
		return page.NextPageToken, err
	})
	if err != nil {
		return p.unread(err, "the jobs of Cloud Scheduler")
	}
	want := map[string]*manifest.Schedule{"drain": nil, "reconcile": nil}
	for _, m := range p.serving(manifest.ServeBatch) {
		for i := range m.Batch.Schedules {
			s := &m.Batch.Schedules[i]
			want[m.Name+"-"+s.Name] = s
		}
	}
	var problems []Finding
	for _, name := range slices.Sorted(maps.Keys(want)) {
		j, ok := found[name]
		if !ok {
			problems = append(problems, fail(p.apply(), "there is no job %s", name))
			continue
		}
		problems = append(problems, p.jobProblems(name, j, want[name])...)
	}
	return orGood(problems, "%d are enabled", len(want))
}

func (p *probe) jobProblems(name string, j job, want *manifest.Schedule) []Finding {
	where := fmt.Sprintf("%s --location=%s --project=%s", name, p.region, p.project)
	var problems []Finding
	if j.State == "PAUSED" || j.State == "DISABLED" {
		problems = append(problems, warn(do("gcloud scheduler jobs resume "+where), "%s is %s", name, strings.ToLower(j.State)))
	}
	if want != nil && (j.Schedule != want.Cron || j.TimeZone != want.Zone) {
		problems = append(problems, fail(p.apply(), "%s runs at %q in %s, the manifest says %q in %s", name, j.Schedule, j.TimeZone, want.Cron, want.Zone))
	}
	if to, ok := p.services[batchTrigger]; ok {
		right := append([]string{to.URI}, to.URLs...)
		if token := j.HTTPTarget.OidcToken; !slices.Contains(right, token.Audience) || token.ServiceAccountEmail != p.email(tickAccount) || !startsWithAny(j.HTTPTarget.URI, right) {
			problems = append(problems, fail(do(fmt.Sprintf("gcloud scheduler jobs update http %s --oidc-service-account-email=%s --oidc-token-audience=%s", where, p.email(tickAccount), to.URI)),
				"%s calls %s as %s for %s; batchtrigger answers 401 or 403", name, or(j.HTTPTarget.URI, "no address"), or(token.ServiceAccountEmail, "no account"), or(token.Audience, "no audience")))
		}
	}
	if j.Status.Code != 0 {
		problems = append(problems, warn(do(fmt.Sprintf("gcloud run services logs read %s --region=%s --project=%s --limit=50", batchTrigger, p.region, p.project), "gcloud scheduler jobs run "+where),
			"the last tick of %s failed with code %d %s", name, j.Status.Code, j.Status.Message))
	}
	return problems
}
