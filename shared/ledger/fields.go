package ledger

import (
	"slices"
	"time"

	"cloud.google.com/go/firestore"
)

// fields is the whole record as Firestore stores it. Times that are not set yet are null, not the year 1.
func (r *Run) fields() map[string]any {
	history := make([]any, len(r.History))
	for i, c := range r.History {
		history[i] = map[string]any{"at": c.At, "from": string(c.From), "to": string(c.To), "cause": c.Cause}
	}
	return map[string]any{
		"key": r.Key, "run_id": r.ID, "model": r.Model, "kind": string(r.Kind),
		"state": string(r.State), "reason": r.Reason, "hold": r.Hold,
		"owner": r.Owner, "writer": r.Writer, "revision": r.Revision,
		"lease_seconds": r.Lease, "attempt": r.Attempt, "refusals": r.Refusals, "job": r.Job,
		"created": instant(r.CreatedAt), "claimed": instant(r.ClaimedAt),
		"submitted": instant(r.SubmitAt), "finished": instant(r.FinishedAt),
		"trigger": map[string]any{
			"size": r.Trigger.Size, "uploaded": instant(r.Trigger.Uploaded), "schedule": r.Trigger.Schedule,
			"at": instant(r.Trigger.At), "manual": r.Trigger.Manual, "request": r.Trigger.Request,
			"body": r.Trigger.Body, "by": r.Trigger.By, "candidate": r.Trigger.Candidate,
		},
		"dataset": r.Dataset,
		"release": r.Release,
		"counts":  r.Counts,
		"history": history,
	}
}

// updates is the whole record as an update, field by field, with the stamps left to the server. Writing every field keeps
// one way of storing a record, and the version check makes it safe.
func (r *Run) updates(stamps []Stamp) []firestore.Update {
	fields := r.fields()
	for _, s := range stamps {
		fields[string(s)] = firestore.ServerTimestamp
	}
	updates := make([]firestore.Update, 0, len(fields))
	for path, value := range fields {
		updates = append(updates, firestore.Update{Path: path, Value: value})
	}
	slices.SortFunc(updates, func(a, b firestore.Update) int {
		if a.Path < b.Path {
			return -1
		}
		return 1
	})
	return updates
}

func instant(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t
}
