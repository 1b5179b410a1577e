package storage

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// chunk is one request of a resumable upload, by its Content-Range.
type chunk struct {
	first, length int64
	total         int64 // of the whole object, -1 = not known yet
	query         bool  // no bytes: the end, if all are here, else a question
}

// parseChunk reads "bytes a-b/N", "bytes a-b/*", "bytes */N" and "bytes */*". A request without Content-Range is the
// whole object.
func parseChunk(r *http.Request) (chunk, error) {
	header := r.Header.Get("Content-Range")
	if header == "" {
		if r.ContentLength < 0 {
			return chunk{}, invalid("a chunk needs Content-Range or Content-Length")
		}
		return chunk{length: r.ContentLength, total: r.ContentLength}, nil
	}
	bad := invalid("Invalid Content-Range %q", header)
	spec, ok := strings.CutPrefix(header, "bytes ")
	span, total, ok2 := strings.Cut(spec, "/")
	if !ok || !ok2 {
		return chunk{}, bad
	}
	c := chunk{total: -1}
	var err error
	if total != "*" {
		if c.total, err = strconv.ParseInt(total, 10, 64); err != nil || c.total < 0 {
			return chunk{}, bad
		}
	}
	if span == "*" {
		c.query = true
		return c, nil
	}
	from, to, _ := strings.Cut(span, "-")
	first, err1 := strconv.ParseUint(from, 10, 62)
	last, err2 := strconv.ParseUint(to, 10, 62)
	if err1 != nil || err2 != nil || last < first {
		return chunk{}, bad
	}
	c.first, c.length = int64(first), int64(last-first)+1
	if c.total >= 0 && c.first+c.length > c.total {
		return chunk{}, bad
	}
	if r.ContentLength >= 0 && r.ContentLength != c.length {
		return chunk{}, invalid("Content-Range %q names %d bytes, but the body has %d", header, c.length, r.ContentLength)
	}
	return c, nil
}

// fits says whether the chunk may come next. Bytes that are here already are fine, a gap is not.
func (c chunk) fits(ses *session) error {
	switch {
	case c.total >= 0 && ses.Total >= 0 && c.total != ses.Total:
		return invalid("the upload was announced with %d bytes, now it says %d", ses.Total, c.total)
	case c.total >= 0 && c.total < ses.Size:
		return invalid("%d bytes are here, more than the %d of the whole object", ses.Size, c.total)
	case c.query:
		if c.total == ses.Size {
			ses.Total = c.total
		}
		return nil
	case c.first > ses.Size:
		return invalid("the chunk starts at %d, but only %d bytes are here", c.first, ses.Size)
	case c.first+c.length != c.total && c.length%blockSize != 0:
		return invalid("a chunk that is not the last has a multiple of %d bytes, got %d", blockSize, c.length)
	}
	return nil
}

// sessionLocks let one request at a time work on a session: a sender that repeats a chunk may come while its first try is
// still being read.
type sessionLocks struct {
	mu   sync.Mutex
	held map[string]chan struct{}
}

func (l *sessionLocks) lock(ctx context.Context, id string) (unlock func(), err error) {
	for {
		l.mu.Lock()
		busy, taken := l.held[id]
		if !taken {
			if l.held == nil {
				l.held = map[string]chan struct{}{}
			}
			free := make(chan struct{})
			l.held[id] = free
			l.mu.Unlock()
			return func() {
				l.mu.Lock()
				delete(l.held, id)
				l.mu.Unlock()
				close(free)
			}, nil
		}
		l.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
