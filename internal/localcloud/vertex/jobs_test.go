package vertex_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"github.com/kubeflow/pipelines/api/v2alpha1/go/pipelinespec"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/millrace-ml/millrace/internal/localcloud/vertex"
)

const simple = `
components: {a: {run: ['arg:']}}
root:
  in: {s: STRING}
  inputDefinitions: {parameters: {d: {parameterType: NUMBER_INTEGER, defaultValue: 1}}}
  optional: {o: STRUCT}
  dag: {tasks: {a: {componentRef: {name: a}}}}
`

type req = *aiplatformpb.CreatePipelineJobRequest

// refusal is a change of a good request, and a part of the error that it gets.
type refusal struct {
	change func(req)
	want   string
}

// withParameters sets parameters, given as name, value, ….
func withParameters(kv ...any) func(req) {
	return func(r req) {
		for i := 0; i < len(kv); i += 2 {
			v, err := structpb.NewValue(kv[i+1])
			if err != nil {
				panic(err) // a constant of a test
			}
			r.PipelineJob.RuntimeConfig.ParameterValues[kv[i].(string)] = v
		}
	}
}

// badRequests are refused whatever the spec.
var badRequests = map[string]refusal{
	"an empty id":               {func(r req) { r.PipelineJobId = "" }, "pipeline_job_id"},
	"an id with upper case":     {func(r req) { r.PipelineJobId = "Abc" }, "pipeline_job_id"},
	"an id with a digit first":  {func(r req) { r.PipelineJobId = "1abc" }, "pipeline_job_id"},
	"an id of 128 characters":   {func(r req) { r.PipelineJobId = "a" + strings.Repeat("b", 127) }, "pipeline_job_id"},
	"a bad parent":              {func(r req) { r.Parent = "projects/p" }, "parent"},
	"no job":                    {func(r req) { r.PipelineJob = nil }, "pipeline_job is missing"},
	"no spec":                   {func(r req) { r.PipelineJob.PipelineSpec = nil }, "pipeline_spec is missing"},
	"only a template":           {func(r req) { r.PipelineJob.PipelineSpec = nil; r.PipelineJob.TemplateUri = "https://x" }, "template_uri"},
	"no output directory":       {func(r req) { r.PipelineJob.RuntimeConfig.GcsOutputDirectory = "" }, "gcs_output_directory is missing"},
	"a directory elsewhere":     {func(r req) { r.PipelineJob.RuntimeConfig.GcsOutputDirectory = "/tmp/x" }, "is not gs://BUCKET/NAME"},
	"a directory that climbs":   {func(r req) { r.PipelineJob.RuntimeConfig.GcsOutputDirectory = "gs://b/../../x" }, "cannot be a path"},
	"no runtime config":         {func(r req) { r.PipelineJob.RuntimeConfig = nil }, "gcs_output_directory is missing"},
	"an unknown parameter":      {withParameters("x", "y"), `parameter "x" is unknown, the pipeline has d, o, s`},
	"a missing parameter":       {func(r req) { delete(r.PipelineJob.RuntimeConfig.ParameterValues, "s") }, `parameter "s" is missing`},
	"a null for a required":     {withParameters("s", nil), `parameter "s" is missing`},
	"a number for a string":     {withParameters("s", 5), `parameter "s": 5 is not of type STRING`},
	"a fraction for an integer": {withParameters("d", 1.5), `parameter "d": 1.5 is not of type NUMBER_INTEGER`},
	"a list for a struct":       {withParameters("o", []any{1}), `parameter "o": [1] is not of type STRUCT`},
	"all problems at once":      {withParameters("s", 5, "x", 1), "is unknown, the pipeline has d, o, s\nparameter \"s\""},
	"a label with upper case":   {func(r req) { r.PipelineJob.Labels = map[string]string{"a": "B"} }, `label a: value "B"`},
	"a long label":              {func(r req) { r.PipelineJob.Labels = map[string]string{strings.Repeat("a", 65): ""} }, "label key"},
	"a long display name":       {func(r req) { r.PipelineJob.DisplayName = strings.Repeat("é", 129) }, "display_name"},
	"parameters of old":         {func(r req) { r.PipelineJob.RuntimeConfig.Parameters = map[string]*aiplatformpb.Value{"s": {}} }, "schema 2.0.0"}, //nolint:staticcheck // the deprecated field is what is refused
	"an input artifact": {func(r req) {
		r.PipelineJob.RuntimeConfig.InputArtifacts = map[string]*aiplatformpb.PipelineJob_RuntimeConfig_InputArtifact{"m": {}}
	}, "metadata store"},
}

