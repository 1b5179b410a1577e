package deploy

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace-ml/millrace/functions/predict"
	"github.com/millrace-ml/millrace/internal/bundle"
	"github.com/millrace-ml/millrace/shared/entry"
)

// cloudRun plays Cloud Run behind gcloud: services with revisions, tags, shares and the settings that gcloud keeps from
// one deployment to the next. A service answers with the revision that its shares say, a tag with its own.
type cloudRun struct {
	t    *testing.T
	url  string
	open func(f, unit, model string) http.Handler // of what a bundle holds

	mu       sync.Mutex
	services map[string]*runService
	calls    []string
	fault    func(n int, args []string) (fail, applied bool) // of the n-th call, from 1
	after    func(args []string)                             // an applied call
	ail      func(*runRevision)                              // makes a new revision ill
	denied   bool                                            // no request is let in
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

const placeholder = "us-docker.pkg.dev/cloudrun/container/hello"

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
		if sum != 100 || healthy < 50 {
			c.t.Errorf("%s: %d %% of the traffic has a revision, %d %% a healthy one: %+v", s.name, sum, healthy, s.traffic)
		}
	}
}

// run carries out a command of the few that deployments use, with the flags that gcloud has; anything else is refused.
func (c *cloudRun) run(args []string) (any, error) {
	words, flags, err := parseFlags(args)
	if err != nil {
		return nil, err
	}
	if flags["region"] != "europe-west1" || flags["project"] != "shop" || flags["format"] != "json" {
		return nil, fmt.Errorf("(gcloud) region %q, project %q, format %q", flags["region"], flags["project"], flags["format"])
	}
	name := words[len(words)-1]
	svc := c.services[name]
	switch command := strings.Join(words[:len(words)-1], " "); {
	case command == "run deploy":
		return c.deploy(name, flags)
	case command == "run revisions describe":
		for _, s := range c.services {
			if r := s.revision(name); r != nil {
				return map[string]any{"metadata": map[string]any{"name": r.name, "labels": r.labels}}, nil
			}
		}
		return nil, fmt.Errorf("(gcloud.run.revisions.describe) Cannot find revision [%s]", name)
	case svc == nil:
		return nil, fmt.Errorf("(gcloud.%s) Cannot find service [%s]", strings.ReplaceAll(command, " ", "."), name)
	case command == "run services describe":
		return c.described(svc), nil
	case command == "run services update-traffic":
		return c.described(svc), svc.update(flags)
	}
	return nil, fmt.Errorf("(gcloud) Invalid choice: %q", words)
}

var gcloudFlags = map[string]bool{ // with a value or not
	"region": true, "project": true, "quiet": false, "format": true, "to-revisions": true, "update-tags": true, "remove-tags": true,
	"source": true, "function": true, "base-image": true, "automatic-updates": false, "image": true, "build-service-account": true, "clear-build-service-account": false,
	"clear-build-worker-pool": false, "build-env-vars-file": true, "service-account": true, "no-allow-unauthenticated": false, "labels": true, "no-traffic": false, "tag": true,
}

func parseFlags(args []string) (words []string, flags map[string]string, err error) {
	flags = map[string]string{}
	for i := 0; i < len(args); i++ {
		name, isFlag := strings.CutPrefix(args[i], "--")
		valued, known := gcloudFlags[name]
		switch {
		case !isFlag:
			words = append(words, args[i])
		case !known:
			return nil, nil, fmt.Errorf("(gcloud) unrecognized arguments: %s", args[i])
		case !valued:
			flags[name] = "true"
		case i+1 == len(args):
			return nil, nil, fmt.Errorf("(gcloud) argument %s: expected one argument", args[i])
		default:
			i++
			flags[name] = args[i]
		}
	}
	return words, flags, nil
}

func (c *cloudRun) described(s *runService) any {
	var out service
	out.Metadata.Name, out.Metadata.Labels, out.Status.URL = s.name, s.labels, c.url+"/run/"+s.name
	for _, t := range s.traffic {
		t.Revision = s.revision(t.Revision).name
		if t.Tag != "" {
			t.URL = c.url + "/tag/" + t.Tag + "/" + s.name
		}
		out.Status.Traffic = append(out.Status.Traffic, t)
	}
	return out
}

func (s *runService) pin() { // what --no-traffic and any split do to the latest revision's share
	for i := range s.traffic {
		s.traffic[i].Revision = s.revision(s.traffic[i].Revision).name
	}
}

func (s *runService) tagAs(tag, revision string) {
	s.traffic = slices.DeleteFunc(s.traffic, func(t target) bool { return t.Tag == tag })
	if revision != "" {
		s.traffic = append(s.traffic, target{Revision: revision, Tag: tag})
	}
}

func (s *runService) update(flags map[string]string) error {
	if tag, revision, ok := strings.Cut(flags["update-tags"], "="); ok {
		s.tagAs(tag, revision)
	}
	if flags["remove-tags"] != "" {
		for tag := range strings.SplitSeq(flags["remove-tags"], ",") {
			s.tagAs(tag, "")
		}
	}
	if flags["to-revisions"] == "" {
		return nil
	}
	s.traffic = slices.DeleteFunc(s.traffic, func(t target) bool { return t.Percent > 0 })
	for part := range strings.SplitSeq(flags["to-revisions"], ",") {
		revision, percent, _ := strings.Cut(part, "=")
		n, err := strconv.Atoi(percent)
		if err != nil || s.revision(revision) == nil {
			return fmt.Errorf("(gcloud.run.services.update-traffic) no revision %q with %q", revision, percent)
		}
		s.traffic = append(s.traffic, target{Revision: revision, Percent: n})
	}
	return nil
}

func (c *cloudRun) deploy(name string, flags map[string]string) (any, error) {
	svc := c.services[name]
	if svc == nil && flags["no-traffic"] != "" {
		return nil, fmt.Errorf("(gcloud.run.deploy) --no-traffic not supported when creating a new service.")
	}
	unit, err := os.ReadFile(filepath.Join(flags["source"], bundle.UnitFile))
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(flags["build-env-vars-file"]); err != nil {
		return nil, err
	}
	if svc == nil {
		svc = &runService{name: name, labels: map[string]string{}, settings: map[string]string{}, traffic: []target{{Percent: 100}}}
		c.services[name] = svc
	} else if flags["no-traffic"] != "" {
		svc.pin()
	}
	for _, key := range []string{"base-image", "automatic-updates", "image", "build-service-account", "build-env-vars-file", "service-account", "function"} {
		if v := flags[key]; v != "" {
			svc.settings[key] = v
		}
	}
	for key := range flags {
		if cleared, ok := strings.CutPrefix(key, "clear-"); ok {
			delete(svc.settings, cleared)
		}
	}
	labels := map[string]string{}
	for part := range strings.SplitSeq(flags["labels"], ",") {
		k, v, _ := strings.Cut(part, "=")
		labels[k], svc.labels[k] = v, v
	}
	r := &runRevision{name: fmt.Sprintf("%s-%05d", name, len(svc.revisions)+1), labels: labels,
		Handler: c.open(flags["function"], string(unit), filepath.Join(flags["source"], bundle.ModelFolder))}
	if c.ail != nil {
		c.ail(r)
	}
	svc.revisions = append(svc.revisions, r)
	if flags["tag"] != "" {
		svc.tagAs(flags["tag"], r.name)
	}
	return c.described(svc), nil
}
