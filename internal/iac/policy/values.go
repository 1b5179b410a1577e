package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // time zones are judged the same on every machine

	"github.com/robfig/cron/v3"
)

// test says what would be right, or "" if the value is.
type test func(v any) (expected string)

// field is a value that the provider takes as it is and only Google Cloud would refuse.
type field struct {
	kind, path string
	test       test
	required   bool
}

var fields = []field{
	{"google_cloud_run_v2_service", "location", region, true},
	{"google_cloud_run_v2_service", "template.0.timeout", seconds(1, 3600), true},
	{"google_cloud_run_v2_service", "template.0.containers.*.resources.0.limits.cpu", pattern(`^([1-8]|0?\.[0-9]+|[1-9][0-9]{1,3}m)$`, "CPUs such as 1 or 500m"), false},
	{"google_cloud_run_v2_service", "template.0.containers.*.resources.0.limits.memory", pattern(`^[1-9][0-9]*(Ki|Mi|Gi|k|M|G)$`, "memory such as 512Mi"), false},
	{"google_cloud_run_v2_service", "template.0.max_instance_request_concurrency", number(0, 1000), false},
	{"google_cloud_run_v2_service", "build_config.0.base_image", baseImage, false},
	{"google_cloud_run_v2_service", "template.0.containers.*.base_image_uri", baseImage, false},
	{"google_cloud_run_v2_service", "deletion_protection", oneOf(true, false), true},
	{"google_cloudfunctions2_function", "build_config.0.runtime", oneOf("go125", "go126", "go127"), true},
	{"google_cloud_scheduler_job", "region", region, true},
	{"google_cloud_scheduler_job", "schedule", crontab, true},
	{"google_cloud_scheduler_job", "time_zone", timeZone, true},
	{"google_cloud_scheduler_job", "attempt_deadline", seconds(15, 1800), true},
	{"google_cloud_scheduler_job", "http_target.*.http_method", oneOf("GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS"), true},
	{"google_cloud_scheduler_job", "retry_config.0.retry_count", number(0, 5), false},
	{"google_cloud_scheduler_job", "retry_config.0.max_retry_duration", seconds(0, 86400), false},
	{"google_cloud_scheduler_job", "retry_config.0.min_backoff_duration", seconds(1, 3600), false},
	{"google_cloud_scheduler_job", "retry_config.0.max_backoff_duration", seconds(1, 3600), false},
	{"google_pubsub_topic", "message_retention_duration", seconds(600, 31*86400), false},
	{"google_pubsub_subscription", "ack_deadline_seconds", number(10, 600), true},
	{"google_pubsub_subscription", "message_retention_duration", seconds(600, 31*86400), false},
	{"google_pubsub_subscription", "retry_policy.0.minimum_backoff", seconds(0, 600), false},
	{"google_pubsub_subscription", "retry_policy.0.maximum_backoff", seconds(0, 600), false},
	{"google_pubsub_subscription", "expiration_policy.0.ttl", oneOf(""), true},
	{"google_pubsub_subscription", "dead_letter_policy.0.max_delivery_attempts", number(5, 100), false},
	{"google_storage_bucket", "location", location, true},
	{"google_storage_bucket", "uniform_bucket_level_access", oneOf(true), true},
	{"google_storage_bucket", "public_access_prevention", oneOf("enforced"), true},
	{"google_storage_bucket", "lifecycle_rule.*.action.0.type", oneOf("Delete", "SetStorageClass", "AbortIncompleteMultipartUpload"), false},
	{"google_storage_bucket", "soft_delete_policy.0.retention_duration_seconds", softDelete, false},
	{"google_storage_bucket", "force_destroy", oneOf(true, false), true},
	{"google_storage_notification", "event_types.*", oneOf("OBJECT_FINALIZE", "OBJECT_DELETE", "OBJECT_ARCHIVE", "OBJECT_METADATA_UPDATE"), true},
	{"google_storage_notification", "payload_format", oneOf("JSON_API_V1"), true},
	{"google_eventarc_trigger", "location", location, true},
	{"google_firestore_database", "location_id", location, true},
	{"google_firestore_database", "type", oneOf("FIRESTORE_NATIVE"), true},
	{"google_artifact_registry_repository", "location", location, true},
	{"google_artifact_registry_repository", "cleanup_policies.*.action", oneOf("DELETE", "KEEP"), true},
	{"google_artifact_registry_repository", "cleanup_policies.*.condition.0.older_than", seconds(1, 10*365*86400), false},
	{"google_cloudbuild_trigger", "location", region, true},
	{"google_cloudbuild_trigger", "service_account", pattern(`^projects/[^/]+/serviceAccounts/[^/]+$`, "an account of its own, as projects/P/serviceAccounts/EMAIL"), true},
	{"google_monitoring_alert_policy", "notification_channels.*", pattern(`.`, "a channel"), true},
	{"google_project_service", "disable_on_destroy", oneOf(false), true},
}

// values checks every field.
func (p *Plan) values(report reporter) {
	for _, f := range fields {
		for _, r := range p.Of(f.kind) {
			found := r.Get(f.path)
			if len(found) == 0 && f.required {
				report(r, "%s is not set", f.path)
			}
			for _, v := range found {
				if want := f.test(v); want != "" {
					report(r, "%s is %q, expected %s", f.path, fmt.Sprint(v), want)
				}
			}
		}
	}
}

func oneOf(values ...any) test {
	return func(v any) string {
		if slices.Contains(values, v) {
			return ""
		}
		return "one of " + strings.Trim(fmt.Sprintf("%q", values), "[]")
	}
}

func pattern(p, expected string) test {
	re := regexp.MustCompile(p)
	return func(v any) string {
		if s, ok := v.(string); ok && re.MatchString(s) {
			return ""
		}
		return expected
	}
}

// number accepts a number or its text.
func number(low, high float64) test {
	return func(v any) string {
		n, err := strconv.ParseFloat(fmt.Sprint(v), 64)
		if err == nil && n >= low && n <= high {
			return ""
		}
		return fmt.Sprintf("%g to %g", low, high)
	}
}

var wholeSeconds = regexp.MustCompile(`^\d+(\.\d+)?s$`)

// seconds accepts a duration as the services write it: 600s.
func seconds(low, high float64) test {
	return func(v any) string {
		s := fmt.Sprint(v)
		if wholeSeconds.MatchString(s) && number(low, high)(strings.TrimSuffix(s, "s")) == "" {
			return ""
		}
		return fmt.Sprintf("a duration from %gs to %gs", low, high)
	}
}

// softDelete accepts off, or 7 to 90 days.
func softDelete(v any) string {
	if number(0, 0)(v) == "" || number(7*86400, 90*86400)(v) == "" {
		return ""
	}
	return "0, or 604800 to 7776000 seconds"
}

// crontab accepts what Cloud Scheduler calls unix-cron.
func crontab(v any) string {
	if _, err := cron.ParseStandard(fmt.Sprint(v)); err != nil || strings.HasPrefix(fmt.Sprint(v), "@") {
		return "five fields of a crontab"
	}
	return ""
}

func timeZone(v any) string {
	if s := fmt.Sprint(v); s != "" && s != "Local" {
		if _, err := time.LoadLocation(s); err == nil {
			return ""
		}
	}
	return "an IANA time zone"
}

// baseImage accepts a runtime of the Go buildpack that is not near its end, short or long (Cloud Run: base images).
func baseImage(v any) string {
	return pattern(`^([a-z0-9-]+-docker\.pkg\.dev/serverless-runtimes/google-2[24](-full)?/runtimes/)?go12[567]$`, "a Go runtime such as go126")(v)
}
