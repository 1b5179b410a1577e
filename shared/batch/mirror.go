package batch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"

	"github.com/millrace-ml/millrace/shared/ledger"
)

// jobGone is how long after its submission a job may be unknown to Vertex before its run counts as lost.
const jobGone = 10 * time.Minute

// mirror brings a submitted or running run to where its pipeline is. overdue says that it runs longer than its model's
// time limit.
func (b *Batch) mirror(ctx context.Context, run *ledger.Run) (next *ledger.Run, overdue bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, b.o.Deadline)
	defer cancel()
	end, err := b.outcome(ctx, run)
	if err != nil {
		return nil, false, err
	}
	if end == nil {
		job, err := b.job(ctx, run)
		if err != nil {
			return nil, false, err
		}
		if end = b.endOfJob(run, job); end != nil {
			// The job may have committed between the first look and its end. After its end nothing is written any more.
			proof, err := b.outcome(ctx, run)
			if err != nil {
				return nil, false, err
			}
			if proof != nil {
				end = proof
			}
		}
		if end == nil && job != nil && job.GetState() == aiplatformpb.PipelineState_PIPELINE_STATE_RUNNING && run.State == ledger.Submitted {
			run, err = b.follow(b.move(ctx, run, ledger.Running, "runs at Vertex", nil))
			return run, false, err
		}
	}
	if end == nil {
		return run, b.overdue(ctx, run), nil
	}
	run, err = b.follow(b.apply(ctx, run, end))
	return run, false, err
}

// follow takes a record that its exit task closed in the same moment as it is.
func (b *Batch) follow(run *ledger.Run, err error) (*ledger.Run, error) {
	var lost *ledger.Lost
	if errors.As(err, &lost) {
		return lost.Current, nil
	}
	return run, err
}

// endOfJob is how a run ends by its job's state alone, nil while it goes on.
func (b *Batch) endOfJob(run *ledger.Run, job *aiplatformpb.PipelineJob) *ending {
	if job == nil {
		if run.ReadAt().Sub(run.SubmitAt) < jobGone {
			return nil
		}
		return &ending{state: ledger.Failed, reason: "the job is gone at Vertex and left no result"}
	}
	switch job.GetState() {
	case aiplatformpb.PipelineState_PIPELINE_STATE_SUCCEEDED:
		if run.Release.Own { // whose graph knows nothing of our proof
			return &ending{state: ledger.Succeeded}
		}
		return noCommit
	case aiplatformpb.PipelineState_PIPELINE_STATE_CANCELLED:
		return &ending{state: ledger.Cancelled, reason: "the pipeline was cancelled"}
	case aiplatformpb.PipelineState_PIPELINE_STATE_FAILED:
		return &ending{state: ledger.Failed, reason: failure(job)}
	}
	return nil
}

// failure is the text of a failed job: that of the task that failed first. The job's own text and those of the groups and
// the exit task around it only follow from that.
func failure(job *aiplatformpb.PipelineJob) string {
	var first *aiplatformpb.PipelineTaskDetail
	for _, t := range job.GetJobDetail().GetTaskDetails() {
		if t.GetState() != aiplatformpb.PipelineTaskDetail_FAILED || t.GetError().GetMessage() == "" {
			continue
		}
		if first == nil || t.GetEndTime() != nil && t.GetEndTime().AsTime().Before(first.GetEndTime().AsTime()) {
			first = t
		}
	}
	if first != nil {
		return fmt.Sprintf("task %s failed: %s", first.GetTaskName(), first.GetError().GetMessage())
	}
	if m := job.GetError().GetMessage(); m != "" {
		return m
	}
	return "the pipeline failed"
}

// overdue raises the alarm for a run that takes longer than its manifest allows. It is not ended: a person decides.
func (b *Batch) overdue(ctx context.Context, run *ledger.Run) bool {
	limit := time.Duration(run.Release.TimeLimit) * time.Second
	took := run.ReadAt().Sub(run.SubmitAt)
	if limit <= 0 || run.SubmitAt.IsZero() || took <= limit {
		return false
	}
	b.log(ctx).LogAttrs(ctx, severity(run, slog.LevelError), "run is over its time limit", append(attrs(run),
		slog.String("event", "run_overdue"), slog.Int64("ms", took.Milliseconds()), slog.Int64("limit_ms", limit.Milliseconds()))...)
	return true
}
