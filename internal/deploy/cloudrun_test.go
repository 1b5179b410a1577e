package deploy

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace-ml/millrace/functions/predict"
	"github.com/millrace-ml/millrace/shared/entry"
)

// cloudRun plays Cloud Run behind gcloud: services with revisions, tags, shares and the settings that gcloud keeps from
// one deployment to the next. A service answers with the revision that its shares say, a tag with its own.
type cloudRun struct {
	t    *testing.T
	url  string
	open func(f, unit, model string) http.Handler // of what a bundle holds

	mu        sync.Mutex
	services  map[string]*runService
	calls     []string
	fault     func(n int, args []string) (fail, applied bool) // of the n-th call, from 1
	after     func(args []string)                             // an applied call
	ail       func(*runRevision)                              // makes a new revision ill
	denied    bool                                            // no request is let in
	allAtOnce bool                                            // an ill revision may have all of the traffic
}

type runService struct {
	name      string
	labels    map[string]string
	revisions []*runRevision
	traffic   []target          // as the service's specification has it: latest is ""
	settings  map[string]string // kept by gcloud
	requests  int
}

type runRevision struct {
	name   string
	labels map[string]string
	http.Handler
	illness string // errors, slow or wrong; with traffic: only once it has some
	traffic bool   // has had some
	asked   int
}

func newCloudRun(t *testing.T) *cloudRun {
	c := &cloudRun{t: t, services: map[string]*runService{}}
	c.open = func(f, unit, model string) http.Handler {
		fn, err := predict.Open(t.Context(), func(k string) string { return map[string]string{"MODEL_DIR": model}[k] })
		if err != nil {
			t.Errorf("a bundle that does not start: %v", err)
			return http.NotFoundHandler()
		}
		return entry.Serve(f, fn, entry.ServeOptions{Log: slog.New(slog.DiscardHandler)})
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /gcloud", c.command)
	mux.HandleFunc("/run/{service}/", func(w http.ResponseWriter, r *http.Request) { c.serve(w, r, "") })
	mux.HandleFunc("/tag/{tag}/{service}/", func(w http.ResponseWriter, r *http.Request) { c.serve(w, r, r.PathValue("tag")) })
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	c.url = s.URL
	return c
}

// terraform makes a service as an apply does: with the placeholder, for the latest revision.
func (c *cloudRun) terraform(name string) {
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "Hello World!") })
	c.services[name] = &runService{name: name, labels: map[string]string{managedLabel: managedBy}, traffic: []target{{Percent: 100}}, settings: map[string]string{},
		revisions: []*runRevision{{name: name + "-00001", labels: map[string]string{}, Handler: hello, traffic: true}}}
}

// serve answers a request as the service or, with a tag, as its revision.
func (c *cloudRun) serve(w http.ResponseWriter, r *http.Request, tag string) {
	c.mu.Lock()
	if r.Header.Get("Authorization") != "Bearer token for "+c.url || c.denied {
		c.mu.Unlock()
		http.Error(w, "<html>forbidden</html>", http.StatusForbidden)
		return
	}
	svc := c.services[r.PathValue("service")]
	var rev *runRevision
	if svc != nil {
		rev = svc.pick(tag)
	}
	if rev == nil {
		c.mu.Unlock()
		http.NotFound(w, r)
		return
	}
	rev.asked++
	illness, live := strings.CutSuffix(rev.illness, " with traffic")
	if live && !rev.traffic {
		illness = ""
	}
	c.mu.Unlock()
	switch illness {
	case "errors":
		http.Error(w, "no", http.StatusInternalServerError)
		return
	case "slow":
		time.Sleep(90 * time.Millisecond)
	}
	r.URL.Path = "/" + r.URL.Path[strings.Index(r.URL.Path, svc.name)+len(svc.name)+1:]
	rev.ServeHTTP(w, r)
}

func (s *runService) pick(tag string) *runRevision {
	s.requests++
	at, sum := s.requests%100, 0
	for _, t := range s.traffic {
		if tag != "" && t.Tag == tag {
			return s.revision(t.Revision)
		}
		if sum += t.Percent; tag == "" && at < sum {
			return s.revision(t.Revision)
		}
	}
	return nil
}

func (s *runService) revision(name string) *runRevision {
	if name == "" {
		return s.revisions[len(s.revisions)-1]
	}
	i := slices.IndexFunc(s.revisions, func(r *runRevision) bool { return r.name == name })
	if i < 0 {
		return nil
	}
	return s.revisions[i]
}

// command plays one call of gcloud.
func (c *cloudRun) command(w http.ResponseWriter, r *http.Request) {
	var args []string
	if err := json.NewDecoder(r.Body).Decode(&args); err != nil {
		c.t.Error(err)
	}
	c.mu.Lock()
	c.calls = append(c.calls, strings.Join(args, " "))
	fail, applied := false, false
	if c.fault != nil {
		fail, applied = c.fault(len(c.calls), args)
	}
	var out any
	err := fmt.Errorf("(gcloud) injected")
	if !fail || applied {
		out, err = c.run(args)
		c.witness()
	}
	after := c.after
	c.mu.Unlock()
	if err == nil && after != nil {
		after(args)
	}
	if fail && err == nil {
		err = fmt.Errorf("(gcloud) injected after it applied")
	}
	if err != nil {
		http.Error(w, "Deploying...\nERROR: "+err.Error(), http.StatusTeapot)
		return
	}
	if err := json.NewEncoder(w).Encode(out); err != nil {
		c.t.Error(err)
	}
}

// witness holds the promise that counts: at every moment a healthy revision has traffic.
func (c *cloudRun) witness() {
	for _, s := range c.services {
		sum, healthy := 0, 0
		for _, t := range s.traffic {
			sum += t.Percent
			if r := s.revision(t.Revision); r == nil {
				c.t.Errorf("%s has traffic for %s, which does not exist", s.name, t.Revision)
			} else if r.traffic = r.traffic || t.Percent > 0; r.illness == "" {
				healthy += t.Percent
			}
		}
		if sum != 100 || healthy < 50 && !c.allAtOnce {
			c.t.Errorf("%s: %d %% of the traffic has a revision, %d %% a healthy one: %+v", s.name, sum, healthy, s.traffic)
		}
	}
}
