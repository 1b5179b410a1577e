package storage

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
)

// The reasons of Cloud Storage's error bodies that this server gives.
const (
	reasonConflict       = "conflict"
	reasonCondition      = "conditionNotMet"
	reasonForbidden      = "forbidden"
	reasonInvalid        = "invalid"
	reasonNotFound       = "notFound"
	reasonNotImplemented = "notImplemented"
	reasonNotModified    = "notModified"
	reasonRequired       = "required"
)

// apiError is an answer of the protocol that is not success. Its status codes are Cloud Storage's own, which shared/fault
// has no words for (304, 308, 412, 416, 499).
type apiError struct {
	status  int
	reason  string
	message string
	header  http.Header // further headers of the answer, may be nil
}

func (e *apiError) Error() string { return e.message }

func refuse(status int, reason, format string, args ...any) *apiError {
	return &apiError{status: status, reason: reason, message: fmt.Sprintf(format, args...)}
}

func invalid(format string, args ...any) *apiError {
	return refuse(http.StatusBadRequest, reasonInvalid, format, args...)
}

func notFound(format string, args ...any) *apiError {
	return refuse(http.StatusNotFound, reasonNotFound, format, args...)
}

// notOffered names a part of Cloud Storage that this server gave up.
func notOffered(what string) *apiError {
	return refuse(http.StatusNotImplemented, reasonNotImplemented, "the local Cloud Storage does not offer %s", what)
}

func reasonOf(err error) string {
	var e *apiError
	if errors.As(err, &e) {
		return e.reason
	}
	return ""
}

// writeError answers with the protocol's error body. An error that is no apiError is ours: it is logged, and the caller
// learns only that it may try again (500 backendError, which Google's clients repeat).
func (s *Server) writeError(w http.ResponseWriter, r *http.Request, err error) {
	var e *apiError
	if !errors.As(err, &e) {
		if r.Context().Err() != nil {
			return // the caller left; its broken body is no fault of ours
		}
		s.log.Error("storage request failed", "call", CallName(r), "path", r.URL.EscapedPath(), "error", err.Error())
		e = refuse(http.StatusInternalServerError, "backendError", "internal error of the local Cloud Storage; its log has the cause")
	}
	for k, v := range e.header {
		w.Header()[k] = v
	}
	if e.status == http.StatusNotModified || r.Method == http.MethodHead {
		w.WriteHeader(e.status)
		return
	}
	type item struct {
		Domain  string `json:"domain"`
		Reason  string `json:"reason"`
		Message string `json:"message"`
	}
	var body struct {
		Error struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
			Errors  []item `json:"errors"`
		} `json:"error"`
	}
	body.Error.Code, body.Error.Message = e.status, e.message
	body.Error.Errors = []item{{Domain: "global", Reason: e.reason, Message: e.message}}
	writeJSON(w, e.status, body)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("encode %T: %v", v, err)) // our own types always encode
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.Header().Set("Content-Length", fmt.Sprint(len(b)+1))
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n'))
}
