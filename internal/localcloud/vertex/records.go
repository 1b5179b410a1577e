package vertex

import (
	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"github.com/kubeflow/pipelines/api/v2alpha1/go/pipelinespec"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// taskState and the short names of its values.
type taskState = aiplatformpb.PipelineTaskDetail_State

const (
	taskPending      = aiplatformpb.PipelineTaskDetail_PENDING
	taskRunning      = aiplatformpb.PipelineTaskDetail_RUNNING
	taskSucceeded    = aiplatformpb.PipelineTaskDetail_SUCCEEDED
	taskCancelled    = aiplatformpb.PipelineTaskDetail_CANCELLED
	taskFailed       = aiplatformpb.PipelineTaskDetail_FAILED
	taskSkipped      = aiplatformpb.PipelineTaskDetail_SKIPPED
	taskNotTriggered = aiplatformpb.PipelineTaskDetail_NOT_TRIGGERED
)

func final(s taskState) bool {
	switch s {
	case taskSucceeded, taskCancelled, taskFailed, taskSkipped, taskNotTriggered:
		return true
	}
	return false
}

// add stores PENDING records for the tasks of one parent that have none yet. It says whether the run can go on.
func (r *run) add(path string, parent int64, names []string) bool {
	now := timestamppb.New(r.s.o.Now())
	var fresh []*record
	r.mu.Lock()
	for _, n := range names {
		unique := join(path, n)
		if r.records[unique] != nil {
			continue
		}
		fresh = append(fresh, &record{attempt: 1, outputs: &pipelinespec.ExecutorOutput{}, detail: &aiplatformpb.PipelineTaskDetail{
			ParentTaskId: parent, TaskName: n, TaskUniqueName: unique, CreateTime: now, State: taskPending,
			PipelineTaskStatus: []*aiplatformpb.PipelineTaskDetail_PipelineTaskStatus{{UpdateTime: now, State: taskPending}},
		}})
	}
	r.mu.Unlock()
	if len(fresh) == 0 {
		return true
	}
	if err := r.s.store.addTasks(r.name.full, fresh); err != nil {
		return r.broken(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rec := range fresh {
		r.records[rec.detail.TaskUniqueName] = rec
	}
	return true
}

// broken logs that the store failed. The run stops where it is: the next Open goes on from what is written.
func (r *run) broken(err error) bool {
	r.s.o.Log.Error("vertex: the state of a task could not be written, its job stands still until the next start", "job", r.name.full, "error", err)
	return false
}

func (r *run) record(unique string) *record {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.records[unique]
}

// move writes a transition of a task, and with it what else the change carries. It says whether the run can go on.
func (r *run) move(rec *record, state taskState, err *status.Status, c change) bool {
	now := timestamppb.New(r.s.o.Now())
	d := rec.detail
	step := &aiplatformpb.PipelineTaskDetail_PipelineTaskStatus{UpdateTime: now, State: state}
	if err != nil {
		step.Error = err.Proto()
	}
	d.State = state
	d.PipelineTaskStatus = append(d.PipelineTaskStatus, step)
	if state == taskRunning && d.StartTime == nil {
		d.StartTime = now
	}
	if final(state) {
		d.EndTime = now
		if d.Execution != nil {
			d.Execution.UpdateTime, d.Execution.State = now, executionState(state)
		}
		if state == taskFailed || state == taskCancelled {
			d.Error = step.Error
		}
	}
	c.rec = rec
	if e := r.s.store.changeTask(r.name.full, c); e != nil {
		return r.broken(e)
	}
	r.s.o.Log.Debug("task moved", "job", r.name.full, "task", d.TaskUniqueName, "attempt", rec.attempt, "state", state.String())
	return true
}

func executionState(s taskState) aiplatformpb.Execution_State {
	switch s {
	case taskSucceeded:
		return aiplatformpb.Execution_COMPLETE
	case taskSkipped:
		return aiplatformpb.Execution_CACHED
	case taskCancelled:
		return aiplatformpb.Execution_CANCELLED
	case taskFailed:
		return aiplatformpb.Execution_FAILED
	}
	return aiplatformpb.Execution_RUNNING
}

// begin writes RUNNING with the inputs of a task, unless an earlier server did.
func (r *run) begin(rec *record, in *values) bool {
	if rec.detail.State == taskRunning {
		return true
	}
	r.describe(rec, in)
	return r.move(rec, taskRunning, nil, change{})
}

// describe puts the inputs into the detail: artifacts as such, parameters as metadata of the execution.
func (r *run) describe(rec *record, in *values) {
	d := rec.detail
	d.Inputs = artifactLists(in)
	e := &aiplatformpb.Execution{
		Name:        r.name.parent + "/metadataStores/default/executions/" + rec.id(),
		DisplayName: d.TaskName, State: aiplatformpb.Execution_RUNNING, CreateTime: timestamppb.New(r.s.o.Now()),
		SchemaTitle: "system.Run", SchemaVersion: "0.0.1", Metadata: &structpb.Struct{Fields: map[string]*structpb.Value{}},
	}
	for k, v := range in.params {
		e.Metadata.Fields["input:"+k] = v
	}
	d.Execution = e
}

// end writes the outcome of a task and answers it; interrupted outcomes are not written.
func (r *run) end(rec *record, o outcome, c change) outcome {
	if o.state == interrupted {
		return o
	}
	if o.out == nil {
		o.out = newValues()
	}
	rec.outputs = o.out.output()
	rec.detail.Outputs = artifactLists(o.out)
	if e := rec.detail.Execution; e != nil {
		if e.Metadata.GetFields() == nil { // an empty map does not come back from the file
			e.Metadata = &structpb.Struct{Fields: map[string]*structpb.Value{}}
		}
		for k, v := range o.out.params {
			e.Metadata.Fields["output:"+k] = v
		}
	}
	if o.state == taskFailed {
		r.failed.Store(true)
	}
	if !r.move(rec, o.state, o.err, c) {
		return outcome{state: interrupted}
	}
	return o
}

// halt ends a task that FAIL_FAST keeps from starting.
func (r *run) halt(rec *record) outcome {
	rec.halted = true
	return r.end(rec, outcome{state: taskNotTriggered, halted: true}, change{})
}

// fail ends a task whose spec or inputs are wrong.
func (r *run) fail(rec *record, err error) outcome {
	return r.end(rec, outcome{state: taskFailed, err: status.New(codes.InvalidArgument, err.Error())}, change{})
}

// decided is the outcome of a task that a record holds already.
func (rec *record) decided() (outcome, bool) {
	if !final(rec.detail.State) {
		return outcome{}, false
	}
	o := outcome{state: rec.detail.State, out: outputValues(rec.outputs), halted: rec.halted}
	if rec.detail.Error != nil {
		o.err = status.FromProto(rec.detail.Error)
	}
	return o, true
}

func artifactLists(v *values) map[string]*aiplatformpb.PipelineTaskDetail_ArtifactList {
	m := map[string]*aiplatformpb.PipelineTaskDetail_ArtifactList{}
	for k, arts := range v.arts {
		l := &aiplatformpb.PipelineTaskDetail_ArtifactList{}
		for _, a := range arts {
			l.Artifacts = append(l.Artifacts, &aiplatformpb.Artifact{
				Name: a.Name, Uri: a.Uri, SchemaTitle: a.GetType().GetSchemaTitle(), SchemaVersion: a.GetType().GetSchemaVersion(),
				Metadata: a.Metadata, State: aiplatformpb.Artifact_LIVE,
			})
		}
		m[k] = l
	}
	return m
}