// badSpecs are what execution cannot do without, and what the linter says.
func badSpecs(t *testing.T) map[string]refusal {
	spec := func(text string) func(req) {
		return func(r req) { r.PipelineJob.PipelineSpec = pipeline(t, text) }
	}
	return map[string]refusal{
		"an unknown field of the spec": {func(r req) { r.PipelineJob.PipelineSpec.Fields["rooot"] = structpb.NewStringValue("") }, "rooot"},
		"what the linter refuses":      {spec(replace(simple, "components:", "pipelineInfo: {name: ugly}\ncomponents:")), "the linter does not like it"},
		"an unknown component":         {spec(replace(simple, "name: a}", "name: b}")), `componentRef "b" names no component`},
		"an unknown task":              {spec(replace(simple, "name: a}", "name: a}, dependentTasks: [q]")), `"q" names no task of this dag`},
		"a task that waits for itself": {spec(replace(simple, "name: a}", "name: a}, dependentTasks: [a]")), `task "a" waits for itself`},
		"a bad condition":              {spec(replace(simple, "name: a}", "name: a}, triggerPolicy: {condition: '1 +'}")), `condition "1 +"`},
		"no executor":                  {spec(replace(simple, "{run: ['arg:']}", "{executorLabel: nowhere}")), `executorLabel "nowhere" names no executor`},
		"a component in itself":        {spec(replace(simple, "{run: ['arg:']}", "{dag: {tasks: {in: {componentRef: {name: a}}}}}")), `component "a" contains itself`},
		"an output that climbs":        {spec(replace(simple, "{run: ['arg:']}", "{run: ['arg:'], out: {../x: STRING}}")), "cannot be a file name"},
		"a resolver":                   {spec(replace(simple, "{run: ['arg:']}", "{executorLabel: r}") + "\ndeploymentSpec: {executors: {r: {resolver: {}}}}"), "neither a container nor an importer"},
		"a root without a dag":         {spec("components: {}\nroot: {run: ['arg:']}"), "root is not a dag"},
	}
}

func TestCreateRefuses(t *testing.T) {
	t.Parallel()
	c := open(t, func(o *vertex.Options) {
		o.Lint = func(s *pipelinespec.PipelineSpec) error {
			if s.GetPipelineInfo().GetName() == "ugly" {
				return errors.New("the linter does not like it")
			}
			return nil
		}
	})
	all := badSpecs(t)
	maps.Copy(all, badRequests)
	for name, tc := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := request("refused", pipeline(t, simple), map[string]any{"s": "x"})
			tc.change(r)
			_, err := c.client.CreatePipelineJob(t.Context(), r)
			if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want INVALID_ARGUMENT with %q", err, tc.want)
			}
		})
	}
}

