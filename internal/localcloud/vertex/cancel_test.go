package vertex_test

import (
	"context"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/millrace-ml/millrace/internal/localcloud/vertex"
)

func (c *cloud) cancel(id string) error {
	return c.client.CancelPipelineJob(c.t.Context(), &aiplatformpb.CancelPipelineJobRequest{Name: jobName(id)})
}

// gone waits until a process does not run any more.
func gone(t *testing.T, pid string) {
	t.Helper()
	n, err := strconv.Atoi(pid)
	if err != nil {
		t.Fatal(err)
	}
	poll(t, "process "+pid+" is gone", func() bool { return !alive(n) }, func() string { return "" })
}

const cancelSpec = `
components:
  work: {run: [ACTIONS]}
  leaf: {run: ['arg:']}
  group: {dag: {tasks: {work: {componentRef: {name: work}}, next: {componentRef: {name: leaf}, dependentTasks: [work]}}}}
root:
  dag:
    tasks:
      group: {componentRef: {name: group}}
      exit: {componentRef: {name: leaf}, dependentTasks: [group], triggerPolicy: {strategy: ALL_UPSTREAM_TASKS_COMPLETED}}
`

func TestCancelEndsProcessesAndRunsNoExitTask(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		actions string
		grace   time.Duration
	}{
		"a process that obeys":               {`"polite:DIR/term", "spawn:DIR/child", "pid:DIR/pid", "wait:/nowhere/at/all"`, time.Minute},
		"a process that is deaf to SIGTERM":  {`"deaf", "spawn:DIR/child", "pid:DIR/pid", "wait:/nowhere/at/all"`, 50 * time.Millisecond},
		"a process that dies of its SIGTERM": {`"spawn:DIR/child", "pid:DIR/pid", "wait:/nowhere/at/all"`, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := open(t, func(o *vertex.Options) { o.Grace = tc.grace })
			spec := replace(cancelSpec, "ACTIONS", replace(tc.actions, "DIR", c.dir))
			c.create(request("c", pipeline(t, spec), nil))
			c.until("c", "the process has written its pid", func(*aiplatformpb.PipelineJob) bool { return len(lines(t, filepath.Join(c.dir, "pid"))) == 1 })
			if err := c.cancel("c"); err != nil {
				t.Fatal(err)
			}
			job := c.until("c", "the job is finished", ended)
			wantState(t, job, "CANCELLED")
			if job.GetError().GetCode() != int32(codes.Canceled) || job.EndTime == nil {
				t.Errorf("error %v, end %v", job.Error, job.EndTime)
			}
			want := map[string]string{"group": "CANCELLED", "group.work": "CANCELLED", "group.next": "CANCELLED", "exit": "CANCELLED"}
			if diff := cmp.Diff(want, states(job)); diff != "" {
				t.Errorf("task states (-want +got):\n%s", diff)
			}
			if polite := lines(t, filepath.Join(c.dir, "term")); (name == "a process that obeys") != (len(polite) == 1) {
				t.Errorf("the process saw SIGTERM %d times", len(polite))
			}
			gone(t, lines(t, filepath.Join(c.dir, "pid"))[0])
			gone(t, lines(t, filepath.Join(c.dir, "child"))[0])
			if err := c.cancel("c"); status.Code(err) != codes.FailedPrecondition {
				t.Errorf("cancel of a finished job: %v, want FAILED_PRECONDITION", err)
			}
		})
	}
}

func TestCancelling(t *testing.T) {
	t.Parallel()
	c := open(t, func(o *vertex.Options) { o.Grace = time.Minute })
	gate := filepath.Join(c.dir, "gate")
	c.create(request("c", pipeline(t, `
components: {a: {run: [deaf, 'pid:`+c.dir+`/pid', 'wait:`+gate+`']}}
root: {dag: {tasks: {a: {componentRef: {name: a}}}}}
`), nil))
	c.until("c", "the process has written its pid", func(*aiplatformpb.PipelineJob) bool { return len(lines(t, filepath.Join(c.dir, "pid"))) == 1 })
	for range 2 { // a second request changes nothing
		if err := c.cancel("c"); err != nil {
			t.Fatal(err)
		}
		wantState(t, c.get("c"), "CANCELLING")
	}
	touch(t, gate)
	wantState(t, c.until("c", "the job is finished", ended), "CANCELLED")
}

func TestCancelDuringBackoffAndWhileWaitingForCPU(t *testing.T) {
	t.Parallel()
	c := open(t, func(o *vertex.Options) { o.CPUs = 1 })
	c.create(request("c", pipeline(t, `
components: {bad: {run: ['exit:1']}}
root: {dag: {tasks: {bad: {componentRef: {name: bad}, retryPolicy: {maxRetryCount: 1, backoffDuration: 3600s}}}}}
`), nil))
	c.until("c", "the first attempt has failed", func(j *aiplatformpb.PipelineJob) bool { return len(details(j)["bad"].GetPipelineTaskStatus()) == 3 })
	c.create(request("holder", pipeline(t, `
components: {a: {run: ['wait:`+c.dir+`/gate']}}
root: {dag: {tasks: {a: {componentRef: {name: a}}}}}
`), nil))
	c.until("holder", "the only CPU is taken", func(j *aiplatformpb.PipelineJob) bool { return states(j)["a"] == "RUNNING" })
	c.create(request("waiter", pipeline(t, `
components: {a: {run: ['arg:']}}
root: {dag: {tasks: {a: {componentRef: {name: a}}}}}
`), nil))
	c.until("waiter", "its task waits", func(j *aiplatformpb.PipelineJob) bool { return states(j)["a"] == "PENDING" })
	for _, id := range []string{"c", "waiter"} {
		if err := c.cancel(id); err != nil {
			t.Fatal(err)
		}
		wantState(t, c.until(id, "the job is finished", ended), "CANCELLED")
	}
	touch(t, filepath.Join(c.dir, "gate"))
	wantState(t, c.until("holder", "the job is finished", ended), "SUCCEEDED")
}

func TestCancelOfNothing(t *testing.T) {
	t.Parallel()
	c := open(t, nil)
	if err := c.cancel("nothing"); status.Code(err) != codes.NotFound {
		t.Errorf("cancel of a job that does not exist: %v, want NOT_FOUND", err)
	}
	err := c.client.CancelPipelineJob(context.Background(), &aiplatformpb.CancelPipelineJobRequest{Name: "no/name"})
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("cancel of a bad name: %v, want INVALID_ARGUMENT", err)
	}
}

// alive says whether a process runs; a zombie does not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	return !zombie(pid)
}
