// Package fault is the one vocabulary of errors: what kind of failure it is, what the caller may read about it, and what
// only the log may. Nobody else names a status code. It is not for control flow inside a package: a plain wrapped error
// serves there.
package fault

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Kind says what went wrong from the caller's point of view. The zero value is Internal: an error nobody classified.
type Kind uint8

// The kinds. Their order is not part of any format; their names are.
const (
	Internal        Kind = iota // our mistake or an unknown one
	Invalid                     // the input breaks its contract
	Unauthenticated             // no or bad credentials
	Forbidden                   // known caller, not allowed
	NotFound                    // no such thing
	Method                      // the route does not take this HTTP method
	Conflict                    // the state forbids it, or the key was used for something else
	TooLarge                    // over a stated limit
	MediaType                   // the body is of a format that this route does not take
	Unimplemented               // a known operation that is not offered
	Unavailable                 // try again later
	Timeout                     // our own deadline passed
)

// traits is the one table from a kind to what the transports say.
// The gRPC codes are those of google.rpc.Code, as numbers so that grpc stays out of the import graph of pure packages.
var traits = [...]struct {
	name  string
	http  int
	grpc  uint32
	retry bool
}{
	Internal:        {"internal", 500, 13, true},
	Invalid:         {"invalid", 400, 3, false},
	Unauthenticated: {"unauthenticated", 401, 16, false},
	Forbidden:       {"forbidden", 403, 7, false},
	NotFound:        {"not_found", 404, 5, false},
	Method:          {"method", 405, 12, false},
	Conflict:        {"conflict", 409, 9, false},
	TooLarge:        {"too_large", 413, 3, false},
	MediaType:       {"media_type", 415, 3, false},
	Unimplemented:   {"unimplemented", 501, 12, false},
	Unavailable:     {"unavailable", 503, 14, true},
	Timeout:         {"timeout", 504, 4, true},
}

// String is the kind's name as logs write it.
func (k Kind) String() string { return traits[k].name }

// HTTPStatus is the status of an answer that reports this kind.
func (k Kind) HTTPStatus() int { return traits[k].http }

// GRPCCode is the number of the google.rpc.Code that reports this kind.
func (k Kind) GRPCCode() uint32 { return traits[k].grpc }

// Retry says whether delivering the same thing again may succeed. Unknown errors count as such (style 18): the
// dead-letter topic bounds them.
func (k Kind) Retry() bool { return traits[k].retry }

// FromGRPC is the kind of an error that a Google API reported with this google.rpc.Code.
func FromGRPC(code uint32) Kind {
	switch code {
	case 3, 11: // INVALID_ARGUMENT, OUT_OF_RANGE
		return Invalid
	case 5:
		return NotFound
	case 6, 9: // ALREADY_EXISTS, FAILED_PRECONDITION
		return Conflict
	case 7:
		return Forbidden
	case 16:
		return Unauthenticated
	case 12:
		return Unimplemented
	case 4:
		return Timeout
	case 8, 10, 14: // RESOURCE_EXHAUSTED, ABORTED, UNAVAILABLE
		return Unavailable
	}
	return Internal
}

// Problem is one fault of an input, at one place. A list of them stands beside the message, so that a caller can mend
// everything at once.
type Problem struct {
	Pointer  string `json:"pointer"`  // JSON Pointer (RFC 6901) into the input, "" for the whole
	Code     string `json:"code"`     // a fixed word: missing, type, range, unknown, …
	Expected string `json:"expected"` // what would be right
	Got      string `json:"got"`      // what stood there, shortened
}

// Error is an error with a kind and a text that callers may read. Its cause is for logs only.
type Error struct {
	Kind       Kind
	Message    string        // public
	Problems   []Problem     // public, may be empty
	RetryAfter time.Duration // public, for Unavailable; 0 = not said
	cause      error
}

// New makes an error whose message is public and whose cause, which may be nil, is only logged.
func New(kind Kind, cause error, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...), cause: cause}
}

// Error is the text for logs: the message and the cause. Callers get Message.
func (e *Error) Error() string {
	if e.cause == nil {
		return e.Message
	}
	return e.Message + ": " + e.cause.Error()
}

// Unwrap gives the cause to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.cause }

// KindOf classifies any error: the kind of the outermost Error in its chain, Timeout for a passed deadline, Unavailable
// for a cancelled context (the process is leaving or the caller is gone: nothing is known of the work), else Internal.
func KindOf(err error) Kind {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e.Kind
	case errors.Is(err, context.DeadlineExceeded):
		return Timeout
	case errors.Is(err, context.Canceled):
		return Unavailable
	}
	return Internal
}

// Public is what a caller may read of any error: the outermost Error's own text, or a constant by kind. The result is
// always a new value without a cause.
func Public(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return &Error{Kind: e.Kind, Message: e.Message, Problems: e.Problems, RetryAfter: e.RetryAfter}
	}
	k := KindOf(err)
	switch k {
	case Timeout:
		return &Error{Kind: k, Message: "the deadline passed before the work was done"}
	case Unavailable:
		return &Error{Kind: k, Message: "the service is stopping, try again"}
	}
	return &Error{Kind: k, Message: "internal error"}
}
