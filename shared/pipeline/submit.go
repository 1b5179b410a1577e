package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"time"

	aiplatform "cloud.google.com/go/aiplatform/apiv1"
	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/millrace-ml/millrace/shared/fault"
)

// LabelKey is the label that says whose a job is: the first 40 hex digits of the trigger's key. Of a job that exists it
// alone is compared, since spec and parameters may have moved on between a crash and the takeover.
const LabelKey = "key"

// Job is one run as Vertex is to be told it.
type Job struct {
	Project, Region string
	ID              string            // the run id; the same id never makes a second job
	Spec            []byte            // YAML of the pipeline, sent as it stands
	Parameters      map[string]any    // all of them; names that the spec does not declare are refused by Vertex
	Labels          map[string]string // LabelKey is required
	OutputDir       string            // gs://bucket/folder for what tasks hand to each other
	ServiceAccount  string            // required: empty would mean the Compute default account
	FailFast        bool              // after a failed task nothing new starts, but exit tasks do

	TryTimeout time.Duration // of one call; 4 s
	Tries      int           // calls with an unknown outcome before Submit gives up; 4
	Pause      time.Duration // upper bound of the random pause after the first, doubled each time; 200 ms
}

// Outcome is what is known of a job after Submit.
type Outcome uint8

// The outcomes. Unknown is the zero value: nothing may be concluded.
const (
	Unknown   Outcome = iota // the job may have been created: submit again later, under the same id
	Created                  // this call created it
	Exists                   // it was there, and it is ours
	Collision                // the id belongs to a job that is not ours, or to one that is no longer there
	Quota                    // surely not created, Vertex takes no more at the moment
	Refused                  // surely not created, and trying again changes nothing
)

var outcomeNames = [...]string{"unknown", "created", "exists", "collision", "quota", "refused"}

// String is the outcome's name as logs write it.
func (o Outcome) String() string { return outcomeNames[o] }

// Submitted says whether the job is at Vertex and ours.
func (o Outcome) Submitted() bool { return o == Created || o == Exists }

var (
	jobID      = regexp.MustCompile(`^[a-z][a-z0-9-]{0,126}$`)
	labelForm  = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)
	labelValue = regexp.MustCompile(`^[a-z0-9_-]{0,63}$`)
)

// Parent is projects/P/locations/R.
func (j *Job) parent() string { return "projects/" + j.Project + "/locations/" + j.Region }

// Name is the full name of the job at Vertex.
func (j *Job) Name() string { return j.parent() + "/pipelineJobs/" + j.ID }

// request checks what can be checked here and encodes the rest.
func (j *Job) request() (*aiplatformpb.CreatePipelineJobRequest, error) {
	var p problems
	need := func(name, got, want string, ok bool) {
		if !ok {
			p.add(place{name}, "invalid", fmt.Sprintf("%q", got), want)
		}
	}
	need("project", j.Project, "a project id", j.Project != "")
	need("region", j.Region, "a region", j.Region != "")
	need("id", j.ID, "an id that matches "+jobID.String(), jobID.MatchString(j.ID))
	need("service_account", j.ServiceAccount, "an account", j.ServiceAccount != "")
	_, _, err := parseURI(j.OutputDir)
	need("output_dir", j.OutputDir, "gs://bucket/folder", err == nil)
	need("labels."+LabelKey, j.Labels[LabelKey], "the key of the trigger", j.Labels[LabelKey] != "")
	for _, k := range sortedKeys(j.Labels) {
		need("labels."+k, j.Labels[k], "lower case letters, digits, - and _, at most 63", labelForm.MatchString(k) && labelValue.MatchString(j.Labels[k]))
	}
	if err := p.err("job " + j.ID); err != nil {
		return nil, err
	}
	raw, _, err := toJSON("pipeline of "+j.ID, j.Spec)
	if err != nil {
		return nil, err
	}
	spec := &structpb.Struct{}
	if err := protojson.Unmarshal(raw, spec); err != nil {
		return nil, fault.New(fault.Invalid, err, "pipeline of %s: is no JSON object", j.ID)
	}
	values, err := parameterValues(j.Parameters)
	if err != nil {
		return nil, fault.New(fault.Invalid, err, "job %s: a parameter cannot be encoded", j.ID)
	}
	config := &aiplatformpb.PipelineJob_RuntimeConfig{GcsOutputDirectory: j.OutputDir, ParameterValues: values}
	if j.FailFast {
		config.FailurePolicy = aiplatformpb.PipelineFailurePolicy_PIPELINE_FAILURE_POLICY_FAIL_FAST
	}
	return &aiplatformpb.CreatePipelineJobRequest{Parent: j.parent(), PipelineJobId: j.ID, PipelineJob: &aiplatformpb.PipelineJob{
		DisplayName: j.ID, PipelineSpec: spec, Labels: j.Labels, RuntimeConfig: config, ServiceAccount: j.ServiceAccount,
	}}, nil
}

