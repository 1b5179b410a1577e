package manifest

import (
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // zones must load in an image without /usr/share/zoneinfo as on a laptop

	"github.com/robfig/cron/v3"
)

func (r *report) realtime(rt *Realtime) {
	if rt.Scale.Min > rt.Scale.Max {
		r.add("realtime.scale.min", finding{"conflict", formatNumber(float64(rt.Scale.Min)), "is above max, " + formatNumber(float64(rt.Scale.Max)), "write min ≤ max"})
	}
	if rt.Concurrency > 1 && strings.Contains(rt.CPU, ".") {
		r.add("realtime.concurrency", finding{"conflict", formatNumber(float64(rt.Concurrency)), "needs a whole CPU", "write concurrency: 1, or cpu: \"1\""})
	}
}

func (r *report) batch(b *Batch) {
	if b.Uploads == nil && len(b.Schedules) == 0 {
		r.add("batch", finding{code: "missing", what: "has neither uploads nor schedules, so nothing ever starts it", want: "add uploads: {prefix: <name>/} or schedules"})
	}
	if b.Uploads != nil && compiled[PrefixPattern].MatchString(b.Uploads.Prefix) {
		r.objectName("batch.uploads.prefix", b.Uploads.Prefix, b.Uploads.Prefix)
		if strings.HasPrefix(b.Uploads.Prefix, SmokePrefix) {
			r.add("batch.uploads.prefix", finding{"conflict", quote(b.Uploads.Prefix), "is where deployments try out the upload function", "write a name that does not begin with " + SmokePrefix})
		}
	}
	names := map[string]bool{}
	for i := range b.Schedules {
		s, at := &b.Schedules[i], index("batch.schedules", i)
		r.unique(at+".name", s.Name, names, "schedule")
		r.schedule(at, s)
		if b.Uploads != nil && s.Dataset != "" && s.reaches(b.Uploads.Prefix) {
			r.add(at+".dataset", finding{"conflict", quote(s.Dataset), "lies where uploads start a run by themselves", "write a name outside of " + quote(b.Uploads.Prefix)})
		}
	}
}

// objectName reports what Cloud Storage or a copy in a folder would trip over. plain is the name without placeholders.
func (r *report) objectName(at, name, plain string) {
	for _, part := range strings.Split(strings.TrimSuffix(plain, "/"), "/") {
		if part == "" || part == "." || part == ".." {
			r.add(at, finding{"value", quote(name), "has the part " + quote(part), "write names between single slashes"})
			return
		}
	}
}

func (r *report) schedule(at string, s *Schedule) {
	if s.Cron != "" {
		if _, err := s.timetable(); err != nil {
			r.add(at+".cron", finding{"value", quote(s.Cron), "is no timetable (" + err.Error() + ")", "write minute, hour, day of month, month and day of week, such as \"15 2 * * *\""})
		} else if _, err := s.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)); err != nil && s.zoneErr() == nil {
			r.add(at+".cron", finding{"value", quote(s.Cron), "never comes", "write a day that exists"})
		}
	}
	if err := s.zoneErr(); err != nil {
		r.add(at+".zone", finding{"value", quote(s.Zone), "is no time zone", "write a name of the IANA list, such as America/New_York or Etc/UTC"})
	}
	if s.Dataset != "" {
		r.dataset(at+".dataset", s.Dataset)
	}
}

// Placeholders are what a schedule's dataset may hold.
var Placeholders = []string{"{date}", "{hour}"}

func (r *report) dataset(at, name string) {
	plain := name
	for _, p := range Placeholders {
		plain = strings.ReplaceAll(plain, p, "x")
	}
	if i := strings.IndexAny(plain, "{}"); i >= 0 {
		word := plain[i:]
		if end := strings.IndexByte(word, '}'); end > 0 {
			word = word[:end+1]
		}
		want := "only {date} and {hour} are filled in"
		if s := Suggest(word, Placeholders); s != "" {
			want = "did you mean " + quote(s) + "? " + want
		}
		r.add(at, finding{"value", quote(name), "has the placeholder " + quote(word), want})
	}
	switch {
	case strings.HasPrefix(plain, "/"):
		r.add(at, finding{"value", quote(name), "begins with a slash", "remove it: names in a bucket do not begin with one"})
	case strings.HasPrefix(plain, "gs:"):
		r.add(at, finding{"value", quote(name), "names a bucket", "write only the name of the object in the inbox"})
	case slices.ContainsFunc([]byte(plain), func(c byte) bool { return c < ' ' || c == 0x7f || c == '\\' }):
		r.add(at, finding{"value", quote(name), "has a control character or a backslash", "write names between slashes"})
	default:
		r.objectName(at, name, plain)
	}
}

func (s *Schedule) zoneErr() error {
	_, err := s.location()
	return err
}

func (s *Schedule) location() (*time.Location, error) {
	if s.Zone == "Local" { // would be the machine's
		return nil, errZone
	}
	return time.LoadLocation(s.Zone)
}

var parser5 = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

// timetable parses the five fields, without what only the library knows: a zone before them, and the question mark.
func (s *Schedule) timetable() (cron.Schedule, error) {
	if strings.ContainsAny(s.Cron, "=?@") {
		return nil, errCron
	}
	return parser5.Parse(s.Cron)
}
