package feature

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/millrace-ml/millrace/shared/manifest"
)

// layout is one accepted notation of a timestamp.
type layout struct {
	text string // manifest.LayoutRFC3339, manifest.LayoutUnix, or a layout of package time
}

func newLayout(text string) layout { return layout{text} }

// The first and the last second that a timestamp can be: the years 0000 to 9999.
const (
	firstSecond = -62167219200
	lastSecond  = 253402300799
)

const secondsPerDay = 86400

// parseTime reads the wall clock that the text shows, by the first layout that fits. It does not allocate for RFC 3339
// nor where the first Go layout fits.
func (in *input) parseTime(s []byte) (float64, string) {
	for i := range in.layouts {
		if v, ok := in.layouts[i].parse(s); ok {
			return v, ""
		}
	}
	return 0, CodeFormat
}

func (in *input) unixTime(v float64) (float64, string) {
	for i := range in.layouts {
		if in.layouts[i].text == manifest.LayoutUnix {
			if v < firstSecond || v >= lastSecond+1 {
				return 0, CodeRange
			}
			return v, ""
		}
	}
	return 0, CodeType
}

func (l *layout) parse(s []byte) (float64, bool) {
	switch l.text {
	case manifest.LayoutRFC3339:
		return parseRFC3339(s)
	case manifest.LayoutUnix:
		v, ok := parseDecimal(s)
		return v, ok && v >= firstSecond && v < lastSecond+1
	}
	if len(s) == 0 || len(s) > 100 {
		return 0, false
	}
	t, err := time.Parse(l.text, unsafe.String(&s[0], len(s))) // neither the time nor a nil error keeps the text
	if err != nil {
		return 0, false
	}
	_, offset := t.Zone()
	return float64(t.Unix()+int64(offset)) + float64(t.Nanosecond())/1e9, true
}

// parseRFC3339 reads 2006-01-02T15:04:05.999Z or with an offset. The offset must be there and must be possible, and is
// then left aside: the hour as written is what people and models mean by hour.
func parseRFC3339(s []byte) (float64, bool) {
	if len(s) < len("2006-01-02T15:04:05Z") || s[4] != '-' || s[7] != '-' || s[13] != ':' || s[16] != ':' {
		return 0, false
	}
	if s[10] != 'T' && s[10] != 't' && s[10] != ' ' {
		return 0, false
	}
	year, month, day := digits(s[0:4]), digits(s[5:7]), digits(s[8:10])
	hour, minute, second := digits(s[11:13]), digits(s[14:16]), digits(s[17:19])
	if year < 0 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) ||
		hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59 {
		return 0, false
	}
	v := float64(daysBefore(year, month, day)*secondsPerDay + int64(hour*3600+minute*60+second))
	s = s[19:]
	if s[0] == '.' {
		n := 1
		for n < len(s) && s[n] >= '0' && s[n] <= '9' {
			n++
		}
		if n == 1 || n == len(s) {
			return 0, false
		}
		v += fraction(s[1:n])
		s = s[n:]
	}
	return v, isZone(s)
}

// fraction reads the digits after the point down to the nanosecond, as package time does.
func fraction(s []byte) float64 {
	ns, scale := 0, 1_000_000_000
	for i := 0; i < len(s) && i < 9; i++ {
		ns, scale = ns*10+int(s[i]-'0'), scale/10
	}
	return float64(ns*scale) / 1e9
}

func isZone(s []byte) bool {
	if len(s) == 1 {
		return s[0] == 'Z' || s[0] == 'z'
	}
	if len(s) != len("+07:00") || (s[0] != '+' && s[0] != '-') || s[3] != ':' {
		return false
	}
	hour, minute := digits(s[1:3]), digits(s[4:6])
	return hour >= 0 && hour <= 23 && minute >= 0 && minute <= 59
}

// digits reads a number of only digits, -1 if there is something else.
func digits(s []byte) int {
	n := 0
	for _, c := range s {
		if c < '0' || c > '9' {
			return -1
		}
		n = n*10 + int(c-'0')
	}
	return n
}

func daysIn(year, month int) int {
	switch {
	case month == 2 && year%4 == 0 && (year%100 != 0 || year%400 == 0):
		return 29
	case month == 2:
		return 28
	case month == 4 || month == 6 || month == 9 || month == 11:
		return 30
	}
	return 31
}

// daysBefore is the number of days from 1970-01-01 to the date, by the proleptic Gregorian calendar. It counts years
// from March, so that the leap day is the last of its year.
func daysBefore(year, month, day int) int64 {
	y, m := int64(year), int64(month)
	if m <= 2 {
		y, m = y-1, m+12
	}
	era := floorDiv(y, 400)
	yearOfEra := y - era*400
	dayOfYear := (153*(m-3)+2)/5 + int64(day) - 1
	return era*146097 + yearOfEra*365 + yearOfEra/4 - yearOfEra/100 + dayOfYear - 719468
}

// date is the inverse of daysBefore.
func date(days int64) (year, month, day int) {
	days += 719468
	era := floorDiv(days, 146097)
	dayOfEra := days - era*146097
	yearOfEra := (dayOfEra - dayOfEra/1460 + dayOfEra/36524 - dayOfEra/146096) / 365
	dayOfYear := dayOfEra - (365*yearOfEra + yearOfEra/4 - yearOfEra/100)
	m := (5*dayOfYear + 2) / 153
	day = int(dayOfYear - (153*m+2)/5 + 1)
	month, year = int(m+3), int(yearOfEra+era*400)
	if month > 12 {
		month, year = month-12, year+1
	}
	return year, month, day
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// dayOf is the day of a wall clock and the whole seconds since its midnight.
func dayOf(t float64) (days, seconds int64) {
	whole := int64(math.Floor(t)) // first: dividing could round the last microsecond of a day up to the next
	days = floorDiv(whole, secondsPerDay)
	return days, whole - days*secondsPerDay
}

func hourOf(t float64) float64 {
	if math.IsNaN(t) {
		return null
	}
	_, seconds := dayOf(t)
	return float64(seconds / 3600)
}

func weekdayOf(t float64) float64 {
	if math.IsNaN(t) {
		return null
	}
	days, _ := dayOf(t)
	days += 3 // 1970-01-01 was a Thursday
	return float64(days - floorDiv(days, 7)*7)
}

func monthOf(t float64) float64 {
	if math.IsNaN(t) {
		return null
	}
	days, _ := dayOf(t)
	_, month, _ := date(days)
	return float64(month)
}

func dayOfYear(t float64) float64 {
	if math.IsNaN(t) {
		return null
	}
	days, _ := dayOf(t)
	year, _, _ := date(days)
	return float64(days - daysBefore(year, 1, 1) + 1)
}

// exampleTimes shows one moment in each layout.
func exampleTimes(layouts []layout) string {
	moment := time.Date(2011, 1, 31, 17, 5, 0, 0, time.UTC)
	words := make([]string, len(layouts))
	for i, l := range layouts {
		switch l.text {
		case manifest.LayoutRFC3339:
			words[i] = `"2011-01-31T17:05:00Z"`
		case manifest.LayoutUnix:
			words[i] = strconv.FormatInt(moment.Unix(), 10)
		default:
			words[i] = strconv.Quote(moment.Format(l.text))
		}
	}
	return strings.Join(words, " or ")
}
