package doctor

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace-ml/millrace/shared/ledger"
)

const (
	project = "acme-prod"
	region  = "europe-west1"
	token   = "ya29.secret"
	at      = "projects/" + project + "/locations/" + region
	uri     = "https://%s-abc-ew.a.run.app"
)

// object is an answer in the form of JSON; the tests change single places of it.
type object = map[string]any

type things = []any

// world is what a project answers: by method, host and path. A string or an int in place of an object is an HTTP status
// with that reason.
type world map[string]any

func get(host, path string) string  { return "GET /" + host + ".googleapis.com/" + path }
func post(host, path string) string { return "POST /" + host + ".googleapis.com/" + path }

func bindings(pairs ...string) object {
	var all things
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, object{"role": pairs[i], "members": things{pairs[i+1]}})
	}
	return object{"version": 3, "etag": "BwX=", "bindings": all}
}

func sa(id string) string   { return "serviceAccount:" + mail(id) }
func mail(id string) string { return id + "@" + project + ".iam.gserviceaccount.com" }
func agentOf(host string) string {
	return "serviceAccount:service-123@" + host + ".iam.gserviceaccount.com"
}

func deployed(name string) object {
	return object{"name": at + "/services/" + name, "uri": fmt.Sprintf(uri, name), "urls": things{"https://" + name + "-123." + region + ".run.app", fmt.Sprintf(uri, name)},
		"labels": object{"managed-by": "millrace"}, "latestReadyRevision": at + "/services/" + name + "/revisions/" + name + "-00002-abc",
		"terminalCondition": object{"type": "Ready", "state": "CONDITION_SUCCEEDED"},
		"template":          object{"serviceAccount": mail(name), "labels": object{"unit-hash": strings.Repeat("a", 40)}, "containers": things{object{"image": region + "-docker.pkg.dev/" + project + "/functions/" + name + "@sha256:00"}}}}
}

func tick(name, cron, zone string) object {
	return object{"name": at + "/jobs/" + name, "schedule": cron, "timeZone": zone, "state": "ENABLED", "lastAttemptTime": "2026-01-01T02:15:00Z",
		"httpTarget": object{"uri": fmt.Sprintf(uri, "batchtrigger") + "/", "httpMethod": "POST", "oidcToken": object{"serviceAccountEmail": mail("batchtrigger-tick"), "audience": fmt.Sprintf(uri, "batchtrigger")}}}
}

func closedBucket() object {
	return object{"kind": "storage#bucket", "location": strings.ToUpper(region), "locationType": "region",
		"iamConfiguration": object{"publicAccessPrevention": "enforced", "uniformBucketLevelAccess": object{"enabled": true}}}
}

func quotaOf(metric, unit, value string) object {
	return object{"name": "projects/123/services/s/consumerQuotaMetrics/m", "metric": metric, "consumerQuotaLimits": things{object{"unit": unit, "metric": metric,
		"quotaBuckets": things{object{"effectiveLimit": "1", "defaultLimit": "1"}, object{"effectiveLimit": value, "defaultLimit": "42", "dimensions": object{"region": region}}}}}}
}

