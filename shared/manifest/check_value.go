package manifest

import (
	"math"
	"slices"
	"strconv"
	"time"
)

// defaultValue checks that a default is a value that its own input takes.
func (r *report) defaultValue(at string, in *Input) {
	v := *in.Default
	bad := func(want string) {
		r.add(at, finding{"value", v.String(), "is no value of the input", want})
	}
	switch in.Type {
	case Number, Integer:
		switch {
		case v.Kind != Numeric:
			bad("write a number")
		case in.Type == Integer && (v.Number != math.Floor(v.Number) || math.Abs(v.Number) > 1<<53):
			bad("write a whole number up to 2⁵³")
		case in.Min != nil && v.Number < *in.Min:
			bad("write at least min, " + formatNumber(*in.Min))
		case in.Max != nil && v.Number > *in.Max:
			bad("write at most max, " + formatNumber(*in.Max))
		}
	case Boolean:
		if v.Kind != Bool {
			bad("write true or false")
		}
	case Categorical:
		if len(in.Values) > 0 && !slices.Contains(in.Values, v) {
			words := make([]string, len(in.Values))
			for i, x := range in.Values {
				words[i] = x.Text
			}
			want := didYouMean(v.Text, words)
			if want == "" {
				want = "write one of values"
			}
			bad(want)
		}
	case Timestamp:
		if !in.readsTime(v) {
			bad("write a time in one of layouts")
		}
	}
}

func (in *Input) readsTime(v Value) bool {
	for _, l := range in.Layouts {
		text := v.Text
		if v.Kind == Numeric && l == LayoutUnix {
			return true
		}
		if v.Kind != Text {
			continue
		}
		switch l {
		case LayoutUnix:
			if _, err := strconv.ParseFloat(text, 64); err == nil {
				return true
			}
			continue
		case LayoutRFC3339:
			l = time.RFC3339
		}
		if _, err := time.Parse(l, text); err == nil {
			return true
		}
	}
	return false
}

func (r *report) layouts(at string, in *Input) {
	if len(in.Layouts) == 0 {
		r.add(at+".layouts", finding{code: "missing", what: "is missing or empty", want: "write [rfc3339], or a Go layout such as \"2006-01-02 15:04\""})
	}
	for i, l := range in.Layouts {
		if l == LayoutRFC3339 || l == LayoutUnix || isLayout(l) {
			continue
		}
		want := didYouMean(l, []string{LayoutRFC3339, LayoutUnix})
		if want == "" {
			want = "write rfc3339, unix, or the moment 2 January 2006, 15:04:05 in your notation, such as \"1/2/2006 15:04\""
		}
		r.add(index(at+".layouts", i), finding{"value", quote(l), "is no layout", want})
	}
}

// isLayout says whether package time finds a month or an hour in the layout: a moment written in it must read again as
// that month of that year or as that hour of the day. rfc3399 is a layout to package time too, with the hour of a clock
// face in it.
func isLayout(l string) bool {
	moment := time.Date(1999, 11, 30, 23, 58, 57, 0, time.UTC)
	t, err := time.Parse(l, moment.Format(l))
	if err != nil {
		return false
	}
	return t.Year() == moment.Year() && t.Month() == moment.Month() || t.Hour() == moment.Hour()
}
