package predict

import (
	"log/slog"
	"net/http"

	"github.com/millrace-ml/millrace/shared/entry"
	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/manifest"
	"github.com/millrace-ml/millrace/shared/protocol"
	v1 "github.com/millrace-ml/millrace/shared/protocol/v1"
	"github.com/millrace-ml/millrace/shared/score"
)

type handler struct {
	model  *score.Model
	routes *v1.Server
	limit  int64 // bytes of a body
}

func newFunction(model *score.Model, cfg Config) (*entry.Function, error) {
	m := model.Manifest()
	if !m.Serves(manifest.ServeRealtime) {
		return nil, fault.New(fault.Invalid, nil, "model %s: serve has no realtime in it", m.Name)
	}
	limits := m.Realtime.Limits
	routes := v1.New(protocol.NewTarget(model, limits.Rows), cfg.HealthRoute, cfg.PredictRoute)
	return &entry.Function{Handler: &handler{model, routes, int64(limits.Bytes)}}, nil
}

// ServeHTTP decodes, answers, encodes. Every answer, an error too, names the model's version and digest.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	version, digest := h.model.Manifest().Version, h.model.Digest()
	w.Header().Set("X-Millrace-Model-Version", version)
	w.Header().Set("X-Millrace-Model-Digest", digest)
	entry.Annotate(r.Context(), slog.String("model", h.model.Manifest().Name), slog.String("version", version))
	answer, rows, err := h.answer(w, r)
	if err != nil {
		entry.WriteError(w, r, err)
		return
	}
	entry.Annotate(r.Context(), slog.Int("rows", rows))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(answer.Status)
	_, _ = w.Write(answer.Body) // into the buffer of entry.Serve, which reports a failed send
}

func (h *handler) answer(w http.ResponseWriter, r *http.Request) (*protocol.Answer, int, error) {
	body, err := entry.ReadBody(w, r, h.limit)
	if err != nil {
		return nil, 0, err
	}
	return h.routes.Answer(r.Context(), &protocol.Request{Method: r.Method, Path: r.URL.Path, Header: r.Header, Body: body})
}
