package feature

import (
	"math"
	"testing"
	"time"

	"github.com/millrace-ml/millrace/shared/manifest"
)

func TestParseRFC3339(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		in   string
		want float64 // NaN = refused
	}{
		"UTC":                 {"1970-01-02T00:00:01Z", 86401},
		"wall clock east":     {"1970-01-01T01:00:00+01:00", 3600},
		"wall clock west":     {"1970-01-01T01:00:00-23:59", 3600},
		"small letters":       {"1970-01-01t01:00:00z", 3600},
		"space between":       {"1970-01-01 01:00:00Z", 3600},
		"fraction":            {"1970-01-01T00:00:00.25Z", 0.25},
		"nanoseconds":         {"1970-01-01T00:00:00.123456789Z", 0.123456789},
		"finer than that":     {"1970-01-01T00:00:00.1234567899Z", 0.123456789},
		"before 1970":         {"1969-12-31T23:59:59Z", -1},
		"first year":          {"0000-01-01T00:00:00Z", firstSecond},
		"last year":           {"9999-12-31T23:59:59Z", lastSecond},
		"leap day":            {"2024-02-29T00:00:00Z", 1709164800},
		"no leap day":         {"2023-02-29T00:00:00Z", null},
		"no leap century":     {"1900-02-29T00:00:00Z", null},
		"no zone":             {"1970-01-01T00:00:00", null},
		"month 0":             {"1970-00-01T00:00:00Z", null},
		"month 13":            {"1970-13-01T00:00:00Z", null},
		"day 31 of April":     {"1970-04-31T00:00:00Z", null},
		"hour 24":             {"1970-01-01T24:00:00Z", null},
		"minute 60":           {"1970-01-01T00:60:00Z", null},
		"leap second":         {"1970-01-01T00:00:60Z", null},
		"zone of 24 hours":    {"1970-01-01T00:00:00+24:00", null},
		"zone without colon":  {"1970-01-01T00:00:00+0100", null},
		"point without digit": {"1970-01-01T00:00:00.Z", null},
		"letters":             {"197o-01-01T00:00:00Z", null},
		"more after it":       {"1970-01-01T00:00:00Zulu", null},
		"minus":               {"-970-01-01T00:00:00Z", null},
		"empty":               {"", null},
		"only a date":         {"1970-01-01", null},
		"ends in the point":   {"1970-01-01T00:00:00.5", null},
	} {
		got, ok := parseRFC3339([]byte(tc.in))
		if ok == math.IsNaN(tc.want) || ok && got != tc.want {
			t.Errorf("%s: %q reads as %v, %v, want %v", name, tc.in, got, ok, tc.want)
		}
	}
}

// TestCalendar compares every day of 400 years, and the hours around midnight, with package time.
func TestCalendar(t *testing.T) {
	t.Parallel()
	check := func(at time.Time) {
		s := float64(at.Unix()) + float64(at.Nanosecond())/1e9
		want := [...]float64{float64(at.Hour()), float64((at.Weekday() + 6) % 7), float64(at.Month()), float64(at.YearDay())}
		got := [...]float64{hourOf(s), weekdayOf(s), monthOf(s), dayOfYear(s)}
		if got != want {
			t.Fatalf("%v: hour, weekday, month, day of year are %v, want %v", at, got, want)
		}
	}
	for at := time.Date(1850, 1, 1, 13, 0, 0, 0, time.UTC); at.Year() < 2250; at = at.AddDate(0, 0, 1) {
		check(at)
		if y, m, d := date(daysBefore(at.Year(), int(at.Month()), at.Day())); y != at.Year() || m != int(at.Month()) || d != at.Day() {
			t.Fatalf("%v comes back as %d-%d-%d", at, y, m, d)
		}
	}
	for _, year := range []int{0, 1, 1969, 1970, 2024, 9999} {
		midnight := time.Date(year, 12, 31, 0, 0, 0, 0, time.UTC)
		for _, shift := range []time.Duration{0, time.Microsecond, time.Second, 24*time.Hour - time.Second, 24*time.Hour - 100*time.Microsecond} {
			check(midnight.Add(shift))
		}
	}
	for name, f := range map[string]func(float64) float64{"hour": hourOf, "weekday": weekdayOf, "month": monthOf, "dayofyear": dayOfYear} {
		if v := f(null); !math.IsNaN(v) {
			t.Errorf("%s of null is %v", name, v)
		}
	}
}

