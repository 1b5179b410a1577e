package batchtest

import (
	"context"
	"slices"
	"strings"
	"sync"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// Answer is what Vertex says to one CreatePipelineJob.
type Answer struct {
	Code    codes.Code
	Applied bool // the job is created all the same
}

// Vertex keeps jobs and executes none: the test says how they end.
type Vertex struct {
	aiplatformpb.UnimplementedPipelineServiceServer
	mu      sync.Mutex
	jobs    map[string]*aiplatformpb.PipelineJob
	order   []string
	calls   int
	answers []Answer
	gate    func(id string)
	look    func(id string)
}

// NewVertex has no jobs and takes every one.
func NewVertex() *Vertex { return &Vertex{jobs: map[string]*aiplatformpb.PipelineJob{}} }

// Script sets the answers to the next creations; after them Vertex takes jobs again.
func (v *Vertex) Script(a ...Answer) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.answers = append(v.answers, a...)
}

// OnCreate calls f at the start of each creation.
func (v *Vertex) OnCreate(f func(id string)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.gate = f
}

// OnGet calls f before each look at a job; nil ends that.
func (v *Vertex) OnGet(f func(id string)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.look = f
}

// CreatePipelineJob keeps the job, once per id.
func (v *Vertex) CreatePipelineJob(_ context.Context, req *aiplatformpb.CreatePipelineJobRequest) (*aiplatformpb.PipelineJob, error) {
	v.mu.Lock()
	gate := v.gate
	v.mu.Unlock()
	if gate != nil {
		gate(req.GetPipelineJobId())
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.calls++
	var answer Answer
	if len(v.answers) > 0 {
		answer, v.answers = v.answers[0], v.answers[1:]
	}
	if answer.Code != codes.OK && !answer.Applied {
		return nil, grpcstatus.Error(answer.Code, "scripted")
	}
	name := req.GetParent() + "/pipelineJobs/" + req.GetPipelineJobId()
	if v.jobs[name] != nil {
		return nil, grpcstatus.Error(codes.AlreadyExists, "Pipeline job with the specified ID already exists.")
	}
	job := proto.CloneOf(req.GetPipelineJob())
	job.Name, job.State = name, aiplatformpb.PipelineState_PIPELINE_STATE_PENDING
	v.jobs[name] = job
	v.order = append(v.order, req.GetPipelineJobId())
	if answer.Code != codes.OK {
		return nil, grpcstatus.Error(answer.Code, "scripted, applied")
	}
	return proto.CloneOf(job), nil
}

// GetPipelineJob shows a job.
func (v *Vertex) GetPipelineJob(_ context.Context, req *aiplatformpb.GetPipelineJobRequest) (*aiplatformpb.PipelineJob, error) {
	v.mu.Lock()
	look := v.look
	v.mu.Unlock()
	if look != nil {
		look(req.GetName()[strings.LastIndex(req.GetName(), "/")+1:])
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	job := v.jobs[req.GetName()]
	if job == nil {
		return nil, grpcstatus.Error(codes.NotFound, "no such job")
	}
	return proto.CloneOf(job), nil
}

// Jobs are the ids of the jobs in the order of their creation, deleted ones too.
func (v *Vertex) Jobs() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.order)
}

// Calls is how many creations were asked for.
func (v *Vertex) Calls() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.calls
}

// Job is the job of an id, nil if there is none.
func (v *Vertex) Job(id string) *aiplatformpb.PipelineJob {
	v.mu.Lock()
	defer v.mu.Unlock()
	for name, job := range v.jobs {
		if strings.HasSuffix(name, "/"+id) {
			return job
		}
	}
	return nil
}

// End sets a job's state, and for a failed one the message of its first failed task.
func (v *Vertex) End(id string, state aiplatformpb.PipelineState, message string) {
	job := v.Job(id)
	v.mu.Lock()
	defer v.mu.Unlock()
	job.State = state
	job.JobDetail = &aiplatformpb.PipelineJobDetail{TaskDetails: []*aiplatformpb.PipelineTaskDetail{
		{TaskName: "plan", State: aiplatformpb.PipelineTaskDetail_SUCCEEDED},
	}}
	if message != "" {
		job.Error = &status.Status{Message: "the job has a failed task"}
		job.JobDetail.TaskDetails = append(job.JobDetail.TaskDetails, &aiplatformpb.PipelineTaskDetail{
			TaskName: "score", State: aiplatformpb.PipelineTaskDetail_FAILED, Error: &status.Status{Message: message},
		})
	}
}

// Forget deletes a job.
func (v *Vertex) Forget(id string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for name := range v.jobs {
		if strings.HasSuffix(name, "/"+id) {
			delete(v.jobs, name)
		}
	}
}

// Plant puts a job of this id there whose key label is another's.
func (v *Vertex) Plant(id, key string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	name := "projects/" + Project + "/locations/" + Region + "/pipelineJobs/" + id
	v.jobs[name] = &aiplatformpb.PipelineJob{Name: name, Labels: map[string]string{"key": key}}
}