// healthy is a project in which everything is as it should be, for the model bike-demand.
func healthy() world {
	services := []string{"onupload", "batchtrigger", "predict-bike-demand"}
	w := world{
		get("cloudresourcemanager", "v3/projects/"+project):                object{"name": "projects/123", "projectId": project, "state": "ACTIVE"},
		get("cloudbilling", "v1/projects/"+project+"/billingInfo"):         object{"billingEnabled": true, "billingAccountName": "billingAccounts/0-0-0", "projectId": project},
		get("eventarc", "v1/"+at+"/triggers"):                              object{},
		get("storage", "storage/v1/b/acme-prod-inbox/notificationConfigs"): object{"kind": "storage#notifications", "items": things{object{"id": "1", "topic": "//pubsub.googleapis.com/projects/acme-prod/topics/uploads", "event_types": things{"OBJECT_FINALIZE"}, "payload_format": "JSON_API_V1"}}},
		get("storage", "storage/v1/b/acme-prod-artifacts/o"):               object{"kind": "storage#objects", "items": things{object{"name": "released/bike-demand.json"}}},
		get("firestore", "v1/projects/acme-prod/databases/(default)"): object{"name": "projects/acme-prod/databases/(default)", "type": "FIRESTORE_NATIVE", "locationId": region,
			"deleteProtectionState": "DELETE_PROTECTION_ENABLED", "pointInTimeRecoveryEnablement": "POINT_IN_TIME_RECOVERY_ENABLED"},
		get("artifactregistry", "v1/"+at+"/repositories"): object{"repositories": things{
			object{"name": at + "/repositories/functions", "format": "DOCKER"}, object{"name": at + "/repositories/images", "format": "DOCKER", "dockerConfig": object{"immutableTags": true}}}},
		get("cloudscheduler", "v1/"+at+"/jobs"): object{"jobs": things{tick("bike-demand-nightly", "15 2 * * *", "America/New_York"), tick("drain", "* * * * *", "Etc/UTC"), tick("reconcile", "*/10 * * * *", "Etc/UTC")}},
		get("run", "v2/"+at+"/services"):        object{"services": things{deployed("onupload"), deployed("batchtrigger"), deployed("predict-bike-demand")}},
		get("pubsub", "v1/projects/acme-prod/subscriptions/uploads-push"): object{"name": "projects/acme-prod/subscriptions/uploads-push", "topic": "projects/acme-prod/topics/uploads", "state": "ACTIVE", "expirationPolicy": object{},
			"deadLetterPolicy": object{"deadLetterTopic": "projects/acme-prod/topics/uploads-dead", "maxDeliveryAttempts": 10},
			"pushConfig":       object{"pushEndpoint": fmt.Sprintf(uri, "onupload") + "/projects/acme-prod/topics/uploads", "oidcToken": object{"serviceAccountEmail": mail("onupload-push"), "audience": fmt.Sprintf(uri, "onupload")}}},
		get("pubsub", "v1/projects/acme-prod/subscriptions/uploads-dead"):              object{"name": "projects/acme-prod/subscriptions/uploads-dead", "topic": "projects/acme-prod/topics/uploads-dead", "expirationPolicy": object{}},
		get("pubsub", "v1/projects/acme-prod/topics/uploads:getIamPolicy"):             bindings("roles/pubsub.publisher", agentOf("gs-project-accounts")),
		get("pubsub", "v1/projects/acme-prod/topics/uploads-dead:getIamPolicy"):        bindings("roles/pubsub.publisher", agentOf("gcp-sa-pubsub")),
		get("pubsub", "v1/projects/acme-prod/subscriptions/uploads-push:getIamPolicy"): bindings("roles/pubsub.subscriber", agentOf("gcp-sa-pubsub")),
		get("run", "v2/"+at+"/services/onupload:getIamPolicy"):                         bindings("roles/run.servicesInvoker", sa("onupload-push"), "roles/run.servicesInvoker", sa("deployer")),
		get("run", "v2/"+at+"/services/batchtrigger:getIamPolicy"):                     bindings("roles/run.invoker", sa("batchtrigger-tick"), "roles/run.servicesInvoker", sa("deployer")),
		get("run", "v2/"+at+"/services/predict-bike-demand:getIamPolicy"):              bindings("roles/run.servicesInvoker", "serviceAccount:shop@example.iam.gserviceaccount.com", "roles/run.servicesInvoker", sa("deployer")),
		get("iam", "v1/projects/acme-prod/locations/global/workloadIdentityPools"):     object{"workloadIdentityPools": things{object{"name": "projects/123/locations/global/workloadIdentityPools/github", "state": "ACTIVE"}}},
		get("iam", "v1/projects/acme-prod/locations/global/workloadIdentityPools/github/providers"): object{"workloadIdentityPoolProviders": things{object{
			"name": "projects/123/locations/global/workloadIdentityPools/github/providers/actions", "attributeCondition": "assertion.repository == 'acme/models'", "oidc": object{"issuerUri": "https://token.actions.githubusercontent.com"}}}},
		get("europe-west1-aiplatform", "v1/"+at+"/endpoints"): object{"endpoints": things{object{"name": at + "/endpoints/9", "displayName": "empty"}}},
		get("serviceusage", "v1beta1/projects/acme-prod/services/aiplatform.googleapis.com/consumerQuotaMetrics/aiplatform.googleapis.com%2Fcustom_model_training_cpus"): quotaOf("aiplatform.googleapis.com/custom_model_training_cpus", "1/{project}/{region}", "100"),
		get("serviceusage", "v1beta1/projects/acme-prod/services/run.googleapis.com/consumerQuotaMetrics/run.googleapis.com%2Fcpu_allocation"):                           quotaOf("run.googleapis.com/cpu_allocation", "1/{project}/{region}", "20000"),
	}
	for _, name := range []string{"acme-prod-inbox", "acme-prod-outbox", "acme-prod-staging", "acme-prod-artifacts", "run-sources-acme-prod-" + region} {
		w[get("storage", "storage/v1/b/"+name)] = closedBucket()
	}
	w.locations()
	w.indexes()
	w.accounts(services)
	w.policy()
	var enabled things
	for _, api := range append([]string{"eventarc.googleapis.com"}, wantAPIs...) {
		enabled = append(enabled, object{"name": "projects/123/services/" + api, "state": "ENABLED"})
	}
	w[get("serviceusage", "v1/projects/acme-prod/services:batchGet")] = object{"services": enabled}
	return w
}

func (w world) locations() {
	for _, e := range locationsOf {
		w["GET /"+e.host+"/v1/projects/acme-prod/locations"] = object{"locations": things{object{"locationId": region}, object{"locationId": "us-central1"}, object{"locationId": "europe-west4"}}}
	}
}

