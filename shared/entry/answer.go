package entry

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"

	"github.com/millrace-ml/millrace/shared/fault"
)

// contentType is exactly what clients compare with: the KServe client shows a server's message only for this text.
const contentType = "application/json"

// WriteJSON answers with v. A value that cannot be encoded is a bug of the caller and becomes a 500.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic("entry: answer cannot be encoded: " + err.Error())
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	// The writer is our buffer; a failed send is logged where the buffer is sent.
	_, _ = w.Write(append(b, '\n'))
}

// errorBody is what a caller reads: a string that names the first problem, and all of them by pointer.
type errorBody struct {
	Error  string          `json:"error"`
	Errors []fault.Problem `json:"errors,omitempty"`
}

// WriteError answers with what a caller may read of err, and keeps all of it for the request's log line.
func WriteError(w http.ResponseWriter, r *http.Request, err error) {
	if q := requestOf(r.Context()); q != nil {
		q.err = err
	}
	p := fault.Public(err)
	if p.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(p.RetryAfter.Seconds()))))
	} else if p.Kind == fault.Unavailable {
		w.Header().Set("Retry-After", "1")
	}
	WriteJSON(w, p.Kind.HTTPStatus(), errorBody{Error: p.Message, Errors: p.Problems})
}

// ReadBody reads a body of at most limit bytes; one byte more is TooLarge, never a cut body.
func ReadBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	size := max(r.ContentLength, 0) + 1
	body := make([]byte, 0, min(size, limit+1))
	in := io.LimitReader(r.Body, limit+1)
	for {
		if len(body) == cap(body) {
			body = append(body, 0)[:len(body)]
		}
		n, err := in.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case int64(len(body)) > limit:
			return nil, tooLarge(limit)
		case errors.Is(err, io.EOF):
			return body, nil
		case err != nil:
			return nil, readFault(err, limit)
		}
	}
}

func readFault(err error, limit int64) error {
	var max *http.MaxBytesError
	if errors.As(err, &max) {
		return tooLarge(min(limit, max.Limit))
	}
	return fault.New(fault.Invalid, err, "the body ended before it was whole")
}

func tooLarge(limit int64) error {
	return fault.New(fault.TooLarge, nil, "the body is larger than %d bytes", limit)
}
