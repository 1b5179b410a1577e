package manifest_test

import (
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace-ml/millrace/shared/manifest"
)

func model(name, prefix string, datasets ...string) *manifest.Manifest {
	b := &manifest.Batch{}
	if prefix != "" {
		b.Uploads = &manifest.Uploads{Prefix: prefix}
	}
	for _, d := range datasets {
		b.Schedules = append(b.Schedules, manifest.Schedule{Dataset: d})
	}
	return &manifest.Manifest{Name: name, Batch: b}
}

func TestCheckAll(t *testing.T) {
	t.Parallel()
	realtime := &manifest.Manifest{Name: "fast"}
	for name, tc := range map[string]struct {
		models []*manifest.Manifest
		want   string
	}{
		"none":              {nil, ""},
		"apart":             {[]*manifest.Manifest{model("bikes", "bikes/", "scheduled/bikes/{date}.csv"), model("boats", "boats/"), realtime}, ""},
		"like names":        {[]*manifest.Manifest{model("bikes", "bikes/"), model("bikes-2", "bikes-2/")}, ""},
		"the same name":     {[]*manifest.Manifest{model("bikes", "a/"), model("bikes", "b/")}, `bikes: name: "bikes" is the name of two models; rename one`},
		"the same prefix":   {[]*manifest.Manifest{model("bikes", "in/"), model("boats", "in/")}, `boats: batch.uploads.prefix: "in/" overlaps with "in/" of the model bikes; write prefixes of which none begins with the other`},
		"one in the other":  {[]*manifest.Manifest{model("bikes", "in/bikes/"), model("boats", "in/")}, `boats: batch.uploads.prefix: "in/" overlaps with "in/bikes/" of the model bikes; write prefixes of which none begins with the other`},
		"dataset of others": {[]*manifest.Manifest{model("bikes", "bikes/"), model("boats", "", "bikes/{date}.csv")}, `boats: batch.schedules[0].dataset: "bikes/{date}.csv" lies where uploads start runs of the model bikes; write a name outside of "bikes/"`},
		"dataset earlier":   {[]*manifest.Manifest{model("boats", "", "a", "bikes/"), model("bikes", "bikes/")}, `boats: batch.schedules[1].dataset: "bikes/" lies where uploads start runs of the model bikes; write a name outside of "bikes/"`},
		"folder around":     {[]*manifest.Manifest{model("bikes", "in/bikes/"), model("boats", "", "in/")}, `boats: batch.schedules[0].dataset: "in/" lies where uploads start runs of the model bikes; write a name outside of "in/bikes/"`},
		"object around":     {[]*manifest.Manifest{model("bikes", "in/bikes/"), model("boats", "", "in")}, ""},
		"a date that fits":  {[]*manifest.Manifest{model("bikes", "2026-01-01/x/"), model("boats", "", "{date}/x/{hour}.csv")}, `boats: batch.schedules[0].dataset: "{date}/x/{hour}.csv" lies where uploads start runs of the model bikes; write a name outside of "2026-01-01/x/"`},
		"no date that fits": {[]*manifest.Manifest{model("bikes", "2026-ab-01/x/"), model("boats", "", "{date}/x/{hour}.csv")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ""
			if err := manifest.CheckAll(tc.models); err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
}

func at(t *testing.T, text string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestScheduleNext(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ cron, zone, after, want string }{
		"plain":                    {"15 2 * * *", "Etc/UTC", "2026-01-01T02:15:00Z", "2026-01-02T02:15:00Z"},
		"in its zone":              {"15 2 * * *", "America/New_York", "2026-01-01T00:00:00Z", "2026-01-01T07:15:00Z"},
		"weekdays":                 {"0 9 * * MON-FRI", "Etc/UTC", "2026-11-27T09:00:00Z", "2026-11-30T09:00:00Z"},
		"leap day":                 {"0 0 29 2 *", "Etc/UTC", "2025-01-01T00:00:00Z", "2028-02-29T00:00:00Z"},
		"an hour that is skipped":  {"30 2 * * *", "America/New_York", "2026-03-08T05:00:00Z", "2026-03-09T06:30:00Z"},
		"an hour that comes twice": {"30 1 * * *", "America/New_York", "2026-11-01T00:00:00Z", "2026-11-01T05:30:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := manifest.Schedule{Cron: tc.cron, Zone: tc.zone}
			got, err := s.Next(at(t, tc.after))
			if err != nil || !got.Equal(at(t, tc.want)) {
				t.Fatalf("after %s comes %v, %v, want %s", tc.after, got, err, tc.want)
			}
			if !s.Ticks(got) || s.Ticks(got.Add(time.Second)) || s.Ticks(got.Add(-time.Minute)) {
				t.Error("Ticks does not say yes to that second alone")
			}
		})
	}
}

func TestScheduleBad(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]manifest.Schedule{
		"zone":       {Cron: "* * * * *", Zone: "Nowhere"},
		"cron":       {Cron: "* * * *", Zone: "Etc/UTC"},
		"never":      {Cron: "0 0 30 2 *", Zone: "Etc/UTC"},
		"zone local": {Cron: "* * * * *", Zone: "Local"},
	} {
		if next, err := s.Next(time.Unix(0, 0)); err == nil {
			t.Errorf("%s: next is %v, want an error", name, next)
		}
		if s.Ticks(time.Unix(0, 0)) {
			t.Errorf("%s: ticks", name)
		}
	}
}

func TestDatasetAt(t *testing.T) {
	t.Parallel()
	s := manifest.Schedule{Zone: "America/New_York", Dataset: "in/{date}/{hour}/{date}.csv"}
	got, err := s.DatasetAt(at(t, "2026-01-02T03:15:00Z"))
	if want := "in/2026-01-01/22/2026-01-01.csv"; err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestRejectsAllows(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		limit          manifest.Rejects
		rejected, rows int64
		want           bool
	}{
		"none of none":           {manifest.Rejects{}, 0, 0, true},
		"none allowed, none bad": {manifest.Rejects{}, 0, 5, true},
		"none allowed, one bad":  {manifest.Rejects{}, 1, 1_000_000, false},
		"percent met":            {manifest.Rejects{Percent: 5}, 5, 100, true},
		"percent passed":         {manifest.Rejects{Percent: 5}, 6, 100, false},
		"percent of few rows":    {manifest.Rejects{Percent: 5}, 1, 19, false},
		"all":                    {manifest.Rejects{Percent: 100}, 7, 7, true},
		"rows met":               {manifest.Rejects{Rows: 10}, 10, 10, true},
		"rows passed":            {manifest.Rejects{Rows: 10}, 11, 1_000_000, false},
	} {
		if got := tc.limit.Allows(tc.rejected, tc.rows); got != tc.want {
			t.Errorf("%s: %s allows %d of %d: %v", name, tc.limit, tc.rejected, tc.rows, got)
		}
	}
}

func TestSuggest(t *testing.T) {
	t.Parallel()
	words := []string{"temp", "atemp", "hum", "windspeed", "weathersit", "x"}
	for word, want := range map[string]string{
		"tmep": "temp", "TEMP": "temp", "tem": "temp", "atmep": "atemp", "wind_speed": "windspeed", "wethersit": "weathersit",
		"hmu": "hum", "y": "", "": "", "humidity": "", "pressure": "", strings.Repeat("temp", 50): "", "темп": "",
	} {
		if got := manifest.Suggest(word, words); got != want {
			t.Errorf("Suggest(%q) = %q, want %q", word, got, want)
		}
	}
}

func TestTextForms(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]manifest.Bytes{"1B": 1, "1536B": 1536, "1KiB": 1 << 10, "64MiB": 64 << 20, "4GiB": 4 << 30, "1TiB": 1 << 40} {
		var b manifest.Bytes
		if err := b.UnmarshalText([]byte(text)); err != nil || b != want {
			t.Errorf("%s reads as %d, %v", text, b, err)
		}
	}
	for _, text := range []string{"", "0B", "1", "1MB", "-1MiB", "1.5MiB", "1 MiB", "9000000000TiB", "99999999999999999999B"} {
		if b := new(manifest.Bytes); b.UnmarshalText([]byte(text)) == nil {
			t.Errorf("%q reads as the size %d", text, *b)
		}
	}
	for text, want := range map[string]string{"60s": "1m", "90s": "90s", "120m": "2h", "24h": "24h"} {
		var d manifest.Duration
		if err := d.UnmarshalText([]byte(text)); err != nil || d.String() != want {
			t.Errorf("%s reads as %s, %v", text, d, err)
		}
	}
	for _, text := range []string{"", "0s", "1", "1d", "1h30m", "-1s", "1.5h", "9999999999999h"} {
		if d := new(manifest.Duration); d.UnmarshalText([]byte(text)) == nil {
			t.Errorf("%q reads as the time %s", text, *d)
		}
	}
}

