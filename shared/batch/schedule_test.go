package batch

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace-ml/millrace/shared/manifest"
)

func table(t *testing.T, cron, zone string) *timetable {
	t.Helper()
	tt, err := newTimetable(manifest.Schedule{Name: "nightly", Cron: cron, Zone: zone})
	if err != nil {
		t.Fatal(err)
	}
	return tt
}

func at(s string) time.Time {
	v, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return v
}

func TestTimetableHas(t *testing.T) {
	t.Parallel()
	ny := "America/New_York"
	cases := map[string]struct {
		cron, zone, at string
		want           bool
	}{
		"its time":                        {"15 2 * * *", ny, "2011-07-01T06:15:00Z", true},
		"its time in winter":              {"15 2 * * *", ny, "2011-01-01T07:15:00Z", true},
		"with an offset":                  {"15 2 * * *", ny, "2011-07-01T02:15:00-04:00", true},
		"another minute":                  {"15 2 * * *", ny, "2011-07-01T06:16:00Z", false},
		"the same reading elsewhere":      {"15 2 * * *", ny, "2011-07-01T02:15:00Z", false},
		"between minutes":                 {"15 2 * * *", ny, "2011-07-01T06:15:30Z", false},
		"its weekday":                     {"0 4 * * 1", "Etc/UTC", "2011-07-04T04:00:00Z", true},
		"another weekday":                 {"0 4 * * 1", "Etc/UTC", "2011-07-05T04:00:00Z", false},
		"clock goes back, first 01:30":    {"30 1 * * *", ny, "2011-11-06T05:30:00Z", true},
		"clock goes back, second 01:30":   {"30 1 * * *", ny, "2011-11-06T06:30:00Z", true},
		"clock goes on, missing 02:30":    {"30 2 * * *", ny, "2011-03-13T07:30:00Z", true}, // reads 03:30
		"the day after a change, another": {"30 2 * * *", ny, "2011-03-14T07:30:00Z", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := table(t, c.cron, c.zone).has(at(c.at)); got != c.want {
				t.Errorf("%s in %s has %s: %v, expected %v", c.cron, c.zone, c.at, got, c.want)
			}
		})
	}
}

func TestTimetableLast(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ cron, zone, after, until, want string }{
		"today":              {"15 2 * * *", "Etc/UTC", "2011-06-24T10:00:00Z", "2011-07-01T10:00:00Z", "2011-07-01T02:15:00Z"},
		"exactly now":        {"15 2 * * *", "Etc/UTC", "2011-06-24T02:15:00Z", "2011-07-01T02:15:00Z", "2011-07-01T02:15:00Z"},
		"a minute before it": {"15 2 * * *", "Etc/UTC", "2011-06-24T02:14:00Z", "2011-07-01T02:14:00Z", "2011-06-30T02:15:00Z"},
		"each minute":        {"* * * * *", "Etc/UTC", "2011-06-24T10:00:00Z", "2011-07-01T10:00:30Z", "2011-07-01T10:00:00Z"},
		"weekly":             {"0 4 * * 1", "Etc/UTC", "2011-06-24T10:00:00Z", "2011-07-01T10:00:00Z", "2011-06-27T04:00:00Z"},
		"not in the window":  {"0 4 1 1 *", "Etc/UTC", "2011-06-24T10:00:00Z", "2011-07-01T10:00:00Z", ""},
		"its own zone":       {"15 2 * * *", "Asia/Tokyo", "2011-06-24T10:00:00Z", "2011-07-01T10:00:00Z", "2011-06-30T17:15:00Z"},
		"not the limit":      {"15 2 * * *", "Etc/UTC", "2011-07-01T02:15:00Z", "2011-07-01T10:00:00Z", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := table(t, c.cron, c.zone).last(at(c.after), at(c.until))
			want := time.Time{}
			if c.want != "" {
				want = at(c.want)
			}
			if !got.Equal(want) {
				t.Errorf("last = %v, expected %v", got, want)
			}
		})
	}
}

func TestTimetableDataset(t *testing.T) {
	t.Parallel()
	tick := at("2012-01-01T03:05:00Z") // the evening before in New York
	cases := map[string]struct {
		template string
		want     Dataset
	}{
		"an object": {"scheduled/bike-demand/{date}.csv", Dataset{Bucket: "inbox", Object: "scheduled/bike-demand/2011-12-31.csv"}},
		"a prefix":  {"scheduled/{date}/{hour}/", Dataset{Bucket: "inbox", Prefix: "scheduled/2011-12-31/22/"}},
		"fixed":     {"all.csv", Dataset{Bucket: "inbox", Object: "all.csv"}},
	}
	for name, c := range cases {
		got := table(t, "5 22 * * *", "America/New_York").dataset("inbox", c.template, tick)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestTimetableRefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]manifest.Schedule{
		"cron": {Name: "n", Cron: "61 * * * *", Zone: "Etc/UTC"},
		"zone": {Name: "n", Cron: "1 * * * *", Zone: "Mars/Olympus"},
	} {
		if _, err := newTimetable(s); err == nil {
			t.Errorf("bad %s was taken", name)
		}
	}
}

// A year of ticks in a zone with clock changes: every tick that the timetable gives, it also has, and none is given twice.
func TestAYearOfTicks(t *testing.T) {
	t.Parallel()
	for _, cron := range []string{"30 1 * * *", "30 2 * * *", "*/20 * * * *", "0 0 1 * *"} {
		tt := table(t, cron, "America/New_York")
		seen := map[int64]bool{}
		n := 0
		for next := tt.cron.Next(at("2011-01-01T00:00:00Z").In(tt.zone)); next.Before(at("2012-01-01T00:00:00Z")); next = tt.cron.Next(next) {
			n++
			if !tt.has(next) {
				t.Fatalf("%s gives %v but does not have it", cron, next)
			}
			if seen[next.Unix()] {
				t.Fatalf("%s gives %v twice", cron, next)
			}
			seen[next.Unix()] = true
		}
		if n < 12 {
			t.Errorf("%s ticked %d times in a year", cron, n)
		}
	}
}
