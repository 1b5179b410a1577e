package chaos

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// services names the gRPC services of the local cloud as faults name them; others go by their last name, in lower case.
var services = map[string]string{
	"google.firestore.v1.Firestore":              "firestore",
	"google.cloud.aiplatform.v1.PipelineService": "vertex",
	"google.pubsub.v1.Publisher":                 "pubsub",
	"google.longrunning.Operations":              "operations",
}

// RPCName names a gRPC method: /google.firestore.v1.Firestore/Commit is firestore:Commit.
func RPCName(fullMethod string) string {
	service, method, _ := strings.Cut(strings.TrimPrefix(fullMethod, "/"), "/")
	name, ok := services[service]
	if !ok {
		name = strings.ToLower(service[strings.LastIndex(service, ".")+1:])
	}
	return name + ":" + method
}

// UnaryInterceptor applies faults to unary calls.
func (s *Switch) UnaryInterceptor(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	f, ok := s.hit(RPCName(info.FullMethod))
	if !ok {
		return next(ctx, req)
	}
	if f.After {
		// The work must not end with the caller: its answer is what gets lost.
		if _, err := next(context.WithoutCancel(ctx), req); err != nil && f.Action == Fail {
			return nil, err // it did not apply; its own refusal is the truth
		}
	}
	return nil, s.strike(ctx, f)
}

// StreamInterceptor applies faults to streams: before the first message is read, or after the handler is done, with all
// that it sent swallowed.
func (s *Switch) StreamInterceptor(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	f, ok := s.hit(RPCName(info.FullMethod))
	if !ok {
		return next(srv, ss)
	}
	if f.After {
		if err := next(srv, mute{ss}); err != nil && f.Action == Fail {
			return err
		}
	}
	return s.strike(ss.Context(), f)
}

type mute struct{ grpc.ServerStream }

func (mute) SendMsg(any) error { return nil }

// strike ends a gRPC call in the way of its fault.
func (s *Switch) strike(ctx context.Context, f Fault) error {
	switch f.Action {
	case Kill:
		s.die()
	case Drop:
		wait(ctx)
		return status.Error(codes.DeadlineExceeded, "chaos: the answer was dropped")
	}
	return status.Error(f.code(), "chaos: "+f.String())
}

func wait(ctx context.Context) {
	t := time.NewTimer(dropLimit)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// Middleware applies faults to HTTP calls; name names them.
func (s *Switch) Middleware(name func(*http.Request) string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, ok := s.hit(name(r))
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		if f.After {
			lost := &discarded{header: http.Header{}, w: w}
			next.ServeHTTP(lost, r.WithContext(context.WithoutCancel(r.Context())))
			if lost.status >= http.StatusBadRequest && f.Action == Fail {
				lost.replay(w) // it did not apply; its own refusal is the truth
				return
			}
		}
		s.strikeHTTP(w, r, f)
	})
}

func (s *Switch) strikeHTTP(w http.ResponseWriter, r *http.Request, f Fault) {
	switch f.Action {
	case Kill:
		s.die()
	case Drop:
		_, _ = io.Copy(io.Discard, r.Body) // only then net/http notices that the caller left
		wait(r.Context())
		panic(http.ErrAbortHandler)
	}
	code := httpStatus(f.code())
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.WriteHeader(code)
	_, _ = fmt.Fprintf(w, `{"error":{"code":%d,"message":%q,"errors":[{"domain":"global","reason":"backendError","message":"chaos"}]}}`+"\n",
		code, "chaos: "+f.String())
}

// httpStatus is the status under which Google's JSON APIs report a code.
func httpStatus(c codes.Code) int {
	switch c {
	case codes.InvalidArgument, codes.FailedPrecondition, codes.OutOfRange:
		return http.StatusBadRequest
	case codes.Unauthenticated:
		return http.StatusUnauthorized
	case codes.PermissionDenied:
		return http.StatusForbidden
	case codes.NotFound:
		return http.StatusNotFound
	case codes.AlreadyExists, codes.Aborted:
		return http.StatusConflict
	case codes.ResourceExhausted:
		return http.StatusTooManyRequests
	case codes.Unimplemented:
		return http.StatusNotImplemented
	case codes.Unavailable:
		return http.StatusServiceUnavailable
	case codes.DeadlineExceeded:
		return http.StatusGatewayTimeout
	}
	return http.StatusInternalServerError
}

// codeName is the code as google.rpc.Code writes it: UNAVAILABLE, DEADLINE_EXCEEDED.
func codeName(c codes.Code) string {
	if c == codes.Canceled {
		return "CANCELLED" // the one name that grpc spells otherwise
	}
	var b strings.Builder
	for i, r := range c.String() {
		if i > 0 && r >= 'A' && r <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToUpper(b.String())
}

// discarded takes an answer that nobody will see.
type discarded struct {
	header http.Header
	status int
	refuse []byte // the body of a refusal
	w      http.ResponseWriter
}

func (d *discarded) Header() http.Header { return d.header }

func (d *discarded) WriteHeader(status int) {
	if d.status == 0 {
		d.status = status
	}
}

func (d *discarded) Write(p []byte) (int, error) {
	d.WriteHeader(http.StatusOK)
	if d.status >= http.StatusBadRequest {
		d.refuse = append(d.refuse, p...)
	}
	return len(p), nil
}

func (d *discarded) replay(w http.ResponseWriter) {
	maps.Copy(w.Header(), d.header)
	w.WriteHeader(d.status)
	_, _ = w.Write(d.refuse)
}

// Unwrap lets http.ResponseController reach the connection, for read deadlines.
func (d *discarded) Unwrap() http.ResponseWriter { return d.w }
