package lightgbm

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// scanner goes through the lines of a file.
type scanner struct {
	rest []byte
	line []byte // the current one, without its end
	ok   bool   // there is a current line
}

func (s *scanner) next() {
	if s.ok = len(s.rest) > 0; !s.ok {
		return
	}
	s.line, s.rest, _ = bytes.Cut(s.rest, []byte("\n"))
	s.line = bytes.TrimSuffix(s.line, []byte("\r"))
}

var (
	treeMark = []byte("Tree=")
	endMark  = []byte("end of trees")
)

// block goes to the next line that is not empty; it is whether a tree opens there.
func (s *scanner) block() bool {
	for s.ok && len(s.line) == 0 {
		s.next()
	}
	return s.ok && bytes.HasPrefix(s.line, treeMark)
}

// end is an error where the trees do not end as they should.
func (s *scanner) end() error {
	switch {
	case !s.ok:
		return fmt.Errorf("it ends without a line \"end of trees\": cut off")
	case !bytes.Equal(s.line, endMark):
		return fmt.Errorf("%s stands between the trees", clip(s.line))
	}
	return nil
}

// fields are the lines key=value of the header or of a tree.
type fields struct {
	known  []string
	values [][]byte // in the order of known, nil for absent ones
}

func newFields(known []string) fields {
	return fields{known: known, values: make([][]byte, len(known))}
}

// read takes lines until an empty one, the next tree or the end of trees. A key without a value gets an empty one.
func (f *fields) read(s *scanner) error {
	clear(f.values)
	for ; s.ok && len(s.line) > 0 && !bytes.HasPrefix(s.line, treeMark) && !bytes.Equal(s.line, endMark); s.next() {
		key, value, _ := bytes.Cut(s.line, []byte("="))
		i := slices.Index(f.known, string(key))
		switch {
		case i < 0:
			return fmt.Errorf("unknown key %s: the file may be damaged, or of a later LightGBM than this reader knows", clip(key))
		case f.values[i] != nil:
			return fmt.Errorf("%s stands there twice", f.known[i])
		}
		f.values[i] = value[:len(value):len(value)]
		if value == nil {
			f.values[i] = []byte{}
		}
	}
	return nil
}

// get is the value of a key, nil when it is absent.
func (f *fields) get(key string) []byte { return f.values[slices.Index(f.known, key)] }

// whole reads a number that must be there, from 0 to limit.
func (f *fields) whole(key string, limit int) (int, error) {
	text := f.get(key)
	if text == nil {
		return 0, fmt.Errorf("%s is missing", key)
	}
	v, err := strconv.ParseUint(string(text), 10, 31)
	if err != nil || v > uint64(limit) {
		return 0, fmt.Errorf("%s is %s, expected a whole number up to %d", key, clip(text), limit)
	}
	return int(v), nil
}

// number is what a list holds.
type number interface{ int32 | uint32 | float64 }

// list reads exactly n numbers into dst, whose memory it uses again.
func list[N number](f *fields, key string, n int, dst []N) ([]N, error) {
	return listOf(f, key, n, dst, parse[N], kind[N]())
}

func listOf[N number](f *fields, key string, n int, dst []N, parse func([]byte) (N, bool), kind string) ([]N, error) {
	text := f.get(key)
	if text == nil {
		return nil, fmt.Errorf("%s is missing", key)
	}
	dst = dst[:0]
	for field := range bytes.FieldsSeq(text) {
		if len(dst) == n {
			return nil, fmt.Errorf("%s has more than %d entries", key, n)
		}
		v, ok := parse(field)
		if !ok {
			return nil, fmt.Errorf("%s[%d] is %s, expected %s", key, len(dst), clip(field), kind)
		}
		dst = append(dst, v)
	}
	if len(dst) != n {
		return nil, fmt.Errorf("%s has %d entries, expected %d", key, len(dst), n)
	}
	return dst, nil
}

func parse[N number](text []byte) (N, bool) {
	var zero N
	switch any(zero).(type) {
	case int32:
		v, err := strconv.ParseInt(string(text), 10, 32)
		return N(v), err == nil
	case uint32:
		v, err := strconv.ParseUint(string(text), 10, 32)
		return N(v), err == nil
	}
	for _, c := range text {
		if (c < '0' || c > '9') && c != '.' && c != '-' && c != '+' && c != 'e' && c != 'E' {
			return 0, false // no nan, inf, hexadecimal
		}
	}
	v, err := strconv.ParseFloat(string(text), 64)
	return N(v), err == nil
}

// parseThreshold knows infinities too: LightGBM writes "at most inf" where a split asks only whether a value is missing.
func parseThreshold(text []byte) (float64, bool) {
	switch string(text) {
	case "inf":
		return math.Inf(1), true
	case "-inf":
		return math.Inf(-1), true
	}
	return parse[float64](text)
}

func kind[N number]() string {
	var zero N
	if _, ok := any(zero).(float64); ok {
		return "a finite number"
	}
	return "a whole number of 32 bits"
}

// clip quotes text for a message.
func clip(text []byte) string {
	const limit = 60
	if len(text) > limit {
		return strconv.Quote(string(text[:limit])) + "…"
	}
	return strconv.Quote(string(text))
}
