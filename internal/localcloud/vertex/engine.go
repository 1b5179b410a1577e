package vertex

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// run is the execution of one job. What it decides is a function of the spec and the task records, so a run that was
// cut off decides the same again.
type run struct {
	s        *Server
	name     jobName
	job      *aiplatformpb.PipelineJob // as it was when the run began: its input fields
	plan     *plan
	failFast bool
	failed   atomic.Bool // a task has failed for good
	mu       sync.Mutex
	records  map[string]*record // by unique name; each is changed by its own task alone
}

// outcome is what a task, a dag or a job came to.
type outcome struct {
	state  taskState
	out    *values
	err    *status.Status // of FAILED and CANCELLED
	halted bool           // NOT_TRIGGERED by FAIL_FAST
}

// interrupted is the state of what the closing of the server cut off: nothing was decided and nothing is written.
const interrupted taskState = -1

// execute runs a job to its end, or until ctx ends.
func (s *Server) execute(ctx context.Context, cancel context.CancelCauseFunc, name string) {
	now := s.o.Now()
	var state aiplatformpb.PipelineState
	err := s.store.changeJob(name, func(job *aiplatformpb.PipelineJob) error {
		if job.State == jobPending {
			job.State, job.StartTime, job.UpdateTime = jobRunning, timestamppb.New(now), timestamppb.New(now)
		}
		state = job.State
		return nil
	})
	if errors.Is(err, errMissing) {
		return
	}
	if err != nil {
		s.o.Log.Error("vertex: a job could not be started", "job", name, "error", err)
		return
	}
	if state == jobCancelling {
		cancel(errCancelled)
	}
	s.o.Log.Debug("job running", "job", name)
	r, err := s.newRun(name)
	var out outcome
	switch {
	case errors.Is(err, errSpec):
		out = outcome{state: taskFailed, err: status.New(codes.InvalidArgument, err.Error())}
	case err != nil:
		s.o.Log.Error("vertex: a job could not be read", "job", name, "error", err)
		return
	default:
		out = r.dag(ctx, r.root())
	}
	if out.state == interrupted {
		return
	}
	if r != nil {
		if err := os.RemoveAll(keptFolder(jobFolder(s.dir, r.name))); err != nil {
			s.o.Log.Warn("vertex: the kept objects of a job are left", "job", name, "error", err)
		}
	}
	s.finish(name, out)
}

// errSpec marks a stored spec that this version cannot execute, though the one that took it could.
var errSpec = errors.New("the stored spec cannot be executed")

func (s *Server) newRun(name string) (*run, error) {
	n, err := parseName(name)
	if err != nil {
		return nil, err
	}
	job, err := s.store.job(name, false)
	if err != nil {
		return nil, err
	}
	spec, err := decodeSpec(job.PipelineSpec)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errSpec, err)
	}
	p, err := s.exprs.compile(spec)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errSpec, err)
	}
	r := &run{s: s, name: n, job: job, plan: p}
	r.failFast = job.GetRuntimeConfig().GetFailurePolicy() == aiplatformpb.PipelineFailurePolicy_PIPELINE_FAILURE_POLICY_FAIL_FAST
	if r.records, err = s.store.tasks(name); err != nil {
		return nil, err
	}
	for _, rec := range r.records {
		if rec.detail.State == taskFailed {
			r.failed.Store(true)
		}
	}
	return r, nil
}

// finish writes the end of a job.
func (s *Server) finish(name string, out outcome) {
	now := s.o.Now()
	var began time.Time
	err := s.store.changeJob(name, func(job *aiplatformpb.PipelineJob) error {
		began = job.GetCreateTime().AsTime()
		job.EndTime, job.UpdateTime = timestamppb.New(now), timestamppb.New(now)
		switch out.state {
		case taskSucceeded:
			job.State = jobSucceeded
		case taskCancelled:
			job.State = jobCancelled
			job.Error = status.New(codes.Canceled, "The PipelineJob was cancelled.").Proto()
		default:
			job.State, job.Error = jobFailed, out.err.Proto()
		}
		return nil
	})
	if err != nil && !errors.Is(err, errMissing) {
		s.o.Log.Error("vertex: the end of a job could not be written", "job", name, "error", err)
		return
	}
	attrs := []any{"job", name, "state", out.state.String(), "ms", now.Sub(began).Milliseconds()}
	if out.err != nil {
		attrs = append(attrs, "error", out.err.Message())
	}
	s.o.Log.Info("job finished", attrs...)
}

