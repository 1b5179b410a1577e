package batch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/ledger"
)

// move takes a run to a state of the table and stores it over the version that was read. change may set more fields.
// *ledger.Lost means that somebody else came first.
func (c *Closer) move(ctx context.Context, run *ledger.Run, to ledger.State, cause string, change func(*ledger.Run), stamps ...ledger.Stamp) (*ledger.Run, error) {
	if !allowed(run.State, to) {
		return nil, fmt.Errorf("run %s: no run goes from %s to %s", run.ID, run.State, to)
	}
	if to.Final() {
		stamps = append(stamps, ledger.StampFinished)
	}
	next, err := c.ledger.Update(ctx, run, cause, func(r *ledger.Run) {
		r.State = to
		if change != nil {
			change(r)
		}
	}, stamps...)
	if err == nil && to.Final() {
		c.logFinished(ctx, next)
	}
	return next, err
}

// end is move to a final state with its reason.
func (c *Closer) end(ctx context.Context, run *ledger.Run, to ledger.State, reason string) (*ledger.Run, error) {
	return c.move(ctx, run, to, shorten(reason, causeLimit), func(r *ledger.Run) { r.Reason = shorten(reason, reasonLimit) })
}

// Bounds of texts in a record, in bytes. A reason may carry the text of a failed task; its history has the beginning.
const (
	reasonLimit = 2000
	causeLimit  = 200
)

// logFinished writes the line that alerts rest on.
func (c *Closer) logFinished(ctx context.Context, run *ledger.Run) {
	level := slog.LevelInfo
	switch run.State {
	case ledger.Failed:
		level = severity(run, slog.LevelError)
	case ledger.Invalid, ledger.Cancelled:
		level = slog.LevelWarn
	}
	c.log(ctx).LogAttrs(ctx, level, "run finished", append(attrs(run),
		slog.String("event", "run_finished"), slog.Int64("rows", run.Counts.Rows), slog.Int64("rejected", run.Counts.Rejected))...)
}

// severity is how bad something is for the owner of the run's model: a trial that fails has kept production from harm.
func severity(run *ledger.Run, l slog.Level) slog.Level {
	if run.Trial() {
		return min(l, slog.LevelWarn)
	}
	return l
}

// attrs are the fixed keys of a run's log lines. candidate, true, stands only in those of trials: the alerts on production
// leave such lines out.
func attrs(run *ledger.Run) []slog.Attr {
	a := []slog.Attr{
		slog.String("run_id", run.ID), slog.String("model", run.Model), slog.String("version", run.Release.Version),
		slog.String("state", string(run.State)), slog.String("reason", run.Reason),
	}
	if run.Trial() {
		a = append(a, slog.Bool("candidate", true))
	}
	if run.Kind == ledger.Upload {
		a = append(a, slog.String("bucket", run.Dataset.Bucket), slog.String("object", run.Dataset.Object),
			slog.Int64("generation", run.Dataset.Generation))
	}
	return a
}

// stuck are the keys of a line about a run that could not be brought further this time. The alert counts such lines.
func stuck(run *ledger.Run) []slog.Attr { return append(attrs(run), slog.String("event", "run_stuck")) }

// busy says that a live owner is at work. The caller may come again when its lease is over.
func busy(run *ledger.Run, left time.Duration) error {
	err := fault.New(fault.Unavailable, nil, "run %s is being started by another request", run.ID)
	err.RetryAfter = max(left.Round(time.Second), time.Second)
	return err
}

// yield answers for a run that somebody else has written since: done or waiting is fine, a live owner is busy. Nothing is
// changed, since whoever wrote it last is responsible for it now.
func (b *Batch) yield(err error) (*ledger.Run, error) {
	var lost *ledger.Lost
	if !errors.As(err, &lost) {
		return nil, err
	}
	if run := lost.Current; !run.State.Owned() {
		return run, nil
	}
	return nil, busy(lost.Current, lost.Current.LeaseLeft(b.o.Margin))
}

// late gives an error that came of our own deadline its kind.
func late(ctx context.Context, err error) error {
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) && fault.KindOf(err).Retry() {
		return fault.New(fault.Timeout, err, "the deadline passed before the run was started; the same request may be sent again")
	}
	return err
}