func (w world) indexes() {
	var want struct{ Indexes []object }
	if err := json.Unmarshal(ledger.Indexes(), &want); err != nil {
		panic(err)
	}
	var all things
	for i, x := range want.Indexes {
		fields := append(x["fields"].([]any), object{"fieldPath": "__name__", "order": "DESCENDING"})
		all = append(all, object{"name": fmt.Sprintf("projects/acme-prod/databases/(default)/collectionGroups/runs/indexes/%d", i), "queryScope": x["queryScope"], "state": "READY", "fields": fields})
	}
	w[get("firestore", "v1/projects/acme-prod/databases/(default)/collectionGroups/runs/indexes")] = object{"indexes": all}
}

func (w world) accounts(services []string) {
	var all things
	for _, id := range append([]string{"pipeline-runner", "deployer", "builder", "onupload-push", "batchtrigger-tick"}, services...) {
		all = append(all, object{"name": "projects/acme-prod/serviceAccounts/" + mail(id), "email": mail(id)})
	}
	for _, id := range append([]string{"builder"}, services...) {
		w[post("iam", "v1/projects/acme-prod/serviceAccounts/"+mail(id)+":testIamPermissions")] = object{"permissions": things{"iam.serviceAccounts.actAs"}}
		w[post("iam", "v1/projects/acme-prod/serviceAccounts/"+mail(id)+":getIamPolicy")] = bindings(actAs, sa("deployer"))
	}
	w[get("iam", "v1/projects/acme-prod/serviceAccounts")] = object{"accounts": all}
	w[post("iam", "v1/projects/acme-prod/serviceAccounts/"+mail("pipeline-runner")+":getIamPolicy")] = bindings(actAs, sa("onupload"), actAs, sa("batchtrigger"))
	w[post("iam", "v1/projects/acme-prod/serviceAccounts/"+mail("deployer")+":getIamPolicy")] = bindings("roles/iam.workloadIdentityUser",
		"principalSet://iam.googleapis.com/projects/123/locations/global/workloadIdentityPools/github/attribute.repository/acme/models")
}

func (w world) policy() {
	roles := []string{"roles/aiplatform.customCodeServiceAgent", agentOf("gcp-sa-aiplatform-cc"), "roles/aiplatform.user", sa("pipeline-runner"), "roles/datastore.user", sa("pipeline-runner"),
		"roles/run.sourceDeveloper", sa("deployer"), "roles/serviceusage.serviceUsageConsumer", sa("deployer"), "roles/logging.logWriter", sa("deployer"), "roles/run.builder", sa("builder"),
		"roles/storage.bucketViewer", sa("deployer"), "roles/monitoring.viewer", sa("deployer")}
	for _, a := range agents {
		roles = append(roles, a.role, agentOf(a.domain))
	}
	for _, id := range []string{"onupload", "batchtrigger"} {
		roles = append(roles, "projects/acme-prod/roles/pipelineSubmitter", sa(id), "roles/datastore.user", sa(id))
	}
	w[post("cloudresourcemanager", "v3/projects/acme-prod:getIamPolicy")] = bindings(roles...)
	var all things
	for _, p := range powers {
		all = append(all, p.permission)
	}
	w[post("cloudresourcemanager", "v3/projects/acme-prod:testIamPermissions")] = object{"permissions": all}
}

// refusal is an error as Google's APIs say it.
type refusal struct {
	status int
	reason string
}

// serve plays the world, and fails the test for a request that would change something or is not signed.
func (w world) serve(t *testing.T) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		path := r.URL.EscapedPath()
		if plain, err := url.PathUnescape(path); err == nil && !strings.Contains(path, "%2F") {
			path = plain
		}
		if r.Header.Get("Authorization") != "Bearer "+token {
			t.Errorf("%s is not signed", path)
		}
		if r.Method == http.MethodPost && !strings.HasSuffix(path, ":getIamPolicy") && !strings.HasSuffix(path, ":testIamPermissions") || r.Method != http.MethodPost && r.Method != http.MethodGet {
			t.Errorf("%s %s may change something", r.Method, path)
		}
		rw.Header().Set("Content-Type", "application/json")
		answer, ok := w[r.Method+" "+path]
		if !ok {
			answer = refusal{http.StatusNotFound, ""}
		}
		if e, bad := answer.(refusal); bad {
			details := things{}
			if e.reason != "" {
				details = append(details, object{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": e.reason, "domain": "googleapis.com"})
			}
			answer = object{"error": object{"code": e.status, "message": "it is refused", "status": "X", "details": details}}
			rw.WriteHeader(e.status)
		}
		if err := json.NewEncoder(rw).Encode(answer); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

// tools are programs that say their versions, on a PATH of their own.
func tools(t *testing.T, scripts map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	all := map[string]string{
		"git": `case "$1" in --version) echo "git version 2.43.0";; *) echo "https://github.com/acme/models.git";; esac`, "make": "echo GNU Make 4.3", "go": "echo go1.26.8", "terraform": "echo Terraform v1.11.4",
		"gcloud": `case "$1" in version) echo "Google Cloud SDK 528.0.0";; config) echo '{"core":{"account":"ada@example.com","project":"acme-prod"},"run":{"region":"europe-west1"}}';; auth) echo ` + token + `;; esac`,
	}
	maps.Copy(all, scripts)
	for name, script := range all {
		if script == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
