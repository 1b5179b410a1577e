package candidate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/millrace-ml/millrace/shared/batch"
	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/ledger"
)

// maxAttempts is how many failed trials of one unit are passed over. After so many a person should look.
const maxAttempts = 50

// key is the Idempotency-Key of an attempt. What the request names is part of it, so that one key never stands for two.
func (t *trial) key(attempt int) string {
	name := strings.TrimSuffix(t.candidate[strings.LastIndex(t.candidate, "/")+1:], ".json")
	key := fmt.Sprintf("trial/%.40s/%.16s/%d", t.unit, name, t.dataset.Generation)
	if attempt > 1 {
		key += fmt.Sprintf("/%d", attempt)
	}
	return key
}

// findOrStart gives the run of this unit: one that goes on or has succeeded, else a new one. It looks before it asks, since
// only a trial that had failed before this call may be tried again: one that fails now is the answer.
func (t *trial) findOrStart(ctx context.Context) (*ledger.Run, error) {
	for t.attempt = 1; t.attempt <= maxAttempts; t.attempt++ {
		id := batch.RequestRunID(t.model, t.key(t.attempt))
		run, err := t.look(ctx, id)
		if err != nil {
			return nil, err
		}
		if run == nil {
			return t.start(ctx)
		}
		again, why, err := t.mustRepeat(ctx, run)
		if err != nil {
			return nil, err
		}
		if !again {
			t.found = true
			t.say("found the trial %s, it is %s", run.ID, run.State)
			return run, nil
		}
		t.say("an earlier trial, %s, %s", run.ID, why)
	}
	return nil, fault.New(fault.Conflict, nil, "model %s: %d trials of this release have failed; the last is %s. Look at one: %s",
		t.model, maxAttempts, batch.RequestRunID(t.model, t.key(maxAttempts)), t.where(batch.RequestRunID(t.model, t.key(maxAttempts))))
}

// mustRepeat says whether a run that is there is of no use, and why.
func (t *trial) mustRepeat(ctx context.Context, run *ledger.Run) (again bool, why string, err error) {
	switch {
	case !run.State.Final():
		return false, "", nil
	case run.State != ledger.Succeeded:
		return true, fmt.Sprintf("is %s: %s", run.State, run.Reason), nil
	case t.own:
		return false, "", nil
	}
	proof, err := t.read(ctx, batch.SuccessObject(t.model, run.ID), maxSuccess)
	return proof == nil, "succeeded, and staging has been cleared since", err
}

// look gives a run, nil if there is none.
func (t *trial) look(ctx context.Context, id string) (*ledger.Run, error) {
	a, err := t.ask(ctx, http.MethodGet, "/runs/"+url.PathEscape(id), nil, "")
	switch {
	case err != nil:
		return nil, err
	case a.status == http.StatusNotFound && json.Valid(a.body):
		return nil, nil
	case a.status != http.StatusOK:
		return nil, t.refusal("model "+t.model+": look at the trial "+id, a)
	}
	return decodeRun(a)
}

func (t *trial) start(ctx context.Context) (*ledger.Run, error) {
	body, err := json.Marshal(batch.TrialAsk{Model: t.model, Candidate: t.candidate, Dataset: t.dataset})
	if err != nil {
		return nil, err
	}
	a, err := t.ask(ctx, http.MethodPost, "/runs", body, t.key(t.attempt))
	if err != nil {
		return nil, err
	}
	switch a.status {
	case http.StatusOK, http.StatusAccepted:
	case http.StatusConflict: // there is a run, which Vertex refused, or which failed before it could be answered for
		return nil, fault.New(fault.Conflict, nil, "model %s: its trial was not started, or failed at once: %s. See %s",
			t.model, a.said(), t.where(batch.RequestRunID(t.model, t.key(t.attempt))))
	default:
		return nil, t.refusal("model "+t.model+": its trial was not started", a)
	}
	run, err := decodeRun(a)
	if err == nil {
		t.say("started the trial %s of %s", run.ID, t.candidate)
	}
	return run, err
}

func decodeRun(a answer) (*ledger.Run, error) {
	run := &ledger.Run{}
	if err := json.Unmarshal(a.body, run); err != nil || run.ID == "" || run.State == "" {
		return nil, fault.New(fault.Internal, err, "batchtrigger answers %.200q, expected a run", a.body)
	}
	return run, nil
}

// follow waits until the run is over.
func (t *trial) follow(ctx context.Context, run *ledger.Run) (*ledger.Run, error) {
	state := run.State
	for pause := t.Poll; !run.State.Final(); pause = min(pause+pause/2, maxPause) {
		if err := sleep(ctx, pause); err != nil {
			return nil, t.late(run, err)
		}
		next, err := t.look(ctx, run.ID)
		if ctx.Err() != nil {
			return nil, t.late(run, context.Cause(ctx))
		}
		if err != nil {
			return nil, err
		}
		if next == nil {
			return nil, fault.New(fault.Internal, nil, "model %s: the trial %s is not known any more", t.model, run.ID)
		}
		if run = next; run.State != state {
			state = run.State
			t.say("the trial is %s", state)
		}
	}
	if run.State != ledger.Succeeded {
		return nil, fault.New(fault.Conflict, nil, "model %s: the trial %s of its release is %s: %s. See %s", t.model, run.ID, run.State, run.Reason, t.where(run.ID))
	}
	return run, nil
}

// late says of a run that is not over where to look, and that nothing is lost.
func (t *trial) late(run *ledger.Run, cause error) error {
	hint := ""
	if run.State == ledger.Pending {
		hint = " (it waits in the line for Vertex: for quota, or behind other runs)"
	}
	what := fmt.Sprintf("model %s: the trial %s is still %s%s", t.model, run.ID, run.State, hint)
	if !errors.Is(cause, errDeadline) {
		return fmt.Errorf("%s: %w", what, cause)
	}
	return fault.New(fault.Timeout, cause, "%s after %s. It goes on; the same trial, tried again, finds it. See %s", what, t.deadline.Round(time.Second), t.where(run.ID))
}

// where is what a person does to see more.
func (t *trial) where(id string) string {
	return fmt.Sprintf("bin/millrace runs --url %s show %s", t.base, id)
}
