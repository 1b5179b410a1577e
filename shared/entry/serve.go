package entry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/millrace-ml/millrace/shared/fault"
)

// ServeOptions are the settings of Serve; the zero value logs to stdout, has no deadline and MaxBody's default.
type ServeOptions struct {
	Log     *slog.Logger
	Project string        // for the trace key
	Timeout time.Duration // deadline of a request; 0 = none
	MaxBody int64         // bytes of a request's body; default 32 MiB, which is also Cloud Run's own limit
	drain   *drain
}

// MaxBody is the most that a request's body may have on any route; ReadBody sets the route's own, lower limit.
const MaxBody = 32 << 20

// readLimit bounds how long a caller may take to send its body. The framework's server has no such limit.
const readLimit = 30 * time.Second

// Serve puts around a function what every request gets: deadline, body limit, trace, a buffered answer (a panic is a clean
// 500, and an answer is whole or not sent), one log line.
func Serve(name string, f *Function, o ServeOptions) http.Handler {
	if o.Log == nil {
		o.Log = NewLogger(os.Stdout)
	}
	if o.MaxBody == 0 {
		o.MaxBody = MaxBody
	}
	if o.drain == nil {
		o.drain = &drain{}
	}
	return &server{name: name, next: f.Handler, o: o}
}

type server struct {
	name string
	next http.Handler
	o    ServeOptions
}

var answers = sync.Pool{New: func() any { return &answer{header: http.Header{}} }}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.o.drain.enter()
	defer s.o.drain.leave()
	start := time.Now()
	ctx := r.Context()
	if s.o.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.o.Timeout)
		defer cancel()
	}
	req := &request{log: s.o.Log}
	if id := trace(r.Header); id != "" {
		req.log = req.log.With(traceKey, traceName(s.o.Project, id))
	}
	r = r.WithContext(context.WithValue(ctx, requestKey{}, req))
	if r.ContentLength != 0 {
		r.Body = newBody(w, r.Body, s.o.MaxBody, start.Add(readLimit))
	}

	a := answers.Get().(*answer)
	a.reset()
	s.call(a, r)
	sent := a.send(w, r, s.o.drain.leaving.Load())
	s.log(req, r, a, sent, time.Since(start))
	if a.body.Cap() <= 1<<20 { // one large answer must not keep its memory for ever
		answers.Put(a)
	}
}

// call runs the handler; a panic becomes an Internal error with its stack in the log.
func (s *server) call(a *answer, r *http.Request) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		a.reset()
		WriteError(a, r, fault.New(fault.Internal, fmt.Errorf("panic: %v\n%s", p, debug.Stack()), "internal error"))
	}()
	s.next.ServeHTTP(a, r)
}

func (s *server) log(req *request, r *http.Request, a *answer, sent error, took time.Duration) {
	req.mu.Lock()
	defer req.mu.Unlock()
	level := slog.LevelInfo
	switch {
	case a.status >= 500:
		level = slog.LevelError
	case a.status >= 400:
		level = slog.LevelWarn
	}
	attrs := append(req.attrs,
		slog.String("function", s.name), slog.String("method", r.Method), slog.String("path", shorten(r.URL.Path)),
		slog.Int("status", a.status), slog.Int("bytes", a.body.Len()),
		slog.Float64("ms", float64(took.Microseconds())/1000))
	if req.err != nil {
		attrs = append(attrs, slog.String("error", shorten(req.err.Error())))
	}
	if sent != nil {
		attrs = append(attrs, slog.String("send_error", sent.Error()))
	}
	req.log.LogAttrs(r.Context(), level, "request", attrs...)
}

// shorten caps a text that a caller may have chosen. A stack of a panic fits.
func shorten(s string) string {
	const limit = 8 << 10
	if len(s) > limit {
		return s[:limit] + "…"
	}
	return s
}

// answer is a response in memory.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) reset() { clear(a.header); a.status = 0; a.body.Reset() }

// Header, WriteHeader and Write make it an http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader keeps the first status.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write adds to the body.
func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

// send writes the whole answer and flushes it: from then on it no longer needs this process.
func (a *answer) send(w http.ResponseWriter, r *http.Request, leaving bool) error {
	a.WriteHeader(http.StatusOK)
	h := w.Header()
	for k, v := range a.header {
		h[k] = v
	}
	if a.status != http.StatusNoContent && a.status != http.StatusNotModified {
		h.Set("Content-Length", strconv.Itoa(a.body.Len()))
	}
	if leaving {
		h.Set("Connection", "close")
	}
	w.WriteHeader(a.status)
	if r.Method != http.MethodHead {
		if _, err := w.Write(a.body.Bytes()); err != nil && a.body.Len() > 0 {
			return err
		}
	}
	if err := http.NewResponseController(w).Flush(); !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}

// body bounds a request's body in size and in time. The connection's read deadline is taken back at the end of the body:
// net/http watches the connection while a handler works, and a deadline that passes there would cancel its request.
type body struct {
	io.ReadCloser
	conn *http.ResponseController
}

func newBody(w http.ResponseWriter, b io.ReadCloser, limit int64, deadline time.Time) *body {
	conn := http.NewResponseController(w)
	// An error means that the connection takes no deadline (a test's recorder): there is nothing to bound then.
	_ = conn.SetReadDeadline(deadline)
	return &body{http.MaxBytesReader(w, b, limit), conn}
}

// Read gives the deadline back with the last byte.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		_ = b.conn.SetReadDeadline(time.Time{}) // as above
	}
	return n, err
}
