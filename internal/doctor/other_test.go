package doctor

import "net/http"

// otherFaults are what else goes wrong with a project, each as it is reported.
var otherFaults = []brokenProject{
	{"the project is not to be seen", refused(get("cloudresourcemanager", "v3/projects/acme-prod"), http.StatusForbidden, ""), "state", Fail, "acme-prod does not exist, or whoever is signed in may not see it", do("gcloud projects list", "gcloud config set account ACCOUNT")},
	{"the project's quota may not be used", refused(get("cloudresourcemanager", "v3/projects/acme-prod"), http.StatusForbidden, "USER_PROJECT_DENIED"), "state", Fail, "may not use the quota of acme-prod", do("# an owner of the project runs",
		`gcloud projects add-iam-policy-binding acme-prod --member="user:$(gcloud config get account)" --role=roles/serviceusage.serviceUsageConsumer --condition=None`, "# or, to look with another account:", "gcloud auth application-default login")},
	{"Vertex is not in the region", with("GET /aiplatform.googleapis.com/v1/projects/acme-prod/locations", func(o object) { o["locations"] = things{} }), "endpoints", Skip, "because of locations", nil},
	{"the branch main signs in", signsIn("principal", "subject/repo:acme/models:ref:refs/heads/main", "assertion.repository_id == '123'"), "github", OK, "acme/models signs in by the pool github", nil},
	{"a repository signs in by its number", signsIn("principalSet", "attribute.repository_id/123", `assertion.repository_owner == "acme"`), "github", OK, "acme/models signs in by the pool github", nil},
	{"a repository of nearly that name signs in", signsIn("principalSet", "attribute.repository/x-acme/models2", "assertion.repository == 'acme/models'"), "github", Fail, "allowed: attribute.repository/x-acme/models2", do(
		"gcloud iam service-accounts add-iam-policy-binding deployer@acme-prod.iam.gserviceaccount.com --project=acme-prod --member=principalSet://iam.googleapis.com/projects/123/locations/global/workloadIdentityPools/github/attribute.repository/acme/models --role=roles/iam.workloadIdentityUser", lasting)},
	{"the project is being deleted", with(get("cloudresourcemanager", "v3/projects/acme-prod"), func(o object) { o["state"] = "DELETE_REQUESTED" }), "state", Fail, "acme-prod is delete requested", do("gcloud projects undelete acme-prod")},
	{"the first API is off", refused(get("cloudresourcemanager", "v3/projects/acme-prod"), http.StatusForbidden, "SERVICE_DISABLED"), "state", Fail, "cloudresourcemanager.googleapis.com is not enabled", do("gcloud services enable cloudresourcemanager.googleapis.com --project=acme-prod")},
	{"the credentials have run out", refused(policyKey, http.StatusUnauthorized, ""), "policy", Fail, "does not take the credentials any more (401)", do("gcloud auth login", "gcloud auth application-default login")},
	{"billing may not be read", refused(get("cloudbilling", "v1/projects/acme-prod/billingInfo"), http.StatusForbidden, ""), "billing", Skip, "not allowed to read it", readerFix},
	{"billing cannot be asked", refused(get("cloudbilling", "v1/projects/acme-prod/billingInfo"), http.StatusForbidden, "SERVICE_DISABLED"), "billing", Skip, "gcloud billing projects describe acme-prod shows it", nil},
	{"policies may not be read", refused(policyKey, http.StatusForbidden, ""), "agents", Skip, "because of policy", nil},
	{"an API is off", apiOff("cloudscheduler.googleapis.com"), "schedules", Skip, "because cloudscheduler.googleapis.com is not enabled", nil},
	{"a service is down", unavailable, "schedules", Fail, "cloudscheduler.googleapis.com answered 503: it is refused", nil},
	{"a service is not in the region", with("GET /aiplatform.googleapis.com/v1/projects/acme-prod/locations", func(o object) {
		o["locations"] = things{object{"locationId": "us-central1"}, object{"locationId": "europe-west4"}}
	}), "locations", Fail, "europe-west1 has no aiplatform.googleapis.com", do("# regions that have all of them: europe-west4, us-central1", "bin/millrace doctor --region europe-west4")},
	{"the project is open", with(policyKey, func(o object) {
		o["bindings"] = append(o["bindings"].(things), object{"role": "roles/viewer", "members": things{"allAuthenticatedUsers"}})
	}), "policy", Fail, "allAuthenticatedUsers has roles/viewer on the whole project", do("gcloud projects remove-iam-policy-binding acme-prod --member=allAuthenticatedUsers --role=roles/viewer --all")},
	{"the runner is an editor", with(policyKey, func(o object) {
		o["bindings"] = append(o["bindings"].(things), object{"role": "roles/editor", "members": things{sa("pipeline-runner")}})
	}), "policy", Warn, "every step of every pipeline may do nearly everything", do("gcloud projects remove-iam-policy-binding acme-prod --member=serviceAccount:pipeline-runner@acme-prod.iam.gserviceaccount.com --role=roles/editor --all")},
	{"who asks may not apply", with(post("cloudresourcemanager", "v3/projects/acme-prod:testIamPermissions"), func(o object) { o["permissions"] = o["permissions"].(things)[1:] }), "powers", Warn, "missing: serviceusage.services.enable", do(
		"# only if this account shall apply the infrastructure; an owner of the project runs",
		`gcloud projects add-iam-policy-binding acme-prod --member="user:$(gcloud config get account)" --role=roles/serviceusage.serviceUsageAdmin --condition=None`)},
	{"an account is disabled", with(get("iam", "v1/projects/acme-prod/serviceAccounts"), func(o object) { o["accounts"].(things)[1].(object)["disabled"] = true }), "accounts", Fail, "the account deployer is disabled", do("gcloud iam service-accounts enable deployer@acme-prod.iam.gserviceaccount.com --project=acme-prod")},
	{"a function may not record runs", drop(policyKey, "roles/datastore.user", sa("pipeline-runner")), "submitters", Fail, "pipeline-runner has no role on Firestore", do(plan, act)},

	{"a bucket is elsewhere", bucketIs("inbox", "location", "US"), "buckets", Fail, "gs://acme-prod-inbox is in us, expected europe-west1", do(
		"gcloud storage buckets relocate gs://acme-prod-inbox --location=europe-west1", "# or look at the region of the bucket:", "bin/millrace doctor --region us")},
	{"a bucket is another's", refused(get("storage", "storage/v1/b/acme-prod-inbox"), http.StatusForbidden, ""), "buckets", Fail, "is another project's", do(
		"gcloud storage buckets describe gs://acme-prod-inbox", "# if it belongs to another project, choose other names with the variable bucket_prefix, then", plan, act)},
	{"a bucket has object rights", bucketIs("outbox", "iamConfiguration.uniformBucketLevelAccess.enabled", false), "buckets", Fail, "no uniform access", do("gcloud storage buckets update gs://acme-prod-outbox --uniform-bucket-level-access")},
	{"a bucket may be opened", bucketIs("artifacts", "iamConfiguration.publicAccessPrevention", "inherited"), "buckets", Fail, "may be made public", do("gcloud storage buckets update gs://acme-prod-artifacts --public-access-prevention")},
	{"the inbox tells nobody", with(get("storage", "storage/v1/b/acme-prod-inbox/notificationConfigs"), func(o object) { delete(o, "items") }), "notification", Fail, "tells nobody of uploads", do(plan, act)},
	{"the inbox tells of deletions", with(get("storage", "storage/v1/b/acme-prod-inbox/notificationConfigs"), func(o object) {
		o["items"].(things)[0].(object)["event_types"] = things{"OBJECT_DELETE"}
	}), "notification", Fail, "tells nobody of uploads", do(plan, act)},
	{"no topic", without(get("pubsub", "v1/projects/acme-prod/topics/uploads:getIamPolicy")), "publisher", Fail, "the topic uploads does not exist", do(plan, act)},

	{"no subscription", without(pushKey), "push", Fail, "uploads are delivered to nobody", do(plan, act)},
	{"a subscription of a deleted topic", with(pushKey, func(o object) { o["topic"] = "_deleted-topic_" }), "push", Fail, "hangs on _deleted-topic_", do("gcloud pubsub subscriptions delete uploads-push --project=acme-prod", plan, act)},
	{"a subscription that expires", with(pushKey, func(o object) { o["expirationPolicy"] = object{"ttl": "2678400s"} }), "push", Warn, "is deleted after 2678400s", do("gcloud pubsub subscriptions update uploads-push --expiration-period=never --project=acme-prod")},
	{"a subscription in error", with(pushKey, func(o object) { o["state"] = "RESOURCE_ERROR" }), "push", Fail, "cannot deliver", do("gcloud pubsub subscriptions describe uploads-push --project=acme-prod")},
	{"no dead-letter topic", with(pushKey, func(o object) { delete(o, "deadLetterPolicy") }), "dead-letters", Fail, "what cannot be delivered is lost", do(
		"gcloud pubsub subscriptions update uploads-push --project=acme-prod --dead-letter-topic=uploads-dead --max-delivery-attempts=10")},
	{"a dead topic that nobody keeps", without(get("pubsub", "v1/projects/acme-prod/subscriptions/uploads-dead")), "dead-letters", Fail, "the topic uploads-dead has no subscription", do(
		"gcloud pubsub subscriptions create uploads-dead --project=acme-prod --topic=uploads-dead --expiration-period=never")},
	{"Pub/Sub may not publish dead letters", drop(get("pubsub", "v1/projects/acme-prod/topics/uploads-dead:getIamPolicy"), "roles/pubsub.publisher", agentOf("gcp-sa-pubsub")), "dead-letters", Fail, "dead letters cannot be put there", do(
		"gcloud pubsub topics add-iam-policy-binding uploads-dead --project=acme-prod --member=serviceAccount:service-123@gcp-sa-pubsub.iam.gserviceaccount.com --role=roles/pubsub.publisher")},
	{"Pub/Sub may not take dead letters", drop(get("pubsub", "v1/projects/acme-prod/subscriptions/uploads-push:getIamPolicy"), "roles/pubsub.subscriber", agentOf("gcp-sa-pubsub")), "dead-letters", Fail, "dead letters cannot be taken from there", do(
		"gcloud pubsub subscriptions add-iam-policy-binding uploads-push --project=acme-prod --member=serviceAccount:service-123@gcp-sa-pubsub.iam.gserviceaccount.com --role=roles/pubsub.subscriber")},
	{"no dead topic", without(get("pubsub", "v1/projects/acme-prod/topics/uploads-dead:getIamPolicy")), "dead-letters", Fail, "there is no topic uploads-dead", do(plan, act)},

	{"the database is in Datastore mode", databaseIs("type", "DATASTORE_MODE"), "database", Fail, "is in datastore mode mode, expected native", do("# a database that is used otherwise keeps its mode; choose another one with the variable firestore_database, then", plan, act)},
	{"the database is elsewhere", databaseIs("locationId", "nam5"), "database", Warn, "is in nam5, not in europe-west1", do("# a database cannot move; choose another one with the variable firestore_database, then", plan, act)},
	{"the database may be deleted", databaseIs("deleteProtectionState", "DELETE_PROTECTION_DISABLED"), "database", Warn, "can be deleted by one command", do("gcloud firestore databases update --database='(default)' --delete-protection --project=acme-prod")},
	{"the database has no past", databaseIs("pointInTimeRecoveryEnablement", "POINT_IN_TIME_RECOVERY_DISABLED"), "database", Warn, "as it was an hour ago", do("gcloud firestore databases update --database='(default)' --enable-pitr --project=acme-prod")},
	{"an index is missing", indexesAre(func(all things) things { return all[1:] }), "indexes", Fail, "the index (model ascending, created descending) is missing", do(
		"gcloud firestore indexes composite create --project=acme-prod --database='(default)' --collection-group=runs --query-scope=collection --field-config=field-path=model,order=ascending --field-config=field-path=created,order=descending")},
	{"an index is being built", indexesAre(func(all things) things { all[0].(object)["state"] = "CREATING"; return all }), "indexes", Warn, "is being built", do("gcloud firestore indexes composite list --project=acme-prod --database='(default)'")},
	{"an index needs repair", indexesAre(func(all things) things { all[0].(object)["state"] = "NEEDS_REPAIR"; return all }), "indexes", Fail, "needs repair", do(
		"gcloud firestore indexes composite list --project=acme-prod --database='(default)'", "# delete the one in need of repair, then", plan, act)},

	{"a repository is missing", registryIs(func(all things) things { return all[1:] }), "registry", Fail, "there is no repository functions in europe-west1", do(plan, act)},
	{"a repository of another format", registryIs(func(all things) things { all[0].(object)["format"] = "NPM"; return all }), "registry", Fail, "holds NPM, expected Docker images", do("gcloud artifacts repositories describe functions --location=europe-west1 --project=acme-prod")},
	{"tags of functions may not move", registryIs(func(all things) things {
		all[0].(object)["dockerConfig"] = object{"immutableTags": true}
		return all
	}), "registry", Fail, "the second deployment of a function fails", do("gcloud artifacts repositories update functions --no-immutable-tags --location=europe-west1 --project=acme-prod")},
	{"tags of the step image may move", registryIs(func(all things) things { delete(all[1].(object), "dockerConfig"); return all }), "registry", Warn, "lets tags move", do("gcloud artifacts repositories update images --immutable-tags --location=europe-west1 --project=acme-prod")},

	{"a model without a service", with(servicesKey, func(o object) { o["services"] = o["services"].(things)[:2] }), "services", Fail, "predict-bike-demand does not exist", do(plan, act, deploys)},
	{"a service runs the placeholder", with(servicesKey, func(o object) {
		t := of(o, "services", "predict-bike-demand")["template"].(object)
		delete(t, "labels")
		t["containers"] = things{object{"image": "us-docker.pkg.dev/cloudrun/container/hello"}}
	}), "services", Fail, "predict-bike-demand still runs the placeholder", do(deploys)},
	{"a service runs another placeholder", serviceIs("onupload", "template", object{"containers": things{object{"image": "registry.example/hello"}}}), "services", Fail, "onupload still runs the placeholder", do(deploys)},
	{"nobody may be asked who exists", refused(get("iam", "v1/projects/acme-prod/serviceAccounts"), http.StatusForbidden, ""), "act-as", OK, "grants to act as another account", nil},
	{"the project's state is not known", refused(get("cloudresourcemanager", "v3/projects/acme-prod"), http.StatusServiceUnavailable, ""), "act-as", Skip, "because of state", nil},
	{"a revision is not ready", serviceIs("onupload", "terminalCondition", object{"type": "Ready", "state": "CONDITION_FAILED", "message": "The user-provided container failed to start"}), "services", Fail, "the newest revision of onupload is not ready: The user-provided", do(logsOf("onupload"))},
	{"a service runs as another account", with(servicesKey, func(o object) { delete(of(o, "services", "onupload")["template"].(object), "serviceAccount") }), "services", Fail, "onupload runs as the default account of Compute Engine", do(
		"gcloud run services update onupload --service-account=onupload@acme-prod.iam.gserviceaccount.com --region=europe-west1 --project=acme-prod")},
	{"a service of a model that is gone", with(servicesKey, func(o object) { o["services"] = append(o["services"].(things), deployed("predict-old")) }), "services", Warn, "predict-old is there, but the checkout has no such real-time model", do(plan, act)},
	{"a service is public", with(get("run", "v2/"+at+"/services/predict-bike-demand:getIamPolicy"), func(o object) {
		o["bindings"] = append(o["bindings"].(things), object{"role": "roles/run.invoker", "members": things{"allUsers"}})
	}), "callers", Fail, "predict-bike-demand lets allUsers in", do("gcloud run services remove-iam-policy-binding predict-bike-demand --region=europe-west1 --project=acme-prod --member=allUsers --role=roles/run.invoker")},
	{"a service checks nobody", serviceIs("predict-bike-demand", "invokerIamDisabled", true), "callers", Fail, "lets everybody in", do("gcloud run services update predict-bike-demand --invoker-iam-check --region=europe-west1 --project=acme-prod")},
	{"the deployer may not ask a new revision", drop(get("run", "v2/"+at+"/services/batchtrigger:getIamPolicy"), "roles/run.servicesInvoker", sa("deployer")), "callers", Fail, "may not call batchtrigger: it gets 403", do(
		"gcloud run services add-iam-policy-binding batchtrigger --region=europe-west1 --project=acme-prod --member=serviceAccount:deployer@acme-prod.iam.gserviceaccount.com --role=roles/run.servicesInvoker")},
	{"a caller of the manifest is not let in", drop(get("run", "v2/"+at+"/services/predict-bike-demand:getIamPolicy"), "roles/run.servicesInvoker", "serviceAccount:shop@example.iam.gserviceaccount.com"), "callers", Fail, "serviceAccount:shop@example.iam.gserviceaccount.com may not call predict-bike-demand", do(
		"gcloud run services add-iam-policy-binding predict-bike-demand --region=europe-west1 --project=acme-prod --member=serviceAccount:shop@example.iam.gserviceaccount.com --role=roles/run.servicesInvoker")},

	{"a schedule without a job", with(jobsKey, func(o object) { o["jobs"] = o["jobs"].(things)[1:] }), "schedules", Fail, "there is no job bike-demand-nightly", do(plan, act)},
	{"a job is paused", jobIs("reconcile", "state", "PAUSED"), "schedules", Warn, "reconcile is paused", do("gcloud scheduler jobs resume reconcile --location=europe-west1 --project=acme-prod")},
	{"a job at another time", jobIs("bike-demand-nightly", "schedule", "0 0 * * *"), "schedules", Fail, `runs at "0 0 * * *" in America/New_York, the manifest says "15 2 * * *"`, do(plan, act)},
	{"the last tick failed", jobIs("drain", "status", object{"code": 7, "message": "denied"}), "schedules", Warn, "the last tick of drain failed with code 7 denied", do(logsOf("batchtrigger"), "gcloud scheduler jobs run drain --location=europe-west1 --project=acme-prod")},
	{"a model is not released", with(get("storage", "storage/v1/b/acme-prod-artifacts/o"), func(o object) { delete(o, "items") }), "released", Fail, "bike-demand is not released", do(deploys)},
	{"a model is released that is gone", with(get("storage", "storage/v1/b/acme-prod-artifacts/o"), func(o object) { o["items"] = append(o["items"].(things), object{"name": "released/old.json"}) }), "released", Warn, "released/old.json is released, but", do("gcloud storage rm gs://acme-prod-artifacts/released/old.json")},
	{"a quota that is not told", without(get("serviceusage", "v1beta1/projects/acme-prod/services/run.googleapis.com/consumerQuotaMetrics/run.googleapis.com%2Fcpu_allocation")), "run-cpus", Skip, "says nothing of cpu_allocation", nil},
	{"Eventarc in place of the subscription", all(without(pushKey), with(get("eventarc", "v1/"+at+"/triggers"), func(o object) {
		o["triggers"] = things{object{"name": at + "/triggers/onupload", "destination": object{"cloudRun": object{"service": "onupload", "region": region}}}}
	})), "push", OK, "uploads come by Eventarc", nil},
	{"Eventarc without a publisher", with(get("eventarc", "v1/"+at+"/triggers"), func(o object) {
		o["triggers"] = things{object{"name": at + "/triggers/onupload", "destination": object{"cloudRun": object{"service": "onupload", "region": region}}}}
	}), "publisher", Fail, "may not publish: Eventarc gets no upload", do("gcloud storage service-agent --project=acme-prod",
		"gcloud projects add-iam-policy-binding acme-prod --member=serviceAccount:service-123@gs-project-accounts.iam.gserviceaccount.com --role=roles/pubsub.publisher --condition=None", plan, act)},
}

// signsIn is a deployer that this caller of the pool may act as, under this condition.
func signsIn(kind, who, condition string) func(world) {
	return all(with(deployerKey, func(o object) {
		o["bindings"] = bindings("roles/iam.workloadIdentityUser", kind+"://iam.googleapis.com/projects/123/locations/global/workloadIdentityPools/github/"+who)["bindings"]
	}), with(get("iam", "v1/projects/acme-prod/locations/global/workloadIdentityPools/github/providers"), func(o object) {
		of(o, "workloadIdentityPoolProviders", "actions")["attributeCondition"] = condition
	}))
}

func databaseIs(key, value string) func(world) {
	return with(get("firestore", "v1/projects/acme-prod/databases/(default)"), func(o object) { o[key] = value })
}

func indexesAre(change func(things) things) func(world) {
	return with(get("firestore", "v1/projects/acme-prod/databases/(default)/collectionGroups/runs/indexes"), func(o object) { o["indexes"] = change(o["indexes"].(things)) })
}

func registryIs(change func(things) things) func(world) {
	return with(get("artifactregistry", "v1/"+at+"/repositories"), func(o object) { o["repositories"] = change(o["repositories"].(things)) })
}
