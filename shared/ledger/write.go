package ledger

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"cloud.google.com/go/firestore"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/millrace-ml/millrace/shared/fault"
)

// tries bounds how often one write is sent. Each try is conditional, so a repeat can never apply twice.
const tries = 5

// Lost says that somebody else wrote the record since it was read, and that nothing was changed. Current is the record as
// it stands: further on is fine, another owner means stop.
type Lost struct{ Current *Run }

// Error says who came first.
func (e *Lost) Error() string {
	return fmt.Sprintf("run %s was changed by somebody else and is %s", e.Current.ID, e.Current.State)
}

// Create stores a new record in its state with the given cause. If the key has a record already, that one is returned and
// created is false. An answer that got lost is read back: the client's own repeat of an applied create reports
// ALREADY_EXISTS for our own write, which must not count as somebody else's.
func (l *Ledger) Create(ctx context.Context, run *Run, cause string) (stored *Run, created bool, err error) {
	next := run.clone()
	next.Writer, next.Revision = NewToken(), 1
	next.note(Change{At: l.clock(), To: next.State, Cause: cause})
	fields := next.fields()
	fields["created"] = firestore.ServerTimestamp
	var stamps []Stamp
	if next.State.Final() {
		stamps = []Stamp{StampFinished}
		fields["finished"] = firestore.ServerTimestamp
	}
	for try := range tries {
		if err = l.pause(ctx, try); err != nil {
			return nil, false, err
		}
		res, werr := l.commit(ctx, func(ctx context.Context) (*firestore.WriteResult, error) {
			return l.doc(next.Key).Create(ctx, fields)
		})
		if werr == nil {
			next.CreatedAt = res.UpdateTime
			return next.stored(res.UpdateTime, stamps), true, nil
		}
		if definite(werr) {
			return nil, false, unavailable(werr, "create run %s", next.ID)
		}
		current, rerr := l.read(ctx, next.Key)
		switch {
		case rerr != nil:
			err = rerr
		case current == nil:
			err = unavailable(werr, "create run %s", next.ID)
		default:
			return current, current.Writer == next.Writer, nil
		}
	}
	return nil, false, err
}

// Stamp names a time of the record that the server sets with the write.
type Stamp string

// The times that an update can set.
const (
	StampClaimed   Stamp = "claimed"
	StampSubmitted Stamp = "submitted"
	StampFinished  Stamp = "finished"
)

// Update writes what change makes of the record, only over the version that prev was read at. A version that moved on is
// *Lost with the current record, unless the mover was this very write with its answer lost. The result is the record as
// stored; prev is left alone.
func (l *Ledger) Update(ctx context.Context, prev *Run, cause string, change func(*Run), stamps ...Stamp) (*Run, error) {
	next := prev.clone()
	change(next)
	next.Writer, next.Revision = NewToken(), prev.Revision+1
	if next.State != prev.State || next.Owner != prev.Owner {
		next.note(Change{At: l.clock(), From: prev.State, To: next.State, Cause: cause})
	}
	updates := next.updates(stamps)
	var err error
	for try := range tries {
		if err = l.pause(ctx, try); err != nil {
			return nil, err
		}
		res, werr := l.commit(ctx, func(ctx context.Context) (*firestore.WriteResult, error) {
			return l.doc(next.Key).Update(ctx, updates, firestore.LastUpdateTime(prev.UpdatedAt))
		})
		if werr == nil {
			return next.stored(res.UpdateTime, stamps), nil
		}
		if definite(werr) {
			return nil, unavailable(werr, "update run %s", next.ID)
		}
		current, rerr := l.read(ctx, next.Key)
		switch {
		case rerr != nil:
			err = rerr
		case current == nil:
			return nil, fault.New(fault.Unavailable, werr, "the record of run %s is gone", next.ID)
		case current.Writer == next.Writer:
			return current, nil
		case !current.UpdatedAt.Equal(prev.UpdatedAt):
			return nil, &Lost{Current: current}
		default:
			err = unavailable(werr, "update run %s", next.ID)
		}
	}
	return nil, err
}

// commit gives one write its own deadline, so that a lost answer leaves time to read back.
func (l *Ledger) commit(ctx context.Context, write func(context.Context) (*firestore.WriteResult, error)) (*firestore.WriteResult, error) {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	return write(ctx)
}

// definite says that the write was surely not applied and never will be. All else is read back: a code says what the
// last try met, not whether an earlier one was applied.
func definite(err error) bool {
	switch status.Code(err) {
	case codes.InvalidArgument, codes.PermissionDenied, codes.Unauthenticated, codes.Unimplemented, codes.OutOfRange:
		return true
	}
	return false
}

// pause waits before a further try, fully jittered, so that writers that met do not meet again.
func (l *Ledger) pause(ctx context.Context, try int) error {
	if try == 0 {
		return ctx.Err()
	}
	t := time.NewTimer(rand.N(l.backoff << (try - 1)))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// clock is the writer's time, cut to what Firestore keeps.
func (l *Ledger) clock() time.Time { return l.now().UTC().Truncate(time.Microsecond) }

func (r *Run) note(c Change) {
	r.History = append(r.History, c)
	if n := len(r.History); n > HistoryLimit {
		r.History = append([]Change(nil), r.History[n-HistoryLimit:]...)
	}
}

// stored completes the copy with what the server set. The stamps equal the server's own within a millisecond.
func (r *Run) stored(at time.Time, stamps []Stamp) *Run {
	r.UpdatedAt, r.readAt = at, at
	for _, s := range stamps {
		switch s {
		case StampClaimed:
			r.ClaimedAt = at
		case StampSubmitted:
			r.SubmitAt = at
		case StampFinished:
			r.FinishedAt = at
		}
	}
	return r
}