func TestCreateKeepsWhatTheCallerSaid(t *testing.T) {
	t.Parallel()
	c := open(t, nil)
	r := request("kept-"+strings.Repeat("x", 122), pipeline(t, simple), map[string]any{"s": "x"})
	r.PipelineJob.Labels = map[string]string{"key": "a_b-1", "grün": "日本"}
	r.PipelineJob.ServiceAccount = "runner@demo.iam.gserviceaccount.com"
	r.PipelineJob.State = aiplatformpb.PipelineState_PIPELINE_STATE_SUCCEEDED // output only: ignored
	r.PipelineJob.Name = "projects/other/locations/x/pipelineJobs/y"
	want := proto.CloneOf(r.PipelineJob)
	job := c.create(r)
	want.Name, want.State, want.CreateTime, want.UpdateTime = jobName(r.PipelineJobId), aiplatformpb.PipelineState_PIPELINE_STATE_PENDING, job.CreateTime, job.UpdateTime
	if !proto.Equal(want, job) {
		t.Errorf("the answer differs from the request:\n%v\n%v", want, job)
	}
	got := c.until(r.PipelineJobId, "the job is finished", ended)
	want.State, want.StartTime, want.EndTime, want.UpdateTime, want.JobDetail = got.State, got.StartTime, got.EndTime, got.UpdateTime, got.JobDetail
	if !proto.Equal(want, got) {
		t.Errorf("the stored job differs from the request:\n%v\n%v", want, got)
	}
}

func TestAnIDIsTakenOnce(t *testing.T) {
	t.Parallel()
	c := open(t, nil)
	spec := pipeline(t, `
components: {a: {run: ['journal:`+c.dir+`/journal=ran']}}
root: {dag: {tasks: {a: {componentRef: {name: a}}}}}
`)
	var wg sync.WaitGroup
	found := make([]codes.Code, 16)
	for i := range found {
		wg.Go(func() {
			_, err := c.client.CreatePipelineJob(context.Background(), request("same", spec, nil))
			found[i] = status.Code(err)
		})
	}
	wg.Wait()
	count := map[codes.Code]int{}
	for _, code := range found {
		count[code]++
	}
	if count[codes.OK] != 1 || count[codes.AlreadyExists] != 15 {
		t.Errorf("16 creations of one id: %v, want 1 OK and 15 ALREADY_EXISTS", count)
	}
	wantState(t, c.until("same", "the job is finished", ended), "SUCCEEDED")
	_, err := c.client.CreatePipelineJob(t.Context(), &aiplatformpb.CreatePipelineJobRequest{Parent: parent, PipelineJobId: "same"})
	if status.Code(err) != codes.AlreadyExists || !strings.Contains(err.Error(), "Pipeline job with the specified ID already exists.") {
		t.Errorf("the same id with a bad body: %v, want ALREADY_EXISTS", err)
	}
	if n := len(lines(t, c.dir+"/journal")); n != 1 {
		t.Errorf("the pipeline ran %d times, want once", n)
	}
}

func TestQuota(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	c := open(t, func(o *vertex.Options) {
		o.Quota = 2
		o.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	})
	spec := pipeline(t, simple)
	code := func(id string) codes.Code {
		_, err := c.client.CreatePipelineJob(t.Context(), request(id, spec, map[string]any{"s": "x"}))
		return status.Code(err)
	}
	for i, want := range []codes.Code{codes.OK, codes.OK, codes.ResourceExhausted} {
		if got := code(fmt.Sprint("q", i)); got != want {
			t.Errorf("creation %d: %v, want %v", i, got, want)
		}
	}
	mu.Lock()
	now = now.Add(time.Minute)
	mu.Unlock()
	if got := code("later"); got != codes.OK {
		t.Errorf("a minute later: %v, want OK", got)
	}
}

