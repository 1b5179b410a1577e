package vertex

import (
	"context"
	"fmt"
	"math"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"github.com/kubeflow/pipelines/api/v2alpha1/go/pipelinespec"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type containerSpec = pipelinespec.PipelineDeploymentConfig_PipelineContainerSpec

// attempted is what one attempt came to: values, an error, or neither because ctx ended it or the store failed.
type attempted struct {
	out    *values
	err    error
	spec   bool     // err lies in the spec: the same again would fail the same way
	broken bool     // the store failed
	ended  *process // ran and is gone
}

// container runs a task's container: from the cache, or in up to 1 + maxRetryCount attempts.
func (r *run) container(ctx context.Context, t *task, rec *record, in *values, exempt bool) outcome {
	c := t.component.executor.GetContainer()
	key := ""
	if t.spec.GetCachingOptions().GetEnableCache() {
		key = r.cacheKey(t, in)
	}
	fresh := rec.attempt == 1 && rec.detail.State == taskPending
	if key != "" && fresh {
		if out, err := r.s.store.cached(key); err != nil {
			r.broken(err)
			return outcome{state: interrupted}
		} else if out != nil {
			r.describe(rec, in)
			return r.end(rec, outcome{state: taskSkipped, out: outputValues(out)}, change{})
		}
	}
	for {
		release, ok := r.wait(ctx, rec, c)
		if !ok {
			return r.cutOff(ctx, rec, change{})
		}
		if fresh && r.halted(exempt) {
			release()
			return r.halt(rec)
		}
		fresh = false
		a := r.attempt(ctx, t, rec, in, c)
		release()
		switch {
		case a.broken:
			return outcome{state: interrupted}
		case a.err == nil && a.out == nil:
			return r.cutOff(ctx, rec, change{ended: a.ended})
		case a.err == nil:
			return r.end(rec, outcome{state: taskSucceeded, out: a.out}, change{ended: a.ended, cacheKey: key})
		case a.spec:
			return r.end(rec, outcome{state: taskFailed, err: status.New(codes.InvalidArgument, a.err.Error())}, change{ended: a.ended})
		}
		failure := status.New(codes.FailedPrecondition, a.err.Error())
		policy := t.spec.GetRetryPolicy()
		if rec.attempt > int(policy.GetMaxRetryCount()) {
			return r.end(rec, outcome{state: taskFailed, err: failure}, change{ended: a.ended})
		}
		rec.notBefore = r.s.o.Now().Add(backoff(policy, rec.attempt))
		rec.attempt++
		if !r.move(rec, taskPending, failure, change{ended: a.ended}) {
			return outcome{state: interrupted}
		}
	}
}

// wait waits until the next attempt may start: its backoff is over and its CPUs are free.
func (r *run) wait(ctx context.Context, rec *record, c *containerSpec) (release func(), ok bool) {
	if d := rec.notBefore.Sub(r.s.o.Now()); d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return nil, false
		}
	}
	// Only as much as there is: a task that asks for more than the machine has runs alone.
	n := min(max(milli(cpuLimit(c)), 1), r.s.cpuSize)
	if err := r.s.cpus.Acquire(ctx, n); err != nil {
		return nil, false
	}
	release = func() { r.s.cpus.Release(n) }
	if ctx.Err() != nil {
		release()
		return nil, false
	}
	return release, true
}

// cpuLimit is what a container asks for, 1 if it does not say.
func cpuLimit(c *containerSpec) float64 {
	if l := c.GetResources().GetCpuLimit(); l > 0 {
		return l
	}
	return 1
}

// backoff is the wait after the n-th attempt: backoffDuration × factor^(n−1), at most backoffMaxDuration and an hour.
func backoff(p *pipelinespec.PipelineTaskSpec_RetryPolicy, n int) time.Duration {
	limit := time.Hour
	if m := p.GetBackoffMaxDuration(); m != nil && m.AsDuration() < limit {
		limit = m.AsDuration()
	}
	base := float64(max(p.GetBackoffDuration().AsDuration(), 0))
	if base == 0 {
		return 0 // and not 0 × infinity, for many attempts
	}
	factor := p.GetBackoffFactor()
	if factor == 0 {
		factor = 2
	}
	d := base * math.Pow(factor, float64(n-1))
	if !(d < float64(limit)) {
		return max(limit, 0)
	}
	return max(time.Duration(d), 0)
}

// mainJob is the name of an attempt in the details of a task.
func (r *run) mainJob(rec *record, attempt int) string {
	return fmt.Sprintf("%s/customJobs/%s-%d", r.name.parent, rec.id(), attempt)
}

// attempt runs the process of a container once.
func (r *run) attempt(ctx context.Context, t *task, rec *record, in *values, c *containerSpec) attempted {
	detail := &aiplatformpb.PipelineTaskExecutorDetail_ContainerDetail{MainJob: r.mainJob(rec, rec.attempt)}
	for n := 1; n < rec.attempt; n++ {
		detail.FailedMainJobs = append(detail.FailedMainJobs, r.mainJob(rec, n))
	}
	rec.detail.ExecutorDetail = &aiplatformpb.PipelineTaskExecutorDetail{
		Details: &aiplatformpb.PipelineTaskExecutorDetail_ContainerDetail_{ContainerDetail: detail},
	}
	if !r.begin(rec, in) {
		return attempted{broken: true}
	}
	io := r.newIO(t, rec, in)
	cmd, err := r.command(t, rec, in, c, io)
	if err != nil {
		return attempted{err: err, spec: true}
	}
	if err := io.makeFolder(); err != nil {
		return attempted{err: err}
	}
	if err := r.s.files.fetchAll(ctx, in.arts, io, jobFolder(r.s.dir, r.name)); err != nil {
		return cut(ctx, attempted{err: err})
	}
	e := r.s.runProcess(ctx, cmd)
	switch {
	case e.broken != nil:
		r.broken(e.broken)
		return attempted{broken: true}
	case e.stopped:
		return attempted{ended: e.process}
	case e.err != nil:
		return attempted{err: e.err, ended: e.process}
	}
	out, err := io.collect(t.component.spec.GetOutputDefinitions())
	if err == nil {
		err = r.s.files.uploadAll(ctx, out.arts, io, jobFolder(r.s.dir, r.name))
	}
	if err != nil {
		return cut(ctx, attempted{err: err, ended: e.process})
	}
	if err := io.clean(); err != nil {
		r.s.o.Log.Warn("vertex: a task folder could not be emptied", "folder", io.root, "error", err)
	}
	return attempted{out: out, ended: e.process}
}

// cut drops the error of work that ctx ended: it is no fault of the task.
func cut(ctx context.Context, a attempted) attempted {
	if ctx.Err() != nil {
		a.err, a.out = nil, nil
	}
	return a
}
