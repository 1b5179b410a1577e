// Package ledger keeps the record of runs in Firestore: create once, update only over the version that was read, recognise
// an own write whose answer was lost, query. It is not for deciding what a run may do next, which is shared/batch.
package ledger

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"cloud.google.com/go/firestore"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/millrace-ml/millrace/shared/fault"
)

// Collection is the name of the collection that holds the records.
const Collection = "runs"

// batchGet is how many documents one GetAll asks for; the service allows more, memory and deadlines like less.
const batchGet = 300

// Options are the settings that have defaults.
type Options struct {
	Timeout time.Duration    // of one call to Firestore, the client's own retries included; 3 s
	Backoff time.Duration    // upper bound of the first random pause between tries; 50 ms
	Now     func() time.Time // for History only; time.Now
}

// Ledger reads and writes records. It is safe for concurrent use.
type Ledger struct {
	client  *firestore.Client
	timeout time.Duration
	backoff time.Duration
	now     func() time.Time
}

// New makes a Ledger over an open client, which stays the caller's to close.
func New(client *firestore.Client, o Options) (*Ledger, error) {
	if client == nil {
		return nil, errors.New("ledger: no Firestore client")
	}
	if o.Timeout <= 0 {
		o.Timeout = 3 * time.Second
	}
	if o.Backoff <= 0 {
		o.Backoff = 50 * time.Millisecond
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Ledger{client: client, timeout: o.Timeout, backoff: o.Backoff, now: o.Now}, nil
}

// NewToken is a name for an owner or a write that nobody else has. It must be random: a derived one would be shared by
// the two deliveries of one event, which are exactly what it tells apart.
func NewToken() string { return rand.Text() }

// Get reads one record. A record that does not exist is fault.NotFound.
func (l *Ledger) Get(ctx context.Context, key string) (*Run, error) {
	run, err := l.read(ctx, key)
	if err != nil {
		return nil, err
	}
	if run == nil {
		return nil, fault.New(fault.NotFound, nil, "no run has the key %s", key)
	}
	return run, nil
}

// read is Get with nil for a record that does not exist.
func (l *Ledger) read(ctx context.Context, key string) (*Run, error) {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	snap, err := l.doc(key).Get(ctx)
	if status.Code(err) == codes.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, unavailable(err, "read run %s", key)
	}
	return decode(snap)
}

// GetAll reads many records, 300 a call. Keys without a record are absent from the result.
func (l *Ledger) GetAll(ctx context.Context, keys []string) (map[string]*Run, error) {
	found := make(map[string]*Run, len(keys))
	for len(keys) > 0 {
		n := min(len(keys), batchGet)
		if err := l.getSome(ctx, keys[:n], found); err != nil {
			return nil, err
		}
		keys = keys[n:]
	}
	return found, nil
}

func (l *Ledger) getSome(ctx context.Context, keys []string, found map[string]*Run) error {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	refs := make([]*firestore.DocumentRef, len(keys))
	for i, k := range keys {
		refs[i] = l.doc(k)
	}
	snaps, err := l.client.GetAll(ctx, refs)
	if err != nil {
		return unavailable(err, "read %d runs", len(keys))
	}
	for _, s := range snaps {
		if !s.Exists() {
			continue
		}
		run, err := decode(s)
		if err != nil {
			return err
		}
		found[run.Key] = run
	}
	return nil
}

func (l *Ledger) doc(key string) *firestore.DocumentRef {
	return l.client.Collection(Collection).Doc(key)
}

func decode(snap *firestore.DocumentSnapshot) (*Run, error) {
	run := new(Run)
	if err := snap.DataTo(run); err != nil {
		return nil, fmt.Errorf("read the record %s: %w", snap.Ref.ID, err)
	}
	run.UpdatedAt, run.readAt = snap.UpdateTime, snap.ReadTime
	return run, nil
}

// unavailable gives a Firestore error its kind. Codes that say "the request itself is wrong" are our mistake or a missing
// index, and stay Internal; a passed deadline of the caller stays Timeout.
func unavailable(err error, format string, args ...any) error {
	err = fmt.Errorf(format+": %w", append(args, err)...)
	switch status.Code(errors.Unwrap(err)) {
	case codes.InvalidArgument, codes.FailedPrecondition, codes.NotFound, codes.AlreadyExists, codes.Unimplemented, codes.OutOfRange:
		return err
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	return fault.New(fault.Unavailable, err, "the ledger does not answer")
}
