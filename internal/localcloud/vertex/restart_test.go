package vertex_test

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/millrace-ml/millrace/internal/localcloud/vertex"
)

// killSpec has all that a kill can hit: a producer, a loop with a retry, a nested dag, an exit task. Its processes leave
// others behind, in their group and outside it, and say so if two of one task run at once.
const killSpec = `
components:
  plan: {run: ['alone:DIR/lock-plan=DIR/journal', 'pid:DIR/pids', 'spawngroup:DIR/pids', 'out:items=["a","b"]'], out: {items: LIST}}
  score:
    in: {item: STRING}
    out: {n: NUMBER_INTEGER}
    run: ["alone:DIR/lock-{{$.inputs.parameters['item']}}=DIR/journal", 'pid:DIR/pids', 'spawn:DIR/pids', "fails:DIR/fails-{{$.inputs.parameters['item']}}=1", "journal:DIR/journal=scored-{{$.inputs.parameters['item']}}", 'out:n=1']
  work:
    dag:
      tasks:
        plan: {componentRef: {name: plan}}
        score:
          componentRef: {name: score}
          retryPolicy: {maxRetryCount: 9}
          inputs: {parameters: {items: {taskOutputParameter: {producerTask: plan, outputParameterKey: items}}}}
          parameterIterator: {itemInput: item, items: {inputParameter: items}}
  finish: {run: ['alone:DIR/lock-finish=DIR/journal', 'pid:DIR/pids', "journal:DIR/journal=finished"], in: {status: TASK_FINAL_STATUS}}
root:
  dag:
    tasks:
      work: {componentRef: {name: work}}
      finish:
        componentRef: {name: finish}
        dependentTasks: [work]
        inputs: {parameters: {status: {taskFinalStatus: {producerTask: work}}}}
        triggerPolicy: {strategy: ALL_UPSTREAM_TASKS_COMPLETED}
`

// TestKillInEachState kills the server with SIGKILL after the first, the second, … step of a job, starts it again, and
// wants one succeeded job, no step twice at once, and no process left.
func TestKillInEachState(t *testing.T) {
	t.Parallel()
	stride := 1
	if testing.Short() {
		stride = 7
	}
	killed := 0
	for n := 1; ; n += stride {
		if !killAt(t, n) {
			break
		}
		killed++
		if n > 200 {
			t.Fatal("the job has no end")
		}
	}
	if killed < 20/stride {
		t.Errorf("only %d states were found", killed)
	}
	t.Logf("killed in %d states", killed)
}

// killAt says whether the server was killed before the job was finished.
func killAt(t *testing.T, n int) (killed bool) {
	t.Helper()
	dir := t.TempDir()
	r := request("job", pipeline(t, replace(killSpec, "DIR", dir)), nil)
	first := spawn(t, dir, n)
	killed = driveUntilKilled(t, first, r)
	first.kill()
	second := spawn(t, dir, 0)
	t.Cleanup(func() {
		if t.Failed() {
			second.kill()
			t.Logf("state %d, the log after the kill:\n%s", n, second.log)
		}
	})
	if _, err := second.client.CreatePipelineJob(t.Context(), r); killed && err != nil && status.Code(err) != codes.AlreadyExists || !killed && status.Code(err) != codes.AlreadyExists {
		t.Fatalf("state %d: the same creation again: %v", n, err)
	}
	job := second.until("job", "the job is finished", ended)
	if job.State != aiplatformpb.PipelineState_PIPELINE_STATE_SUCCEEDED {
		t.Fatalf("state %d: %s\nlog before the kill:\n%s", n, protojson.Format(job), first.log)
	}
	jobs, err := second.list(&aiplatformpb.ListPipelineJobsRequest{})
	if err != nil || len(jobs) != 1 {
		t.Errorf("state %d: jobs %v, %v, want one", n, jobs, err)
	}
	journal := strings.Join(lines(t, filepath.Join(dir, "journal")), " ")
	for _, want := range []string{"scored-a", "scored-b", "finished"} {
		if !strings.Contains(journal, want) {
			t.Errorf("state %d: the journal %q has no %s", n, journal, want)
		}
	}
	if strings.Contains(journal, "OVERLAP") {
		t.Errorf("state %d: a step ran twice at once: %q\nlog before the kill:\n%s", n, journal, first.log)
	}
	for name, d := range details(job) {
		if n := len(d.GetExecutorDetail().GetContainerDetail().GetFailedMainJobs()); n > 1 {
			t.Errorf("state %d: a kill used up attempts of %s: %d failed ones", n, name, n)
		}
	}
	second.kill()
	openAt(t, dir, nil).stop()
	for _, pid := range lines(t, filepath.Join(dir, "pids")) {
		if p, err := strconv.Atoi(pid); err != nil || alive(p) {
			t.Errorf("state %d: process %s is left (%v)", n, pid, err)
		}
	}
	return killed
}

