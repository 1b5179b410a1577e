package batch

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/millrace-ml/millrace/shared/ledger"
)

// DrainReport says what one Drain did with the waiting line.
type DrainReport struct {
	Submitted int  `json:"submitted"` // are at Vertex now
	Ended     int  `json:"ended"`     // invalid, superseded or failed instead
	Held      int  `json:"held"`      // wait for an earlier run of their schedule
	Errors    int  `json:"errors"`    // stay in the line, the log says why
	Quota     bool `json:"quota"`     // Vertex had none left, which ended the drain
	Left      int  `json:"left"`      // of those seen, not looked at
}

// line is how many records of one query the waiting line is read in.
const line = 100

// Drain submits runs from the waiting line: at most DrainLimit, the oldest first, round robin over models, with random
// pauses so that several at once do not step in time.
func (b *Batch) Drain(ctx context.Context) (DrainReport, error) {
	var report DrainReport
	runs, err := b.waiting(ctx)
	if err != nil {
		return report, err
	}
	for i, run := range runs {
		report.Left = len(runs) - i
		if report.Quota || report.Submitted+report.Ended >= b.o.DrainLimit || ctx.Err() != nil {
			return report, nil
		}
		if err := b.drainOne(ctx, run, &report); err != nil {
			report.Errors++
			b.log(ctx).LogAttrs(ctx, slog.LevelWarn, "run stays in the line", append(stuck(run), slog.Any("error", err))...)
		}
	}
	report.Left = 0
	return report, nil
}

func (b *Batch) drainOne(ctx context.Context, run *ledger.Run, report *DrainReport) error {
	ctx, cancel := context.WithTimeout(ctx, b.o.Deadline)
	defer cancel()
	earlier, err := b.overlaps(ctx, run)
	if err != nil {
		return err
	}
	if earlier != nil {
		report.Held++
		_, err = b.hold(ctx, run) // a crash between Create and hold leaves a tick in the line without its mark
		return err
	}
	if report.Submitted > 0 {
		if err := sleep(ctx, b.o.DrainPause); err != nil {
			return err
		}
	}
	next, err := b.drive(ctx, run)
	switch {
	case err != nil:
		return err
	case next.State == ledger.Pending:
		report.Quota = next.Refusals > run.Refusals
	case next.State.Final():
		report.Ended++
	default:
		report.Submitted++
	}
	return nil
}

// sleep waits for a random part of at most d.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(rand.N(d))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// waiting reads the line: the oldest records over all, and if there are more, the oldest of each released model, so that
// ten thousand uploads of one model do not hide another's. They come back interleaved by model.
func (b *Batch) waiting(ctx context.Context) ([]*ledger.Run, error) {
	runs, err := b.ledger.Oldest(ctx, ledger.Pending, line, nil)
	if err != nil {
		return nil, err
	}
	if len(runs) == line {
		releases, err := b.listReleases(ctx)
		if err != nil { // the oldest alone are better than none
			b.log(ctx).LogAttrs(ctx, slog.LevelWarn, "the line of each model is not read", slog.Any("error", err))
		}
		for _, r := range releases {
			more, err := b.ledger.OldestOf(ctx, r.Model, b.o.DrainLimit)
			if err != nil {
				return nil, err
			}
			runs = append(runs, more...)
		}
	}
	return roundRobin(runs), nil
}

// roundRobin interleaves the models, keeps the order within each, and drops what was read twice.
func roundRobin(runs []*ledger.Run) []*ledger.Run {
	seen := map[string]bool{}
	var models []string
	lines := map[string][]*ledger.Run{}
	for _, r := range runs {
		if seen[r.Key] {
			continue
		}
		seen[r.Key] = true
		if lines[r.Model] == nil {
			models = append(models, r.Model)
		}
		lines[r.Model] = append(lines[r.Model], r)
	}
	mixed := make([]*ledger.Run, 0, len(seen))
	for i := 0; len(mixed) < len(seen); i++ {
		for _, m := range models {
			if i < len(lines[m]) {
				mixed = append(mixed, lines[m][i])
			}
		}
	}
	return mixed
}
