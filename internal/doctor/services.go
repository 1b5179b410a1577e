package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/millrace-ml/millrace/shared/manifest"
)

// service is what is read of a Cloud Run service.
type service struct {
	Name               string
	URI                string
	URLs               []string
	Labels             map[string]string
	InvokerIamDisabled bool
	TerminalCondition  struct{ State, Message string }
	Template           struct {
		Labels         map[string]string
		ServiceAccount string
		Containers     []struct{ Image string }
	}
}

// undeployed says whether the newest revision is still the one that Terraform made the service with.
func (s *service) undeployed() bool {
	if s.Template.Labels[unitLabel] != "" {
		return false
	}
	return len(s.Template.Containers) == 0 || strings.HasPrefix(s.Template.Containers[0].Image, placeholder) || s.Labels["managed-by"] == "millrace"
}

// checkInfrastructure finds out whether anything was applied yet, so that a new project gets one line and not thirty.
func checkInfrastructure(ctx context.Context, p *probe) []Finding {
	err := p.api.pages(ctx, runServices, p.at(), nil, func(raw json.RawMessage) (string, error) {
		var page struct {
			Services      []service
			NextPageToken string
		}
		err := json.Unmarshal(raw, &page)
		for _, s := range page.Services {
			p.services[s.Name[strings.LastIndex(s.Name, "/")+1:]] = &s
		}
		return page.NextPageToken, err
	})
	if err != nil {
		return p.unread(err, "the services of Cloud Run")
	}
	have := map[string]bool{}
	for name := range p.services {
		have[name] = true
	}
	want := p.wantServices()
	missing := gone(want, have)
	if len(missing) == len(want) {
		var b bucket
		if err := p.api.call(ctx, getBucket, p.at("bucket", p.bucket(artifacts)), nil, nil, &b); status(err) == http.StatusNotFound {
			return []Finding{fail(p.apply(p.makeState(ctx)...), "nothing of Millrace is in %s, region %s, yet", p.project, p.region)}
		}
	}
	return good("%d of %d services are there", len(want)-len(missing), len(want))
}

// makeState is the command that makes the bucket of Terraform's state, which Terraform itself cannot; nothing if it is there.
func (p *probe) makeState(ctx context.Context) []string {
	var b bucket
	if err := p.api.call(ctx, getBucket, p.at("bucket", p.stateBucket()), nil, nil, &b); status(err) != http.StatusNotFound {
		return nil
	}
	return do(fmt.Sprintf("gcloud storage buckets create gs://%s --project=%s --location=%s --uniform-bucket-level-access --public-access-prevention", p.stateBucket(), p.project, p.region))
}

// checkServices compares the services with the checkout's models.
func checkServices(_ context.Context, p *probe) []Finding {
	var problems []Finding
	want := p.wantServices()
	for _, name := range want {
		s, ok := p.services[name]
		switch {
		case !ok:
			problems = append(problems, fail(append(p.apply(), p.deploy()), "%s does not exist", name))
		case s.undeployed():
			problems = append(problems, fail(do(p.deploy()), "%s still runs the placeholder", name))
		case s.TerminalCondition.State == "CONDITION_FAILED":
			problems = append(problems, fail(do(fmt.Sprintf("gcloud run services logs read %s --region=%s --project=%s --limit=50", name, p.region, p.project)), "the newest revision of %s is not ready: %s", name, s.TerminalCondition.Message))
		case s.Template.ServiceAccount != p.email(name):
			problems = append(problems, fail(do(fmt.Sprintf("gcloud run services update %s --service-account=%s --region=%s --project=%s", name, p.email(name), p.region, p.project)),
				"%s runs as %s, whose rights are not its own", name, or(s.Template.ServiceAccount, "the default account of Compute Engine")))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.services)) {
		if p.models != nil && strings.HasPrefix(name, serviceOf("")) && p.services[name].Labels["managed-by"] == "millrace" && !slices.Contains(want, name) {
			problems = append(problems, warn(p.apply(), "%s is there, but the checkout has no such real-time model", name))
		}
	}
	return orGood(problems, "%d are deployed and ready, each as its own account", len(want))
}

// invoker are the roles that let a caller in.
var invoker = []string{"roles/run.servicesInvoker", "roles/run.invoker"}

func (p *probe) bind(service, verb, member, role string) string {
	return fmt.Sprintf("gcloud run services %s-iam-policy-binding %s --region=%s --project=%s --member=%s --role=%s", verb, service, p.region, p.project, member, role)
}

// checkCallers reads who may call which service.
func checkCallers(ctx context.Context, p *probe) []Finding {
	var problems []Finding
	asks := p.member(deployer) // a new revision, before it gets traffic
	callers := map[string][]string{onUpload: {p.member(pushAccount), asks}, batchTrigger: {p.member(tickAccount), asks}}
	for _, m := range p.serving(manifest.ServeRealtime) {
		callers[serviceOf(m.Name)] = append([]string{asks}, m.Realtime.Invokers...)
	}
	read := 0
	for _, name := range slices.Sorted(maps.Keys(callers)) {
		s, ok := p.services[name]
		if !ok {
			continue
		}
		var answer policy
		if err := p.api.call(ctx, servicePolicy, p.at("service", name), queryVersion3(), nil, &answer); err != nil {
			return p.unread(err, "who may call "+name)
		}
		read++
		if s.InvokerIamDisabled {
			problems = append(problems, fail(do(fmt.Sprintf("gcloud run services update %s --invoker-iam-check --region=%s --project=%s", name, p.region, p.project)), "%s lets everybody in: the check of callers is switched off", name))
		}
		if role, member := answer.public(); role != "" {
			problems = append(problems, fail(do(p.bind(name, "remove", member, role)), "%s lets %s in", name, member))
		}
		for _, member := range callers[name] {
			if !answer.has(member, invoker...) {
				problems = append(problems, fail(do(p.bind(name, "add", member, invoker[0])), "%s may not call %s: it gets 403", member, name))
			}
		}
	}
	return orGood(problems, "%d services let in whom they should, and not everybody", read)
}