func TestGetOfNothing(t *testing.T) {
	t.Parallel()
	c := open(t, nil)
	for name, want := range map[string]codes.Code{jobName("nothing"): codes.NotFound, "nonsense": codes.InvalidArgument} {
		if _, err := c.client.GetPipelineJob(t.Context(), &aiplatformpb.GetPipelineJobRequest{Name: name}); status.Code(err) != want {
			t.Errorf("get %s: %v, want %v", name, err, want)
		}
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	c := open(t, nil)
	spec := pipeline(t, simple)
	for i := range 3 { // the id is free again at once
		job := c.run(request("d", spec, map[string]any{"s": "x"}))
		wantState(t, job, "SUCCEEDED")
		if n := len(job.GetJobDetail().GetTaskDetails()); n != 1 {
			t.Fatalf("round %d: %d task details, want 1", i, n)
		}
		op, err := c.client.DeletePipelineJob(t.Context(), &aiplatformpb.DeletePipelineJobRequest{Name: job.Name})
		if err != nil {
			t.Fatal(err)
		}
		if err := op.Wait(t.Context()); err != nil || !op.Done() {
			t.Errorf("the operation: %v, done %v", err, op.Done())
		}
		stored, err := longrunningpb.NewOperationsClient(c.conn).WaitOperation(t.Context(), &longrunningpb.WaitOperationRequest{Name: op.Name()})
		if err != nil || !stored.Done {
			t.Errorf("Wait of the operation: %v, %v", stored, err)
		}
		if _, err := c.client.GetPipelineJob(t.Context(), &aiplatformpb.GetPipelineJobRequest{Name: job.Name}); status.Code(err) != codes.NotFound {
			t.Errorf("the deleted job: %v, want NOT_FOUND", err)
		}
		if _, err := c.server.Logs(job.Name, job.JobDetail.TaskDetails[0].TaskId, 1); err == nil {
			t.Error("the logs of the deleted job are left")
		}
	}
	if _, err := longrunningpb.NewOperationsClient(c.conn).GetOperation(t.Context(), &longrunningpb.GetOperationRequest{Name: "x"}); status.Code(err) != codes.NotFound {
		t.Errorf("an operation that does not exist: %v, want NOT_FOUND", err)
	}
}

func TestBatchRequests(t *testing.T) {
	t.Parallel()
	c := open(t, nil)
	c.run(request("done", pipeline(t, simple), map[string]any{"s": "x"}))
	for _, id := range []string{"busy-a", "busy-b"} {
		c.create(request(id, pipeline(t, `
components: {a: {run: ['wait:/nowhere/at/all']}}
root: {dag: {tasks: {a: {componentRef: {name: a}}}}}
`), nil))
	}
	del := func(names ...string) error {
		op, err := c.client.BatchDeletePipelineJobs(t.Context(), &aiplatformpb.BatchDeletePipelineJobsRequest{Parent: parent, Names: names})
		if err != nil {
			return err
		}
		got, err := op.Wait(t.Context())
		if err == nil && len(got.PipelineJobs) != len(names) {
			t.Errorf("BatchDelete of %v answered %d jobs", names, len(got.PipelineJobs))
		}
		return err
	}
	if err := del(jobName("done"), jobName("busy-a")); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("batch delete with a running job: %v, want FAILED_PRECONDITION", err)
	}
	if err := del(jobName("done"), jobName("nothing")); status.Code(err) != codes.NotFound {
		t.Errorf("batch delete with a missing job: %v, want NOT_FOUND", err)
	}
	wantState(t, c.get("done"), "SUCCEEDED") // neither deleted anything
	if err := del(make([]string, 33)...); status.Code(err) != codes.InvalidArgument {
		t.Errorf("33 names: %v, want INVALID_ARGUMENT", err)
	}
	if err := del("projects/demo/locations/elsewhere/pipelineJobs/done"); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a name elsewhere: %v, want INVALID_ARGUMENT", err)
	}
	op, err := c.client.BatchCancelPipelineJobs(t.Context(), &aiplatformpb.BatchCancelPipelineJobsRequest{Parent: parent, Names: []string{jobName("done"), jobName("busy-a"), jobName("busy-b")}})
	if err != nil {
		t.Fatal(err)
	}
	cancelled, err := op.Wait(t.Context())
	if err != nil || len(cancelled.PipelineJobs) != 2 {
		t.Errorf("BatchCancel: %v, %v, want the two running jobs", cancelled, err)
	}
	for _, id := range []string{"busy-a", "busy-b"} {
		wantState(t, c.until(id, "the job is finished", ended), "CANCELLED")
	}
	if err := del(jobName("done"), jobName("busy-a"), jobName("busy-b")); err != nil {
		t.Error(err)
	}
}