// scope is one instance of a dag.
type scope struct {
	path      string // unique name of the task that the dag is, "" for the root
	parent    int64  // its task id
	component *component
	in        *values
	exempt    bool // below an exit task: FAIL_FAST does not stop it
	results   map[string]*result
}

// result is where the tasks downstream wait.
type result struct {
	done chan struct{}
	outcome
}

func (r *run) root() *scope {
	in := newValues()
	params := r.plan.root.spec.GetInputDefinitions().GetParameters()
	given := r.job.GetRuntimeConfig().GetParameterValues()
	for k, p := range params {
		if v := firstValue(given[k], p.DefaultValue); v != nil {
			in.params[k] = v
		}
	}
	return &scope{component: r.plan.root, in: in}
}

// firstValue is the first of vs that is there and not null, or nil.
func firstValue(vs ...*structpb.Value) *structpb.Value {
	for _, v := range vs {
		if !isNull(v) {
			return v
		}
	}
	return nil
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// dag runs the tasks of a scope, each as soon as those it waits for are finished.
func (r *run) dag(ctx context.Context, s *scope) outcome {
	s.results = map[string]*result{}
	names := make([]string, len(s.component.tasks))
	for i, t := range s.component.tasks {
		s.results[t.name] = &result{done: make(chan struct{})}
		names[i] = t.name
	}
	if !r.add(s.path, s.parent, names) {
		return outcome{state: interrupted}
	}
	var wg sync.WaitGroup
	for _, t := range s.component.tasks {
		wg.Go(func() {
			res := s.results[t.name]
			defer close(res.done)
			res.outcome = r.task(ctx, s, t)
		})
	}
	wg.Wait()
	all := make([]outcome, len(names))
	for i, n := range names {
		all[i] = s.results[n].outcome
	}
	if sum := summarise("The DAG failed because some tasks failed. The failed tasks are: [%s].", names, all); sum.state != taskSucceeded {
		return sum
	}
	out, err := s.outputs()
	if err != nil {
		return outcome{state: taskFailed, err: status.New(codes.FailedPrecondition, err.Error())}
	}
	return outcome{state: taskSucceeded, out: out}
}

// summarise is the state of what consists of parts: cut off, cancelled, failed or succeeded, in this order. What was not
// triggered does no harm, unless FAIL_FAST kept it from running: then the whole is incomplete, which is no success. The
// error names the failed parts and repeats the first one's message.
func summarise(format string, names []string, all []outcome) outcome {
	var failed []string
	var first *status.Status
	states := map[taskState]bool{}
	halted := false
	for i, o := range all {
		states[o.state] = true
		halted = halted || o.halted
		if o.state == taskFailed {
			failed = append(failed, names[i])
			if first == nil {
				first = o.err
			}
		}
	}
	switch {
	case states[interrupted]:
		return outcome{state: interrupted}
	case states[taskCancelled]:
		return outcome{state: taskCancelled, err: status.New(codes.Canceled, "The task was cancelled.")}
	case len(failed) > 0:
		shown := failed
		if len(shown) > 20 {
			shown = append(slices.Clone(shown[:20]), fmt.Sprintf("%d more", len(failed)-20))
		}
		message := fmt.Sprintf(format, strings.Join(shown, ", ")) + " " + failed[0] + ": " + first.Message()
		return outcome{state: taskFailed, err: status.New(codes.FailedPrecondition, message)}
	case halted:
		return outcome{state: taskFailed, err: status.New(codes.Aborted, "Not all of it was run: a task elsewhere failed and the failure policy is FAIL_FAST.")}
	}
	return outcome{state: taskSucceeded}
}
