package batch

import (
	"context"
	"log/slog"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/ledger"
	"github.com/millrace-ml/millrace/shared/pipeline"
)

// drive takes a run that is free (pending, or past its owner's lease) to Vertex. It stops where it is on any doubt: what is
// written so far tells the next one how to go on.
func (b *Batch) drive(ctx context.Context, run *ledger.Run) (*ledger.Run, error) {
	if run.State != ledger.Submitting { // once submitting, Vertex may have the job already
		state, reason, err := b.gone(ctx, run)
		if err != nil {
			return nil, err
		}
		if state != "" {
			return b.settle(b.end(ctx, run, state, reason))
		}
	}
	run, err := b.claim(ctx, run)
	if err != nil {
		return b.yield(err)
	}
	spec, err := b.spec(ctx, run)
	if err != nil {
		return b.withoutSpec(ctx, run, err)
	}
	if run.State == ledger.Claimed {
		run, err = b.move(ctx, run, ledger.Submitting, "job id written", func(r *ledger.Run) {
			r.Job = jobName(b.cfg.Project, b.cfg.Region, r.ID)
		})
		if err != nil {
			return b.yield(err)
		}
	}
	return b.submit(ctx, run, spec)
}

// settle turns a lost race into the answer for it.
func (b *Batch) settle(run *ledger.Run, err error) (*ledger.Run, error) {
	if err != nil {
		return b.yield(err)
	}
	return run, nil
}

// claim makes this call the owner. Only a pending run takes the released pointer; a takeover keeps what the run was
// claimed with.
func (b *Batch) claim(ctx context.Context, run *ledger.Run) (*ledger.Run, error) {
	if run.State != ledger.Pending {
		return b.move(ctx, run, run.State, "taken over: the owner's lease is over", func(r *ledger.Run) {
			r.Owner, r.Lease, r.Attempt = ledger.NewToken(), b.o.Lease.Seconds(), r.Attempt+1
		}, ledger.StampClaimed)
	}
	rel, err := b.releaseOf(ctx, run)
	if err != nil {
		return nil, err
	}
	return b.move(ctx, run, ledger.Claimed, "claimed", func(r *ledger.Run) {
		r.Owner, r.Lease, r.Attempt = ledger.NewToken(), b.o.Lease.Seconds(), r.Attempt+1
		r.Release, r.Hold = rel, ""
	}, ledger.StampClaimed)
}

// withoutSpec leaves a run whose pipeline cannot be read. A spec that may be readable later gives the claim back, so that
// nobody waits for the lease; one that never will be ends the run, but only if Vertex surely has no job of it.
func (b *Batch) withoutSpec(ctx context.Context, run *ledger.Run, cause error) (*ledger.Run, error) {
	retry := fault.KindOf(cause).Retry()
	switch {
	case retry && run.State == ledger.Claimed:
		if _, err := b.move(ctx, run, ledger.Pending, "given back: the pipeline cannot be read now", nil); err != nil {
			b.log(ctx).LogAttrs(ctx, slog.LevelWarn, "a claim was not given back", append(attrs(run), slog.Any("error", err))...)
		}
		return nil, cause
	case retry:
		return nil, cause
	case run.State == ledger.Claimed:
		return b.settle(b.end(ctx, run, ledger.Failed, "no valid pipeline: "+fault.Public(cause).Message))
	}
	return b.refused(ctx, run, "no valid pipeline: "+fault.Public(cause).Message)
}

// submit sends the job. Its id is the run's, so sending it again is always safe.
func (b *Batch) submit(ctx context.Context, run *ledger.Run, spec []byte) (*ledger.Run, error) {
	outcome, err := b.send(ctx, run, spec)
	switch outcome {
	case pipeline.Created:
		return b.submitted(ctx, run, "created at Vertex")
	case pipeline.Exists:
		return b.submitted(ctx, run, existed)
	case pipeline.Quota:
		b.log(ctx).LogAttrs(ctx, slog.LevelWarn, "Vertex has no quota now; the run waits in the line", append(attrs(run), slog.Any("error", err))...)
		return b.settle(b.move(ctx, run, ledger.Pending, "refused for want of quota", func(r *ledger.Run) { r.Refusals++ }))
	case pipeline.Collision:
		return b.settle(b.end(ctx, run, ledger.Failed, "id collision: "+fault.Public(err).Message))
	case pipeline.Refused:
		return b.refused(ctx, run, fault.Public(err).Message)
	}
	failure := fault.New(fault.Unavailable, err, "Vertex does not answer; the run will be sent again")
	failure.RetryAfter = b.o.Lease + b.o.Margin
	return nil, failure
}

// existed is the cause in the history of a run whose job an earlier, lost answer had created.
const existed = "exists at Vertex and is this run's"

// refused ends a run that Vertex surely does not take. A starter before this one may have brought the job there, so Vertex
// is asked first.
func (b *Batch) refused(ctx context.Context, run *ledger.Run, reason string) (*ledger.Run, error) {
	job, err := b.job(ctx, run)
	if err != nil && fault.KindOf(err).Retry() {
		return nil, err
	}
	if job != nil && job.GetLabels()[pipeline.LabelKey] == run.Key[:labelDigits] {
		return b.submitted(ctx, run, existed)
	}
	return b.settle(b.end(ctx, run, ledger.Failed, reason))
}

func (b *Batch) submitted(ctx context.Context, run *ledger.Run, cause string) (*ledger.Run, error) {
	return b.settle(b.move(ctx, run, ledger.Submitted, cause, nil, ledger.StampSubmitted))
}
