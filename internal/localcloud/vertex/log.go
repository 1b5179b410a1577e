package vertex

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
)

// tailBytes is how much of the end of a log is kept beyond its cap.
const tailBytes = 16 << 10

// attemptLog is the output of one attempt: the first bytes up to a cap and the last ones.
type attemptLog struct {
	mu      sync.Mutex
	f       *os.File
	left    int64 // bytes until the cap
	dropped int64
	last    []byte // the end of what was dropped
	errs    []byte // the end of stderr
	err     error
}

func newAttemptLog(path string, limit int64) (*attemptLog, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("log of the task: %w", err)
	}
	return &attemptLog{f: f, left: limit}, nil
}

// writerFunc is a function as a Writer.
type writerFunc func([]byte)

func (f writerFunc) Write(b []byte) (int, error) { f(b); return len(b), nil }

func (l *attemptLog) stdout() io.Writer { return writerFunc(func(b []byte) { l.write(b, false) }) }
func (l *attemptLog) stderr() io.Writer { return writerFunc(func(b []byte) { l.write(b, true) }) }

// write never fails: a full disk must not stop the process that writes.
func (l *attemptLog) write(b []byte, isError bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if isError {
		l.errs = keepEnd(l.errs, b)
	}
	n := min(int64(len(b)), l.left)
	if n > 0 && l.err == nil {
		_, l.err = l.f.Write(b[:n])
	}
	l.left -= n
	if rest := b[n:]; len(rest) > 0 {
		l.dropped += int64(len(rest))
		l.last = keepEnd(l.last, rest)
	}
}

// keepEnd is the last tailBytes of a followed by b.
func keepEnd(a, b []byte) []byte {
	a = append(a, b...)
	if len(a) > tailBytes {
		a = append(a[:0], a[len(a)-tailBytes:]...)
	}
	return a
}

// tailLines are the last lines of stderr, for an error.
func (l *attemptLog) tailLines() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := strings.Split(strings.ToValidUTF8(string(bytes.TrimSpace(l.errs)), "�"), "\n")
	if len(lines) > 10 {
		lines = lines[len(lines)-10:]
	}
	s := strings.Join(lines, "\n")
	if len(s) > 2000 {
		s = "…" + strings.ToValidUTF8(s[len(s)-2000:], "")
	}
	return s
}

func (l *attemptLog) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.dropped > 0 && l.err == nil {
		// The two streams come by two pipes, so the last lines of stderr need not be among the last bytes.
		_, l.err = fmt.Fprintf(l.f, "\n[%d bytes left out]\n%s\n[stderr ends]\n%s", l.dropped-int64(len(l.last)), l.last, l.errs)
	}
	return errors.Join(l.err, l.f.Close())
}
