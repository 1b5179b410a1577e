package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Kind is what a Value holds.
type Kind uint8

// The kinds of a Value. The zero Value holds nothing.
const (
	None Kind = iota
	Text
	Numeric
	Bool
)

// Value is a text, a number or a truth value, as categories and defaults are. Values compare with ==.
type Value struct {
	Kind   Kind
	Text   string
	Number float64
	Bool   bool
}

// TextValue holds a text.
func TextValue(s string) Value { return Value{Kind: Text, Text: s} }

// NumberValue holds a number.
func NumberValue(v float64) Value { return Value{Kind: Numeric, Number: v} }

// BoolValue holds a truth value.
func BoolValue(b bool) Value { return Value{Kind: Bool, Bool: b} }

// String writes the value as JSON does, text in quotes.
func (v Value) String() string {
	switch v.Kind {
	case Text:
		return strconv.Quote(v.Text)
	case Numeric:
		return formatNumber(v.Number)
	case Bool:
		return strconv.FormatBool(v.Bool)
	}
	return "null"
}

// MarshalJSON writes a string, a number or a truth value.
func (v Value) MarshalJSON() ([]byte, error) {
	switch v.Kind {
	case Text:
		return json.Marshal(v.Text)
	case Numeric:
		return json.Marshal(v.Number)
	case Bool:
		return json.Marshal(v.Bool)
	}
	return []byte("null"), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (v *Value) UnmarshalJSON(data []byte) error {
	var x any
	if err := json.Unmarshal(data, &x); err != nil {
		return err
	}
	switch x := x.(type) {
	case string:
		*v = TextValue(x)
	case float64:
		*v = NumberValue(x)
	case bool:
		*v = BoolValue(x)
	default:
		return fmt.Errorf("%s is no text, number or truth value", data)
	}
	return nil
}

// MarshalJSON writes a plain input as its name, like model.yaml does.
func (f Feature) MarshalJSON() ([]byte, error) {
	if f.Expr == "" {
		return json.Marshal(f.Name)
	}
	type plain Feature
	return json.Marshal(plain(f))
}

// UnmarshalJSON reads what MarshalJSON writes.
func (f *Feature) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		*f = Feature{}
		return json.Unmarshal(data, &f.Name)
	}
	type plain Feature
	return json.Unmarshal(data, (*plain)(f))
}

// Duration is a length of time in one unit, such as 60s, 15m or 24h: what Terraform can read too.
type Duration time.Duration

var durationForm = regexp.MustCompile(DurationPattern)

// String writes it in the largest unit that divides it.
func (d Duration) String() string {
	switch t := time.Duration(d); {
	case t != 0 && t%time.Hour == 0:
		return strconv.FormatInt(int64(t/time.Hour), 10) + "h"
	case t != 0 && t%time.Minute == 0:
		return strconv.FormatInt(int64(t/time.Minute), 10) + "m"
	default:
		return strconv.FormatInt(int64(t/time.Second), 10) + "s"
	}
}

// MarshalText writes String.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads one number and one unit.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil || !durationForm.Match(text) {
		return errors.New("is no time: write a whole number and one unit, such as 60s, 15m or 24h")
	}
	*d = Duration(v)
	return nil
}

// Bytes is a size, such as 64MiB.
type Bytes int64

var bytesForm = regexp.MustCompile(BytesPattern)

var byteUnits = []struct {
	name string
	size int64
}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// String writes it in the largest unit that divides it.
func (b Bytes) String() string {
	for _, u := range byteUnits {
		if b != 0 && int64(b)%u.size == 0 {
			return strconv.FormatInt(int64(b)/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(b), 10) + "B"
}

// MarshalText writes String.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText reads a whole number and a unit.
func (b *Bytes) UnmarshalText(text []byte) error {
	wrong := errors.New("is no size: write a whole number and a unit, such as 512KiB, 64MiB or 4GiB")
	m := bytesForm.FindSubmatch(text)
	if m == nil {
		return wrong
	}
	n, err := strconv.ParseInt(string(m[1]), 10, 64)
	for _, u := range byteUnits {
		if u.name == string(m[2]) && err == nil && n <= math.MaxInt64/u.size {
			*b = Bytes(n * u.size)
			return nil
		}
	}
	return wrong
}

// Percent is a share in hundredths, such as 10%.
type Percent float64

// String writes it as model.yaml does.
func (p Percent) String() string { return formatNumber(float64(p)) + "%" }

// MarshalText writes String.
func (p Percent) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads a number and the sign.
func (p *Percent) UnmarshalText(text []byte) error {
	v, err := strconv.ParseFloat(strings.TrimSuffix(string(text), "%"), 64)
	if !percentForm.Match(text) || err != nil {
		return errors.New("is no share: write a percentage, such as 10%")
	}
	*p = Percent(v)
	return nil
}

// Rejects is how many rows of a dataset may be rejected: a percentage or a number. The zero value allows none.
type Rejects struct {
	Percent float64 // of all rows, 0 if Rows counts
	Rows    int64   // a number of rows, 0 if Percent counts
}

var percentForm = regexp.MustCompile(PercentPattern)

// Allows says whether so many rejected rows of so many rows in all are within the limit.
func (r Rejects) Allows(rejected, rows int64) bool {
	if rejected == 0 || rejected <= r.Rows {
		return true
	}
	return float64(rejected)*100 <= r.Percent*float64(rows)
}

// String writes it as model.yaml does.
func (r Rejects) String() string {
	if r.Percent != 0 {
		return formatNumber(r.Percent) + "%"
	}
	return strconv.FormatInt(r.Rows, 10)
}

// MarshalJSON writes "5%" or a number.
func (r Rejects) MarshalJSON() ([]byte, error) {
	if r.Percent != 0 {
		return json.Marshal(r.String())
	}
	return json.Marshal(r.Rows)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (r *Rejects) UnmarshalJSON(data []byte) error {
	return r.parse(strings.Trim(string(data), `"`))
}

func (r *Rejects) parse(text string) error {
	if percentForm.MatchString(text) {
		p, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
		if err == nil && p <= 100 {
			*r = Rejects{Percent: p}
			return nil
		}
	} else if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 {
		*r = Rejects{Rows: n}
		return nil
	}
	return errors.New("is no limit: write a percentage from 0% to 100%, such as 5%, or a number of rows")
}

func formatNumber(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
