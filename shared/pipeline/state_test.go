package pipeline

import (
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/millrace-ml/millrace/shared/fault"
)

func TestState(t *testing.T) {
	t.Parallel()
	j := job(t)
	start := time.Unix(1_700_000_000, 0).UTC()
	at := func(s int) *timestamppb.Timestamp { return timestamppb.New(start.Add(time.Duration(s) * time.Second)) }
	task := func(id, parent int64, name string, s aiplatformpb.PipelineTaskDetail_State, began *timestamppb.Timestamp) *aiplatformpb.PipelineTaskDetail {
		return &aiplatformpb.PipelineTaskDetail{TaskId: id, ParentTaskId: parent, TaskName: name, State: s, StartTime: began}
	}
	failed := task(4, 3, "score", aiplatformpb.PipelineTaskDetail_FAILED, at(9))
	failed.Error = &rpcstatus.Status{Code: int32(codes.FailedPrecondition), Message: "exit\n code  3"}
	failed.ExecutorDetail = &aiplatformpb.PipelineTaskExecutorDetail{Details: &aiplatformpb.PipelineTaskExecutorDetail_ContainerDetail_{
		ContainerDetail: &aiplatformpb.PipelineTaskExecutorDetail_ContainerDetail{FailedMainJobs: []string{"a", "b"}}}}
	v := &vertex{gets: []answer{{code: codes.Unavailable}}, jobs: map[string]*aiplatformpb.PipelineJob{j.Name(): {
		Name: j.Name(), State: aiplatformpb.PipelineState_PIPELINE_STATE_FAILED, StartTime: at(0), EndTime: at(60),
		Error: &rpcstatus.Status{Code: int32(codes.Unknown), Message: "a task failed"}, Labels: map[string]string{"key": "k1"},
		JobDetail: &aiplatformpb.PipelineJobDetail{TaskDetails: []*aiplatformpb.PipelineTaskDetail{
			task(5, 1, "publish", aiplatformpb.PipelineTaskDetail_NOT_TRIGGERED, nil), failed,
			task(3, 1, "score-shards", aiplatformpb.PipelineTaskDetail_FAILED, at(8)), task(1, 0, "work", aiplatformpb.PipelineTaskDetail_FAILED, at(1)),
			task(8, 9, "round", aiplatformpb.PipelineTaskDetail_PENDING, nil), task(9, 8, "round", aiplatformpb.PipelineTaskDetail_PENDING, nil),
		}},
	}}}
	c := v.serve(t)
	got, err := State(t.Context(), c, j.Name())
	if err != nil {
		t.Fatal(err)
	}
	if got.State != "FAILED" || !got.Over() || got.Error != "Unknown: a task failed" || !got.End.Equal(start.Add(time.Minute)) || got.Labels["key"] != "k1" {
		t.Errorf("got %+v", got)
	}
	var paths []string
	for _, task := range got.Tasks {
		paths = append(paths, task.Path+" "+task.State)
	}
	want := "work FAILED, work/score-shards FAILED, work/score-shards/score FAILED, work/publish NOT_TRIGGERED"
	if s := strings.Join(paths, ", "); !strings.HasPrefix(s, want) || len(paths) != 6 {
		t.Errorf("tasks are %s", s)
	}
	if f := got.Tasks[2]; f.Error != "FailedPrecondition: exit code 3" || f.Retries != 2 || !f.Start.Equal(start.Add(9*time.Second)) || !f.End.IsZero() {
		t.Errorf("the failed task is %+v", f)
	}
	if _, err := State(t.Context(), c, j.Name()+"x"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("got %v", err)
	}
}
