package batch

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/ledger"
	"github.com/millrace-ml/millrace/shared/manifest"
	"github.com/millrace-ml/millrace/shared/pipeline"
)

// Trigger is what starts a run: an Upload, a Tick, a Request or a Trial.
type Trigger interface {
	// record turns the trigger into the record that its run would have. The error is a trigger that gets no record: it is
	// no model's, or releases cannot be read now.
	record(ctx context.Context, b *Batch) (*ledger.Run, error)
}

var (
	_ Trigger = Upload{}
	_ Trigger = Tick{}
	_ Trigger = Request{}
	_ Trigger = Trial{}
)

// Upload is one generation of an object, from an event or from a listing: both carry all of it.
type Upload struct {
	Bucket, Object string
	Generation     int64
	Size           int64
	Created        time.Time // timeCreated
}

// Tick is a call of Cloud Scheduler. Scheduled is its X-CloudScheduler-ScheduleTime, zero if there was none.
type Tick struct {
	Ask       // At does not count
	Scheduled time.Time
}

// Request is a person's start of a schedule's dataset.
type Request struct {
	Ask
	Key string // Idempotency-Key
	By  string // who
}

func (u Upload) record(ctx context.Context, b *Batch) (*ledger.Run, error) {
	switch {
	case strings.HasPrefix(u.Object, manifest.SmokePrefix): // before anything else is asked: a smoke test must start nothing
		return nil, fault.New(fault.Invalid, nil, "objects below %s are of smoke tests and start nothing", manifest.SmokePrefix)
	case u.Bucket != b.cfg.Inbox:
		return nil, fault.New(fault.Invalid, nil, "the event is of bucket %.80q, expected the inbox %q", u.Bucket, b.cfg.Inbox)
	case u.Object == "" || u.Generation <= 0 || u.Created.IsZero():
		return nil, fault.New(fault.Invalid, nil, "the event lacks the object's name, generation or time of creation")
	}
	rel, err := b.find(ctx, func(r *pipeline.Release) bool { return takes(r, u.Object) })
	if err != nil {
		return nil, err
	}
	if rel == nil {
		return nil, fault.New(fault.NotFound, nil, "no released model takes uploads named %.200q", u.Object)
	}
	key := uploadKey(rel.Model, u)
	run := &ledger.Run{
		Key: key, ID: runID(rel.Model, u.Created, key), Model: rel.Model, Kind: ledger.Upload, State: ledger.Pending,
		Trigger: ledger.Trigger{Size: u.Size, Uploaded: u.Created.UTC()},
		Dataset: Dataset{Bucket: u.Bucket, Object: shorten(strings.ToValidUTF8(u.Object, "\uFFFD"), nameLimit), Generation: u.Generation},
	}
	if why := badName(u.Object); why != "" {
		run.State, run.Reason = ledger.Invalid, why
	} else if why := ignoredName(u.Object); why != "" {
		run.State, run.Reason = ledger.Ignored, why
	} else if u.Size == 0 {
		run.State, run.Reason = ledger.Invalid, "the file is empty; upload it again with a header line and rows"
	}
	return run, nil
}

// takes says whether an object of the inbox belongs to the model.
func takes(r *pipeline.Release, object string) bool {
	uploads := r.Manifest.Batch.Uploads
	return uploads != nil && strings.HasPrefix(object, uploads.Prefix)
}

func (t Tick) record(ctx context.Context, b *Batch) (*ledger.Run, error) {
	table, schedule, err := b.schedule(ctx, t.Ask)
	if err != nil {
		return nil, err
	}
	now := b.o.Now().UTC()
	at := t.Scheduled.UTC().Truncate(time.Second)
	manual := t.Scheduled.IsZero() || now.Before(at.Add(-early))
	key := tickKey(t.Model, t.Schedule, at)
	if manual {
		at = now.Truncate(time.Minute)
		key = manualKey(t.Model, t.Schedule, at)
	}
	run := &ledger.Run{
		Key: key, ID: runID(t.Model, at, key), Model: t.Model, Kind: ledger.Tick, State: ledger.Pending,
		Trigger: ledger.Trigger{Schedule: t.Schedule, At: at, Manual: manual},
		Dataset: table.dataset(b.cfg.Inbox, schedule.Dataset, at),
	}
	if !manual && !table.has(at) {
		run.State = ledger.Ignored
		run.Reason = fmt.Sprintf("%s is no time of the schedule %q (%s); the schedule has changed", at.Format(time.RFC3339), schedule.Cron, table.zone)
	}
	return run, nil
}

// keyLimit is the longest Idempotency-Key, as in other HTTP interfaces that take one.
const keyLimit = 255

func checkKey(key string) error {
	if key == "" || len(key) > keyLimit || strings.ContainsFunc(key, func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsPrint(r) }) {
		return fault.New(fault.Invalid, nil, "the header Idempotency-Key is %.80q, expected 1 to %d printable ASCII characters", key, keyLimit)
	}
	return nil
}

func (q Request) record(ctx context.Context, b *Batch) (*ledger.Run, error) {
	if err := checkKey(q.Key); err != nil {
		return nil, err
	}
	table, schedule, err := b.schedule(ctx, q.Ask)
	if err != nil {
		return nil, err
	}
	asked := "now"
	at := b.o.Now().UTC().Truncate(time.Second)
	if !q.At.IsZero() {
		at = q.At.UTC().Truncate(time.Second)
		asked = at.Format(time.RFC3339)
	}
	key := requestKey(q.Model, q.Key)
	return &ledger.Run{
		Key: key, ID: requestRunID(q.Model, key), Model: q.Model, Kind: ledger.Request, State: ledger.Pending,
		Trigger: ledger.Trigger{Schedule: q.Schedule, At: at, Request: q.Key, By: q.By, Body: identity(q.Model, q.Schedule, asked)},
		Dataset: table.dataset(b.cfg.Inbox, schedule.Dataset, at),
	}, nil
}

// schedule finds a schedule of a released model.
func (b *Batch) schedule(ctx context.Context, ask Ask) (*timetable, *manifest.Schedule, error) {
	if err := ask.valid(); err != nil {
		return nil, nil, err
	}
	has := func(r *pipeline.Release) *manifest.Schedule {
		if r.Model != ask.Model {
			return nil
		}
		for i := range r.Manifest.Batch.Schedules {
			if s := &r.Manifest.Batch.Schedules[i]; s.Name == ask.Schedule {
				return s
			}
		}
		return nil
	}
	rel, err := b.find(ctx, func(r *pipeline.Release) bool { return has(r) != nil })
	if err != nil {
		return nil, nil, err
	}
	if rel == nil {
		return nil, nil, fault.New(fault.NotFound, nil, "no released model %.80q has a schedule %.80q", ask.Model, ask.Schedule)
	}
	s := has(rel)
	table, err := newTimetable(*s)
	if err != nil {
		return nil, nil, fault.New(fault.Internal, err, "the released schedule %q of %q cannot be read", ask.Schedule, ask.Model)
	}
	return table, s, nil
}
