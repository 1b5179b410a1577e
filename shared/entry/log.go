package entry

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
)

// NewLogger writes one JSON object a line with the keys that Cloud Logging reads: severity, message, time.
func NewLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: slog.LevelInfo, ReplaceAttr: cloudKeys}))
}

// cloudKeys renames slog's own keys (Cloud Logging: structured logging, special fields).
func cloudKeys(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return a
	}
	switch a.Key {
	case slog.LevelKey:
		a.Key = "severity"
		if l, ok := a.Value.Any().(slog.Level); ok && l == slog.LevelWarn {
			a.Value = slog.StringValue("WARNING")
		}
	case slog.MessageKey:
		a.Key = "message"
	}
	return a
}

// request is what a request carries for its log line. Handlers reach it through the context only.
type request struct {
	log   *slog.Logger
	mu    sync.Mutex
	attrs []slog.Attr
	err   error // the error that WriteError answered with, cause included
}

type requestKey struct{}

func requestOf(ctx context.Context) *request {
	r, _ := ctx.Value(requestKey{}).(*request)
	return r
}

// Log is the request's logger, which carries its trace; outside a request it is slog's default.
func Log(ctx context.Context) *slog.Logger {
	if r := requestOf(ctx); r != nil {
		return r.log
	}
	return slog.Default()
}

// Annotate adds to the one line that is logged when the request is answered. Never a payload.
func Annotate(ctx context.Context, attrs ...slog.Attr) {
	if r := requestOf(ctx); r != nil {
		r.mu.Lock()
		r.attrs = append(r.attrs, attrs...)
		r.mu.Unlock()
	}
}

// trace gives the trace id of a request: W3C traceparent first, then Google's older header. Anything but 32 hex digits is
// ignored, so that a header cannot put text into the logs.
func trace(h http.Header) string {
	var id string
	if p := strings.Split(h.Get("Traceparent"), "-"); len(p) >= 4 {
		id = p[1]
	} else {
		id, _, _ = strings.Cut(h.Get("X-Cloud-Trace-Context"), "/")
	}
	if len(id) != 32 || strings.Trim(strings.ToLower(id), "0123456789abcdef") != "" {
		return ""
	}
	return strings.ToLower(id)
}

// traceKey is the log field by which Cloud Logging joins a request's lines; its value is the trace's full name.
const traceKey = "logging.googleapis.com/trace"

func traceName(project, id string) string {
	if project == "" {
		return id
	}
	return "projects/" + project + "/traces/" + id
}