// Submit creates the job, or finds that it is there. The client neither retries nor sets a deadline, so both are here;
// the id makes a repeated call safe. The error says why an outcome is not Created or Exists, and is nil for those two.
//
// A refusal after a call whose answer was lost proves nothing about that call, so it counts only if no job is found and no
// answer was lost before it.
func Submit(ctx context.Context, client *aiplatform.PipelineClient, j Job) (Outcome, error) {
	req, err := j.request()
	if err != nil {
		return Refused, err
	}
	s := &submission{client: client, job: j, tries: j.Tries, timeout: j.TryTimeout, pause: j.Pause}
	if s.tries <= 0 {
		s.tries = 4
	}
	if s.timeout <= 0 {
		s.timeout = 4 * time.Second
	}
	if s.pause <= 0 {
		s.pause = 200 * time.Millisecond
	}
	return s.run(ctx, req)
}

type submission struct {
	client         *aiplatform.PipelineClient
	job            Job
	tries          int
	timeout, pause time.Duration
}

func (s *submission) run(ctx context.Context, req *aiplatformpb.CreatePipelineJobRequest) (Outcome, error) {
	lost := false // a call may have been applied although we got no OK
	var last error
	for try := range s.tries {
		if err := s.wait(ctx, try); err != nil {
			return s.unanswered(lost, errors.Join(err, last))
		}
		err := s.call(ctx, func(ctx context.Context) error {
			_, err := s.client.CreatePipelineJob(ctx, req)
			return err
		})
		if err == nil {
			return Created, nil
		}
		last = err
		switch answer := judge(err); answer {
		case Exists:
			return s.compare(ctx)
		case Quota, Refused:
			if status.Code(err) == codes.Unauthenticated && try+1 < s.tries {
				continue // the token service has hiccups too, and nothing was created
			}
			return s.refused(ctx, answer, lost, err)
		}
		lost = true
	}
	return s.unanswered(lost, last)
}

// judge is what one answer says by itself.
func judge(err error) Outcome {
	switch status.Code(err) {
	case codes.AlreadyExists:
		return Exists
	case codes.ResourceExhausted:
		return Quota
	case codes.InvalidArgument, codes.PermissionDenied, codes.NotFound, codes.FailedPrecondition, codes.Unauthenticated,
		codes.OutOfRange, codes.Unimplemented:
		return Refused
	}
	return Unknown
}

// refused settles a refusal: a job that an earlier call created, ours or that of a process before us, outweighs it.
func (s *submission) refused(ctx context.Context, answer Outcome, lost bool, cause error) (Outcome, error) {
	job, err := s.get(ctx, s.job.Name())
	switch {
	case err == nil && job.GetLabels()[LabelKey] == s.job.Labels[LabelKey]:
		return Exists, nil
	case lost:
		return s.unanswered(lost, cause)
	case answer == Quota:
		return Quota, fault.New(fault.Unavailable, cause, "run %s: Vertex AI takes no more jobs at the moment", s.job.ID)
	}
	st := status.Convert(cause)
	return Refused, fault.New(fault.FromGRPC(uint32(st.Code())), cause, "run %s: Vertex AI refuses the job: %s: %s", s.job.ID, st.Code(), brieflyPut(st.Message()))
}

// compare looks whose the job is that has the id.
func (s *submission) compare(ctx context.Context) (Outcome, error) {
	job, err := s.get(ctx, s.job.Name())
	switch {
	case status.Code(err) == codes.NotFound:
		return Collision, fault.New(fault.Conflict, err, "run %s: its id was used by a job that has been deleted", s.job.ID)
	case err != nil:
		return Unknown, fault.New(fault.Unavailable, err, "run %s: a job of this id exists, but it cannot be read now", s.job.ID)
	case job.GetLabels()[LabelKey] != s.job.Labels[LabelKey]:
		return Collision, fault.New(fault.Conflict, nil, "run %s: a job of this id exists whose key is %q, expected %q",
			s.job.ID, job.GetLabels()[LabelKey], s.job.Labels[LabelKey])
	}
	return Exists, nil
}

func (s *submission) unanswered(lost bool, cause error) (Outcome, error) {
	kind := fault.Unavailable
	if errors.Is(cause, context.DeadlineExceeded) || status.Code(cause) == codes.DeadlineExceeded {
		kind = fault.Timeout
	}
	if !lost {
		return Unknown, fault.New(kind, cause, "run %s: Vertex AI was not asked", s.job.ID)
	}
	return Unknown, fault.New(kind, cause, "run %s: it is not known whether Vertex AI took the job", s.job.ID)
}

// get reads the job, trying again while Vertex does not answer.
func (s *submission) get(ctx context.Context, name string) (*aiplatformpb.PipelineJob, error) {
	var job *aiplatformpb.PipelineJob
	var err error
	for try := range s.tries {
		if werr := s.wait(ctx, try); werr != nil {
			return nil, errors.Join(werr, err)
		}
		err = s.call(ctx, func(ctx context.Context) error {
			job, err = s.client.GetPipelineJob(ctx, &aiplatformpb.GetPipelineJobRequest{Name: name})
			return err
		})
		if err == nil || judge(err) == Refused {
			return job, err
		}
	}
	return nil, err
}

func (s *submission) call(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return f(ctx)
}

// wait pauses before a repetition, at random between nothing and twice as long each time, up to 32 times.
func (s *submission) wait(ctx context.Context, try int) error {
	if try == 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(rand.N(s.pause<<min(try-1, 5) + 1))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// brieflyPut is one line of a server's message.
func brieflyPut(message string) string {
	message = strings.Join(strings.Fields(message), " ")
	if len(message) > 300 {
		message = strings.ToValidUTF8(message[:300], "") + "..."
	}
	return message
}
