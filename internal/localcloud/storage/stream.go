package storage

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// incoming is a request's body with a deadline that moves on with every read, so that a silent sender does not hold its
// connection for ever while a slow one may take its time.
type incoming struct {
	io.ReadCloser
	ctl  *http.ResponseController
	idle time.Duration
	err  error
}

// watch puts the deadline on the body of r. Call done when the request is answered.
func (s *Server) watch(w http.ResponseWriter, r *http.Request) (done func()) {
	if r.Body == nil || r.Body == http.NoBody {
		return func() {}
	}
	in := &incoming{ReadCloser: r.Body, ctl: http.NewResponseController(w), idle: s.idle}
	r.Body = in
	return in.done
}

func (in *incoming) Read(p []byte) (n int, err error) {
	in.set(time.Now().Add(in.idle))
	n, err = in.ReadCloser.Read(p)
	in.err = err
	return n, err
}

// done leaves the connection as net/http wants it: without a deadline after a whole body, since one would cancel later
// requests; with one while the server still throws the rest of a body away.
func (in *incoming) done() {
	if errors.Is(in.err, io.EOF) {
		in.set(time.Time{})
	} else if in.err == nil {
		in.set(time.Now().Add(in.idle))
	}
}

func (in *incoming) set(deadline time.Time) {
	_ = in.ctl.SetReadDeadline(deadline) // answers that are only recorded have none
}

// stretch is how much is sent under one deadline.
const stretch = 4 << 20

// send copies n bytes (-1 = all) to the caller, each stretch within the idle time. Files go out without passing through
// this process where the system can do that.
func (s *Server) send(w http.ResponseWriter, from io.Reader, n int64) error {
	ctl := http.NewResponseController(w)
	defer func() { _ = ctl.SetWriteDeadline(time.Time{}) }()
	for n != 0 {
		part := int64(stretch)
		if n > 0 {
			part = min(n, stretch)
		}
		_ = ctl.SetWriteDeadline(time.Now().Add(s.idle))
		sent, err := io.CopyN(w, from, part)
		if errors.Is(err, io.EOF) && n < 0 {
			return nil
		}
		if err != nil {
			return err
		}
		if n > 0 {
			n -= sent
		}
	}
	return nil
}
