package doctor

import (
	"fmt"
	"net/http"
)

// What applies the infrastructure again, and what deploys.
const (
	plan = "TF_VAR_project=acme-prod TF_VAR_region=europe-west1 make plan-terraform STATE=acme-prod-terraform"
	act  = "make apply-terraform"

	deploys = "make deploy PROJECT=acme-prod REGION=europe-west1"
)

// stuckPoints are the places where people who set up such systems stop, each with the command that gets them on.
var stuckPoints = []brokenProject{
	// 1 The first apply on a new project: agents and their roles come late.
	{"no agent of Pub/Sub yet", drop(policyKey, "roles/pubsub.serviceAgent", agentOf("gcp-sa-pubsub")), "agents", Fail, "service-123@gcp-sa-pubsub.iam.gserviceaccount.com does not have roles/pubsub.serviceAgent", do(
		"gcloud beta services identity create --service=pubsub.googleapis.com --project=acme-prod",
		"gcloud projects add-iam-policy-binding acme-prod --member=serviceAccount:service-123@gcp-sa-pubsub.iam.gserviceaccount.com --role=roles/pubsub.serviceAgent --condition=None",
		"# wait a minute or two until the roles hold everywhere, then", plan, act)},
	{"Eventarc chosen, and its agent late", drop(policyKey, "roles/eventarc.serviceAgent", agentOf("gcp-sa-eventarc")), "agents", Fail, "gcp-sa-eventarc", do(
		"gcloud beta services identity create --service=eventarc.googleapis.com --project=acme-prod",
		"gcloud projects add-iam-policy-binding acme-prod --member=serviceAccount:service-123@gcp-sa-eventarc.iam.gserviceaccount.com --role=roles/eventarc.serviceAgent --condition=None",
		"# wait a minute or two until the roles hold everywhere, then", plan, act)},
	{"no agent of Cloud Scheduler", drop(policyKey, "roles/cloudscheduler.serviceAgent", agentOf("gcp-sa-cloudscheduler")), "agents", Fail, "gcp-sa-cloudscheduler", do(
		"gcloud beta services identity create --service=cloudscheduler.googleapis.com --project=acme-prod",
		"gcloud projects add-iam-policy-binding acme-prod --member=serviceAccount:service-123@gcp-sa-cloudscheduler.iam.gserviceaccount.com --role=roles/cloudscheduler.serviceAgent --condition=None",
		"# wait a minute or two until the roles hold everywhere, then", plan, act)},
	{"Cloud Storage may not publish", drop(get("pubsub", "v1/projects/acme-prod/topics/uploads:getIamPolicy"), "roles/pubsub.publisher", agentOf("gs-project-accounts")), "publisher", Fail, "uploads are not heard of", do(
		"gcloud storage service-agent --project=acme-prod",
		"gcloud pubsub topics add-iam-policy-binding uploads --project=acme-prod --member=serviceAccount:service-123@gs-project-accounts.iam.gserviceaccount.com --role=roles/pubsub.publisher")},
	{"nothing was applied", func(w world) {
		w[servicesKey] = object{}
		delete(w, get("storage", "storage/v1/b/acme-prod-artifacts"))
	}, "infrastructure", Fail, "nothing of Millrace is in acme-prod, region europe-west1, yet", do("gcloud storage buckets create gs://acme-prod-terraform --project=acme-prod --location=europe-west1 --uniform-bucket-level-access --public-access-prevention", plan, act)},
	{"APIs are off", all(apiOff("run.googleapis.com"), apiOff("aiplatform.googleapis.com")), "apis", Fail, "not enabled: aiplatform.googleapis.com, run.googleapis.com", do(
		"gcloud services enable aiplatform.googleapis.com run.googleapis.com --project=acme-prod")},
	{"no billing account", with(get("cloudbilling", "v1/projects/acme-prod/billingInfo"), func(o object) { o["billingEnabled"] = false }), "billing", Fail, "no billing account", do(
		"gcloud billing accounts list", "gcloud billing projects link acme-prod --billing-account=ACCOUNT")},

	// 2 The first run on Vertex: its agent for containers is only made then.
	{"Vertex has not made its agent", drop(policyKey, "roles/aiplatform.customCodeServiceAgent", agentOf("gcp-sa-aiplatform-cc")), "step-agent", Warn, "does not have permission to access Artifact Registry repository", do(
		"gcloud beta services identity create --service=aiplatform.googleapis.com --project=acme-prod",
		"# if this is still here afterwards: a job that does nothing makes the account (about a minute of one small machine is billed)",
		"gcloud ai custom-jobs create --project=acme-prod --region=europe-west1 --display-name=make-service-agent --worker-pool-spec=machine-type=e2-standard-4,replica-count=1,container-image-uri=us-docker.pkg.dev/cloudrun/container/job:latest",
		"gcloud artifacts repositories add-iam-policy-binding images --project=acme-prod --location=europe-west1 --member=serviceAccount:service-123@gcp-sa-aiplatform-cc.iam.gserviceaccount.com --role=roles/artifactregistry.reader")},

	// 3 "You do not have permission to act as service_account".
	{"batchtrigger may not act as the runner", drop(post("iam", "v1/projects/acme-prod/serviceAccounts/"+mail("pipeline-runner")+":getIamPolicy"), actAs, sa("batchtrigger")), "act-as", Fail, "batchtrigger may not act as pipeline-runner", do(
		"gcloud iam service-accounts add-iam-policy-binding pipeline-runner@acme-prod.iam.gserviceaccount.com --project=acme-prod --member=serviceAccount:batchtrigger@acme-prod.iam.gserviceaccount.com --role=roles/iam.serviceAccountUser")},
	{"the deployer may not act as a service", drop(post("iam", "v1/projects/acme-prod/serviceAccounts/"+mail("predict-bike-demand")+":getIamPolicy"), actAs, sa("deployer")), "act-as", Fail, "deployer may not act as predict-bike-demand", do(
		"gcloud iam service-accounts add-iam-policy-binding predict-bike-demand@acme-prod.iam.gserviceaccount.com --project=acme-prod --member=serviceAccount:deployer@acme-prod.iam.gserviceaccount.com --role=roles/iam.serviceAccountUser")},
	{"a person may not act as a service", with(post("iam", "v1/projects/acme-prod/serviceAccounts/"+mail("onupload")+":testIamPermissions"), func(o object) { delete(o, "permissions") }), "own-act-as", Warn, "may not act as onupload: make deploy from here would be refused", do(
		"# only if this account shall deploy from its own machine",
		`gcloud iam service-accounts add-iam-policy-binding onupload@acme-prod.iam.gserviceaccount.com --project=acme-prod --member="user:$(gcloud config get account)" --role=roles/iam.serviceAccountUser`)},

	{"the deployer may not deploy", drop(policyKey, "roles/run.sourceDeveloper", sa("deployer")), "deployer", Fail, "deployer may not deploy from source", do(
		"gcloud projects add-iam-policy-binding acme-prod --member=serviceAccount:deployer@acme-prod.iam.gserviceaccount.com --role=roles/run.sourceDeveloper --condition=None")},
	{"the build account may not build", drop(policyKey, "roles/run.builder", sa("builder")), "deployer", Fail, "builder may not build", do(
		"gcloud projects add-iam-policy-binding acme-prod --member=serviceAccount:builder@acme-prod.iam.gserviceaccount.com --role=roles/run.builder --condition=None")},

	// 4 Pub/Sub gets 401 or 403 of the function.
	{"the push account is not let in", drop(get("run", "v2/"+at+"/services/onupload:getIamPolicy"), "roles/run.servicesInvoker", sa("onupload-push")), "callers", Fail, "may not call onupload: it gets 403", do(
		"gcloud run services add-iam-policy-binding onupload --region=europe-west1 --project=acme-prod --member=serviceAccount:onupload-push@acme-prod.iam.gserviceaccount.com --role=roles/run.servicesInvoker")},
	{"the push has no identity", with(pushKey, func(o object) { delete(o["pushConfig"].(object), "oidcToken") }), "push", Fail, "as no account for no audience; onupload answers 401 or 403", pushFix},
	{"the push names another audience", with(pushKey, func(o object) { set(o, "pushConfig.oidcToken.audience", "https://onupload-old.a.run.app") }), "push", Fail, "for https://onupload-old.a.run.app", pushFix},
	{"the ticks have no identity", jobIs("drain", "httpTarget.oidcToken", object{}), "schedules", Fail, "drain calls https://batchtrigger-abc-ew.a.run.app/ as no account for no audience", do(
		"gcloud scheduler jobs update http drain --location=europe-west1 --project=acme-prod --oidc-service-account-email=batchtrigger-tick@acme-prod.iam.gserviceaccount.com --oidc-token-audience=https://batchtrigger-abc-ew.a.run.app")},

	// 5 Sign-in from GitHub with the wrong repository.
	{"another repository signs in", with(deployerKey, func(o object) {
		o["bindings"] = bindings("roles/iam.workloadIdentityUser", "principalSet://iam.googleapis.com/projects/123/locations/global/workloadIdentityPools/github/attribute.repository/acme/old")["bindings"]
	}), "github", Fail, "the repository acme/models may not sign in as deployer; allowed: attribute.repository/acme/old", do(
		"gcloud iam service-accounts add-iam-policy-binding deployer@acme-prod.iam.gserviceaccount.com --project=acme-prod --member=principalSet://iam.googleapis.com/projects/123/locations/global/workloadIdentityPools/github/attribute.repository/acme/models --role=roles/iam.workloadIdentityUser", lasting)},
	{"the provider's condition names another repository", with(get("iam", "v1/projects/acme-prod/locations/global/workloadIdentityPools/github/providers"), func(o object) {
		of(o, "workloadIdentityPoolProviders", "actions")["attributeCondition"] = "assertion.repository == 'other/models' && assertion.repository_id == '9'"
	}), "github", Fail, "does not name acme/models", do(
		`gcloud iam workload-identity-pools providers update-oidc actions --workload-identity-pool=github --location=global --project=acme-prod --attribute-condition="assertion.repository == 'acme/models' && assertion.ref == 'refs/heads/main' && assertion.event_name == 'push'"`, lasting)},

	// 7 Something that others are expected to have made is missing: a bucket, a database, a role.
	{"a bucket is missing", without(get("storage", "storage/v1/b/acme-prod-staging")), "buckets", Fail, "gs://acme-prod-staging does not exist", do(plan, act)},
	{"the database is missing", without(get("firestore", "v1/projects/acme-prod/databases/(default)")), "database", Fail, "there is no database (default)", do(plan, act)},
	{"the runner has no role on Vertex", drop(policyKey, "roles/aiplatform.user", sa("pipeline-runner")), "submitters", Fail, "pipeline-runner has no role on Vertex", do(
		"gcloud projects add-iam-policy-binding acme-prod --member=serviceAccount:pipeline-runner@acme-prod.iam.gserviceaccount.com --role=roles/aiplatform.user --condition=None")},
	{"an account is missing", with(get("iam", "v1/projects/acme-prod/serviceAccounts"), func(o object) { o["accounts"] = o["accounts"].(things)[1:] }), "accounts", Fail, "the account pipeline-runner does not exist", do(plan, act)},

	// 8 The quota of CPUs.
	{"few CPUs on Vertex", func(w world) {
		w[get("serviceusage", "v1beta1/projects/acme-prod/services/aiplatform.googleapis.com/consumerQuotaMetrics/aiplatform.googleapis.com%2Fcustom_model_training_cpus")] = quotaOf("aiplatform.googleapis.com/custom_model_training_cpus", "1/{project}/{region}", "8")
	}, "vertex-cpus", Warn, "Vertex gives 8 CPUs in europe-west1, a large run of bike-demand takes 16 at once", do(
		"gcloud alpha services quota update --service=aiplatform.googleapis.com --consumer=projects/acme-prod --metric=aiplatform.googleapis.com/custom_model_training_cpus --unit=1/{project}/{region} --dimensions=region=europe-west1 --value=16",
		"# or ask at https://console.cloud.google.com/iam-admin/quotas?project=acme-prod",
		"# or lower batch.parallelism or batch.machine.cpu in models/bike-demand/model.yaml")},
	{"few CPUs on Cloud Run", func(w world) {
		w[get("serviceusage", "v1beta1/projects/acme-prod/services/run.googleapis.com/consumerQuotaMetrics/run.googleapis.com%2Fcpu_allocation")] = quotaOf("run.googleapis.com/cpu_allocation", "1/{project}/{region}", "2000")
	}, "run-cpus", Warn, "Cloud Run gives 2 CPUs in europe-west1, the real-time models at their most take 10", do(
		"gcloud alpha services quota update --service=run.googleapis.com --consumer=projects/acme-prod --metric=run.googleapis.com/cpu_allocation --unit=1/{project}/{region} --dimensions=region=europe-west1 --value=10000",
		"# or ask at https://console.cloud.google.com/iam-admin/quotas?project=acme-prod",
		"# or lower realtime.scale.max in the manifests")},

	// 11 Machines of Vertex endpoints bill while nobody asks.
	{"a model on an endpoint", with(get("europe-west1-aiplatform", "v1/"+at+"/endpoints"), func(o object) {
		of(o, "endpoints", "9")["deployedModels"] = things{object{"id": "77", "displayName": "old"}}
	}), "endpoints", Warn, "bills by the hour also while nobody asks", do("# only if nobody needs it", "gcloud ai endpoints undeploy-model 9 --deployed-model-id=77 --region=europe-west1 --project=acme-prod")},
}

var pushFix = do("gcloud pubsub subscriptions modify-push-config uploads-push --project=acme-prod --push-endpoint=https://onupload-abc-ew.a.run.app/projects/acme-prod/topics/uploads --push-auth-service-account=onupload-push@acme-prod.iam.gserviceaccount.com --push-auth-token-audience=https://onupload-abc-ew.a.run.app")

func logsOf(service string) string {
	return fmt.Sprintf("gcloud run services logs read %s --region=europe-west1 --project=acme-prod --limit=50", service)
}

var readerFix = do(
	`gcloud projects add-iam-policy-binding acme-prod --member="user:$(gcloud config get account)" --role=roles/viewer --condition=None`,
	`gcloud projects add-iam-policy-binding acme-prod --member="user:$(gcloud config get account)" --role=roles/iam.securityReviewer --condition=None`)

var unavailable = refused(jobsKey, http.StatusServiceUnavailable, "")
