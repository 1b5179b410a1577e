package vertex

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Short names of the states of a job.
const (
	jobPending    = aiplatformpb.PipelineState_PIPELINE_STATE_PENDING
	jobRunning    = aiplatformpb.PipelineState_PIPELINE_STATE_RUNNING
	jobSucceeded  = aiplatformpb.PipelineState_PIPELINE_STATE_SUCCEEDED
	jobFailed     = aiplatformpb.PipelineState_PIPELINE_STATE_FAILED
	jobCancelling = aiplatformpb.PipelineState_PIPELINE_STATE_CANCELLING
	jobCancelled  = aiplatformpb.PipelineState_PIPELINE_STATE_CANCELLED
)

var (
	parentForm = regexp.MustCompile(`^projects/([A-Za-z0-9][A-Za-z0-9.:_-]*)/locations/([A-Za-z0-9][A-Za-z0-9-]*)$`)
	nameForm   = regexp.MustCompile(`^(projects/([A-Za-z0-9][A-Za-z0-9.:_-]*)/locations/([A-Za-z0-9][A-Za-z0-9-]*))/pipelineJobs/([a-z][a-z0-9-]{0,126})$`)
	idForm     = regexp.MustCompile(`^[a-z][a-z0-9-]{0,126}$`)
)

// jobName is a resource name taken apart.
type jobName struct{ full, parent, project, location, id string }

func parseName(name string) (jobName, error) {
	m := nameForm.FindStringSubmatch(name)
	if m == nil {
		return jobName{}, status.Errorf(codes.InvalidArgument, "name %q is not projects/PROJECT/locations/LOCATION/pipelineJobs/ID", name)
	}
	return jobName{m[0], m[1], m[2], m[3], m[4]}, nil
}

func checkParent(parent string) error {
	if !parentForm.MatchString(parent) {
		return status.Errorf(codes.InvalidArgument, "parent %q is not projects/PROJECT/locations/LOCATION", parent)
	}
	return nil
}

// CreatePipelineJob stores a job and starts it. The id is the caller's key: the same one again is ALREADY_EXISTS,
// whatever the body says.
func (s *Server) CreatePipelineJob(_ context.Context, r *aiplatformpb.CreatePipelineJobRequest) (*aiplatformpb.PipelineJob, error) {
	if !s.open() {
		return nil, status.Error(codes.Unavailable, "the server is closing")
	}
	now := s.o.Now()
	if err := checkParent(r.Parent); err != nil {
		return nil, err
	}
	if !s.quota.take(r.Parent, now) {
		return nil, status.Errorf(codes.ResourceExhausted, "more than %d jobs a minute in %s", s.o.Quota, r.Parent)
	}
	if !idForm.MatchString(r.PipelineJobId) {
		return nil, status.Errorf(codes.InvalidArgument, "pipeline_job_id %q does not match %s", r.PipelineJobId, idForm)
	}
	name := r.Parent + "/pipelineJobs/" + r.PipelineJobId
	if found, err := s.store.exists(name); err != nil {
		return nil, s.internal(err)
	} else if found {
		return nil, alreadyExists()
	}
	job, err := s.newJob(name, r.PipelineJob, now)
	if err != nil {
		return nil, err
	}
	s.names.RLock()
	err = s.store.createJob(job)
	s.names.RUnlock()
	if errors.Is(err, errExists) {
		return nil, alreadyExists()
	} else if err != nil {
		return nil, s.internal(err)
	}
	s.o.Log.Debug("job created", "job", name)
	s.launch(name)
	return job, nil
}

func alreadyExists() error {
	return status.Error(codes.AlreadyExists, "Pipeline job with the specified ID already exists.")
}

// newJob is the job as it is stored: the caller's fields and the output-only ones of a new job.
func (s *Server) newJob(name string, in *aiplatformpb.PipelineJob, now time.Time) (*aiplatformpb.PipelineJob, error) {
	if err := s.checkJob(in); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	job := proto.CloneOf(in)
	job.Name, job.State = name, jobPending
	job.CreateTime, job.UpdateTime = timestamppb.New(now), timestamppb.New(now)
	job.StartTime, job.EndTime, job.Error, job.JobDetail = nil, nil, nil, nil
	job.ScheduleName, job.TemplateMetadata = "", nil
	return job, nil
}

// GetPipelineJob answers the job with the details of its tasks.
func (s *Server) GetPipelineJob(_ context.Context, r *aiplatformpb.GetPipelineJobRequest) (*aiplatformpb.PipelineJob, error) {
	if _, err := parseName(r.Name); err != nil {
		return nil, err
	}
	job, err := s.store.job(r.Name, true)
	if err != nil {
		return nil, s.failure(r.Name, err)
	}
	return job, nil
}

// CancelPipelineJob asks a job to end; it does not wait.
func (s *Server) CancelPipelineJob(_ context.Context, r *aiplatformpb.CancelPipelineJobRequest) (*emptypb.Empty, error) {
	if _, err := parseName(r.Name); err != nil {
		return nil, err
	}
	now := s.o.Now()
	err := s.store.changeJob(r.Name, func(job *aiplatformpb.PipelineJob) error {
		if finished(job.State) {
			return status.Errorf(codes.FailedPrecondition, "%s is in the state %s, which is final", job.Name, job.State)
		}
		beginCancel(job, now)
		return nil
	})
	if err != nil {
		return nil, s.failure(r.Name, err)
	}
	s.stop(r.Name, errCancelled)
	return &emptypb.Empty{}, nil
}

func beginCancel(job *aiplatformpb.PipelineJob, now time.Time) {
	if job.State != jobCancelling {
		job.State, job.UpdateTime = jobCancelling, timestamppb.New(now)
	}
}

// failure turns an error of the store into what a caller may read.
func (s *Server) failure(name string, err error) error {
	if errors.Is(err, errMissing) {
		return status.Errorf(codes.NotFound, "The PipelineJob does not exist: %s", name)
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	return s.internal(err)
}

// internal logs a cause and hides it.
func (s *Server) internal(err error) error {
	s.o.Log.Error("vertex: the store failed", "error", err)
	return status.Error(codes.Internal, "the local Vertex could not use its store, see its log")
}

// Logs is the file with the output of one attempt of a task, as GetPipelineJob numbers tasks. It is there once the
// attempt has begun and until the job is deleted.
func (s *Server) Logs(job string, taskID int64, attempt int) (string, error) {
	n, err := parseName(job)
	if err != nil {
		return "", err
	}
	path := attemptFolder(s.dir, n, taskID, attempt).log
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("log of attempt %d of task %d of %s: %w", attempt, taskID, job, err)
	}
	return path, nil
}

// quota counts the creations of the last minute by location, in memory: a restart forgives.
type quota struct {
	limit int
	mu    sync.Mutex
	times map[string][]time.Time
}

// take says whether one more is allowed at now, and counts it. Refused ones do not count.
func (q *quota) take(parent string, now time.Time) bool {
	if q.limit <= 0 {
		return true
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.times == nil {
		q.times = map[string][]time.Time{}
	}
	recent := q.times[parent][:0]
	for _, t := range q.times[parent] {
		if now.Sub(t) < time.Minute {
			recent = append(recent, t)
		}
	}
	q.times[parent] = recent
	if len(recent) >= q.limit {
		return false
	}
	q.times[parent] = append(recent, now)
	return true
}

// shortID is the last part of a resource name.
func shortID(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }
