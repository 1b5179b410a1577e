package deploy

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gcs "cloud.google.com/go/storage"
	bolt "go.etcd.io/bbolt"

	"github.com/millrace-ml/millrace/internal/bundle"
	"github.com/millrace-ml/millrace/internal/change"
	"github.com/millrace-ml/millrace/internal/localcloud/storage"
	"github.com/millrace-ml/millrace/shared/cloud"
	"github.com/millrace-ml/millrace/shared/pipeline"
)

var gcloudBinary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "millrace-gcloud-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	gcloudBinary = filepath.Join(dir, "gcloud")
	if out, err := exec.Command("go", "build", "-o", gcloudBinary, "./testdata/gcloud").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// project is a project on Google Cloud with a build folder beside it.
type project struct {
	*cloudRun
	dir     string
	client  *gcs.Client
	records change.Store
	build   *change.Build
	metrics *metrics
	log     syncBuffer
	tried   []string // batch releases
	tryErr  error
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func newProject(t *testing.T) *project {
	t.Helper()
	p := &project{cloudRun: newCloudRun(t), dir: t.TempDir(), metrics: newMetrics(t)}
	dir := t.TempDir()
	db, err := bolt.Open(filepath.Join(dir, "cloud.db"), 0o600, &bolt.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	db.MaxBatchDelay = time.Millisecond
	s, err := storage.Open(db, dir, storage.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CreateBucket("shop-artifacts"); err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s.Handler())
	if p.client, err = cloud.Storage(t.Context(), cloud.Endpoints{Storage: strings.TrimPrefix(h.URL, "http://")}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.client.Close()
		h.Close()
		s.Close()
		db.Close()
	})
	if p.records, err = change.NewBucket(p.client, "shop-artifacts"); err != nil {
		t.Fatal(err)
	}
	p.build = &change.Build{Commit: "1111111111111111111111111111111111111111", Committed: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Branch: "main"}
	return p
}

// options are a deployment's, with all that a test need not wait for.
func (p *project) options() Options {
	return Options{
		Project: "shop", Region: "europe-west1", Build: p.build, Dir: p.dir, Models: filepath.Join(p.dir, "models"), Out: &p.log,
		Watch: time.Millisecond, Gcloud: gcloudBinary, Env: append(os.Environ(), "PLAYED_GCLOUD="+p.url+"/gcloud"),
		Artifacts: "shop-artifacts", Storage: p.client, Records: p.records, Holder: "this build", Monitoring: p.metrics.address,
		Token:    func(_ context.Context, audience string) (string, error) { return "token for " + audience, nil },
		Patience: 300 * time.Millisecond, Wait: time.Minute, Lease: 8 * time.Second, Now: time.Now,
		Try: func(_ context.Context, in *pipeline.PublishInput, trigger, hash string) error {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.tried = append(p.tried, fmt.Sprintf("%s at %s", in.Manifest.Name, trigger))
			return p.tryErr
		},
	}
}

// deploy runs a deployment of the changes and gives its error; units that failed count.
func (p *project) deploy(ctx context.Context, units ...change.Change) error {
	o := p.options()
	build := *p.build
	build.Units = units
	o.Build = &build
	out, err := Run(ctx, o)
	if err != nil {
		return err
	}
	return Failed(out)
}

// tiny is a model whose predictions are 10 and 20, times the factor.
func tiny(factor float64, more string) map[string]string {
	leaf := func(v float64) string { return fmt.Sprint(float32(v * factor)) }
	artifact := `{"version":[2,1,1],"learner":{"attributes":{},"feature_names":["x"],"feature_types":["float"],"gradient_booster":{"name":"gbtree","model":{` +
		`"gbtree_model_param":{"num_parallel_tree":"1","num_trees":"1"},"tree_info":[0],"iteration_indptr":[0,1],"trees":[{"base_weights":[0,0,0],"categories":[],` +
		`"categories_nodes":[],"categories_segments":[],"categories_sizes":[],"default_left":[0,0,0],"id":0,"left_children":[1,-1,-1],"right_children":[2,-1,-1],` +
		`"parents":[2147483647,0,0],"loss_changes":[1,0,0],"split_conditions":[5,` + leaf(10) + `,` + leaf(20) + `],"split_indices":[0,0,0],"split_type":[0,0,0],` +
		`"sum_hessian":[2,1,1],"tree_param":{"num_deleted":"0","num_feature":"1","num_nodes":"3","size_leaf_vector":"1"}}]}},` +
		`"learner_model_param":{"base_score":"0E0","boost_from_average":"1","num_class":"0","num_feature":"1","num_target":"1"},` +
		`"objective":{"name":"reg:squarederror","reg_loss_param":{"scale_pos_weight":"1"}}}}`
	return map[string]string{
		"artifact/model.json": artifact,
		"model.yaml": fmt.Sprintf("name: tiny\nversion: \"1\"\nserve: [realtime, batch]\nartifact: {path: artifact/model.json, format: xgboost, sha256: %x}\n"+
			"inputs: [{name: x, type: number}]\nfeatures: [x]\noutputs: [{name: y}]\nrealtime: {}\nbatch: {uploads: {prefix: tiny/}}\n%s", sha256.Sum256([]byte(artifact)), more),
		"parity.jsonl": fmt.Sprintf("{\"instance\":{\"x\":1},\"prediction\":%s}\n{\"instance\":{\"x\":9},\"prediction\":%s}\n", leaf(10), leaf(20)),
	}
}

func lay(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// bundle leaves the bundle of a unit, as make bundle does, and gives the change that it is of.
func (p *project) bundle(t *testing.T, unit string, model map[string]string) change.Change {
	t.Helper()
	return bundleIn(t, p.dir, unit, model)
}

func bundleIn(t *testing.T, dir, unit string, model map[string]string) change.Change {
	t.Helper()
	var text []string
	for name, data := range model {
		text = append(text, name+data)
	}
	slices.Sort(text)
	hash := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(unit+strings.Join(text, "\n"))))
	dir = filepath.Join(dir, bundleFolder, unit)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	lay(t, dir, map[string]string{bundle.UnitFile: hash})
	lay(t, filepath.Join(dir, bundle.ModelFolder), model)
	return change.Change{Unit: unit, Action: change.Deploy, Hash: hash, Parts: map[string]string{"model": hash}}
}

// state is what counts of the project: for each service its units with traffic and its tags, and the records.
func (p *project) state(t *testing.T) string {
	t.Helper()
	records, err := p.records.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[string][]string{}
	for name, s := range p.services {
		for _, target := range s.traffic {
			out[name] = append(out[name], fmt.Sprintf("%s %d%% %s", s.revision(target.Revision).labels[unitLabel], target.Percent, target.Tag))
		}
		slices.Sort(out[name])
	}
	for _, r := range records {
		out["record of "+r.Unit] = []string{r.Hash}
	}
	text, err := json.MarshalIndent(out, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// truth holds that the record of the unit says what serves, if anything but the placeholder does.
func (p *project) truth(t *testing.T, unit, service string) {
	t.Helper()
	r, err := p.records.Read(t.Context(), unit)
	if err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.services[service]
	var serving []string
	for _, target := range s.traffic {
		if target.Percent > 0 {
			serving = append(serving, s.revision(target.Revision).labels[unitLabel])
		}
	}
	want := ""
	if r != nil {
		want = label(r.Hash)
	}
	if len(serving) != 1 || serving[0] != want {
		t.Errorf("%s: units %q serve, recorded is %q", unit, serving, want)
	}
}

// metrics plays Cloud Monitoring.
type metrics struct {
	address string
	mu      sync.Mutex
	of      func(revision string) sample // nil: none has a request
	asked   int
	down    bool
}

func newMetrics(t *testing.T) *metrics {
	m := &metrics{}
	s := httptest.NewServer(http.HandlerFunc(m.serve))
	t.Cleanup(s.Close)
	m.address = strings.TrimPrefix(s.URL, "http://")
	return m
}

func (m *metrics) serve(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked++
	q := r.URL.Query()
	filter := q.Get("filter")
	if r.URL.Path != "/v3/projects/shop/timeSeries" || m.down {
		http.Error(w, `{"error":{"code":403,"message":"not allowed"}}`, http.StatusForbidden)
		return
	}
	_, revision, _ := strings.Cut(filter, `revision_name = "`)
	var s sample
	if m.of != nil {
		s = m.of(strings.TrimSuffix(revision, `"`))
	}
	series := func(class, value string) string {
		return `{"metric":{"labels":{"response_code_class":"` + class + `"}},"points":[{"value":{` + value + `}}]}`
	}
	body := `{"timeSeries":[` + series("2xx", fmt.Sprintf(`"int64Value":"%d"`, s.requests-s.errors)) + `,` + series("5xx", fmt.Sprintf(`"int64Value":"%d"`, s.errors)) + `]}`
	if strings.Contains(filter, "request_latencies") {
		body = `{"timeSeries":[` + series("", fmt.Sprintf(`"doubleValue":%g`, s.latency.Seconds()*1000)) + `]}`
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, body)
}
