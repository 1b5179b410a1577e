package protocol

import (
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
	"unsafe"

	"github.com/millrace-ml/millrace/shared/fault"
)

// maxDepth bounds nesting: no form of a request needs more than four levels, parameters may have some of their own.
const maxDepth = 8

// scanner reads a JSON text (RFC 8259) in one pass. Its first error stays. Beyond the standard it takes the bare tokens
// NaN, Infinity and -Infinity, which tritonclient and TensorFlow Serving's clients write.
type scanner struct {
	buf  []byte
	pos  int
	text []byte // a decoded string lives here until the next one
	err  error
}

func (s *scanner) reset(body []byte) { s.buf, s.pos, s.err = body, 0, nil }

// fail keeps the first error, with its place in the body.
func (s *scanner) fail(format string, args ...any) {
	if s.err == nil {
		s.err = fault.New(fault.Invalid, nil, "the body is not valid JSON: byte %d: %s", s.pos, fmt.Sprintf(format, args...))
	}
}

func (s *scanner) space() {
	for s.pos < len(s.buf) {
		switch s.buf[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// peek gives the next significant byte, 0 at the end or after an error.
func (s *scanner) peek() byte {
	if s.err != nil {
		return 0
	}
	s.space()
	if s.pos == len(s.buf) {
		return 0
	}
	return s.buf[s.pos]
}

// take eats the byte c or fails.
func (s *scanner) take(c byte) bool {
	if s.peek() != c || c == 0 {
		s.fail("expected %q, found %s", c, s.found())
		return false
	}
	s.pos++
	return true
}

// more is called after an element: true after a comma, false after the closing byte.
func (s *scanner) more(closing byte) bool {
	switch s.peek() {
	case ',':
		s.pos++
		return true
	case closing:
		s.pos++
		return false
	}
	s.fail("expected ',' or %q, found %s", closing, s.found())
	return false
}

// begin eats an opening byte; false when the list or object is empty, which is then eaten whole.
func (s *scanner) begin(opening, closing byte) bool {
	if !s.take(opening) {
		return false
	}
	if s.peek() == closing {
		s.pos++
		return false
	}
	return s.err == nil
}

func (s *scanner) found() string {
	if s.pos >= len(s.buf) {
		return "the end"
	}
	return strconv.QuoteRune(rune(s.buf[s.pos]))
}

// end fails if anything but white space is left.
func (s *scanner) end() {
	if s.err == nil && s.peek() != 0 || s.err == nil && s.pos < len(s.buf) {
		s.fail("expected the end, found %s", s.found())
	}
}

// key reads an object's key and its colon.
func (s *scanner) key() []byte {
	k := s.str()
	s.take(':')
	return k
}

// str reads a string. The result points into the body or into the scanner's own memory: use it before the next call.
func (s *scanner) str() []byte {
	if !s.take('"') {
		return nil
	}
	start := s.pos
	for s.pos < len(s.buf) {
		switch c := s.buf[s.pos]; {
		case c == '"':
			s.pos++
			return s.buf[start : s.pos-1]
		case c == '\\':
			return s.escaped(start)
		case c < 0x20:
			s.fail("control character %#02x in a string; write it as \\u%04x", c, c)
			return nil
		default:
			s.pos++
		}
	}
	s.fail("a string does not end")
	return nil
}

// escaped reads on from the first backslash.
func (s *scanner) escaped(start int) []byte {
	s.text = append(s.text[:0], s.buf[start:s.pos]...)
	for s.pos < len(s.buf) {
		switch c := s.buf[s.pos]; {
		case c == '"':
			s.pos++
			return s.text
		case c < 0x20:
			s.fail("control character %#02x in a string; write it as \\u%04x", c, c)
			return nil
		case c != '\\':
			s.text = append(s.text, c)
			s.pos++
		case !s.escape():
			return nil
		}
	}
	s.fail("a string does not end")
	return nil
}

// escape decodes one escape sequence.
func (s *scanner) escape() bool {
	if s.pos+1 >= len(s.buf) {
		s.fail("a string does not end")
		return false
	}
	c := s.buf[s.pos+1]
	if c == 'u' {
		return s.unicode()
	}
	const from, to = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	for i := range len(from) {
		if from[i] == c {
			s.text = append(s.text, to[i])
			s.pos += 2
			return true
		}
	}
	s.fail("unknown escape \\%c", c)
	return false
}

// unicode decodes \uXXXX, with the second half of a surrogate pair. A lone surrogate is no character and is refused.
func (s *scanner) unicode() bool {
	r, ok := s.hex(s.pos)
	if !ok {
		s.fail("expected four hexadecimal digits after \\u")
		return false
	}
	s.pos += 6
	if r >= 0xd800 && r < 0xe000 {
		low, ok := s.hex(s.pos)
		if !ok || r >= 0xdc00 || low < 0xdc00 || low >= 0xe000 {
			s.fail("a surrogate without its pair")
			return false
		}
		s.pos += 6
		r = (r-0xd800)<<10 + (low - 0xdc00) + 0x10000
	}
	s.text = utf8.AppendRune(s.text, r)
	return true
}

// hex reads the digits of an escape \uXXXX that opens at a place.
func (s *scanner) hex(at int) (rune, bool) {
	if at+6 > len(s.buf) || s.buf[at] != '\\' || s.buf[at+1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range s.buf[at+2 : at+6] {
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 + rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r<<4 + rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return r, true
}

// number reads a number token and its value. A magnitude beyond float64 is ±Inf, for the contract to refuse by range.
func (s *scanner) number() (v float64, token []byte) {
	start := s.pos
	i := s.pos
	b := s.buf
	if i < len(b) && b[i] == '-' {
		i++
	}
	digits := i
	for i < len(b) && b[i]-'0' < 10 {
		i++
	}
	ok := i > digits && (b[digits] != '0' || i == digits+1)
	if i < len(b) && b[i] == '.' {
		i++
		frac := i
		for i < len(b) && b[i]-'0' < 10 {
			i++
		}
		ok = ok && i > frac
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		exp := i
		for i < len(b) && b[i]-'0' < 10 {
			i++
		}
		ok = ok && i > exp
	}
	if !ok {
		s.fail("not a number of JSON: %s", s.found())
		return 0, nil
	}
	s.pos = i
	token = b[start:i]
	// The string shares the token's memory and does not outlive this call. ParseFloat's only error here is ErrRange,
	// with which it gives ±Inf.
	v, _ = strconv.ParseFloat(unsafe.String(&token[0], len(token)), 64)
	return v, token
}

// literal eats the word if it stands here.
func (s *scanner) literal(word string) bool {
	if end := s.pos + len(word); s.err == nil && end <= len(s.buf) && string(s.buf[s.pos:end]) == word {
		s.pos = end
		return true
	}
	return false
}

// value reads any scalar and says which: 'n' number, 's' string, 't' true, 'f' false, '0' null or NaN; '{' and '[' are
// left unread, 0 is an error.
func (s *scanner) value() (kind byte, v float64, token []byte) {
	switch c := s.peek(); {
	case c == '"':
		token = s.str()
		kind = 's'
	case c == '{' || c == '[':
		return c, 0, nil
	case s.literal("true"):
		kind = 't'
	case s.literal("false"):
		kind = 'f'
	case s.literal("null"), s.literal("NaN"):
		kind = '0'
	case s.literal("Infinity"):
		kind, v, token = 'n', math.Inf(1), []byte("Infinity")
	case s.literal("-Infinity"):
		kind, v, token = 'n', math.Inf(-1), []byte("-Infinity")
	default:
		v, token = s.number()
		kind = 'n'
	}
	if s.err != nil {
		return 0, 0, nil
	}
	return kind, v, token
}

// skip reads over any value, depth levels below the body's own.
func (s *scanner) skip(depth int) {
	kind, _, _ := s.value()
	if kind != '{' && kind != '[' {
		return
	}
	if depth >= maxDepth {
		s.fail("nested deeper than %d levels", maxDepth)
		return
	}
	closing := kind + 2 // '{'+2 = '}', '['+2 = ']'
	for ok := s.begin(kind, closing); ok && s.err == nil; ok = s.more(closing) {
		if kind == '{' {
			s.key()
		}
		s.skip(depth + 1)
	}
}
