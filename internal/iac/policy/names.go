package policy

import (
	"fmt"
	"slices"
	"strings"
)

// regions are those of Cloud Run; every other service of the project is in all of them or in a multi-region around.
var regions = strings.Fields(`africa-south1 asia-east1 asia-east2 asia-northeast1 asia-northeast2 asia-northeast3 asia-south1 asia-south2
	asia-southeast1 asia-southeast2 asia-southeast3 australia-southeast1 australia-southeast2 europe-central2 europe-north1 europe-north2
	europe-southwest1 europe-west1 europe-west10 europe-west12 europe-west2 europe-west3 europe-west4 europe-west6 europe-west8 europe-west9
	me-central1 me-central2 me-west1 northamerica-northeast1 northamerica-northeast2 northamerica-south1 southamerica-east1 southamerica-west1
	us-central1 us-east1 us-east4 us-east5 us-south1 us-west1 us-west2 us-west3 us-west4`)

func region(v any) string {
	if slices.Contains(regions, fmt.Sprint(v)) {
		return ""
	}
	return "a region such as europe-west1"
}

// location also takes the multi-regions of storage and of the ledger. Cloud Storage answers in capitals.
func location(v any) string {
	s := strings.ToLower(fmt.Sprint(v))
	if region(s) == "" || slices.Contains([]string{"us", "eu", "asia", "nam5", "eur3"}, s) {
		return ""
	}
	return "a region such as europe-west1, or a multi-region"
}

func length(most int) test {
	return func(v any) string {
		if n := len(fmt.Sprint(v)); n > 0 && n <= most {
			return ""
		}
		return fmt.Sprintf("1 to %d bytes", most)
	}
}

// limits are the names that Google Cloud takes.
var limits = []field{
	{"google_cloud_run_v2_service", "name", pattern(`^[a-z]([a-z0-9-]{0,47}[a-z0-9])?$`, "a service's name of at most 49 characters"), true},
	{"google_service_account", "account_id", pattern(`^[a-z][a-z0-9-]{4,28}[a-z0-9]$`, "an id of 6 to 30 characters"), true},
	{"google_storage_bucket", "name", pattern(`^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$`, "3 to 63 lower-case letters, digits and ._-"), true},
	{"google_cloud_scheduler_job", "name", pattern(`^[A-Za-z0-9_-]{1,500}$`, "letters, digits, _ and -"), true},
	{"google_pubsub_topic", "name", pattern(`^[A-Za-z][A-Za-z0-9._~+%-]{2,254}$`, "3 to 255 characters from a letter on"), true},
	{"google_pubsub_subscription", "name", pattern(`^[A-Za-z][A-Za-z0-9._~+%-]{2,254}$`, "3 to 255 characters from a letter on"), true},
	{"google_artifact_registry_repository", "repository_id", pattern(`^[a-z][a-z0-9-]{0,61}[a-z0-9]$`, "at most 63 lower-case letters, digits and -"), true},
	{"google_project_iam_custom_role", "role_id", pattern(`^[A-Za-z0-9_.]{3,64}$`, "3 to 64 letters, digits, _ and ."), true},
	{"google_firestore_database", "name", pattern(`^(\(default\)|[a-z][a-z0-9-]{2,61}[a-z0-9])$`, "(default), or 4 to 63 lower-case letters, digits and -"), true},
	{"google_cloudbuild_trigger", "name", pattern(`^[A-Za-z0-9][A-Za-z0-9-]{0,62}[A-Za-z0-9]$`, "at most 64 letters, digits and -"), true},
	{"google_iam_workload_identity_pool", "workload_identity_pool_id", pattern(`^[a-z0-9-]{4,32}$`, "4 to 32 lower-case letters, digits and -"), true},
	{"google_iam_workload_identity_pool_provider", "workload_identity_pool_provider_id", pattern(`^[a-z0-9-]{4,32}$`, "4 to 32 lower-case letters, digits and -"), true},
	{"google_iam_workload_identity_pool_provider", "attribute_condition", pattern(`assertion\.repository(_id)?\s*==`, "a condition on the repository"), true},
	{"google_eventarc_trigger", "name", pattern(`^[a-z][a-z0-9-]{0,61}[a-z0-9]$`, "at most 63 lower-case letters, digits and -"), true},
	{"google_logging_metric", "name", pattern(`^[A-Za-z0-9_\-.,+!*',()%/]{1,100}$`, "at most 100 characters"), true},
	{"google_monitoring_alert_policy", "display_name", length(512), true},
	{"google_monitoring_alert_policy", "documentation.0.content", length(8192), true},
	{"google_monitoring_alert_policy", "conditions.*.condition_threshold.0.filter", length(2048), false},
}

