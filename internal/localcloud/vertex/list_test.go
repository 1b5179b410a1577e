package vertex_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/api/iterator"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/millrace-ml/millrace/internal/localcloud/vertex"
)

// list asks for all pages and answers the ids.
func (c *cloud) list(r *aiplatformpb.ListPipelineJobsRequest) (ids []string, err error) {
	r.Parent = parent
	it := c.client.ListPipelineJobs(c.t.Context(), r)
	for {
		job, err := it.Next()
		if errors.Is(err, iterator.Done) {
			return ids, nil
		}
		if err != nil {
			return nil, err
		}
		ids = append(ids, job.Name[strings.LastIndex(job.Name, "/")+1:])
	}
}

// listed is a server with jobs job-0 … job-4, a second apart, all finished: the odd ones failed.
func listed(t *testing.T) *cloud {
	t.Helper()
	var mu sync.Mutex
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	c := open(t, func(o *vertex.Options) {
		o.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	})
	for i := range 5 {
		r := request(fmt.Sprint("job-", i), pipeline(t, fmt.Sprintf(`
pipelineInfo: {name: pipe-%d}
components: {a: {run: ['exit:%d']}}
root: {dag: {tasks: {a: {componentRef: {name: a}}}}}
`, i%3, i%2)), nil)
		r.PipelineJob.DisplayName = fmt.Sprintf("the %d. job", i)
		r.PipelineJob.Labels = map[string]string{"trigger": []string{"gcs", "tick"}[i%2], "n": fmt.Sprint(i)}
		if i == 4 {
			r.PipelineJob.Labels = map[string]string{"only-here": ""}
			r.PipelineJob.TemplateUri = "https://kfp.example/t/v1"
		}
		c.run(r)
		mu.Lock()
		now = now.Add(time.Second)
		mu.Unlock()
	}
	return c
}

func TestListFilters(t *testing.T) {
	t.Parallel()
	c := listed(t)
	for filter, want := range map[string]string{
		``:                                        "4 3 2 1 0",
		`pipeline_name="pipe-1"`:                  "4 1",
		`pipeline_name!="pipe-1"`:                 "3 2 0",
		`state="PIPELINE_STATE_FAILED"`:           "3 1",
		`state=PIPELINE_STATE_SUCCEEDED`:          "4 2 0",
		`state != "PIPELINE_STATE_FAILED"`:        "4 2 0",
		`display_name="the 2. job"`:               "2",
		`display_name!="the 2. job"`:              "4 3 1 0",
		`display_name:"*2*"`:                      "2",
		`display_name:"the*"`:                     "4 3 2 1 0",
		`display_name:"job"`:                      "",
		`pipeline_job_user_id:"job-*"`:            "4 3 2 1 0",
		`pipeline_job_user_id="job-3"`:            "3",
		`template_uri:"*/v1"`:                     "4",
		`template_uri!=""`:                        "4",
		`create_time>"2026-01-02T03:04:07Z"`:      "4 3",
		`create_time>="2026-01-02T03:04:07Z"`:     "4 3 2",
		`create_time<"2026-01-02T04:04:06+01:00"`: "0",
		`create_time="2026-01-02T03:04:06Z"`:      "1",
		`create_time!="2026-01-02T03:04:06Z"`:     "4 3 2 0",
		`update_time<="2026-01-02T03:04:06Z"`:     "1 0",
		`end_time>"2026-01-02T03:04:08Z"`:         "4",
		`labels.trigger="gcs"`:                    "2 0",
		`labels.only-here:*`:                      "4",
		`labels.trigger:*`:                        "3 2 1 0",
		`labels.trigger="gcs" AND state="PIPELINE_STATE_SUCCEEDED" AND create_time>"2026-01-02T03:04:05Z"`: "2",
		`labels.n="0" OR labels.n="1"`:                             "1 0",
		`(labels.n="0" OR labels.n="1") AND labels.trigger="tick"`: "1",
		`labels.trigger="tick" AND labels.n="0" OR labels.n="1"`:   "1", // OR binds tighter
		`labels.n="0" OR (labels.trigger="tick" AND labels.n="3")`: "3 0",
	} {
		ids, err := c.list(&aiplatformpb.ListPipelineJobsRequest{Filter: filter})
		got := strings.ReplaceAll(strings.Join(ids, " "), "job-", "")
		if err != nil || got != want {
			t.Errorf("%s\n gives %q, %v, want %q", filter, got, err, want)
		}
	}
}

