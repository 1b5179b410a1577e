package vertex_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"github.com/google/go-cmp/cmp"
)

func TestRetries(t *testing.T) {
	t.Parallel()
	c := open(t, nil)
	for name, tc := range map[string]struct {
		failures, retries int
		state             string
		attempts, failed  int
	}{
		"succeeds at last":       {2, 2, "SUCCEEDED", 3, 2},
		"gives up":               {9, 2, "FAILED", 3, 2},
		"is not asked to repeat": {1, 0, "FAILED", 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &cloud{t: t, client: c.client}
			dir := t.TempDir()
			id := strings.ReplaceAll(name, " ", "-")
			job := c.run(request(id, pipeline(t, `
components: {a: {run: ["journal:`+dir+`/paths={{$.outputs.parameters['n'].output_file}}", 'fails:`+dir+`/count=`+itoa(tc.failures)+`', 'out:n=1'], out: {n: NUMBER_INTEGER}}}
root: {dag: {tasks: {a: {componentRef: {name: a}, retryPolicy: {maxRetryCount: `+itoa(tc.retries)+`, backoffDuration: 0.01s, backoffFactor: 2.0}}}}}
`), nil))
			wantState(t, job, tc.state)
			d := details(job)["a"]
			container := d.GetExecutorDetail().GetContainerDetail()
			if len(container.FailedMainJobs) != tc.failed || container.MainJob == "" {
				t.Errorf("main job %q after %v, want %d failed ones", container.MainJob, container.FailedMainJobs, tc.failed)
			}
			paths := lines(t, filepath.Join(dir, "paths"))
			seen := map[string]bool{}
			for _, p := range paths {
				_, object, _ := strings.Cut(p, "/gcs/")
				seen[object] = true
			}
			if len(paths) != tc.attempts || len(seen) != tc.attempts {
				t.Errorf("%d attempts with %d output paths, want %d with as many", len(paths), len(seen), tc.attempts)
			}
			if tc.state == "FAILED" && !strings.Contains(d.GetError().GetMessage(), "exit status 7; stderr ends: not yet") {
				t.Errorf("error %q", d.GetError().GetMessage())
			}
			want := []string{"PENDING", "RUNNING"}
			for range tc.failed {
				want = append(want, "PENDING", "RUNNING")
			}
			if diff := cmp.Diff(append(want, tc.state), history(d)); diff != "" {
				t.Errorf("history (-want +got):\n%s", diff)
			}
		})
	}
}

func itoa(n int) string { return string(rune('0' + n)) }

func TestBackoffIsWaitedFor(t *testing.T) {
	t.Parallel()
	c := open(t, nil)
	job := c.run(request("backoff", pipeline(t, `
components: {a: {run: ['fails:`+c.dir+`/count=3']}}
root: {dag: {tasks: {a: {componentRef: {name: a}, retryPolicy: {maxRetryCount: 3, backoffDuration: 0.05s, backoffFactor: 2.0, backoffMaxDuration: 0.1s}}}}}
`), nil))
	wantState(t, job, "SUCCEEDED")
	var waits []time.Duration
	all := details(job)["a"].PipelineTaskStatus
	for i := 2; i+1 < len(all); i += 2 {
		waits = append(waits, all[i+1].UpdateTime.AsTime().Sub(all[i].UpdateTime.AsTime()))
	}
	want := []time.Duration{50, 100, 100} // ms: the third is capped
	if len(waits) != len(want) {
		t.Fatalf("%d waits, want %d", len(waits), len(want))
	}
	for i, w := range waits {
		if w < (want[i]-5)*time.Millisecond {
			t.Errorf("wait %d was %v, want at least %v", i+1, w, want[i]*time.Millisecond)
		}
	}
}

func TestSpecErrorsAreNotRetried(t *testing.T) {
	t.Parallel()
	c := open(t, nil)
	job := c.run(request("spec-error", pipeline(t, `
components: {a: {run: ['arg:'], image: other.example/x}}
root: {dag: {tasks: {a: {componentRef: {name: a}, retryPolicy: {maxRetryCount: 5, backoffDuration: 3600s}}}}}
`), nil))
	wantState(t, job, "FAILED")
	if n := len(details(job)["a"].PipelineTaskStatus); n != 3 {
		t.Errorf("%d states in the history, want PENDING, RUNNING, FAILED", n)
	}
}

func TestOneFailedTaskDoesNotHoldTheRetriesOfAnother(t *testing.T) {
	t.Parallel()
	c := open(t, nil)
	r := request("fast-retry", pipeline(t, `
components:
  bad: {run: ['wait:`+c.dir+`/bad', 'exit:1']}
  again: {run: ['wait:`+c.dir+`/gate', 'fails:`+c.dir+`/count=1']}
root: {dag: {tasks: {bad: {componentRef: {name: bad}}, again: {componentRef: {name: again}, retryPolicy: {maxRetryCount: 1}}}}}
`), nil)
	r.PipelineJob.RuntimeConfig.FailurePolicy = aiplatformpb.PipelineFailurePolicy_PIPELINE_FAILURE_POLICY_FAIL_FAST
	c.create(r)
	c.until("fast-retry", "again runs", func(j *aiplatformpb.PipelineJob) bool { return states(j)["again"] == "RUNNING" })
	touch(t, filepath.Join(c.dir, "bad"))
	c.until("fast-retry", "bad has failed while again runs", func(j *aiplatformpb.PipelineJob) bool {
		return states(j)["bad"] == "FAILED" && states(j)["again"] == "RUNNING"
	})
	touch(t, filepath.Join(c.dir, "gate"))
	job := c.until("fast-retry", "the job is finished", ended)
	if got := states(job)["again"]; got != "SUCCEEDED" {
		t.Errorf("a running task ended %s under FAIL_FAST, want SUCCEEDED after its retry", got)
	}
}
