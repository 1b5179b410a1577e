// Package protocol turns requests into rows of the feature contract and predictions into answers. It has the one request
// decoder and what all wire formats share; the formats lie below it. It knows no HTTP server: a request comes as a value,
// an answer or an error leaves as one, and the function writes it.
package protocol

import (
	"context"
	"net/http"
	"strings"
	"sync"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/score"
)

// Request is what a route needs of an HTTP request. The body is whole and bounded by the caller.
type Request struct {
	Method, Path string
	Header       http.Header
	Body         []byte
}

// Answer is a response that is not an error. Its body is JSON.
type Answer struct {
	Status int
	Body   []byte
}

// Target is the model that requests are answered with. It is safe for concurrent use.
type Target struct {
	Model   *score.Model
	maxRows int
	workers sync.Pool
}

// worker is what one request uses: reused, so that a row costs no allocation.
type worker struct {
	decoder Decoder
	scorer  *score.Scorer
}

// NewTarget answers with model; a request may carry maxRows rows.
func NewTarget(model *score.Model, maxRows int) *Target {
	t := &Target{Model: model, maxRows: maxRows}
	t.workers.New = func() any { return &worker{scorer: model.NewScorer()} }
	return t
}

// Predict answers a body of any form that Decoder reads, and says how many rows it had.
func (t *Target) Predict(ctx context.Context, body []byte) (*Answer, int, error) {
	w := t.workers.Get().(*worker)
	defer t.workers.Put(w)
	form, err := w.decoder.Decode(body, t.Model.Contract(), w.scorer.Rows(), t.maxRows)
	if err != nil {
		return nil, 0, err
	}
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	p, err := w.scorer.Score()
	if err != nil {
		return nil, 0, err
	}
	return &Answer{Status: http.StatusOK, Body: t.encode(p, form)}, p.Rows, nil
}

// otherFormats open the content types of bodies that no JSON route takes. Everything else passes: clients send JSON as
// octet-stream, as a form, or without a type at all.
var otherFormats = []string{"text/csv", "multipart/", "text/xml", "application/xml", "application/x-npy", "application/x-parquet", "application/vnd.apache.parquet", "application/grpc"}

// CheckJSON refuses a body that says it is something else.
func CheckJSON(h http.Header) error {
	kind := strings.ToLower(strings.TrimSpace(h.Get("Content-Type")))
	for _, other := range otherFormats {
		if strings.HasPrefix(kind, other) {
			return fault.New(fault.MediaType, nil, "Content-Type: %s, expected application/json", cut(kind))
		}
	}
	if enc := strings.TrimSpace(h.Get("Content-Encoding")); enc != "" && !strings.EqualFold(enc, "identity") {
		return fault.New(fault.MediaType, nil, "Content-Encoding: %s, expected none", cut(enc))
	}
	return nil
}