// TestTags holds the struct tags together: the same key in YAML and JSON, a doc for every key, a rule for no other.
func TestTags(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	var walk func(typ reflect.Type)
	walk = func(typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || typ == reflect.TypeFor[manifest.Value]() || typ == reflect.TypeFor[manifest.Rejects]() {
			return
		}
		for i := range typ.NumField() {
			f := typ.Field(i)
			key := typ.Name() + "." + f.Tag.Get("yaml")
			seen[key] = true
			jsonKey, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if f.Tag.Get("yaml") == "" || jsonKey != f.Tag.Get("yaml") {
				t.Errorf("%s: its key in JSON is %q", key, jsonKey)
			}
			if !strings.HasSuffix(f.Tag.Get("doc"), ".") {
				t.Errorf("%s: its doc %q is no sentence", key, f.Tag.Get("doc"))
			}
			if r, ok := manifest.RuleOf(key); ok && r.Pattern != "" && (r.Is == "" || r.Want == "") {
				t.Errorf("%s: has a pattern but no words for it", key)
			} else if def := f.Tag.Get("default"); ok && r.Pattern != "" && def != "" && !regexp.MustCompile(r.Pattern).MatchString(def) {
				t.Errorf("%s: the default %q breaks the rule", key, def)
			}
			walk(f.Type)
		}
	}
	walk(reflect.TypeFor[manifest.Manifest]())
	if len(seen) < 60 {
		t.Errorf("found only %d keys", len(seen))
	}
	for _, key := range manifest.RuleKeys() {
		if !seen[key] {
			t.Errorf("there is a rule for %s, which is no key", key)
		}
	}
}

