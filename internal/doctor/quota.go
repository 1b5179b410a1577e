package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/millrace-ml/millrace/shared/manifest"
)

// limit is one quota of the region, with the unit that a request to raise it names.
type limit struct {
	value int64 // -1 is none
	unit  string
}

// quotaOf reads a quota of the region.
func (p *probe) quotaOf(ctx context.Context, service, metric string) (*limit, error) {
	var answer struct {
		ConsumerQuotaLimits []struct {
			Unit         string
			QuotaBuckets []struct {
				EffectiveLimit string
				Dimensions     map[string]string
			}
		}
	}
	if err := p.api.call(ctx, quota, p.at("service", service, "metric", service+"/"+metric), nil, nil, &answer); err != nil {
		return nil, err
	}
	var found *limit
	for _, l := range answer.ConsumerQuotaLimits {
		if !strings.Contains(l.Unit, "{region}") {
			continue
		}
		for _, b := range l.QuotaBuckets {
			n, err := strconv.ParseInt(b.EffectiveLimit, 10, 64)
			if err == nil && (b.Dimensions["region"] == p.region || len(b.Dimensions) == 0 && found == nil) {
				found = &limit{n, l.Unit}
			}
		}
	}
	return found, nil
}

// raise is the command that asks for more of a quota.
func (p *probe) raise(service, metric, unit string, value int64) string {
	return fmt.Sprintf("gcloud alpha services quota update --service=%s --consumer=projects/%s --metric=%s/%s --unit=%s --dimensions=region=%s --value=%d", service, p.project, service, metric, unit, p.region, value)
}

// askQuota is where a person asks, when gcloud has no alpha commands.
func (p *probe) askQuota() string {
	return "# or ask at https://console.cloud.google.com/iam-admin/quotas?project=" + p.project
}

// checkTrainingCPUs compares the CPUs that Vertex gives to containers with what one run of the largest batch model wants at
// once. Steps of a pipeline count as custom training.
func checkTrainingCPUs(ctx context.Context, p *probe) []Finding {
	const service, metric = "aiplatform.googleapis.com", "custom_model_training_cpus"
	var need int64
	var by string
	for _, m := range p.serving(manifest.ServeBatch) {
		if n := int64(math.Ceil(m.Batch.Machine.CPU)) * int64(m.Batch.Parallelism); n > need {
			need, by = n, m.Name
		}
	}
	if need == 0 {
		return good("no batch model, nothing runs on Vertex")
	}
	q, err := p.quotaOf(ctx, service, metric)
	switch {
	case status(err) == http.StatusNotFound || err == nil && q == nil:
		return skip("%s says nothing of %s in %s", service, metric, p.region)
	case err != nil:
		return p.unread(err, "the quota of CPUs on Vertex")
	case q.value >= 0 && q.value < need:
		return []Finding{warn(do(p.raise(service, metric, q.unit, need), p.askQuota(), "# or lower batch.parallelism or batch.machine.cpu in models/"+by+"/model.yaml"),
			"Vertex gives %d CPUs in %s, a large run of %s takes %d at once: its tasks wait or fail with RESOURCE_EXHAUSTED", q.value, p.region, by, need)}
	}
	return good("Vertex gives %s CPUs in %s, a large run of %s takes %d", number(q.value), p.region, by, need)
}

func number(n int64) string {
	if n < 0 {
		return "unlimited"
	}
	return strconv.FormatInt(n, 10)
}

// checkInstances compares the CPUs that Cloud Run gives with what all real-time models at their most would take.
func checkInstances(ctx context.Context, p *probe) []Finding {
	const service, metric = "run.googleapis.com", "cpu_allocation" // in thousandths of a CPU
	var need int64
	models := p.serving(manifest.ServeRealtime)
	for _, m := range models {
		cpu, err := strconv.ParseFloat(m.Realtime.CPU, 64)
		if err != nil {
			cpu = 1
		}
		need += int64(math.Ceil(cpu * 1000 * float64(m.Realtime.Scale.Max)))
	}
	q, err := p.quotaOf(ctx, service, metric)
	switch {
	case status(err) == http.StatusNotFound || err == nil && q == nil:
		return skip("%s says nothing of %s in %s", service, metric, p.region)
	case err != nil:
		return p.unread(err, "the quota of CPUs on Cloud Run")
	case q.value >= 0 && q.value < need:
		return []Finding{warn(do(p.raise(service, metric, q.unit, need), p.askQuota(), "# or lower realtime.scale.max in the manifests"),
			"Cloud Run gives %d CPUs in %s, the real-time models at their most take %d: instances beyond that do not start", q.value/1000, p.region, need/1000)}
	}
	return good("Cloud Run gives %s thousandths of a CPU in %s, the real-time models at their most take %d", number(q.value), p.region, need)
}

// checkEndpoints looks for models on Vertex endpoints, which Millrace makes none of: their machines bill while nobody asks.
func checkEndpoints(ctx context.Context, p *probe) []Finding {
	var problems []Finding
	err := p.api.pages(ctx, modelEndpoints, p.at(), nil, func(raw json.RawMessage) (string, error) {
		var page struct {
			Endpoints []struct {
				Name, DisplayName string
				DeployedModels    []struct{ ID string }
			}
			NextPageToken string
		}
		err := json.Unmarshal(raw, &page)
		for _, e := range page.Endpoints {
			id := e.Name[strings.LastIndex(e.Name, "/")+1:]
			for _, m := range e.DeployedModels {
				problems = append(problems, warn(do("# only if nobody needs it", fmt.Sprintf("gcloud ai endpoints undeploy-model %s --deployed-model-id=%s --region=%s --project=%s", id, m.ID, p.region, p.project)),
					"the endpoint %s keeps a machine for a model, which bills by the hour also while nobody asks; Millrace needs none", e.DisplayName))
			}
		}
		return page.NextPageToken, err
	})
	if err != nil {
		return p.unread(err, "the endpoints of Vertex")
	}
	return orGood(problems, "no machine of a Vertex endpoint bills while nobody asks")
}
