package deploy

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/api/monitoring/v3"
	"google.golang.org/api/option"

	"github.com/millrace-ml/millrace/shared/cloud"
	"github.com/millrace-ml/millrace/shared/fault"
)

const monitorLimit = 30 * time.Second

// watcher asks Cloud Monitoring how revisions of a service do. It opens its client at the first question, with the
// credentials that Google's clients find.
type watcher struct {
	project, service string
	endpoint         string // host:port of another server than Google's; loopback
	now              func() time.Time
}

// samples are the requests of two revisions: of the old one since the deployment began to shift traffic, of the new one
// since its share was last raised.
func (w *watcher) samples(ctx context.Context, before, after string, began, since time.Time) (old, fresh sample, err error) {
	ctx, cancel := context.WithTimeout(ctx, monitorLimit)
	defer cancel()
	client, err := w.open(ctx)
	if err != nil {
		return old, fresh, err
	}
	if old, err = w.sample(ctx, client, before, began); err != nil {
		return old, fresh, err
	}
	fresh, err = w.sample(ctx, client, after, since)
	return old, fresh, err
}

func (w *watcher) open(ctx context.Context) (*monitoring.Service, error) {
	if w.endpoint == "" {
		return monitoring.NewService(ctx, option.WithScopes(monitoring.MonitoringReadScope))
	}
	if problems := (&cloud.Endpoints{Vertex: w.endpoint}).Valid(); len(problems) > 0 { // the same rule for every endpoint
		return nil, fault.New(fault.Invalid, nil, "the endpoint of Cloud Monitoring is %q, which is not loopback", w.endpoint)
	}
	return monitoring.NewService(ctx, option.WithEndpoint("http://"+w.endpoint+"/"), option.WithoutAuthentication())
}

// sample reads the counts by class of response and the latencies of one revision. Both metrics come once a minute, so
// that a window without a whole minute has none.
func (w *watcher) sample(ctx context.Context, client *monitoring.Service, revision string, from time.Time) (sample, error) {
	until := w.now()
	period := max(int(until.Sub(from).Seconds()), 60)
	query := func(metric, reducer string, group ...string) ([]*monitoring.TimeSeries, error) {
		filter := fmt.Sprintf(`metric.type = "run.googleapis.com/%s" AND resource.type = "cloud_run_revision" AND resource.labels.service_name = %q AND resource.labels.revision_name = %q`, metric, w.service, revision)
		answer, err := client.Projects.TimeSeries.List("projects/" + w.project).Context(ctx).Filter(filter).
			IntervalStartTime(until.Add(-time.Duration(period) * time.Second).UTC().Format(time.RFC3339)).IntervalEndTime(until.UTC().Format(time.RFC3339)).
			AggregationAlignmentPeriod(strconv.Itoa(period) + "s").AggregationPerSeriesAligner("ALIGN_DELTA").
			AggregationCrossSeriesReducer(reducer).AggregationGroupByFields(group...).Do()
		if err != nil {
			return nil, fmt.Errorf("metric %s: %w", metric, err)
		}
		return answer.TimeSeries, nil
	}
	var out sample
	counts, err := query("request_count", "REDUCE_SUM", "metric.labels.response_code_class")
	if err != nil {
		return out, err
	}
	for _, series := range counts {
		for _, p := range series.Points {
			if p.Value == nil || p.Value.Int64Value == nil {
				continue
			}
			n := int(*p.Value.Int64Value)
			out.requests += n
			if strings.HasPrefix(series.Metric.Labels["response_code_class"], "5") {
				out.errors += n
			}
		}
	}
	latencies, err := query("request_latencies", "REDUCE_PERCENTILE_95", "resource.labels.revision_name")
	if err != nil {
		return out, err
	}
	for _, series := range latencies {
		for _, p := range series.Points {
			if p.Value != nil && p.Value.DoubleValue != nil {
				out.latency = max(out.latency, time.Duration(*p.Value.DoubleValue*float64(time.Millisecond)))
			}
		}
	}
	return out, nil
}
