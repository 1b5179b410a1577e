package batchtrigger

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/millrace-ml/millrace/shared/batch"
	"github.com/millrace-ml/millrace/shared/entry"
	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/ledger"
)

// handler is idempotent: one tick, or one Idempotency-Key, gives one run, however often it is sent.
type handler struct {
	runs *batch.Batch
	cfg  *Config
	unit string // what is deployed
}

func newHandler(runs *batch.Batch, cfg *Config, unit string) http.Handler {
	h, mux := &handler{runs, cfg, unit}, http.NewServeMux()
	for route, do := range map[string]func(*http.Request) (any, error){
		"GET /{$}":        h.which,     // client: a deployment asks which unit answers
		"POST /{$}":       h.tick,      // scheduled: once per tick of a model's schedule
		"POST /ticks":     h.tick,      // scheduled: the same
		"POST /drain":     h.drain,     // scheduled: each minute
		"POST /reconcile": h.reconcile, // scheduled: every five minutes
		"POST /runs":      h.request,   // client: operators now and then, deployments of a batch model
		"GET /runs":       h.list,      // client: people, the command line
		"GET /runs/{id}":  h.show,      // client: the same, each second while somebody watches
	} {
		mux.HandleFunc(route, func(w http.ResponseWriter, r *http.Request) { h.serve(w, r, do) })
	}
	for path, allow := range map[string]string{"/{$}": "GET, POST", "/ticks": "POST", "/drain": "POST", "/reconcile": "POST", "/runs": "GET, POST", "/runs/{id}": "GET"} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", allow)
			entry.WriteError(w, r, fault.New(fault.Method, nil, "%.80s takes %s", r.URL.Path, allow))
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		entry.WriteError(w, r, fault.New(fault.NotFound, nil, "there is no route %.80s", r.URL.Path))
	})
	return mux
}

func (h *handler) serve(w http.ResponseWriter, r *http.Request, do func(*http.Request) (any, error)) {
	ctx, cancel := context.WithTimeout(r.Context(), h.cfg.Deadline)
	defer cancel()
	answer, err := do(r.WithContext(ctx))
	if err != nil {
		entry.WriteError(w, r, err)
		return
	}
	status := http.StatusOK
	if run, ok := answer.(*ledger.Run); ok {
		entry.Annotate(ctx, slog.String("run_id", run.ID), slog.String("model", run.Model), slog.String("state", string(run.State)))
		if run.State == ledger.Pending {
			status = http.StatusAccepted
		}
	}
	entry.WriteJSON(w, status, answer)
}

func (h *handler) which(*http.Request) (any, error) {
	return map[string]string{"function": "BatchTrigger", "unit": h.unit}, nil
}

// tick starts the run of a tick. A run that is never scored is an answer too: calling again would change nothing.
func (h *handler) tick(r *http.Request) (any, error) {
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	ask, err := batch.ParseAsk(body)
	if err != nil {
		return nil, err
	}
	at, err := time.Parse(time.RFC3339, r.Header.Get("X-CloudScheduler-ScheduleTime"))
	if err != nil {
		at = time.Time{} // forced by hand, or none of Scheduler's: a manual tick
	}
	return h.runs.Start(r.Context(), batch.Tick{Ask: ask, Scheduled: at})
}

func (h *handler) request(r *http.Request) (any, error) {
	who, err := h.cfg.Operators.Who(r.Header)
	if err != nil {
		return nil, err
	}
	if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); kind != "application/json" {
		return nil, fault.New(fault.MediaType, nil, "the Content-Type is %.80q, expected application/json", kind)
	}
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	asked, err := batch.ParseRequest(body, r.Header.Get("Idempotency-Key"), who)
	if err != nil {
		return nil, err
	}
	run, err := h.runs.Start(r.Context(), asked)
	if err == nil {
		err = batch.Unscored(run)
	}
	return run, err
}

func readBody(r *http.Request) ([]byte, error) { return entry.ReadBody(nil, r, 64<<10) }

func (h *handler) drain(r *http.Request) (any, error) { return h.runs.Drain(r.Context()) }

func (h *handler) reconcile(r *http.Request) (any, error) { return h.runs.Reconcile(r.Context()) }

func (h *handler) list(r *http.Request) (any, error) {
	page, err := ledger.ParsePage(r.URL.Query())
	if err != nil {
		return nil, err
	}
	runs, next, err := h.runs.List(r.Context(), page)
	return map[string]any{"runs": runs, "next_page_token": next}, err
}

func (h *handler) show(r *http.Request) (any, error) {
	return h.runs.Show(r.Context(), r.PathValue("id"))
}
