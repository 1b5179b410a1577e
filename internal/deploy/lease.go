package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"cloud.google.com/go/storage"
	"google.golang.org/api/googleapi"

	"github.com/millrace-ml/millrace/shared/fault"
)

const (
	leasePrefix = "deploying/"
	leaseTime   = 2 * time.Minute // without a sign of life it is anybody's
	leaseCall   = 20 * time.Second
)

// errLeaseLost ends a deployment whose unit another one has taken over: from then on it must touch nothing.
var errLeaseLost = errors.New("another deployment has taken the unit over, since this one could not renew its hold on it")

// leases keeps two builds from deploying one unit at once: an object per unit in the artifacts bucket, taken with a
// precondition on its generation.
type leases struct {
	client *storage.Client
	bucket string
	holder string
	now    func() time.Time
	time   time.Duration // how long a lease lasts without a renewal
	wait   time.Duration // how long to wait for another holder
}

// held is what a lease object says. One that nobody holds is what a removal leaves: the commit that removed the unit, so
// that a late build of an older commit does not bring it back.
type held struct {
	Holder  string    `json:"holder,omitempty"`
	Until   time.Time `json:"until,omitzero"`
	Removed time.Time `json:"removed,omitzero"`
}

// lease is a held one.
type lease struct {
	*leases
	unit       string
	generation int64
	removed    time.Time // of the unit, before this deployment
	stop       context.CancelCauseFunc
	done       chan struct{}
}

// take waits for the unit's lease and keeps it until release. The context it gives ends when the lease is lost.
func (l *leases) take(ctx context.Context, unit string, out *lines) (context.Context, *lease, error) {
	deadline := l.now().Add(l.wait)
	for said := false; ; {
		h, generation, err := l.read(ctx, unit)
		if err != nil {
			return nil, nil, err
		}
		if h.Holder == "" || !l.now().Before(h.Until) {
			taken := &lease{leases: l, unit: unit, generation: generation, removed: h.Removed, done: make(chan struct{})}
			switch err := taken.write(ctx, held{l.holder, l.now().Add(l.time), h.Removed}); {
			case err == nil:
				kept, stop := context.WithCancelCause(ctx)
				taken.stop = stop
				go taken.keep(kept)
				return kept, taken, nil
			case !conflict(err):
				return nil, nil, err
			}
			continue // somebody was faster
		}
		if !l.now().Before(deadline) {
			return nil, nil, fault.New(fault.Conflict, nil, "%s is being deployed by %s until %s at least; try again when that has ended", unit, h.Holder, h.Until.Format(time.RFC3339))
		}
		if !said {
			said = true
			out.say("# %s is being deployed by %s: waiting for it, until %s at most", unit, h.Holder, deadline.Format(time.TimeOnly))
		}
		select {
		case <-ctx.Done():
			return nil, nil, context.Cause(ctx)
		case <-time.After(min(l.time/8, 5*time.Second)):
		}
	}
}

// keep renews the lease until it is released. The object's generation is the fence: who took over has another.
func (l *lease) keep(ctx context.Context) {
	defer close(l.done)
	valid := l.now().Add(l.time)
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(l.time / 4):
		}
		until := l.now().Add(l.time)
		switch err := l.write(ctx, held{l.holder, until, l.removed}); {
		case err == nil:
			valid = until
		case conflict(err) || !l.now().Before(valid):
			l.stop(errLeaseLost)
			return
		}
	}
}

// release gives the lease up. removed, when set, is left behind as the time of the commit that removed the unit.
func (l *lease) release(ctx context.Context, removed time.Time) error {
	l.stop(nil)
	<-l.done
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseCall) // an interrupted deployment gives it up too
	defer cancel()
	var err error
	if removed.IsZero() {
		err = l.object(l.unit).If(storage.Conditions{GenerationMatch: l.generation}).Retryer(storage.WithPolicy(storage.RetryAlways)).Delete(ctx)
	} else {
		err = l.write(ctx, held{Removed: removed})
	}
	if err != nil && !conflict(err) && !errors.Is(err, storage.ErrObjectNotExist) {
		return fmt.Errorf("give up gs://%s/%s%s.json: %w", l.bucket, leasePrefix, l.unit, err)
	}
	return nil
}

func (l *leases) object(unit string) *storage.ObjectHandle {
	return l.client.Bucket(l.bucket).Object(leasePrefix + unit + ".json")
}

// read gives what is there and its generation, 0 if there is nothing.
func (l *leases) read(ctx context.Context, unit string) (h held, generation int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, leaseCall)
	defer cancel()
	r, err := l.object(unit).NewReader(ctx)
	if errors.Is(err, storage.ErrObjectNotExist) {
		return h, 0, nil
	}
	if err != nil {
		return h, 0, unreachable(err, "read gs://%s/%s%s.json", l.bucket, leasePrefix, unit)
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, 1<<16))
	if err != nil {
		return h, 0, err
	}
	if err := json.Unmarshal(data, &h); err != nil {
		return h, 0, fault.New(fault.Invalid, nil, "gs://%s/%s%s.json is no lease; delete it if nothing deploys %s", l.bucket, leasePrefix, unit, unit)
	}
	return h, r.Attrs.Generation, nil
}

// write puts the lease in the place of what this process read or wrote last.
func (l *lease) write(ctx context.Context, h held) error {
	ctx, cancel := context.WithTimeout(ctx, leaseCall)
	defer cancel()
	condition := storage.Conditions{GenerationMatch: l.generation}
	if l.generation == 0 {
		condition = storage.Conditions{DoesNotExist: true}
	}
	data, err := json.Marshal(h)
	if err != nil {
		return err
	}
	w := l.object(l.unit).If(condition).NewWriter(ctx)
	w.ContentType, w.ChunkSize = "application/json", 0
	_, err = w.Write(data)
	if err = errors.Join(err, w.Close()); err != nil {
		if conflict(err) {
			if mine, generation, rerr := l.read(ctx, l.unit); rerr == nil && mine.Holder == h.Holder && mine.Until.Equal(h.Until) && h.Holder != "" {
				l.generation = generation // a retry met its own write
				return nil
			}
			return err
		}
		return unreachable(err, "write gs://%s/%s%s.json", l.bucket, leasePrefix, l.unit)
	}
	l.generation = w.Attrs().Generation
	return nil
}

func conflict(err error) bool {
	var e *googleapi.Error
	return errors.As(err, &e) && e.Code == http.StatusPreconditionFailed
}
