package devserver

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/millrace-ml/millrace/shared/entry"
	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/manifest"
)

// modelView is what the console and the start lines say of a model.
type modelView struct {
	Name, Version, Description string
	Problem                    string
	URL                        string // of its predictions through the console, empty if it is not real-time
	Own                        string // of its own port, with the surface exactly as deployed
	Example                    string // a request body
	Upload                     string // object name of an example upload
	Schedules                  []manifest.Schedule
}

//go:embed console.html
var consoleHTML string

var consolePage = template.Must(template.New("console").Parse(consoleHTML))

// console serves the page, and every model by name, so that one address is enough.
func (d *Server) console() http.Handler {
	own := entry.Serve("Console", &entry.Function{Handler: http.HandlerFunc(d.route)}, entry.ServeOptions{Log: d.log, Project: project})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s := d.slot(modelOf(r.URL.Path)); s != nil {
			s.ServeHTTP(w, r) // which logs for itself
			return
		}
		own.ServeHTTP(w, r)
	})
}

const modelsRoute = "/v1/models"

// modelOf is the model that a path names, "" if it names none.
func modelOf(path string) string {
	name, ok := strings.CutPrefix(path, modelsRoute+"/")
	if i := strings.IndexAny(name, "/:"); ok && i >= 0 {
		name = name[:i]
	}
	if !ok {
		return ""
	}
	return name
}

func (d *Server) route(w http.ResponseWriter, r *http.Request) {
	switch name := modelOf(r.URL.Path); {
	case r.URL.Path == "/" && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		d.page(w, r)
	case r.URL.Path == modelsRoute:
		names := []string{}
		for _, m := range *d.view.Load() {
			if m.URL != "" {
				names = append(names, m.Name)
			}
		}
		entry.WriteJSON(w, http.StatusOK, map[string][]string{"models": names})
	case name != "":
		entry.WriteError(w, r, fault.New(fault.NotFound, nil, "Request for unknown model: '%.64s' is not found", name))
	default:
		entry.WriteError(w, r, fault.New(fault.NotFound, nil, "no such route; the page at / lists what there is"))
	}
}

func (d *Server) page(w http.ResponseWriter, r *http.Request) {
	var b bytes.Buffer
	if err := consolePage.Execute(&b, d.Overview()); err != nil {
		entry.WriteError(w, r, fmt.Errorf("console page: %w", err))
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	_, _ = w.Write(b.Bytes()) // into the buffer of entry.Serve, which reports a failed send
}

// Overview is what there is to try, for the page and for the lines at the start.
type Overview struct {
	Console, Storage, Trigger, Inbox, Outbox, Env, InboxBucket, OutboxBucket string
	Models                                                                   []modelView
}

// Overview of the server as it is now.
func (d *Server) Overview() Overview {
	return Overview{
		Console: "http://" + d.addr[portConsole], Storage: "http://" + d.addr[portStorage], Trigger: "http://" + d.addr[portBatchTrigger],
		Inbox: filepath.Join(d.opts.Data, inboxFolder), Env: filepath.Join(d.opts.Data, EnvFile),
		InboxBucket: inboxBucket, OutboxBucket: outboxBucket, Models: *d.view.Load(),
	}
}

// look again at the models for the console. Called by the watcher, which owns them.
func (d *Server) updateView() {
	views := []modelView{}
	for name, m := range d.models {
		v := modelView{Name: name, Problem: m.problem}
		if m.manifest != nil {
			d.describe(&v, m.manifest)
		}
		views = append(views, v)
	}
	slices.SortFunc(views, func(a, b modelView) int { return strings.Compare(a.Name, b.Name) })
	d.view.Store(&views)
}

func (d *Server) describe(v *modelView, m *manifest.Manifest) {
	v.Version, v.Description = m.Version, m.Description
	if s := d.slot(m.Name); s != nil && m.Serves(manifest.ServeRealtime) {
		v.Own = "http://" + s.addr
		v.URL = "http://" + d.addr[portConsole] + "/v1/models/" + m.Name
		v.Example = example(filepath.Join(d.opts.Models, m.Name, "parity.jsonl"))
	}
	if m.Serves(manifest.ServeBatch) && m.Batch.Uploads != nil {
		v.Upload = m.Batch.Uploads.Prefix + "sample.csv"
	}
	if m.Serves(manifest.ServeBatch) {
		v.Schedules = m.Batch.Schedules
	}
}

// example makes a request of the first parity row, whose prediction is known. A folder that lost it has no example.
func example(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	line, _, _ := bytes.Cut(data, []byte("\n"))
	var row struct {
		Instance json.RawMessage `json:"instance"`
	}
	if err := json.Unmarshal(line, &row); err != nil {
		return ""
	}
	return `{"instances": [` + string(row.Instance) + `]}`
}
