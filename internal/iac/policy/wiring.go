package policy

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// services are the deployed services by their address. In a first plan the addresses are not known and the map is empty.
func (p *Plan) services() map[string]string {
	at := map[string]string{}
	for _, r := range p.Of("google_cloud_run_v2_service") {
		if uri := r.Text("uri"); uri != "" {
			at[uri] = r.Text("name")
		}
	}
	return at
}

// call checks one way in: an account calls an address with a token for an audience. The audience is the service's address
// alone, and the account may invoke that service and no other.
func (p *Plan) call(r *Resource, address, audience, email string, report reporter) {
	if email == "" {
		report(r, "calls without a token, expected oidc_token with an account of its own")
		return
	}
	at := p.services()
	if len(at) == 0 {
		return // a first plan
	}
	target, err := url.Parse(address)
	if err != nil || target.Scheme != "https" {
		report(r, "calls %q, expected an https address", address)
		return
	}
	service, ok := at["https://"+target.Host]
	if !ok {
		report(r, "calls %q, which is no service of this plan", address)
		return
	}
	if at[audience] != service {
		report(r, "calls %s with a token for %q, expected the address of the service without a path", service, audience)
	}
	_, by := p.callers()
	if may := by["serviceAccount:"+email]; !slices.Equal(may, []string{service}) {
		report(r, "calls %s as %s, which may invoke %q", service, email, may)
	}
}

// pushes checks the subscriptions that call a service.
func (p *Plan) pushes(report reporter) {
	for _, r := range p.Of("google_pubsub_subscription") {
		if len(r.Get("push_config.0")) == 0 {
			continue
		}
		p.call(r, r.Text("push_config.0.push_endpoint"), r.Text("push_config.0.oidc_token.0.audience"), r.Text("push_config.0.oidc_token.0.service_account_email"), report)
		if len(r.Get("dead_letter_policy.0")) == 0 {
			report(r, "has no dead-letter policy: what onupload refuses would come for ever, then be lost")
		} else if number(10, 100)(r.Text("dead_letter_policy.0.max_delivery_attempts")) != "" {
			report(r, "gives up after %s attempts; waiting for another request's lease takes up to 10", r.Text("dead_letter_policy.0.max_delivery_attempts"))
		}
		if len(r.Get("push_config.0.no_wrapper.0")) > 0 {
			report(r, "sends no envelope (no_wrapper), which onupload cannot read")
		}
	}
}

// jobs checks the Scheduler jobs.
func (p *Plan) jobs(report reporter) {
	for _, r := range p.Of("google_cloud_scheduler_job") {
		if n := len(r.Get("http_target.*")) + len(r.Get("pubsub_target.*")) + len(r.Get("app_engine_http_target.*")); n != 1 {
			report(r, "has %d targets, expected one", n)
		}
		for _, path := range []string{"http_target.0"} {
			if len(r.Get(path)) > 0 {
				p.call(r, r.Text(path+".uri"), r.Text(path+".oidc_token.0.audience"), r.Text(path+".oidc_token.0.service_account_email"), report)
			}
		}
	}
}

// events are the types of Cloud Storage's events.
var events = []string{
	"google.cloud.storage.object.v1.finalized", "google.cloud.storage.object.v1.deleted",
	"google.cloud.storage.object.v1.archived", "google.cloud.storage.object.v1.metadataUpdated",
}

// triggers checks Eventarc: one destination, a known event, and the bucket's own location.
func (p *Plan) triggers(report reporter) {
	buckets := map[string]string{}
	for _, r := range p.Of("google_storage_bucket") {
		buckets[r.Text("name")] = strings.ToLower(r.Text("location"))
	}
	for _, r := range p.Of("google_eventarc_trigger") {
		n := len(r.Get("destination.0.cloud_run_service.*")) + len(r.Get("destination.0.gke.*")) + len(r.Get("destination.0.http_endpoint.*"))
		if r.Text("destination.0.workflow") != "" {
			n++
		}
		if n != 1 {
			report(r, "has %d destinations, expected one", n)
		}
		for _, v := range r.Get("matching_criteria.*") {
			c, ok := v.(map[string]any)
			switch {
			case !ok:
			case c["attribute"] == "type" && !slices.Contains(events, fmt.Sprint(c["value"])):
				report(r, "waits for %q, expected one of %q", fmt.Sprint(c["value"]), events)
			case c["attribute"] == "bucket" && buckets[fmt.Sprint(c["value"])] != strings.ToLower(r.Text("location")):
				report(r, "lies in %q, its bucket in %q", r.Text("location"), buckets[fmt.Sprint(c["value"])])
			}
		}
		if r.Text("service_account") == "" {
			report(r, "calls without an account of its own")
		}
	}
}

// deadLetters checks that what is given up is kept: the topic has a subscription, and Pub/Sub's agent may write to the one
// and take from the other.
func (p *Plan) deadLetters(report reporter) {
	for _, r := range p.Of("google_pubsub_subscription") {
		dead := name(r.Text("dead_letter_policy.0.dead_letter_topic"))
		if len(r.Get("dead_letter_policy.0")) == 0 || dead == "" {
			continue
		}
		kept := slices.ContainsFunc(p.Of("google_pubsub_subscription"), func(s *Resource) bool { return name(s.Text("topic")) == dead })
		if !kept {
			report(r, "the dead-letter topic %s has no subscription: what is given up is lost", dead)
		}
		for role, on := range map[string]string{"roles/pubsub.publisher": "topic " + dead, "roles/pubsub.subscriber": "subscription " + r.Text("name")} {
			if !slices.ContainsFunc(p.Grants(), func(g Grant) bool {
				return g.Role == role && g.Resource == on && strings.Contains(g.Principal, "@gcp-sa-pubsub.iam.gserviceaccount.com")
			}) {
				report(r, "Pub/Sub's agent lacks %s on %s", role, on)
			}
		}
	}
}