// driveUntilKilled creates the job and waits until the server dies or the job is finished.
func driveUntilKilled(t *testing.T, c *child, r *aiplatformpb.CreatePipelineJobRequest) (killed bool) {
	t.Helper()
	if c.cloud == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	if _, err := c.client.CreatePipelineJob(ctx, r); err != nil {
		<-c.exited
		return true
	}
	poll(t, "the server is dead or the job finished", func() bool {
		if c.dead() {
			killed = true
			return true
		}
		job, err := c.client.GetPipelineJob(ctx, &aiplatformpb.GetPipelineJobRequest{Name: jobName("job")})
		return err == nil && ended(job)
	}, func() string { return "" })
	return killed
}

// lastingStates are those that a job can stay in.
var lastingStates = map[string]struct {
	spec   string
	reach  func(*cloud) // brings the job into the state
	state  string
	failed int // main jobs of task a
}{
	"a process runs": {
		`components: {a: {run: ['alone:DIR/lock=DIR/journal', 'pid:DIR/pids', 'spawngroup:DIR/pids', 'wait:DIR/gate', 'out:n=1'], out: {n: NUMBER_INTEGER}}}`,
		func(c *cloud) {
			poll(c.t, "both are there", func() bool { return len(lines(c.t, c.dir+"/pids")) == 2 }, func() string { return "" })
		}, "SUCCEEDED", 0,
	},
	"a deaf process is being cancelled": {
		`components: {a: {run: [deaf, 'pid:DIR/pids', 'wait:DIR/gate']}}`,
		func(c *cloud) {
			poll(c.t, "it is there", func() bool { return len(lines(c.t, c.dir+"/pids")) == 1 }, func() string { return "" })
			if err := c.cancel("job"); err != nil {
				c.t.Fatal(err)
			}
		}, "CANCELLED", 0,
	},
	"the second attempt waits": {
		`components: {a: {run: ['pid:DIR/pids', 'fails:DIR/fails=1', 'wait:DIR/gate']}}`,
		func(c *cloud) {
			c.until("job", "the first attempt has failed", func(j *aiplatformpb.PipelineJob) bool { return len(details(j)["a"].GetPipelineTaskStatus()) == 3 })
		}, "SUCCEEDED", 1,
	},
	"a task waits for a CPU": {
		`components: {a: {run: ['pid:DIR/pids', 'wait:DIR/gate'], resources: {cpuLimit: 2.0}}}`,
		func(c *cloud) {
			c.until("job", "one runs and one waits", func(j *aiplatformpb.PipelineJob) bool {
				return len(inState(j, "RUNNING", "")) == 1 && len(inState(j, "PENDING", "")) == 1
			})
		}, "SUCCEEDED", 0,
	},
}