func TestLayouts(t *testing.T) {
	t.Parallel()
	in := func(layouts ...string) *input {
		got, err := newInput(&manifest.Input{Name: "t", Type: manifest.Timestamp, Layouts: layouts})
		if err != nil {
			t.Fatal(err)
		}
		return &got
	}
	for name, tc := range map[string]struct {
		layouts []string
		text    string
		want    string // by package time, "" = refused
	}{
		"plain":             {[]string{"1/2/2006 15:04"}, "12/31/2011 5:30", "2011-12-31T05:30:00Z"},
		"second layout":     {[]string{"rfc3339", "2006-01-02"}, "2011-12-31", "2011-12-31T00:00:00Z"},
		"first one wins":    {[]string{"1/2/2006", "2/1/2006"}, "3/4/2011", "2011-03-04T00:00:00Z"},
		"second if needed":  {[]string{"1/2/2006", "2/1/2006"}, "13/4/2011", "2011-04-13T00:00:00Z"},
		"offset as written": {[]string{"2006-01-02 15:04 -0700"}, "2011-12-31 23:30 +0530", "2011-12-31T23:30:00Z"},
		"zone by name":      {[]string{"2006-01-02 15:04 MST"}, "2011-12-31 23:30 CET", "2011-12-31T23:30:00Z"},
		"afternoon":         {[]string{"2006-01-02 3PM"}, "2011-12-31 5PM", "2011-12-31T17:00:00Z"},
		"seconds as text":   {[]string{"unix"}, "86400", "1970-01-02T00:00:00Z"},
		"not in any":        {[]string{"rfc3339", "2006-01-02", "unix"}, "yesterday", ""},
		"empty":             {[]string{"2006-01-02"}, "", ""},
		"beyond the years":  {[]string{"unix"}, "253402300800", ""},
	} {
		got, code := in(tc.layouts...).parseTime([]byte(tc.text))
		want, err := time.Parse(time.RFC3339, tc.want)
		if (code == "") != (err == nil) || err == nil && got != float64(want.Unix()) {
			t.Errorf("%s: %q reads as %v %q, want %q", name, tc.text, got, code, tc.want)
		}
	}
	if v, code := in("unix").unixTime(1.5); v != 1.5 || code != "" {
		t.Errorf("the number 1.5 is the time %v, %q", v, code)
	}
	if _, code := in("unix").unixTime(1e15); code != CodeRange {
		t.Errorf("the number 1e15: %q, want out of range", code)
	}
	if _, code := in("rfc3339").unixTime(5); code != CodeType {
		t.Errorf("a number without the layout unix: %q", code)
	}
}

func FuzzRFC3339(f *testing.F) {
	f.Add("2006-01-02T15:04:05.999Z")
	f.Add("2024-02-29 23:59:59+14:00")
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := parseRFC3339([]byte(text))
		want, err := time.Parse(time.RFC3339Nano, text)
		if err == nil && ok {
			_, offset := want.Zone()
			if s := float64(want.Unix()+int64(offset)) + float64(want.Nanosecond())/1e9; s != got {
				t.Errorf("%q reads as %v, package time has %v", text, got, s)
			}
		}
		if err == nil && !ok && want.Format(time.RFC3339Nano) == text {
			t.Errorf("%q is refused, package time takes and writes it", text)
		}
		if ok && (got < firstSecond || got >= lastSecond+1) {
			t.Errorf("%q reads as %v, beyond the years", text, got)
		}
	})
}