func TestListRefuses(t *testing.T) {
	t.Parallel()
	c := open(t, nil)
	for name, r := range map[string]*aiplatformpb.ListPipelineJobsRequest{
		"an unknown field":       {Filter: `colour="red"`},
		"an unknown state":       {Filter: `state="RUNNING"`},
		"a comparison of text":   {Filter: `display_name<"x"`},
		"a wildcard of a name":   {Filter: `pipeline_name:"x*"`},
		"no time":                {Filter: `create_time>"yesterday"`},
		"a label comparison":     {Filter: `labels.a>"x"`},
		"NOT":                    {Filter: `NOT state="PIPELINE_STATE_FAILED"`},
		"an open parenthesis":    {Filter: `(labels.a="x"`},
		"an open string":         {Filter: `labels.a="x`},
		"a missing operand":      {Filter: `labels.a="x" AND`},
		"two terms and no AND":   {Filter: `labels.a="x" labels.b="y"`},
		"a thousand parentheses": {Filter: strings.Repeat("(", 1000) + `labels.a="x"` + strings.Repeat(")", 1000)},
		"an order by name":       {OrderBy: "name"},
		"an order of three":      {OrderBy: "create_time very desc"},
		"a negative page":        {PageSize: -1},
		"a foreign token":        {PageToken: "zzz"},
		"a mask of nothing":      {ReadMask: &fieldmaskpb.FieldMask{Paths: []string{"colour"}}},
	} {
		if _, err := c.list(r); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v, want INVALID_ARGUMENT", name, err)
		}
	}
	_, err := c.client.ListPipelineJobs(t.Context(), &aiplatformpb.ListPipelineJobsRequest{Parent: "x"}).Next()
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("a bad parent: %v, want INVALID_ARGUMENT", err)
	}
}

func TestListOrdersAndPages(t *testing.T) {
	t.Parallel()
	c := listed(t)
	for order, want := range map[string]string{
		"create_time": "0 1 2 3 4", "create_time asc": "0 1 2 3 4", "create_time desc": "4 3 2 1 0", "end_time desc": "4 3 2 1 0",
		"update_time": "0 1 2 3 4", "start_time desc, create_time": "4 3 2 1 0",
	} {
		for _, size := range []int32{0, 1, 2, 5} {
			ids, err := c.list(&aiplatformpb.ListPipelineJobsRequest{OrderBy: order, PageSize: size})
			if got := strings.ReplaceAll(strings.Join(ids, " "), "job-", ""); err != nil || got != want {
				t.Errorf("order %q in pages of %d: %q, %v, want %q", order, size, got, err, want)
			}
		}
	}
	it := c.client.ListPipelineJobs(t.Context(), &aiplatformpb.ListPipelineJobsRequest{Parent: parent, PageSize: 2})
	var page []*aiplatformpb.PipelineJob
	token, err := iterator.NewPager(it, 2, "").NextPage(&page)
	if err != nil || token == "" {
		t.Fatalf("first page: %q, %v", token, err)
	}
	// A job that is deleted or created between two pages shifts nothing.
	if _, err := c.client.DeletePipelineJob(t.Context(), &aiplatformpb.DeletePipelineJobRequest{Name: jobName("job-4")}); err != nil {
		t.Fatal(err)
	}
	c.run(request("job-9", pipeline(t, simple), map[string]any{"s": "x"}))
	ids, err := c.list(&aiplatformpb.ListPipelineJobsRequest{PageSize: 2, PageToken: token})
	if diff := cmp.Diff([]string{"job-2", "job-1", "job-0"}, ids); err != nil || diff != "" {
		t.Errorf("after the first page: %v (-want +got):\n%s", err, diff)
	}
	if _, err := c.list(&aiplatformpb.ListPipelineJobsRequest{PageToken: token, Filter: "labels.a:*"}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a token with another filter: %v, want INVALID_ARGUMENT", err)
	}
}

func TestListShowsNoDetailsAndObeysTheMask(t *testing.T) {
	t.Parallel()
	c := listed(t)
	first := func(r *aiplatformpb.ListPipelineJobsRequest) *aiplatformpb.PipelineJob {
		t.Helper()
		r.Parent = parent
		job, err := c.client.ListPipelineJobs(t.Context(), r).Next()
		if err != nil {
			t.Fatal(err)
		}
		return job
	}
	job := first(&aiplatformpb.ListPipelineJobsRequest{})
	if job.JobDetail != nil || job.PipelineSpec == nil || job.Name == "" || job.RuntimeConfig == nil {
		t.Errorf("a listed job: %v", job)
	}
	job = first(&aiplatformpb.ListPipelineJobsRequest{ReadMask: &fieldmaskpb.FieldMask{Paths: []string{"name", "runtime_config.gcs_output_directory", "job_detail"}}})
	var fields []string
	for _, f := range []struct {
		name string
		set  bool
	}{{"name", job.Name != ""}, {"spec", job.PipelineSpec != nil}, {"state", job.State != 0}, {"dir", job.GetRuntimeConfig().GetGcsOutputDirectory() != ""}, {"detail", job.JobDetail != nil}, {"labels", len(job.Labels) > 0}} {
		if f.set {
			fields = append(fields, f.name)
		}
	}
	if !slices.Equal(fields, []string{"name", "dir"}) {
		t.Errorf("with a mask: %v, want name and dir", fields)
	}
}
