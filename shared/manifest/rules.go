package manifest

import (
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
)

// What names and sizes look like. The JSON Schema carries the same patterns, so they keep to what RE2 and ECMA-262 share.
const (
	NamePattern     = `^[a-z][a-z0-9-]{1,20}[a-z0-9]$`
	LabelPattern    = `^[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?$`
	ColumnPattern   = `^[^ \x00-\x1f\x7f]([^\x00-\x1f\x7f]{0,126}[^ \x00-\x1f\x7f])?$`
	SchedulePattern = `^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$`
	SHA256Pattern   = `^[0-9a-f]{64}$`
	URIPattern      = `^gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]/[^#\x00-\x1f\x7f]+#[1-9][0-9]*$`
	MemoryPattern   = `^[1-9][0-9]*(Mi|Gi)$`
	CPUPattern      = `^([1-9][0-9]*|0?\.[0-9]*[1-9][0-9]*)$`
	DurationPattern = `^[1-9][0-9]*[smh]$`
	BytesPattern    = `^([1-9][0-9]*)(B|KiB|MiB|GiB|TiB)$`
	PercentPattern  = `^[0-9]+(\.[0-9]+)?%$`
	InvokerPattern  = `^((serviceAccount|user|group|domain):[^ :]+|principal(Set)?://[^ ]+)$`
	PrefixPattern   = `^[^/\\{}\x00-\x1f\x7f][^\\{}\x00-\x1f\x7f]*/$`
)

// The layouts of timestamps that are words; every other one is a layout of package time.
const (
	LayoutRFC3339 = "rfc3339"
	LayoutUnix    = "unix"
)

// Reserved are the column names that predictions have anyway.
var Reserved = []string{"row", "model_version"}

// Rule is what one value must be, as far as one value alone can tell. The checks and the JSON Schema are made from it.
type Rule struct {
	Enum     []string // one of these
	Pattern  string   // a text that it matches
	Not      string   // but not this text
	Is       string   // what a text is not if it does not match: "no model name"
	Want     string   // what would be right
	Min, Max float64  // a number, a Duration in seconds, a Bytes; Max 0 = no bounds
	Above    bool     // Min itself is too small
	Items    int      // a list with at least so many entries
	Unique   bool     // a list without an entry twice
	Length   int      // a text of at most so many bytes
}

const (
	mib = 1 << 20
	gib = 1 << 30
)

var column = Rule{
	Pattern: ColumnPattern, Is: "no column name",
	Want: "write 1 to 128 characters, without control characters and without spaces at the ends",
}

// rules is keyed by type and yaml key.
var rules = map[string]Rule{
	"Manifest.name": {
		Pattern: NamePattern, Not: "stats", Is: "no model name",
		Want: "write 3 to 22 lower-case letters, digits and hyphens, a letter first and no hyphen last, such as bike-demand; not stats, which is a route",
	},
	"Manifest.version": {
		Pattern: LabelPattern, Is: "no version",
		Want: "write 1 to 63 lower-case letters, digits, hyphens and underscores, since labels of Google Cloud take no others, such as \"2011\" or \"1-4-0\"",
	},
	"Manifest.owner": {
		Pattern: LabelPattern, Is: "no label",
		Want: "write 1 to 63 lower-case letters, digits, hyphens and underscores, such as team-bikes",
	},
	"Manifest.serve":      {Enum: []string{ServeRealtime, ServeBatch}, Items: 1, Unique: true},
	"Manifest.inputs":     {Items: 1},
	"Manifest.features":   {Items: 1},
	"Manifest.outputs":    {Items: 1},
	"Manifest.id_columns": {Pattern: column.Pattern, Is: column.Is, Want: column.Want, Unique: true},

	"Artifact.path":   {Length: 1024},
	"Artifact.uri":    {Pattern: URIPattern, Is: "no object with a generation", Want: "write gs://bucket/object#generation"},
	"Artifact.format": {Enum: []string{"xgboost", "lightgbm", "catboost", "onnx"}},
	"Artifact.sha256": {Pattern: SHA256Pattern, Is: "no sha256", Want: "write its 64 lower-case hex digits, as sha256sum prints them"},

	"Input.name":         column,
	"Input.type":         {Enum: []string{string(Number), string(Integer), string(Boolean), string(Categorical), string(Timestamp)}},
	"Feature.name":       column,
	"Feature.expr":       {Length: 4096},
	"Output.name":        column,
	"Output.labels":      {Unique: true},
	"Input.layouts":      {Unique: true},
	"Input.null_strings": {Unique: true},

	"Parity.tolerance": {Min: 0, Above: true, Max: 1},

	"Realtime.invokers": {
		Pattern: InvokerPattern, Unique: true, Is: "no principal that may be let in",
		Want: "write serviceAccount:…, user:…, group:…, domain:…, principal://… or principalSet://…; a function is never public",
	},
	"Realtime.memory":      {Pattern: MemoryPattern, Is: "no amount of memory", Want: "write a whole number of Mi or Gi, such as 256Mi"},
	"Realtime.cpu":         {Pattern: CPUPattern, Is: "no number of CPUs", Want: "write a whole number or a part of one, in quotes, such as \"1\" or \"0.5\""},
	"Realtime.concurrency": {Min: 1, Max: 1000},
	"Realtime.timeout":     {Min: 1, Max: 3600},
	"Scale.min":            {Min: 0, Max: 1000},
	"Scale.max":            {Min: 1, Max: 1000},
	"Limits.rows":          {Min: 1, Max: 10_000},
	"Limits.bytes":         {Min: 1, Max: 32 * mib},

	"Uploads.prefix": {
		Pattern: PrefixPattern, Length: 512, Is: "no prefix for uploads",
		Want: "write a name that ends with a slash and does not begin with one, such as bike-demand/",
	},
	"Uploads.mode": {Enum: []string{ModeEach}},
	"Schedule.name": {
		Pattern: SchedulePattern, Is: "no name for a schedule",
		Want: "write up to 40 lower-case letters, digits and hyphens, a letter first and no hyphen last, such as nightly",
	},
	"Schedule.dataset":    {Length: 1024},
	"Batch.shard_size":    {Min: 1024, Max: 16 * gib},
	"Batch.parallelism":   {Min: 1, Max: 256},
	"Batch.small_dataset": {Min: 1, Max: gib},
	"Batch.delimiter":     {Enum: []string{",", ";", "|", "\t"}},
	"Batch.time_limit":    {Min: 60, Max: 168 * 3600},
	"Machine.cpu":         {Min: 0, Above: true, Max: 96},
	"Machine.memory":      {Min: 128 * mib, Max: 624 * gib},
}

