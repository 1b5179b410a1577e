package storage

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"
)

// A batch has at most 100 calls at Google; their bodies are resources, not contents.
const (
	maxBatch     = 100
	maxBatchBody = 10 << 20
)

// batch runs the calls of a multipart/mixed body one after another and answers them in one, as Google's Python client uses
// it for deletes and updates.
func (s *Server) batch(w http.ResponseWriter, r *http.Request, _ call) error {
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || params["boundary"] == "" {
		return invalid("a batch needs Content-Type: multipart/mixed; boundary=…")
	}
	var out bytes.Buffer
	mw := multipart.NewWriter(&out)
	mr := multipart.NewReader(http.MaxBytesReader(w, r.Body, maxBatchBody), params["boundary"])
	for n := 0; ; n++ {
		part, err := mr.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return invalid("the batch is malformed or over %d bytes: %v", maxBatchBody, err)
		}
		if n == maxBatch {
			return invalid("more than %d calls in a batch", maxBatch)
		}
		inner, err := http.ReadRequest(bufio.NewReader(part))
		if err != nil {
			return invalid("call %d of the batch is no HTTP request: %v", n+1, err)
		}
		if err := s.batched(mw, r, inner, part.Header.Get("Content-ID")); err != nil {
			return err
		}
	}
	if err := mw.Close(); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "multipart/mixed; boundary="+mw.Boundary())
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(out.Bytes())
	return nil
}

func (s *Server) batched(mw *multipart.Writer, outer, inner *http.Request, id string) error {
	rec := &answerBuffer{header: http.Header{}}
	inner = inner.WithContext(outer.Context())
	inner.Host = outer.Host
	if c := route(inner); c.name == "batch" || c.name == "objects.media" || c.name == "objects.insert" {
		s.writeError(rec, inner, invalid("%s cannot be part of a batch", c.name))
	} else {
		s.Handler().ServeHTTP(rec, inner)
	}
	if id != "" && id[0] == '<' {
		id = "<response-" + id[1:]
	}
	p, err := mw.CreatePart(textproto.MIMEHeader{"Content-Type": {"application/http"}, "Content-Id": {id}})
	if err != nil {
		return err
	}
	rec.header.Set("Content-Length", fmt.Sprint(rec.body.Len()))
	if _, err := fmt.Fprintf(p, "HTTP/1.1 %d %s\r\n", rec.status, http.StatusText(rec.status)); err != nil {
		return err
	}
	if err := rec.header.Write(p); err != nil {
		return err
	}
	_, err = fmt.Fprintf(p, "\r\n%s", rec.body.Bytes())
	return err
}

// answerBuffer holds the answer to one call of a batch.
type answerBuffer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answerBuffer) Header() http.Header { return a.header }

func (a *answerBuffer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *answerBuffer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}
