package doctor

import (
	"net/http"
	"net/url"
	"strings"
)

// endpoint is one method of an API, its path with {variables}. A test holds each against Google's discovery documents.
type endpoint struct{ host, method, path string }

var (
	getProject     = endpoint{"cloudresourcemanager.googleapis.com", http.MethodGet, "v3/projects/{project}"}
	projectPolicy  = endpoint{"cloudresourcemanager.googleapis.com", http.MethodPost, "v3/projects/{project}:getIamPolicy"}
	projectTest    = endpoint{"cloudresourcemanager.googleapis.com", http.MethodPost, "v3/projects/{project}:testIamPermissions"}
	billing        = endpoint{"cloudbilling.googleapis.com", http.MethodGet, "v1/projects/{project}/billingInfo"}
	apis           = endpoint{"serviceusage.googleapis.com", http.MethodGet, "v1/projects/{project}/services:batchGet"}
	quota          = endpoint{"serviceusage.googleapis.com", http.MethodGet, "v1beta1/projects/{project}/services/{service}/consumerQuotaMetrics/{metric}"}
	getBucket      = endpoint{"storage.googleapis.com", http.MethodGet, "storage/v1/b/{bucket}"}
	notifications  = endpoint{"storage.googleapis.com", http.MethodGet, "storage/v1/b/{bucket}/notificationConfigs"}
	objects        = endpoint{"storage.googleapis.com", http.MethodGet, "storage/v1/b/{bucket}/o"}
	database       = endpoint{"firestore.googleapis.com", http.MethodGet, "v1/projects/{project}/databases/{database}"}
	indexes        = endpoint{"firestore.googleapis.com", http.MethodGet, "v1/projects/{project}/databases/{database}/collectionGroups/{collection}/indexes"}
	repositories   = endpoint{"artifactregistry.googleapis.com", http.MethodGet, "v1/projects/{project}/locations/{region}/repositories"}
	jobs           = endpoint{"cloudscheduler.googleapis.com", http.MethodGet, "v1/projects/{project}/locations/{region}/jobs"}
	runServices    = endpoint{"run.googleapis.com", http.MethodGet, "v2/projects/{project}/locations/{region}/services"}
	servicePolicy  = endpoint{"run.googleapis.com", http.MethodGet, "v2/projects/{project}/locations/{region}/services/{service}:getIamPolicy"}
	subscription   = endpoint{"pubsub.googleapis.com", http.MethodGet, "v1/projects/{project}/subscriptions/{subscription}"}
	subPolicy      = endpoint{"pubsub.googleapis.com", http.MethodGet, "v1/projects/{project}/subscriptions/{subscription}:getIamPolicy"}
	topicPolicy    = endpoint{"pubsub.googleapis.com", http.MethodGet, "v1/projects/{project}/topics/{topic}:getIamPolicy"}
	triggers       = endpoint{"eventarc.googleapis.com", http.MethodGet, "v1/projects/{project}/locations/{region}/triggers"}
	accounts       = endpoint{"iam.googleapis.com", http.MethodGet, "v1/projects/{project}/serviceAccounts"}
	accountPolicy  = endpoint{"iam.googleapis.com", http.MethodPost, "v1/projects/{project}/serviceAccounts/{account}:getIamPolicy"}
	accountTest    = endpoint{"iam.googleapis.com", http.MethodPost, "v1/projects/{project}/serviceAccounts/{account}:testIamPermissions"}
	pools          = endpoint{"iam.googleapis.com", http.MethodGet, "v1/projects/{project}/locations/global/workloadIdentityPools"}
	poolProviders  = endpoint{"iam.googleapis.com", http.MethodGet, "v1/projects/{project}/locations/global/workloadIdentityPools/{pool}/providers"}
	modelEndpoints = endpoint{"{region}-aiplatform.googleapis.com", http.MethodGet, "v1/projects/{project}/locations/{region}/endpoints"}
)

// locationsOf are the lists of regions that the services work in.
var locationsOf = []endpoint{
	{"run.googleapis.com", http.MethodGet, "v1/projects/{project}/locations"},
	{"aiplatform.googleapis.com", http.MethodGet, "v1/projects/{project}/locations"},
	{"cloudscheduler.googleapis.com", http.MethodGet, "v1/projects/{project}/locations"},
	{"firestore.googleapis.com", http.MethodGet, "v1/projects/{project}/locations"},
	{"artifactregistry.googleapis.com", http.MethodGet, "v1/projects/{project}/locations"},
}

// fill puts the variables in, each as one path segment.
func (e endpoint) fill(vars map[string]string) (host, path string) {
	host, path = e.host, e.path
	for k, v := range vars {
		host = strings.ReplaceAll(host, "{"+k+"}", v)
		path = strings.ReplaceAll(path, "{"+k+"}", url.PathEscape(v))
	}
	return host, path
}

// at are the variables that every path of the project takes, and more in pairs.
func (p *probe) at(more ...string) map[string]string {
	vars := map[string]string{"project": p.project, "region": p.region}
	for i := 0; i < len(more); i += 2 {
		vars[more[i]] = more[i+1]
	}
	return vars
}
