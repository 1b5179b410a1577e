package pipeline

import (
	"context"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/grpc/codes"

	"github.com/millrace-ml/millrace/shared/fault"
)

func job(t *testing.T) Job {
	t.Helper()
	return Job{
		Project: "p", Region: "us-central1", ID: "tides-20240506-0123456789abcdef0123", Spec: []byte(example(t)),
		Parameters: map[string]any{"source": "gs://a/b", "model": "m", "run_id": "r", "rate": 2},
		Labels:     map[string]string{LabelKey: "k1", "model": "tides"}, OutputDir: "gs://staging/root",
		ServiceAccount: "runner@p.iam.gserviceaccount.com",
		TryTimeout:     time.Minute, Pause: time.Millisecond,
	}
}

func others(key string) map[string]*aiplatformpb.PipelineJob {
	name := "projects/p/locations/us-central1/pipelineJobs/tides-20240506-0123456789abcdef0123"
	return map[string]*aiplatformpb.PipelineJob{name: {Name: name, Labels: map[string]string{LabelKey: key}}}
}

func TestSubmitSendsTheWholeJob(t *testing.T) {
	t.Parallel()
	v := &vertex{}
	j := job(t)
	j.FailFast = true
	if o, err := Submit(t.Context(), v.serve(t), j); o != Created || err != nil {
		t.Fatalf("got %v, %v", o, err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	r := v.last
	c := r.PipelineJob.RuntimeConfig
	if r.Parent != "projects/p/locations/us-central1" || r.PipelineJobId != j.ID || r.PipelineJob.ServiceAccount != j.ServiceAccount ||
		r.PipelineJob.Labels["key"] != "k1" || c.GcsOutputDirectory != "gs://staging/root" || c.ParameterValues["rate"].GetNumberValue() != 2 ||
		c.FailurePolicy != aiplatformpb.PipelineFailurePolicy_PIPELINE_FAILURE_POLICY_FAIL_FAST {
		t.Errorf("sent %v", r)
	}
	if got := r.PipelineJob.PipelineSpec.Fields["pipelineInfo"].GetStructValue().Fields["name"].GetStringValue(); got != "harbour-batch" {
		t.Errorf("the spec's name is %q", got)
	}
}

func TestSubmit(t *testing.T) {
	t.Parallel()
	fails := func(c codes.Code) answer { return answer{code: c} }
	lost := answer{apply: true, mute: true}
	for name, tc := range map[string]struct {
		v    *vertex
		want Outcome
		kind fault.Kind // of the error, if want is neither Created nor Exists
		jobs int        // at Vertex afterwards
	}{
		"created":                                {&vertex{}, Created, 0, 1},
		"UNAVAILABLE, then created":              {&vertex{creates: []answer{fails(codes.Unavailable)}}, Created, 0, 1},
		"INTERNAL, then created":                 {&vertex{creates: []answer{fails(codes.Internal)}}, Created, 0, 1},
		"UNKNOWN, then created":                  {&vertex{creates: []answer{fails(codes.Unknown)}}, Created, 0, 1},
		"ABORTED, then created":                  {&vertex{creates: []answer{fails(codes.Aborted)}}, Created, 0, 1},
		"DEADLINE_EXCEEDED, then created":        {&vertex{creates: []answer{fails(codes.DeadlineExceeded)}}, Created, 0, 1},
		"silence, then created":                  {&vertex{creates: []answer{{mute: true}}}, Created, 0, 1},
		"UNAUTHENTICATED, then created":          {&vertex{creates: []answer{fails(codes.Unauthenticated)}}, Created, 0, 1},
		"applied, answer lost":                   {&vertex{creates: []answer{lost}}, Exists, 0, 1},
		"applied, UNAVAILABLE":                   {&vertex{creates: []answer{{apply: true, code: codes.Unavailable}}}, Exists, 0, 1},
		"there already":                          {&vertex{jobs: others("k1")}, Exists, 0, 1},
		"there already, read again":              {&vertex{jobs: others("k1"), gets: []answer{fails(codes.Unavailable), {mute: true}}}, Exists, 0, 1},
		"there, another's":                       {&vertex{jobs: others("k2")}, Collision, fault.Conflict, 1},
		"there, without a label":                 {&vertex{jobs: others("")}, Collision, fault.Conflict, 1},
		"the id of a deleted job":                {&vertex{creates: []answer{fails(codes.AlreadyExists)}}, Collision, fault.Conflict, 0},
		"there, but unreadable":                  {&vertex{jobs: others("k1"), gets: repeat(fails(codes.Unavailable), 9)}, Unknown, fault.Unavailable, 1},
		"RESOURCE_EXHAUSTED":                     {&vertex{creates: []answer{fails(codes.ResourceExhausted)}}, Quota, fault.Unavailable, 0},
		"INVALID_ARGUMENT":                       {&vertex{creates: []answer{fails(codes.InvalidArgument)}}, Refused, fault.Invalid, 0},
		"PERMISSION_DENIED":                      {&vertex{creates: []answer{fails(codes.PermissionDenied)}}, Refused, fault.Forbidden, 0},
		"NOT_FOUND":                              {&vertex{creates: []answer{fails(codes.NotFound)}}, Refused, fault.NotFound, 0},
		"FAILED_PRECONDITION":                    {&vertex{creates: []answer{fails(codes.FailedPrecondition)}}, Refused, fault.Conflict, 0},
		"UNIMPLEMENTED":                          {&vertex{creates: []answer{fails(codes.Unimplemented)}}, Refused, fault.Unimplemented, 0},
		"UNAUTHENTICATED to the end":             {&vertex{creates: repeat(fails(codes.Unauthenticated), 9)}, Refused, fault.Unauthenticated, 0},
		"UNAVAILABLE to the end":                 {&vertex{creates: repeat(fails(codes.Unavailable), 9)}, Unknown, fault.Unavailable, 0},
		"silence to the end":                     {&vertex{creates: repeat(answer{mute: true}, 9)}, Unknown, fault.Timeout, 0},
		"refused, but an earlier owner made it":  {&vertex{jobs: others("k1"), creates: []answer{fails(codes.PermissionDenied)}}, Exists, 0, 1},
		"no quota, but an earlier owner made it": {&vertex{jobs: others("k1"), creates: []answer{fails(codes.ResourceExhausted)}}, Exists, 0, 1},
		"answer lost, then no quota":             {&vertex{creates: []answer{lost, fails(codes.ResourceExhausted)}}, Exists, 0, 1},
		// The lost call may still be on its way: nothing may be concluded.
		"UNAVAILABLE, then no quota": {&vertex{creates: []answer{fails(codes.Unavailable), fails(codes.ResourceExhausted)}}, Unknown, fault.Unavailable, 0},
		"silence, then refused":      {&vertex{creates: []answer{{mute: true}, fails(codes.InvalidArgument)}}, Unknown, fault.Unavailable, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := tc.v
			o, err := Submit(t.Context(), v.serve(t), job(t))
			if o != tc.want || o.Submitted() != (err == nil) || err != nil && fault.KindOf(err) != tc.kind {
				t.Errorf("got %v, %v (%v), want %v, %v", o, err, fault.KindOf(err), tc.want, tc.kind)
			}
			if _, jobs := v.count(); jobs != tc.jobs {
				t.Errorf("there are %d jobs, want %d", jobs, tc.jobs)
			}
		})
	}
}

func repeat(a answer, n int) []answer {
	out := make([]answer, n)
	for i := range out {
		out[i] = a
	}
	return out
}

func TestSubmitEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	v := &vertex{creates: repeat(answer{mute: true}, 99), patient: true}
	j := job(t)
	j.Tries = 99
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if o, err := Submit(ctx, v.serve(t), j); o != Unknown || fault.KindOf(err) != fault.Timeout {
		t.Errorf("got %v, %v", o, err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	w := &vertex{}
	if o, err := Submit(over, w.serve(t), job(t)); o != Unknown || err == nil || calls(w) != 0 || !strings.Contains(err.Error(), "was not asked") {
		t.Errorf("got %v, %v after %d calls", o, err, calls(w))
	}
}

func calls(v *vertex) int {
	n, _ := v.count()
	return n
}

func TestSubmitGivesEachTryADeadline(t *testing.T) {
	t.Parallel()
	v := &vertex{creates: []answer{{mute: true}}, patient: true}
	j := job(t)
	j.TryTimeout, j.Tries = 100*time.Millisecond, 1000
	if o, err := Submit(t.Context(), v.serve(t), j); !o.Submitted() || calls(v) < 2 {
		t.Errorf("got %v, %v after %d calls", o, err, calls(v))
	}
}

func TestSubmitTriesAsOftenAsTold(t *testing.T) {
	t.Parallel()
	v := &vertex{creates: repeat(answer{code: codes.Unavailable}, 99)}
	j := job(t)
	j.Tries = 6
	if o, _ := Submit(t.Context(), v.serve(t), j); o != Unknown || calls(v) != 6 {
		t.Errorf("got %v after %d calls, want 6", o, calls(v))
	}
}

func TestSubmitRefusesAJobThatCannotBe(t *testing.T) {
	t.Parallel()
	v := &vertex{}
	c := v.serve(t)
	for name, tc := range map[string]struct {
		change func(*Job)
		want   string
	}{
		"no service account":      {func(j *Job) { j.ServiceAccount = "" }, `service_account: "", expected an account`},
		"no key":                  {func(j *Job) { j.Labels = nil }, "labels.key"},
		"a bad id":                {func(j *Job) { j.ID = "Tides" }, `id: "Tides", expected an id`},
		"a long id":               {func(j *Job) { j.ID = strings.Repeat("a", 128) }, "expected an id"},
		"a label over 63":         {func(j *Job) { j.Labels["kind"] = strings.Repeat("a", 64) }, "labels.kind"},
		"a label in capitals":     {func(j *Job) { j.Labels["kind"] = "Upload" }, "labels.kind"},
		"no output folder":        {func(j *Job) { j.OutputDir = "staging" }, `output_dir: "staging"`},
		"no project, no region":   {func(j *Job) { j.Project, j.Region = "", "" }, "region: \"\", expected a region"},
		"a spec that is no YAML":  {func(j *Job) { j.Spec = []byte("[") }, "yaml:"},
		"a parameter no JSON has": {func(j *Job) { j.Parameters["f"] = func() {} }, "a parameter cannot be encoded"},
	} {
		j := job(t)
		tc.change(&j)
		if o, err := Submit(t.Context(), c, j); o != Refused || fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, %v, want something with %q", name, o, err, tc.want)
		}
	}
	if calls(v) != 0 {
		t.Errorf("Vertex was asked %d times", calls(v))
	}
}
