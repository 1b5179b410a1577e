package batch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"cloud.google.com/go/firestore"
	"cloud.google.com/go/storage"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/ledger"
)

// Closer closes runs whose pipeline has ended. It is the part of Batch that the exit task of a pipeline needs.
type Closer struct {
	ledger  *ledger.Ledger
	storage *storage.Client
	log     func(context.Context) *slog.Logger
	staging string
	outbox  string
}

// NewCloser makes a Closer over open clients, which stay the caller's to close, and the two buckets that pipelines write.
func NewCloser(db *firestore.Client, st *storage.Client, log func(context.Context) *slog.Logger, staging, outbox string, o ledger.Options) (*Closer, error) {
	if st == nil || log == nil || staging == "" || outbox == "" {
		return nil, errors.New("batch: storage, log, staging and outbox are required")
	}
	l, err := ledger.New(db, o)
	if err != nil {
		return nil, err
	}
	return &Closer{ledger: l, storage: st, log: log, staging: staging, outbox: outbox}, nil
}

// The states of a finished task, as an exit task is told.
const (
	taskSucceeded = "SUCCEEDED"
	taskFailed    = "FAILED"
	taskCancelled = "CANCELLED"
)

// Finish closes a run from its exit task: _SUCCESS.json decides, then verdict.json, then the state of the work. It is
// idempotent, and a hint only: a run that it cannot close, because its starter has not come that far, is left to Reconcile.
func (c *Closer) Finish(ctx context.Context, runID, taskState, taskError string) (ledger.State, error) {
	run, err := c.ledger.ByID(ctx, runID)
	if err != nil {
		return "", err
	}
	for range 5 {
		if run.State.Final() {
			return run.State, nil
		}
		closed, err := c.closeTask(ctx, run, taskState, taskError)
		var lost *ledger.Lost
		switch {
		case errors.As(err, &lost):
			run = lost.Current
		case err != nil:
			return "", err
		default:
			return closed.State, nil
		}
	}
	return "", fault.New(fault.Unavailable, nil, "run %s is written by others all the time", runID)
}

func (c *Closer) closeTask(ctx context.Context, run *ledger.Run, taskState, taskError string) (*ledger.Run, error) {
	end, err := c.outcome(ctx, run)
	if err != nil {
		return nil, err
	}
	if end == nil {
		if end, err = endOfTask(taskState, taskError); err != nil {
			return nil, err
		}
	}
	if !allowed(run.State, end.state) {
		c.log(ctx).LogAttrs(ctx, slog.LevelWarn, "the pipeline ended before its start was recorded; reconcile closes the run", attrs(run)...)
		return run, nil
	}
	return c.apply(ctx, run, end)
}

func endOfTask(state, message string) (*ending, error) {
	switch state {
	case taskSucceeded:
		return noCommit, nil
	case taskCancelled:
		return &ending{state: ledger.Cancelled, reason: "the pipeline was cancelled"}, nil
	case taskFailed:
		if message == "" {
			message = "a task of the pipeline failed"
		}
		return &ending{state: ledger.Failed, reason: message}, nil
	}
	return nil, fault.New(fault.Invalid, nil, "task state is %q, expected %s, %s or %s", state, taskSucceeded, taskFailed, taskCancelled)
}

// ending is how a run ends.
type ending struct {
	state  ledger.State
	reason string
	counts ledger.Counts
}

// noCommit is the end of a pipeline that says it succeeded and left no proof of it.
var noCommit = &ending{state: ledger.Failed, reason: "the pipeline ended without _SUCCESS.json and without a verdict"}

func (c *Closer) apply(ctx context.Context, run *ledger.Run, end *ending) (*ledger.Run, error) {
	return c.move(ctx, run, end.state, "pipeline ended", func(r *ledger.Run) {
		r.Reason, r.Counts = shorten(end.reason, reasonLimit), end.counts
	})
}

// outboxOf is where a run's predictions go. A trial's go to staging: a reader of the outbox must never take them for
// predictions, and staging is cleared by itself.
func (c *Closer) outboxOf(run *ledger.Run) string {
	if run.Trial() {
		return c.staging
	}
	return c.outbox
}

// outcome reads what the pipeline left behind: _SUCCESS.json, else verdict.json, else nil.
func (c *Closer) outcome(ctx context.Context, run *ledger.Run) (*ending, error) {
	var success Success
	if found, err := c.readJSON(ctx, c.outboxOf(run), SuccessObject(run.Model, run.ID), &success); err != nil {
		return nil, err
	} else if found {
		if success.RunID != run.ID {
			return &ending{state: ledger.Failed, reason: fmt.Sprintf("_SUCCESS.json is of the run %.120q", success.RunID)}, nil
		}
		counts := ledger.Counts{Rows: success.Rows, Scored: success.Scored, Rejected: success.Rejected}
		return &ending{state: ledger.Succeeded, counts: counts}, nil
	}
	var verdict Verdict
	found, err := c.readJSON(ctx, c.staging, VerdictObject(run.ID), &verdict)
	if err != nil || !found {
		return nil, err
	}
	if s := ledger.State(verdict.State); s == ledger.Invalid || s == ledger.Failed {
		return &ending{state: s, reason: verdict.Reason}, nil
	}
	return &ending{state: ledger.Failed, reason: fmt.Sprintf("verdict.json has the state %.40q: %s", verdict.State, verdict.Reason)}, nil
}

// readLimit bounds what is read of the small objects that pipelines write.
const readLimit = 1 << 20

// readJSON reads one small object into v. An object that is not there is found = false.
func (c *Closer) readJSON(ctx context.Context, bucket, object string, v any) (found bool, err error) {
	data, err := c.readObject(ctx, bucket, object)
	if err != nil || data == nil {
		return false, err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return false, fmt.Errorf("read gs://%s/%s: %w", bucket, object, err)
	}
	return true, nil
}

// readObject reads one small object, nil if it is not there.
func (c *Closer) readObject(ctx context.Context, bucket, object string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, storageTimeout)
	defer cancel()
	r, err := c.storage.Bucket(bucket).Object(object).NewReader(ctx)
	if errors.Is(err, storage.ErrObjectNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.New(fault.Unavailable, err, "cloud storage does not answer")
	}
	data, err := io.ReadAll(io.LimitReader(r, readLimit))
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, fault.New(fault.Unavailable, fmt.Errorf("read gs://%s/%s: %w", bucket, object, err), "cloud storage does not answer")
	}
	return data, nil
}
