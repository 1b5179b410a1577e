package batch

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cloud.google.com/go/storage"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/ledger"
)

// Start brings a trigger to its run, once: the same trigger gives the same run, whoever asks and how often. The run that
// comes back may be pending (it waits in the line), final (ignored, invalid, …: recorded with its reason), or on its way.
// An error whose kind may be tried again means that the trigger is not safe yet; another error, that it gets no record.
func (b *Batch) Start(ctx context.Context, t Trigger) (*ledger.Run, error) {
	ctx, cancel := context.WithTimeout(ctx, b.o.Deadline)
	defer cancel()
	run, err := b.start(ctx, t)
	return run, late(ctx, err)
}

func (b *Batch) start(ctx context.Context, t Trigger) (*ledger.Run, error) {
	wanted, err := t.record(ctx, b)
	if err != nil {
		return nil, err
	}
	if !allowed("", wanted.State) {
		return nil, errors.New("no run is created as " + string(wanted.State))
	}
	cause := wanted.Reason
	if cause == "" {
		cause = string(wanted.Kind)
	}
	run, created, err := b.ledger.Create(ctx, wanted, cause)
	if err != nil {
		return nil, err
	}
	if created && run.State.Final() {
		b.logFinished(ctx, run)
	}
	if run.Trigger.Body != wanted.Trigger.Body {
		return nil, fault.New(fault.Conflict, nil, "the Idempotency-Key was used for another request, %s; send a new key", asked(run))
	}
	return b.admit(ctx, run)
}

// asked is what a request was about.
func asked(run *ledger.Run) string {
	if run.Trial() {
		return fmt.Sprintf("a trial of %s on gs://%s/%s", run.Trigger.Candidate, run.Dataset.Bucket, run.Dataset.Object)
	}
	return fmt.Sprintf("of schedule %q at %s", run.Trigger.Schedule, run.Trigger.At.Format(time.RFC3339))
}

// admit takes a recorded run on, if it is its turn.
func (b *Batch) admit(ctx context.Context, run *ledger.Run) (*ledger.Run, error) {
	switch {
	case run.State.Owned():
		if left := run.LeaseLeft(b.o.Margin); left > 0 {
			return nil, busy(run, left)
		}
	case run.State != ledger.Pending:
		return run, nil
	default:
		held, err := b.hold(ctx, run)
		if err != nil || held != nil {
			return held, err
		}
		if waits, err := b.mustWait(ctx, run); err != nil || waits {
			return run, err
		}
	}
	return b.drive(ctx, run)
}

// hold keeps a tick in the line while an earlier run of its schedule is not over, and gives the held record, or nil.
func (b *Batch) hold(ctx context.Context, run *ledger.Run) (*ledger.Run, error) {
	earlier, err := b.overlaps(ctx, run)
	if err != nil || earlier == nil {
		return nil, err
	}
	if run.Hold == earlier.ID {
		return run, nil
	}
	held, err := b.ledger.Update(ctx, run, "waits for "+earlier.ID, func(r *ledger.Run) { r.Hold = earlier.ID })
	if err != nil {
		return b.yield(err)
	}
	return held, nil
}

// overlapDepth is how many earlier ticks are looked at. Each of them waits for the one before it, so one would do but for
// ticks that ended at once.
const overlapDepth = 20

// overlaps gives the latest earlier run of the same schedule that is not over, or nil.
func (b *Batch) overlaps(ctx context.Context, run *ledger.Run) (*ledger.Run, error) {
	if run.Kind != ledger.Tick {
		return nil, nil
	}
	earlier, err := b.ledger.TicksBefore(ctx, run.Model, run.Trigger.Schedule, run.Trigger.At, overlapDepth)
	if err != nil {
		return nil, err
	}
	for _, e := range earlier {
		if !e.State.Final() {
			return e, nil
		}
	}
	return nil, nil
}

// mustWait says that a due run waits in the line already: one that was refused for want of quota, or that its starter has
// left alone. A young one is in a starter's hands and no reason to wait.
func (b *Batch) mustWait(ctx context.Context, run *ledger.Run) (bool, error) {
	due, err := b.ledger.Next(ctx, 2)
	if err != nil {
		return false, err
	}
	for _, d := range due {
		if d.Key != run.Key && (d.Attempt > 0 || d.Waited() > b.o.Lease+b.o.Margin) {
			return true, nil
		}
	}
	return false, nil
}

// storageTimeout is the deadline of one small call to Cloud Storage.
const storageTimeout = 5 * time.Second

// gone says what became of a dataset that is one generation of an object: "" while it is there.
func (b *Batch) gone(ctx context.Context, run *ledger.Run) (state ledger.State, reason string, err error) {
	if run.Kind != ledger.Upload {
		return "", "", nil
	}
	ctx, cancel := context.WithTimeout(ctx, storageTimeout)
	defer cancel()
	object := b.storage.Bucket(run.Dataset.Bucket).Object(run.Dataset.Object)
	if _, err = object.Generation(run.Dataset.Generation).Attrs(ctx); err == nil {
		return "", "", nil
	}
	if errors.Is(err, storage.ErrObjectNotExist) {
		_, err = object.Attrs(ctx)
		switch {
		case err == nil:
			return ledger.Superseded, "the object was overwritten before it was scored; the newer upload has its own run", nil
		case errors.Is(err, storage.ErrObjectNotExist):
			return ledger.Invalid, "the object was deleted before it was scored; upload it again", nil
		}
	}
	return "", "", fault.New(fault.Unavailable, err, "cloud storage does not answer")
}
