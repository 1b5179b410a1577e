package doctor

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// checkPush reads the subscription that delivers uploads. A wrong account or audience shows as 401 or 403 in the logs of
// onupload, and as silence everywhere else.
func checkPush(ctx context.Context, p *probe) []Finding {
	var s struct {
		State, Topic     string
		ExpirationPolicy struct{ TTL string }
		PushConfig       struct {
			PushEndpoint string
			OidcToken    struct{ ServiceAccountEmail, Audience string }
		}
	}
	if err := p.api.call(ctx, subscription, p.at("subscription", pushName), nil, nil, &s); status(err) == http.StatusNotFound {
		if p.eventarc(ctx) {
			return good("uploads come by Eventarc")
		}
		return []Finding{fail(p.apply(), "there is no subscription %s: uploads are delivered to nobody", pushName)}
	} else if err != nil {
		return p.unread(err, "the subscription "+pushName)
	}
	var problems []Finding
	if !strings.HasSuffix(s.Topic, "/topics/"+topic) {
		problems = append(problems, fail(p.apply("gcloud pubsub subscriptions delete "+pushName+" --project="+p.project), "%s hangs on %s, expected the topic %s", pushName, s.Topic, topic))
	}
	if to, ok := p.services[onUpload]; ok {
		right := append([]string{to.URI}, to.URLs...)
		token := s.PushConfig.OidcToken
		if !slices.Contains(right, token.Audience) || token.ServiceAccountEmail != p.email(pushAccount) || !startsWithAny(s.PushConfig.PushEndpoint, right) {
			problems = append(problems, fail(do(fmt.Sprintf("gcloud pubsub subscriptions modify-push-config %s --project=%s --push-endpoint=%s/projects/%s/topics/%s --push-auth-service-account=%s --push-auth-token-audience=%s",
				pushName, p.project, to.URI, p.project, topic, p.email(pushAccount), to.URI)),
				"%s pushes to %s as %s for %s; onupload answers 401 or 403", pushName, or(s.PushConfig.PushEndpoint, "no address"), or(token.ServiceAccountEmail, "no account"), or(token.Audience, "no audience")))
		}
	}
	if s.ExpirationPolicy.TTL != "" {
		problems = append(problems, warn(do("gcloud pubsub subscriptions update "+pushName+" --expiration-period=never --project="+p.project), "%s is deleted after %s without a message", pushName, s.ExpirationPolicy.TTL))
	}
	if s.State == "RESOURCE_ERROR" {
		problems = append(problems, fail(do("gcloud pubsub subscriptions describe "+pushName+" --project="+p.project), "%s cannot deliver", pushName))
	}
	return orGood(problems, "%s pushes to onupload as %s", pushName, p.email(pushAccount))
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func startsWithAny(s string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return p != "" && strings.HasPrefix(s, p) })
}

// checkDeadLetters looks for what keeps uploads that could not be delivered: the policy, both grants of Pub/Sub's agent,
// and a subscription of the dead topic, which keeps nothing without one.
func checkDeadLetters(ctx context.Context, p *probe) []Finding {
	var push, dead struct {
		DeadLetterPolicy struct{ DeadLetterTopic string }
		ExpirationPolicy struct{ TTL string }
	}
	if err := p.api.call(ctx, subscription, p.at("subscription", pushName), nil, nil, &push); status(err) == http.StatusNotFound {
		return skip("there is no subscription %s", pushName)
	} else if err != nil {
		return p.unread(err, "the subscription "+pushName)
	}
	var problems []Finding
	if !strings.HasSuffix(push.DeadLetterPolicy.DeadLetterTopic, "/topics/"+deadTopic) {
		problems = append(problems, fail(do(fmt.Sprintf("gcloud pubsub subscriptions update %s --project=%s --dead-letter-topic=%s --max-delivery-attempts=10", pushName, p.project, deadTopic)), "%s has no dead-letter topic: what cannot be delivered is lost", pushName))
	}
	switch err := p.api.call(ctx, subscription, p.at("subscription", deadTopic), nil, nil, &dead); {
	case status(err) == http.StatusNotFound:
		problems = append(problems, fail(do(fmt.Sprintf("gcloud pubsub subscriptions create %s --project=%s --topic=%s --expiration-period=never", deadTopic, p.project, deadTopic)), "the topic %s has no subscription: what it is sent is lost", deadTopic))
	case err != nil:
		return p.unread(err, "the subscription "+deadTopic)
	case dead.ExpirationPolicy.TTL != "":
		problems = append(problems, warn(do("gcloud pubsub subscriptions update "+deadTopic+" --expiration-period=never --project="+p.project), "the subscription %s is deleted after %s without a message", deadTopic, dead.ExpirationPolicy.TTL))
	}
	for _, grant := range []struct {
		endpoint
		kind, key, name, role, why string
	}{
		{topicPolicy, "topics", "topic", deadTopic, "roles/pubsub.publisher", "dead letters cannot be put there"},
		{subPolicy, "subscriptions", "subscription", pushName, "roles/pubsub.subscriber", "dead letters cannot be taken from there"},
	} {
		var answer policy
		if err := p.api.call(ctx, grant.endpoint, p.at(grant.key, grant.name), queryVersion3(), nil, &answer); status(err) == http.StatusNotFound {
			problems = append(problems, fail(p.apply(), "there is no %s %s", grant.key, grant.name))
		} else if err != nil {
			return p.unread(err, "who may use the "+grant.key+" "+grant.name)
		} else if member := p.agent("gcp-sa-pubsub"); !answer.has(member, grant.role) {
			problems = append(problems, fail(do(fmt.Sprintf("gcloud pubsub %s add-iam-policy-binding %s --project=%s --member=%s --role=%s", grant.kind, grant.name, p.project, member, grant.role)),
				"%s has no %s on %s: %s", strings.TrimPrefix(member, "serviceAccount:"), grant.role, grant.name, grant.why))
		}
	}
	return orGood(problems, "what cannot be delivered is kept in %s", deadTopic)
}