// names checks that every name fits the limits of its service, and that no two resources of a type share one.
func (p *Plan) names(report reporter) {
	for _, f := range limits {
		first := map[string]string{}
		for _, r := range p.Of(f.kind) {
			found := r.Get(f.path)
			if len(found) == 0 && f.required {
				report(r, "%s is not set", f.path)
			}
			for _, v := range found {
				if want := f.test(v); want != "" {
					report(r, "%s is %q, expected %s", f.path, fmt.Sprint(v), want)
				}
				if other := first[fmt.Sprint(v)]; other != "" && f.path == "name" {
					report(r, "%s is %q, as that of %s", f.path, fmt.Sprint(v), other)
				}
				first[fmt.Sprint(v)] = r.Address
			}
		}
	}
}

// billed are the types that cost money and take labels.
var billed = map[string]string{
	"google_cloud_run_v2_service": "labels", "google_storage_bucket": "labels", "google_pubsub_topic": "labels",
	"google_pubsub_subscription": "labels", "google_artifact_registry_repository": "labels", "google_kms_crypto_key": "labels",
}

// labels checks that what bills says whose it is, and services of a model also which model's.
func (p *Plan) labels(report reporter) {
	for kind, path := range billed {
		for _, r := range p.Of(kind) {
			want := []string{"owner", "managed-by"}
			if strings.HasPrefix(r.Text("name"), "predict-") {
				want = append(want, "model")
			}
			for _, key := range want {
				value := r.Text(path + "." + key)
				if value == "" {
					report(r, "has no label %s", key)
				} else if expected := pattern(`^[a-z0-9_-]{1,63}$`, "at most 63 lower-case letters, digits, _ and -")(value); expected != "" {
					report(r, "label %s is %q, expected %s", key, value, expected)
				}
			}
		}
	}
}

// placeholders checks that the code of functions is left to deployments: their services begin with an image that sets no
// command, since gcloud run deploy --function refuses a service that has one.
func (p *Plan) placeholders(report reporter) {
	for _, r := range p.Of("google_cloud_run_v2_service") {
		if len(r.Get("template.0.containers.*.command.*"))+len(r.Get("template.0.containers.*.args.*")) > 0 {
			report(r, "the container sets a command, expected none")
		}
		if r.Text("template.0.containers.0.image") != "us-docker.pkg.dev/cloudrun/container/hello" {
			report(r, "the image is %q, expected the placeholder", r.Text("template.0.containers.0.image"))
		}
	}
}

// accounts checks that each function runs as an account that no other function has and that no caller is.
func (p *Plan) accounts(report reporter) {
	_, by := p.callers()
	first := map[string]string{}
	for _, r := range p.Of("google_cloud_run_v2_service") {
		email := r.Text("template.0.service_account")
		switch {
		case email == "":
			report(r, "runs as the project's default account, expected its own")
		case first[email] != "":
			report(r, "runs as %s, as %s does", email, first[email])
		case len(by["serviceAccount:"+email]) > 0:
			report(r, "runs as %s, which may call %q", email, by["serviceAccount:"+email])
		}
		first[email] = r.Text("name")
	}
}

// operators checks that no deployed service lets everybody cancel and start runs.
func (p *Plan) operators(report reporter) {
	for _, r := range p.Of("google_cloud_run_v2_service") {
		for _, v := range r.Get("template.0.containers.*.env.*") {
			if e, ok := v.(map[string]any); ok && e["name"] == "OPERATORS" && strings.Contains(fmt.Sprint(e["value"]), "*") {
				report(r, "OPERATORS is %q, expected people by name", fmt.Sprint(e["value"]))
			}
		}
	}
}
