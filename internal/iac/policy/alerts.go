package policy

import (
	"fmt"
	"regexp"
	"strings"
)

// named finds what the filter of a condition is about.
var named = regexp.MustCompile(`(metric\.type|resource\.labels\.[a-z_]+)="([^"]+)"`)

// alerts checks that every alert watches something that the plan makes, leads to a page and goes to its owner's channels.
func (p *Plan) alerts(report reporter) {
	made := map[string]map[string]bool{"metric.type": {}}
	for label, kind := range map[string]string{
		"service_name": "google_cloud_run_v2_service", "job_id": "google_cloud_scheduler_job", "subscription_id": "google_pubsub_subscription",
	} {
		names := map[string]bool{}
		for _, r := range p.Of(kind) {
			names[r.Text("name")] = true
		}
		made["resource.labels."+label] = names
	}
	if len(p.Of("google_eventarc_trigger")) > 0 {
		delete(made, "resource.labels.subscription_id") // Eventarc makes its own
	}
	for _, r := range p.Of("google_logging_metric") {
		made["metric.type"]["logging.googleapis.com/user/"+r.Text("name")] = true
	}
	for _, r := range p.Of("google_monitoring_alert_policy") {
		var filters []any
		for _, kind := range []string{"condition_threshold", "condition_absent"} {
			for _, path := range []string{"filter", "denominator_filter"} {
				filters = append(filters, r.Get("conditions.*."+kind+".*."+path)...)
			}
		}
		for _, filter := range filters {
			if !strings.Contains(fmt.Sprint(filter), "resource.type=") {
				report(r, "the filter %q names no resource type", filter)
			}
			for _, m := range named.FindAllStringSubmatch(fmt.Sprint(filter), -1) {
				if names := made[m[1]]; names != nil && !names[m[2]] && (m[1] != "metric.type" || strings.Contains(m[2], "/user/")) {
					report(r, "watches %s, which the plan does not make", m[2])
				}
			}
		}
		if alert := r.Text("user_labels.alert"); !strings.HasSuffix(r.Text("documentation.0.links.0.url"), "/docs/runbooks/"+alert+".md") || alert == "" {
			report(r, "links %q, expected docs/runbooks/%s.md", r.Text("documentation.0.links.0.url"), alert)
		}
		if r.Text("user_labels.owner") == "" {
			report(r, "says no owner")
		}
	}
}
