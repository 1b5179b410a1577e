package pipeline

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	aiplatform "cloud.google.com/go/aiplatform/apiv1"
	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/millrace-ml/millrace/shared/fault"
)

// JobState is what Vertex knows of a job.
type JobState struct {
	Name   string            `json:"name"`
	State  string            `json:"state"` // SUCCEEDED, FAILED, …: Vertex' name without PIPELINE_STATE_
	Error  string            `json:"error,omitempty"`
	Start  time.Time         `json:"start,omitzero"`
	End    time.Time         `json:"end,omitzero"`
	Labels map[string]string `json:"labels,omitempty"`
	Tasks  []TaskState       `json:"tasks,omitempty"`
}

// Over says whether the job's state is final.
func (s *JobState) Over() bool {
	return s.State == "SUCCEEDED" || s.State == "FAILED" || s.State == "CANCELLED"
}

// TaskState is one task of a job. An iteration of a loop is a task of its own.
type TaskState struct {
	Path    string    `json:"path"`  // names from the outermost dag inwards, joined by /
	State   string    `json:"state"` // SUCCEEDED, SKIPPED, NOT_TRIGGERED, …
	Error   string    `json:"error,omitempty"`
	Start   time.Time `json:"start,omitzero"`
	End     time.Time `json:"end,omitzero"`
	Retries int       `json:"retries,omitempty"` // attempts that failed before this one
}

// State reads a job by its full name. Its tasks come flattened, in the order in which they started. NotFound means that
// Vertex has no such job.
func State(ctx context.Context, client *aiplatform.PipelineClient, name string) (*JobState, error) {
	s := &submission{client: client, tries: 3, timeout: 10 * time.Second, pause: 200 * time.Millisecond}
	job, err := s.get(ctx, name)
	if err != nil {
		return nil, fault.New(fault.FromGRPC(uint32(status.Code(err))), err, "read job %s: %s", name, status.Code(err))
	}
	out := &JobState{
		Name: job.GetName(), State: strings.TrimPrefix(job.GetState().String(), "PIPELINE_STATE_"), Error: errorText(job.GetError()),
		Start: instant(job.GetStartTime()), End: instant(job.GetEndTime()), Labels: job.GetLabels(),
	}
	details := job.GetJobDetail().GetTaskDetails()
	byID := map[int64]*aiplatformpb.PipelineTaskDetail{}
	for _, d := range details {
		byID[d.GetTaskId()] = d
	}
	for _, d := range details {
		out.Tasks = append(out.Tasks, TaskState{
			Path: taskPath(byID, d), State: d.GetState().String(), Error: errorText(d.GetError()), Start: instant(d.GetStartTime()),
			End: instant(d.GetEndTime()), Retries: len(d.GetExecutorDetail().GetContainerDetail().GetFailedMainJobs()),
		})
	}
	slices.SortStableFunc(out.Tasks, byStart)
	return out, nil
}

// byStart puts tasks that have not started last.
func byStart(a, b TaskState) int {
	switch {
	case a.Start.IsZero() && b.Start.IsZero():
		return 0
	case a.Start.IsZero():
		return 1
	case b.Start.IsZero():
		return -1
	}
	return a.Start.Compare(b.Start)
}

func taskPath(byID map[int64]*aiplatformpb.PipelineTaskDetail, d *aiplatformpb.PipelineTaskDetail) string {
	path := d.GetTaskName()
	for range len(byID) { // no more steps than tasks: a server's list may have a cycle
		parent := byID[d.GetParentTaskId()]
		if parent == nil || d.GetParentTaskId() == 0 {
			break
		}
		path, d = parent.GetTaskName()+"/"+path, parent
	}
	return path
}

func errorText(s *rpcstatus.Status) string {
	if s == nil || s.GetCode() == 0 && s.GetMessage() == "" {
		return ""
	}
	return brieflyPut(fmt.Sprintf("%s: %s", codes.Code(uint32(s.GetCode())), s.GetMessage()))
}

func instant(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}