// RuleOf is the rule of a key, named as in "Input.type": the Go type and the yaml key.
func RuleOf(key string) (Rule, bool) {
	r, ok := rules[key]
	return r, ok
}

// RuleKeys are the keys that have a rule.
func RuleKeys() []string { return slices.Sorted(maps.Keys(rules)) }

var compiled = func() map[string]*regexp.Regexp {
	all := map[string]*regexp.Regexp{}
	for _, r := range rules {
		if r.Pattern != "" {
			all[r.Pattern] = regexp.MustCompile(r.Pattern)
		}
	}
	return all
}()

// walk applies required keys and rules to a struct and all below it.
func (r *report) walk(at string, v reflect.Value) {
	for i := range v.NumField() {
		field, value := v.Type().Field(i), v.Field(i)
		key := field.Tag.Get("yaml")
		here := join(at, key)
		if value.IsZero() && !r.given(here) {
			if field.Tag.Get("required") != "" {
				r.add(here, finding{code: "missing", what: "is missing", want: wantOf(field)})
			}
			continue
		}
		rule := rules[v.Type().Name()+"."+key]
		r.apply(here, value, rule)
		r.descend(here, value)
	}
}

func wantOf(field reflect.StructField) string {
	return "write " + field.Tag.Get("yaml") + ": " + example(field)
}

// example is what a person might write there.
func example(field reflect.StructField) string {
	doc, _, _ := strings.Cut(field.Tag.Get("doc"), ". ")
	return "… (" + strings.TrimSuffix(doc, ".") + ")"
}

func (r *report) descend(at string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			r.descend(at, v.Elem())
		}
	case reflect.Slice:
		if k := v.Type().Elem().Kind(); k == reflect.Struct && v.Type().Elem() != reflect.TypeFor[Value]() {
			for i := range v.Len() {
				r.descend(index(at, i), v.Index(i))
			}
		}
	case reflect.Struct:
		if t := v.Type(); t != reflect.TypeFor[Rejects]() && t != reflect.TypeFor[Value]() {
			r.walk(at, v)
		}
	}
}

func (r *report) apply(at string, v reflect.Value, rule Rule) {
	switch v.Kind() {
	case reflect.String:
		r.text(at, v.String(), rule)
	case reflect.Slice:
		if v.Len() < rule.Items {
			r.add(at, finding{code: "empty", what: "is empty", want: "write at least one entry"})
		}
		if v.Type().Elem().Kind() == reflect.String {
			r.texts(at, v, rule)
		}
	case reflect.Int, reflect.Int64, reflect.Float64:
		r.number(at, v, rule)
	}
}

func (r *report) texts(at string, v reflect.Value, rule Rule) {
	seen := map[string]bool{}
	for i := range v.Len() {
		text := v.Index(i).String()
		if rule.Unique && seen[text] {
			r.add(index(at, i), finding{code: "duplicate", got: quote(text), what: "is there twice", want: "remove one"})
		}
		seen[text] = true
		r.text(index(at, i), text, rule)
	}
}

func (r *report) text(at, text string, rule Rule) {
	switch {
	case rule.Enum != nil:
		for _, word := range rule.Enum {
			if text == word {
				return
			}
		}
		r.add(at, finding{code: "value", got: quote(text), what: "is none of " + quoteAll(rule.Enum), want: didYouMean(text, rule.Enum)})
	case rule.Pattern != "" && (!compiled[rule.Pattern].MatchString(text) || text == rule.Not && text != ""):
		r.add(at, finding{code: "value", got: quote(text), what: "is " + rule.Is, want: rule.Want})
	case rule.Length > 0 && len(text) > rule.Length:
		r.add(at, finding{code: "value", got: quote(text), what: "is too long", want: "write at most " + formatNumber(float64(rule.Length)) + " bytes"})
	}
}

func (r *report) number(at string, v reflect.Value, rule Rule) {
	if rule.Max == 0 {
		return
	}
	var value float64
	text := formatNumber
	switch x := v.Interface().(type) {
	case Duration:
		value = time.Duration(x).Seconds()
		text = func(s float64) string { return Duration(s * float64(time.Second)).String() }
	case Bytes:
		value = float64(x)
		text = func(b float64) string { return Bytes(b).String() }
	case float64:
		value = x
	default:
		value = float64(v.Int())
	}
	if value > rule.Min && value <= rule.Max || value == rule.Min && !rule.Above {
		return
	}
	from := "from "
	if rule.Above {
		from = "more than "
	}
	r.add(at, finding{code: "range", got: text(value), what: "is out of range", want: "write " + from + text(rule.Min) + " up to " + text(rule.Max)})
}