// TestKillWhile kills the server in states that last.
func TestKillWhile(t *testing.T) {
	t.Parallel()
	for name, tc := range lastingStates {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			spec := replace(tc.spec, "DIR", dir) + `
root: {dag: {tasks: {a: {componentRef: {name: a}, retryPolicy: {maxRetryCount: 1, backoffDuration: 1s}}, b: {componentRef: {name: a}, triggerPolicy: {condition: 'CPU'}}}}}`
			spec = replace(spec, "'CPU'", fmt.Sprint("'", strings.Contains(name, "CPU"), "'"))
			first := spawn(t, dir, 0)
			first.create(request("job", pipeline(t, spec), nil))
			tc.reach(first.cloud)
			first.kill()
			touch(t, dir+"/gate")
			second := spawn(t, dir, 0)
			finished := second.until("job", "the job is finished", ended)
			wantState(t, finished, tc.state)
			if n := len(details(finished)["a"].GetExecutorDetail().GetContainerDetail().GetFailedMainJobs()); n != tc.failed {
				t.Errorf("%d failed attempts, want %d", n, tc.failed)
			}
			if n := len(details(finished)["a"].GetPipelineTaskStatus()); n != 3+2*tc.failed {
				t.Errorf("%d states in the history, want %d: going on is no new state", n, 3+2*tc.failed)
			}
			if j := lines(t, dir+"/journal"); len(j) > 0 {
				t.Errorf("a step ran twice at once: %v", j)
			}
			second.kill()
			openAt(t, dir, nil).stop()
			for _, pid := range lines(t, dir+"/pids") {
				gone(t, pid)
			}
		})
	}
}

func TestCloseLeavesWorkForTheNextStart(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		actions string
		grace   time.Duration
		limit   time.Duration // of Close
	}{
		"a process that dies of SIGTERM":       {"'pid:DIR/pids', 'wait:DIR/gate'", time.Minute, time.Minute},
		"a deaf process, killed by the grace":  {"deaf, 'pid:DIR/pids', 'wait:DIR/gate'", 30 * time.Millisecond, time.Minute},
		"a deaf process, killed by the caller": {"deaf, 'pid:DIR/pids', 'wait:DIR/gate'", time.Minute, 30 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			c := openAt(t, dir, func(o *vertex.Options) { o.Grace = tc.grace })
			c.create(request("job", pipeline(t, replace(`
components: {a: {run: [`+tc.actions+`]}}
root: {dag: {tasks: {a: {componentRef: {name: a}}}}}`, "DIR", dir)), nil))
			poll(t, "the process is there", func() bool { return len(lines(t, dir+"/pids")) == 1 }, func() string { return "" })
			ctx, cancel := context.WithTimeout(t.Context(), tc.limit)
			defer cancel()
			if err := c.server.Close(ctx); err != nil {
				t.Fatal(err)
			}
			if p, err := strconv.Atoi(lines(t, dir+"/pids")[0]); err != nil || alive(p) {
				t.Errorf("Close left a process: %v", err)
			}
			wantState(t, c.get("job"), "RUNNING")
			if _, err := c.client.CreatePipelineJob(t.Context(), request("late", pipeline(t, simple), map[string]any{"s": "x"})); status.Code(err) != codes.Unavailable {
				t.Errorf("a creation after Close: %v, want UNAVAILABLE", err)
			}
			c.stop()
			touch(t, dir+"/gate")
			next := openAt(t, dir, nil)
			job := next.until("job", "the job is finished", ended)
			wantState(t, job, "SUCCEEDED")
			if n := len(details(job)["a"].GetExecutorDetail().GetContainerDetail().GetFailedMainJobs()); n != 0 {
				t.Errorf("the end of the server counted as %d failed attempts", n)
			}
		})
	}
}

// TestOnlyOurOrphansAreEnded gives EndOrphans a record whose process id belongs to another process by now.
func TestOnlyOurOrphansAreEnded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := openAt(t, dir, nil)
	c.stop()
	stranger := spawn(t, t.TempDir(), 0)
	recordProcess(t, dir, stranger.cmd.Process.Pid)
	openAt(t, dir, nil).stop()
	if stranger.dead() || !alive(stranger.cmd.Process.Pid) {
		t.Error("a process with a recorded id but another start time was ended")
	}
}

func TestAProcessDiesWithItsServer(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ends a child with its parent; elsewhere the next start does")
	}
	dir := t.TempDir()
	server := spawn(t, dir, 0)
	server.create(request("job", pipeline(t, replace(`
components: {a: {run: ['pid:DIR/pids', 'wait:/nowhere/at/all']}}
root: {dag: {tasks: {a: {componentRef: {name: a}}}}}`, "DIR", dir)), nil))
	poll(t, "the process is there", func() bool { return len(lines(t, dir+"/pids")) == 1 }, func() string { return "" })
	server.kill()
	gone(t, lines(t, dir+"/pids")[0])
}
