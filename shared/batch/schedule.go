package batch

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // the images of functions carry no time zones

	"github.com/robfig/cron/v3"

	"github.com/millrace-ml/millrace/shared/ledger"
	"github.com/millrace-ml/millrace/shared/manifest"
)

// early is how far ahead of its tick a call may come and still be that tick. A forced run carries the next tick's time,
// which is further ahead.
const early = 60 * time.Second

// timetable is a schedule of a manifest, ready to ask.
type timetable struct {
	cron cron.Schedule
	zone *time.Location
	name string
}

func newTimetable(s manifest.Schedule) (*timetable, error) {
	zone, err := time.LoadLocation(s.Zone)
	if err != nil {
		return nil, fmt.Errorf("schedule %s: zone %q: %w", s.Name, s.Zone, err)
	}
	parsed, err := cron.ParseStandard(s.Cron)
	if err != nil {
		return nil, fmt.Errorf("schedule %s: cron %q: %w", s.Name, s.Cron, err)
	}
	return &timetable{cron: parsed, zone: zone, name: s.Name}, nil
}

// has says whether the schedule ticks at this instant. Within three hours after a clock change every instant counts:
// what Cloud Scheduler does with a local time that is missing or comes twice is not documented, and a tick too many
// costs less than a night without predictions.
func (t *timetable) has(at time.Time) bool {
	local := at.In(t.zone)
	if t.cron.Next(local.Add(-time.Second)).Equal(local) {
		return true
	}
	_, now := local.Zone()
	_, before := local.Add(-3 * time.Hour).Zone()
	return now != before
}

// last is the latest tick in (after, until], or the zero time.
func (t *timetable) last(after, until time.Time) time.Time {
	// Look back in growing steps: a schedule that ticks each minute is found in an hour, a weekly one in the whole span.
	for _, span := range []time.Duration{time.Hour, 24 * time.Hour, 366 * 24 * time.Hour} {
		from := until.Add(-span)
		if from.Before(after) {
			from = after
		}
		var found time.Time
		for next := t.cron.Next(from.In(t.zone)); !next.IsZero() && !next.After(until); next = t.cron.Next(next) {
			found = next
		}
		if !found.IsZero() {
			return found.UTC()
		}
		if from.Equal(after) {
			break
		}
	}
	return time.Time{}
}

// dataset is what a schedule's template means at an instant: an object of the inbox, or all below a name that ends with
// a slash. {date} and {hour} are the reading of the schedule's own clock.
func (t *timetable) dataset(bucket, template string, at time.Time) ledger.Dataset {
	local := at.In(t.zone)
	name := strings.NewReplacer("{date}", local.Format("2006-01-02"), "{hour}", local.Format("15")).Replace(template)
	if strings.HasSuffix(name, "/") {
		return ledger.Dataset{Bucket: bucket, Prefix: name}
	}
	return ledger.Dataset{Bucket: bucket, Object: name}
}
