package batch

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/millrace-ml/millrace/shared/ledger"
)

// ReconcileReport says what one sweep did.
type ReconcileReport struct {
	Found         int         `json:"found"`          // triggers without a record, which have one now
	Driven        int         `json:"driven"`         // runs past their owner's lease, taken on
	Closed        int         `json:"closed"`         // runs whose pipeline had ended
	Overdue       int         `json:"overdue"`        // runs over their time limit
	Errors        int         `json:"errors"`         // of single runs and triggers; the log has each
	Drain         DrainReport `json:"drain"`          //
	OldestSeconds float64     `json:"oldest_seconds"` // age of the oldest run that is not over
}

// mirrors is how many runs are looked after at a time.
const mirrors = 8

// sweep is one Reconcile: its report, written by several goroutines.
type sweep struct {
	*Batch
	mu     sync.Mutex
	report ReconcileReport
	errs   []error
}

// Reconcile repairs what events, starters and pipelines have left undone: it drives on what is stuck, mirrors what runs,
// and looks for triggers that have no record. Each sweep is complete in itself. It goes on after an error and reports it
// at the end.
func (b *Batch) Reconcile(ctx context.Context) (ReconcileReport, error) {
	s := &sweep{Batch: b}
	s.note(s.driveOn(ctx))
	s.note(s.mirrorAll(ctx))
	s.note(s.findTicks(ctx))
	s.note(s.findUploads(ctx))
	drained, err := b.Drain(ctx)
	s.note(err)
	s.report.Drain = drained
	err = errors.Join(s.errs...)
	b.log(ctx).LogAttrs(ctx, slog.LevelInfo, "reconcile finished",
		slog.String("event", "reconcile_finished"), slog.Int("found", s.report.Found), slog.Int("driven", s.report.Driven),
		slog.Int("closed", s.report.Closed), slog.Int("overdue", s.report.Overdue), slog.Int("errors", s.report.Errors),
		slog.Float64("oldest_seconds", s.report.OldestSeconds), slog.Bool("complete", err == nil))
	return s.report, late(ctx, err)
}

func (s *sweep) note(err error) {
	if err != nil {
		s.errs = append(s.errs, err)
	}
}

// trouble counts an error of one run or trigger, which does not stop the sweep.
func (s *sweep) trouble(ctx context.Context, message string, err error, a ...slog.Attr) {
	s.mu.Lock()
	s.report.Errors++
	s.mu.Unlock()
	s.log(ctx).LogAttrs(ctx, slog.LevelWarn, message, append(a, slog.Any("error", err))...)
}

// each calls do for every run of a state, several at a time, the oldest first.
func (s *sweep) each(ctx context.Context, state ledger.State, do func(*ledger.Run)) error {
	var group errgroup.Group
	group.SetLimit(mirrors)
	defer func() { _ = group.Wait() }()
	var last *ledger.Run
	for {
		runs, err := s.ledger.Oldest(ctx, state, line, last)
		if err != nil {
			return err
		}
		for _, run := range runs {
			s.age(run)
			group.Go(func() error { do(run); return nil })
		}
		if len(runs) < line {
			return group.Wait()
		}
		last = runs[len(runs)-1]
	}
}

func (s *sweep) age(run *ledger.Run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.report.OldestSeconds = max(s.report.OldestSeconds, run.Waited().Seconds())
}

func (s *sweep) add(counter *int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*counter++
}

// driveOn takes on the runs whose owner is past its lease. Pending ones are Drain's, which keeps within the quota.
func (s *sweep) driveOn(ctx context.Context) error {
	for _, state := range []ledger.State{ledger.Claimed, ledger.Submitting} {
		err := s.each(ctx, state, func(run *ledger.Run) {
			if run.LeaseLeft(s.o.Margin) > 0 {
				return
			}
			ctx, cancel := context.WithTimeout(ctx, s.o.Deadline)
			defer cancel()
			if _, err := s.drive(ctx, run); err != nil {
				s.trouble(ctx, "run is stuck", err, stuck(run)...)
				return
			}
			s.add(&s.report.Driven)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// mirrorAll follows the runs that Vertex has.
func (s *sweep) mirrorAll(ctx context.Context) error {
	for _, state := range []ledger.State{ledger.Submitted, ledger.Running} {
		err := s.each(ctx, state, func(run *ledger.Run) {
			next, overdue, err := s.mirror(ctx, run)
			if err != nil {
				s.trouble(ctx, "run cannot be followed", err, stuck(run)...)
				return
			}
			if next.State.Final() {
				s.add(&s.report.Closed)
			}
			if overdue {
				s.add(&s.report.Overdue)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// oldest is the instant before which nothing is looked for.
func (s *sweep) oldest(now time.Time) time.Time {
	from := now.Add(-MaxAge)
	if s.o.Since.After(from) {
		return s.o.Since
	}
	return from
}
