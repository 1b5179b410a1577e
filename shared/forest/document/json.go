package document

import (
	"bytes"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// jsonLexer reads JSON, in which numbers may also be NaN, Infinity or -Infinity.
type jsonLexer struct {
	data  []byte
	pos   int
	stack []byte // the open brackets
	want  want
	buf   []byte // text with escapes
}

// want is what may come next.
type want uint8

const (
	wantValue want = iota
	wantFirstElement
	wantFirstKey
	wantKey
	wantComma // or the end of the bracket, or of the file
)

func (l *jsonLexer) offset() int { return l.pos }

func (l *jsonLexer) ahead() int {
	rest := l.data[l.pos:]
	end := bytes.IndexByte(rest, ']')
	if end <= 0 {
		return 0
	}
	return min(bytes.Count(rest[:end], []byte(",")), end/2) + 1
}

// peek skips white space and gives the next byte, 0 at the end.
func (l *jsonLexer) peek() byte {
	for ; l.pos < len(l.data); l.pos++ {
		switch c := l.data[l.pos]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

func (l *jsonLexer) next(t *token) error {
	c := l.peek()
	if l.want == wantComma {
		if len(l.stack) == 0 {
			if l.pos < len(l.data) {
				return fmt.Errorf("something follows the document")
			}
			*t = token{kind: endOfFile}
			return nil
		}
		open := l.stack[len(l.stack)-1]
		if c == open+2 { // the closing bracket is two after the opening one
			return l.close(t, open)
		}
		if c != ',' {
			return l.unexpected("a comma or the end of the bracket")
		}
		l.pos++
		c = l.peek()
		l.want = wantValue
		if open == '{' {
			l.want = wantKey
		}
	}
	switch {
	case l.want == wantFirstKey && c == '}', l.want == wantFirstElement && c == ']':
		return l.close(t, c-2)
	case l.want == wantFirstKey, l.want == wantKey:
		if c != '"' {
			return l.unexpected("a key")
		}
		*t = token{kind: key}
		if err := l.string(t); err != nil {
			return err
		}
		if l.peek() != ':' {
			return l.unexpected("a colon")
		}
		l.pos++
		l.want = wantValue
		return nil
	}
	l.want = wantComma
	return l.value(t, c)
}

func (l *jsonLexer) close(t *token, open byte) error {
	l.pos++
	l.stack = l.stack[:len(l.stack)-1]
	l.want = wantComma
	*t = token{kind: endObject}
	if open == '[' {
		t.kind = endArray
	}
	return nil
}

func (l *jsonLexer) unexpected(expected string) error {
	if l.pos >= len(l.data) {
		return fmt.Errorf("the file ends, expected %s", expected)
	}
	return fmt.Errorf("%s, expected %s", Clip(l.data[l.pos:min(len(l.data), l.pos+12)]), expected)
}

func (l *jsonLexer) value(t *token, c byte) error {
	switch {
	case c == '{' || c == '[':
		if len(l.stack) == maxNesting {
			return fmt.Errorf("nested deeper than %d", maxNesting)
		}
		l.stack = append(l.stack, c)
		l.pos++
		*t, l.want = token{kind: beginObject}, wantFirstKey
		if c == '[' {
			*t, l.want = token{kind: beginArray}, wantFirstElement
		}
		return nil
	case c == '"':
		*t = token{kind: text}
		return l.string(t)
	case c == '-' || c >= '0' && c <= '9' || c == 'N' || c == 'I':
		return l.number(t)
	}
	for _, w := range [...]struct {
		word  string
		token token
	}{{"true", token{kind: boolean, whole: 1}}, {"false", token{kind: boolean}}, {"null", token{kind: null}}} {
		if l.word(w.word) {
			*t = w.token
			return nil
		}
	}
	return l.unexpected("a value")
}

// word takes w if it stands here.
func (l *jsonLexer) word(w string) bool {
	if len(l.data)-l.pos < len(w) || string(l.data[l.pos:l.pos+len(w)]) != w {
		return false
	}
	l.pos += len(w)
	return true
}

// number takes -? (0 | [1-9][0-9]*) (.[0-9]+)? ([eE][+-]?[0-9]+)?, NaN or -?Infinity.
func (l *jsonLexer) number(t *token) error {
	start := l.pos
	digits := func() bool {
		from := l.pos
		for l.pos < len(l.data) && l.data[l.pos]-'0' <= 9 {
			l.pos++
		}
		return l.pos > from
	}
	ok := l.word("NaN")
	if !ok {
		l.word("-")
		ok = l.word("Infinity")
	}
	if !ok {
		ok = l.word("0") || digits()
		if ok && l.word(".") {
			ok = digits()
		}
		if ok && (l.word("e") || l.word("E")) {
			if !l.word("+") {
				l.word("-")
			}
			ok = digits()
		}
	}
	if !ok {
		l.pos = start
		return l.unexpected("a number")
	}
	*t = token{kind: number, text: l.data[start:l.pos]}
	return nil
}

// string takes a string into t.text. The opening quote is the next byte.
func (l *jsonLexer) string(t *token) error {
	start := l.pos + 1
	for i := start; i < len(l.data); i++ {
		switch c := l.data[i]; {
		case c == '"':
			t.text, l.pos = l.data[start:i], i+1
			if !utf8.Valid(t.text) {
				return fmt.Errorf("text that is not UTF-8: %s", Clip(t.text))
			}
			return nil
		case c == '\\':
			l.buf = append(l.buf[:0], l.data[start:i]...)
			l.pos = i
			return l.escaped(t)
		case c < ' ':
			return fmt.Errorf("a control character in a text")
		}
	}
	l.pos = len(l.data)
	return l.unexpected("the closing quote of a text")
}

// escaped goes on with a string from its first backslash on.
func (l *jsonLexer) escaped(t *token) error {
	for l.pos < len(l.data) {
		c := l.data[l.pos]
		l.pos++
		switch {
		case c == '"':
			t.text = l.buf
			if !utf8.Valid(t.text) {
				return fmt.Errorf("text that is not UTF-8: %s", Clip(t.text))
			}
			return nil
		case c < ' ':
			return fmt.Errorf("a control character in a text")
		case c != '\\':
			l.buf = append(l.buf, c)
		default:
			if err := l.escape(); err != nil {
				return err
			}
		}
	}
	return l.unexpected("the closing quote of a text")
}

// escape takes what follows a backslash.
func (l *jsonLexer) escape() error {
	const from, to = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	if l.pos >= len(l.data) {
		return l.unexpected("an escape")
	}
	c := l.data[l.pos]
	for i := range from {
		if c == from[i] {
			l.buf = append(l.buf, to[i])
			l.pos++
			return nil
		}
	}
	if c != 'u' {
		return l.unexpected("an escape")
	}
	l.pos++
	r, ok := l.hex()
	if ok && utf16.IsSurrogate(r) {
		var low rune
		if ok = l.word(`\u`); ok {
			low, ok = l.hex()
		}
		r = utf16.DecodeRune(r, low)
		ok = ok && r != utf8.RuneError
	}
	if !ok {
		return l.unexpected("four hexadecimal digits of a character")
	}
	l.buf = utf8.AppendRune(l.buf, r)
	return nil
}

func (l *jsonLexer) hex() (r rune, ok bool) {
	if len(l.data)-l.pos < 4 {
		return 0, false
	}
	for _, c := range l.data[l.pos : l.pos+4] {
		r <<= 4
		switch {
		case c >= '0' && c <= '9':
			r += rune(c - '0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r += rune(c|0x20-'a') + 10
		default:
			return 0, false
		}
	}
	l.pos += 4
	return r, true
}
