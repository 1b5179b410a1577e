package manifest

import (
	"errors"
	"strings"
	"time"
)

var (
	errZone = errors.New("is no time zone")
	errCron = errors.New("only five fields of numbers, names, *, /, - and commas")
	errEnd  = errors.New("no time in the next five years")
)

// Next is the first tick after a moment.
func (s *Schedule) Next(after time.Time) (time.Time, error) {
	zone, err := s.location()
	if err != nil {
		return time.Time{}, err
	}
	t, err := s.timetable()
	if err != nil {
		return time.Time{}, err
	}
	next := t.Next(after.In(zone))
	if next.IsZero() {
		return time.Time{}, errEnd
	}
	return next, nil
}

// Ticks says whether the moment is a tick of the schedule, to the second.
func (s *Schedule) Ticks(at time.Time) bool {
	next, err := s.Next(at.Add(-time.Second))
	return err == nil && next.Equal(at.Truncate(time.Second))
}

// DatasetAt is the dataset of a tick: the name of an object, or of a folder if it ends with a slash.
func (s *Schedule) DatasetAt(tick time.Time) (string, error) {
	zone, err := s.location()
	if err != nil {
		return "", err
	}
	t := tick.In(zone)
	return strings.NewReplacer("{date}", t.Format("2006-01-02"), "{hour}", t.Format("15")).Replace(s.Dataset), nil
}

// reaches says whether a dataset of the schedule, at some tick, can be or hold an object under the prefix.
func (s *Schedule) reaches(prefix string) bool {
	// A digit of a placeholder can be any digit. The control character cannot stand in a name itself.
	pattern := strings.NewReplacer("{date}", "\x00\x00\x00\x00-\x00\x00-\x00\x00", "{hour}", "\x00\x00").Replace(s.Dataset)
	if prefix == "" || len(pattern) < len(prefix) && !strings.HasSuffix(pattern, "/") {
		return false
	}
	for i := range min(len(pattern), len(prefix)) {
		isDigit := prefix[i] >= '0' && prefix[i] <= '9'
		fits := pattern[i] == prefix[i] || pattern[i] == 0 && isDigit
		if !fits {
			return false
		}
	}
	return true
}

func overlap(a, b string) bool { return strings.HasPrefix(a, b) || strings.HasPrefix(b, a) }