func TestCheckWithoutFile(t *testing.T) {
	t.Parallel()
	m, err := manifest.Parse("m.yaml", []byte(read(t, "valid/full.yaml")))
	if err != nil {
		t.Fatal(err)
	}
	m.Name, m.Inputs[0].Type, m.Batch.Schedules[0].Zone = "stats", "tmestamp", "Mars"
	want := []string{
		`name: "stats" is no model name; write 3 to 22 lower-case letters, digits and hyphens, a letter first and no hyphen last, such as bike-demand; not stats, which is a route`,
		`inputs[0].type: "tmestamp" is none of number, integer, boolean, categorical, timestamp; did you mean "timestamp"?`,
		`batch.schedules[0].zone: "Mars" is no time zone; write a name of the IANA list, such as America/New_York or Etc/UTC`,
	}
	err = m.Check()
	if err == nil {
		t.Fatal("no error")
	}
	if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMaxChange(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]manifest.Percent{"": 10, "release: {}\n": 10, "release: {max_change: 2.5%}\n": 2.5, "release: {max_change: 0%}\n": 0} {
		m, err := manifest.Parse("m.yaml", []byte("name: abc\nversion: \"1\"\nserve: [realtime]\nartifact: {path: a, format: xgboost, sha256: "+strings.Repeat("a", 64)+"}\n"+
			"inputs: [{name: x, type: number}]\nfeatures: [x]\noutputs: [{name: y}]\nrealtime: {}\n"+text))
		if err != nil || m.MaxChange() != want {
			t.Errorf("%q: %v, %v; want %v", text, m.MaxChange(), err, want)
		}
	}
}
