package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/millrace-ml/millrace/shared/manifest"
	"github.com/millrace-ml/millrace/shared/pipeline"
)

// kinds of buckets, as the parts of their names.
const (
	inbox     = "inbox"
	outbox    = "outbox"
	staging   = "staging"
	artifacts = "artifacts"
)

// bucket is what is read of one.
type bucket struct {
	Location         string
	IamConfiguration struct {
		PublicAccessPrevention   string
		UniformBucketLevelAccess struct{ Enabled bool }
	}
}

// checkBuckets reads the four buckets, and the one that gcloud puts sources into and would make with less care itself.
func checkBuckets(ctx context.Context, p *probe) []Finding {
	var problems []Finding
	names := []string{p.bucket(inbox), p.bucket(outbox), p.bucket(staging), p.bucket(artifacts), "run-sources-" + p.project + "-" + p.region}
	for _, name := range names {
		var b bucket
		switch err := p.api.call(ctx, getBucket, p.at("bucket", name), nil, nil, &b); {
		case status(err) == http.StatusNotFound:
			problems = append(problems, fail(p.apply(), "gs://%s does not exist", name))
		case status(err) == http.StatusForbidden && !disabled(err):
			problems = append(problems, fail(p.apply("gcloud storage buckets describe gs://"+name, "# if it belongs to another project, choose other names with the variable bucket_prefix, then"),
				"gs://%s is another project's, or %s may not read it", name, orSomeone(p.account)))
		case err != nil:
			return p.unread(err, "gs://"+name)
		default:
			problems = append(problems, p.bucketProblems(name, b)...)
		}
	}
	return orGood(problems, "%d in %s, uniform access, closed to the public", len(names), p.region)
}

func (p *probe) bucketProblems(name string, b bucket) []Finding {
	var problems []Finding
	if !strings.EqualFold(b.Location, p.region) {
		problems = append(problems, fail(do("gcloud storage buckets relocate gs://"+name+" --location="+p.region, "# or look at the region of the bucket:", "bin/millrace doctor --region "+strings.ToLower(b.Location)),
			"gs://%s is in %s, expected %s: data would cross regions, and triggers need the bucket's own", name, strings.ToLower(b.Location), p.region))
	}
	if !b.IamConfiguration.UniformBucketLevelAccess.Enabled {
		problems = append(problems, fail(do("gcloud storage buckets update gs://"+name+" --uniform-bucket-level-access"), "gs://%s has no uniform access: single objects may be open to others", name))
	}
	if b.IamConfiguration.PublicAccessPrevention != "enforced" {
		problems = append(problems, fail(do("gcloud storage buckets update gs://"+name+" --public-access-prevention"), "gs://%s may be made public", name))
	}
	return problems
}

// checkNotification looks for what tells of an upload. With Eventarc there is none of ours.
func checkNotification(ctx context.Context, p *probe) []Finding {
	if p.eventarc(ctx) {
		return good("uploads come by Eventarc")
	}
	var answer struct {
		Items []struct {
			Topic      string
			EventTypes []string `json:"event_types"`
		}
	}
	if err := p.api.call(ctx, notifications, p.at("bucket", p.bucket(inbox)), nil, nil, &answer); err != nil {
		return p.unread(err, "the notifications of gs://"+p.bucket(inbox))
	}
	for _, n := range answer.Items {
		if strings.HasSuffix(n.Topic, "/topics/"+topic) && (len(n.EventTypes) == 0 || slices.Contains(n.EventTypes, "OBJECT_FINALIZE")) {
			return good("gs://%s tells the topic %s", p.bucket(inbox), topic)
		}
	}
	return []Finding{fail(p.apply(), "gs://%s tells nobody of uploads: runs begin only with the reconcile sweep", p.bucket(inbox))}
}

// checkPublisher looks for the grant without which notifications are lost silently.
func checkPublisher(ctx context.Context, p *probe) []Finding {
	if p.eventarc(ctx) {
		member := p.agent("gs-project-accounts")
		if p.policy.has(member, "roles/pubsub.publisher") {
			return good("Cloud Storage may publish for Eventarc")
		}
		return []Finding{fail(p.apply("gcloud storage service-agent --project="+p.project, p.grant(member, "roles/pubsub.publisher")), "%s may not publish: Eventarc gets no upload", strings.TrimPrefix(member, "serviceAccount:"))}
	}
	var answer policy
	if err := p.api.call(ctx, topicPolicy, p.at("topic", topic), queryVersion3(), nil, &answer); status(err) == http.StatusNotFound {
		return []Finding{fail(p.apply(), "the topic %s does not exist", topic)}
	} else if err != nil {
		return p.unread(err, "who may publish to the topic "+topic)
	}
	member := p.agent("gs-project-accounts")
	if answer.has(member, "roles/pubsub.publisher") {
		return good("Cloud Storage may publish to the topic %s", topic)
	}
	return []Finding{fail(do("gcloud storage service-agent --project="+p.project,
		fmt.Sprintf("gcloud pubsub topics add-iam-policy-binding %s --project=%s --member=%s --role=roles/pubsub.publisher", topic, p.project, member)),
		"%s may not publish to the topic %s: uploads are not heard of", strings.TrimPrefix(member, "serviceAccount:"), topic)}
}

// eventarc says whether uploads come by Eventarc, which was chosen in place of the push subscription.
func (p *probe) eventarc(ctx context.Context) bool {
	if p.disabled["eventarc.googleapis.com"] {
		return false
	}
	found := false
	err := p.api.pages(ctx, triggers, p.at(), nil, func(raw json.RawMessage) (string, error) {
		var page struct {
			Triggers []struct {
				Destination struct{ CloudRun struct{ Service string } }
			}
			NextPageToken string
		}
		err := json.Unmarshal(raw, &page)
		for _, t := range page.Triggers {
			found = found || t.Destination.CloudRun.Service == onUpload
		}
		return page.NextPageToken, err
	})
	return err == nil && found
}

// checkReleased compares the pointers of the batch models with the checkout's models.
func checkReleased(ctx context.Context, p *probe) []Finding {
	have := map[string]bool{}
	name := p.bucket(artifacts)
	err := p.api.pages(ctx, objects, p.at("bucket", name), url.Values{"prefix": {"released/"}}, func(raw json.RawMessage) (string, error) {
		var page struct {
			Items         []struct{ Name string }
			NextPageToken string
		}
		err := json.Unmarshal(raw, &page)
		for _, o := range page.Items {
			have[o.Name] = true
		}
		return page.NextPageToken, err
	})
	if err != nil {
		return p.unread(err, "the released models in gs://"+name)
	}
	var problems []Finding
	models := p.serving(manifest.ServeBatch)
	for _, m := range models {
		pointer := pipeline.PointerObject(m.Name)
		if !have[pointer] {
			problems = append(problems, fail(do(p.deploy()), "%s is not released: its uploads and ticks start nothing", m.Name))
		}
		delete(have, pointer)
	}
	for o := range have {
		problems = append(problems, warn(do("gcloud storage rm gs://"+name+"/"+o), "gs://%s/%s is released, but the checkout has no such batch model", name, o))
	}
	slices.SortFunc(problems, func(a, b Finding) int { return strings.Compare(a.Message, b.Message) })
	return orGood(problems, "%d batch models", len(models))
}
