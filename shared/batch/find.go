package batch

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"cloud.google.com/go/storage"
	"google.golang.org/api/iterator"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/manifest"
	"github.com/millrace-ml/millrace/shared/pipeline"
)

// findUploads lists the inbox under every prefix that a model takes and starts what has no record. An event is a hint, the
// object is the truth: a lost event costs minutes, not data.
func (s *sweep) findUploads(ctx context.Context) error {
	releases, err := s.listReleases(ctx)
	if err != nil {
		return err
	}
	for i := range releases {
		r := &releases[i]
		if r.Manifest.Batch.Uploads == nil {
			continue
		}
		if err := s.findUnder(ctx, r.Model, r.Manifest.Batch.Uploads.Prefix); err != nil {
			return err
		}
	}
	return nil
}

// findPage is how many objects are looked up in the ledger at a time.
const findPage = 300

func (s *sweep) findUnder(ctx context.Context, model, prefix string) error {
	q := &storage.Query{Prefix: prefix}
	if err := q.SetAttrSelection([]string{"Name", "Generation", "Size", "Created"}); err != nil {
		return err
	}
	now := s.o.Now()
	from, until := s.oldest(now), now.Add(-s.o.MinAge)
	it := s.storage.Bucket(s.cfg.Inbox).Objects(ctx, q)
	var page []Upload
	for {
		attrs, err := it.Next()
		if errors.Is(err, iterator.Done) {
			return s.startMissing(ctx, model, page)
		}
		if err != nil {
			return fault.New(fault.Unavailable, err, "the inbox cannot be listed")
		}
		if strings.HasPrefix(attrs.Name, manifest.SmokePrefix) || attrs.Created.Before(from) || attrs.Created.After(until) {
			continue
		}
		page = append(page, Upload{Bucket: s.cfg.Inbox, Object: attrs.Name, Generation: attrs.Generation, Size: attrs.Size, Created: attrs.Created})
		if len(page) == findPage {
			if err := s.startMissing(ctx, model, page); err != nil {
				return err
			}
			page = page[:0]
		}
	}
}

func (s *sweep) startMissing(ctx context.Context, model string, page []Upload) error {
	keys := make([]string, len(page))
	for i, u := range page {
		keys[i] = uploadKey(model, u)
	}
	known, err := s.ledger.GetAll(ctx, keys)
	if err != nil {
		return err
	}
	for i, u := range page {
		if known[keys[i]] != nil {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		s.startFound(ctx, u, slog.String("bucket", u.Bucket), slog.String("object", u.Object), slog.Int64("generation", u.Generation))
	}
	return nil
}

// startFound starts a trigger whose event was lost. Busy is not trouble: its event came after all.
func (s *sweep) startFound(ctx context.Context, t Trigger, a ...slog.Attr) {
	if _, err := s.Start(ctx, t); err != nil {
		s.trouble(ctx, "a trigger without a record was found, but not started", err, a...)
		return
	}
	s.add(&s.report.Found)
}

// findTicks starts the last tick of each schedule if it has no record: catch-up "last", so that after an outage of a week
// one run comes, not seven.
func (s *sweep) findTicks(ctx context.Context) error {
	releases, err := s.listReleases(ctx)
	if err != nil {
		return err
	}
	for i := range releases {
		r := &releases[i]
		for _, schedule := range r.Manifest.Batch.Schedules {
			table, err := newTimetable(schedule)
			if err != nil {
				s.trouble(ctx, "schedule cannot be read", err, slog.String("model", r.Model))
				continue
			}
			if err := s.findTick(ctx, r, table); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *sweep) findTick(ctx context.Context, r *pipeline.Release, table *timetable) error {
	now := s.o.Now()
	at := table.last(s.oldest(now), now.Add(-s.o.MinAge))
	missing, err := s.missing(ctx, r, table.name, at)
	if err != nil {
		return err
	}
	if !missing {
		s.onTime(ctx, r.Model, table.name)
		return nil
	}
	s.startFound(ctx, Tick{Ask: Ask{Model: r.Model, Schedule: table.name}, Scheduled: at},
		slog.String("model", r.Model), slog.String("schedule", table.name), slog.Time("tick", at))
	return nil
}

// missing says whether a tick was due and has no record.
func (s *sweep) missing(ctx context.Context, r *pipeline.Release, schedule string, at time.Time) (bool, error) {
	if at.IsZero() {
		return false, nil
	}
	key := tickKey(r.Model, schedule, at)
	known, err := s.ledger.GetAll(ctx, []string{key})
	if err != nil || known[key] != nil {
		return false, err
	}
	return s.wasDue(ctx, r, schedule, at)
}

// onTime says that no run of a schedule is missing. The alert on missed schedules rests on the absence of this line, since
// a sweep that does not come is no sign of anything else.
func (s *sweep) onTime(ctx context.Context, model, schedule string) {
	s.log(ctx).LogAttrs(ctx, slog.LevelInfo, "schedule is on time",
		slog.String("event", "schedule_on_time"), slog.String("model", model), slog.String("schedule", schedule))
}

// wasDue says whether the schedule existed at the tick: the model was released by then, or, if it has been released again
// since, the schedule has ticked before. A schedule that is new must not start with a run of yesterday.
func (s *sweep) wasDue(ctx context.Context, r *pipeline.Release, schedule string, at time.Time) (bool, error) {
	if !r.ReleasedAt.After(at) {
		return true, nil
	}
	earlier, err := s.ledger.TicksBefore(ctx, r.Model, schedule, at, 1)
	return len(earlier) > 0, err
}
