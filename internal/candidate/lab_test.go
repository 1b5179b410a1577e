package candidate

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"cloud.google.com/go/storage"
	"google.golang.org/api/iterator"

	"github.com/millrace-ml/millrace/functions/batchtrigger"
	"github.com/millrace-ml/millrace/internal/batchtest"
	"github.com/millrace-ml/millrace/pipelines/batchscore"
	"github.com/millrace-ml/millrace/pipelines/batchscore/step"
	"github.com/millrace-ml/millrace/shared/entry"
	"github.com/millrace-ml/millrace/shared/manifest"
	"github.com/millrace-ml/millrace/shared/pipeline"
)

const (
	models = "../../models"
	model  = "stump"
	unit   = "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	image  = "registry.example/step@sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
)

// lab is a small cloud with the real batchtrigger, whose Vertex runs the real steps, in this process.
type lab struct {
	*batchtest.Cloud
	url string
	log syncLog

	mu   sync.Mutex
	work func(l *lab, id string) error // instead of the steps
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{Cloud: batchtest.New(t), work: (*lab).steps}
	f, err := batchtrigger.Open(t.Context(), l.Getenv(map[string]string{"OPERATORS": "*", "LEASE": "1s", "LEASE_MARGIN": "1ms"}))
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(entry.Serve("BatchTrigger", f, entry.ServeOptions{Log: slog.New(slog.DiscardHandler)}))
	l.url = s.URL
	ctx, cancel := context.WithCancel(t.Context())
	var worker sync.WaitGroup
	worker.Go(func() { l.execute(ctx, t) })
	t.Cleanup(func() {
		cancel()
		worker.Wait()
		s.Close()
		if err := f.Close(context.Background()); err != nil { // the test's own context has ended
			t.Error(err)
		}
		if t.Failed() {
			t.Log(l.log.String())
		}
	})
	return l
}

// execute does what Vertex does with a job, one after the other.
func (l *lab) execute(ctx context.Context, t *testing.T) {
	done := 0
	for tick := time.NewTicker(2 * time.Millisecond); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
		jobs := l.Vertex.Jobs()
		for ; done < len(jobs); done++ {
			l.mu.Lock()
			work := l.work
			l.mu.Unlock()
			if err := work(l, jobs[done]); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		}
	}
}

// with sets what happens to jobs.
func (l *lab) with(work func(l *lab, id string) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.work = work
}

// steps runs the plan task, which does all of a small dataset, and the exit task.
func (l *lab) steps(id string) error {
	state := "SUCCEEDED"
	if l.step(id, batchscore.StepPlan, nil) != 0 {
		state = "FAILED"
	}
	l.end(id, state)
	return nil
}

// end closes a run as the exit task of its pipeline does.
func (l *lab) end(id, state string) {
	l.step(id, batchscore.StepFinish, map[string]any{batchscore.ParamStatus: map[string]any{"state": state, "error": map[string]any{"message": "as the test says"}}})
}

// step runs one subcommand of the step container with the parameters of a job.
func (l *lab) step(id, name string, more map[string]any) int {
	params := map[string]any{}
	for k, v := range l.Vertex.Job(id).GetRuntimeConfig().GetParameterValues() {
		params[k] = v.AsInterface()
	}
	for k, v := range more {
		params[k] = v
	}
	in, err := json.Marshal(map[string]any{"inputs": map[string]any{"parameterValues": params}})
	if err != nil {
		panic(err) // decoded values
	}
	return step.Main(context.Background(), []string{name, batchscore.FlagExecutorInput, string(in)}, l.Getenv(nil), &l.log)
}

// syncLog collects what several goroutines write.
type syncLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncLog) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncLog) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// stump is a model folder of one tree: 10.5 below five, else 20, which the output rules cut to 15.
func stump() fstest.MapFS {
	artifact := `{"version":[2,1,1],"learner":{"attributes":{},"feature_names":["x"],"feature_types":["float"],"gradient_booster":{"name":"gbtree","model":{` +
		`"gbtree_model_param":{"num_parallel_tree":"1","num_trees":"1"},"tree_info":[0],"iteration_indptr":[0,1],"trees":[{"base_weights":[0,0,0],"categories":[],` +
		`"categories_nodes":[],"categories_segments":[],"categories_sizes":[],"default_left":[0,0,0],"id":0,"left_children":[1,-1,-1],"right_children":[2,-1,-1],` +
		`"parents":[2147483647,0,0],"loss_changes":[1,0,0],"split_conditions":[5,10.5,20],"split_indices":[0,0,0],"split_type":[0,0,0],` +
		`"sum_hessian":[2,1,1],"tree_param":{"num_deleted":"0","num_feature":"1","num_nodes":"3","size_leaf_vector":"1"}}]}},` +
		`"learner_model_param":{"base_score":"0E0","boost_from_average":"1","num_class":"0","num_feature":"1","num_target":"1"},` +
		`"objective":{"name":"reg:squarederror","reg_loss_param":{"scale_pos_weight":"1"}}}}`
	folder := fstest.MapFS{}
	for name, text := range map[string]string{
		"artifact/model.json": artifact,
		"model.yaml": fmt.Sprintf("name: stump\nversion: \"1\"\nserve: [batch]\nartifact: {path: artifact/model.json, format: xgboost, sha256: %x}\n"+
			"inputs: [{name: x, type: number, nullable: true}]\nfeatures: [x]\noutputs: [{name: y, max: 15}]\nid_columns: [ticket]\nbatch: {uploads: {prefix: stump/}}\n",
			sha256.Sum256([]byte(artifact))),
		"parity.jsonl": "{\"instance\":{\"x\":1},\"prediction\":10.5}\n\n{\"instance\":{\"x\":9},\"prediction\":20}\n{\"instance\":{\"x\":null},\"prediction\":20}\n",
	} {
		folder[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	}
	return folder
}

// release is a model folder as it would be released.
func release(t testing.TB, folder fs.FS) *pipeline.PublishInput {
	t.Helper()
	m, err := manifest.Load(folder, manifest.File)
	if err != nil {
		t.Fatal(err)
	}
	spec, err := batchscore.Build(m, image)
	if err != nil {
		t.Fatal(err)
	}
	text, err := pipeline.Encode(spec)
	if err != nil {
		t.Fatal(err)
	}
	return &pipeline.PublishInput{
		Folder: folder, Manifest: m, Spec: text, Image: image, Commit: "c0ffee",
		Now: time.Date(2026, time.June, 1, 12, 0, 0, 0, time.UTC),
	}
}

// options try the stump in the lab.
func (l *lab) options(t testing.TB) Options {
	t.Helper()
	return Options{
		In: release(t, stump()), Storage: l.Storage, Artifacts: batchtest.Artifacts, Staging: batchtest.Staging, Trigger: l.url, Unit: unit,
		HTTP: &http.Client{Transport: &http.Transport{}}, Deadline: time.Minute, Poll: 5 * time.Millisecond, Log: &l.log,
	}
}

func (l *lab) try(t *testing.T) *Result {
	t.Helper()
	r, err := Try(t.Context(), l.options(t))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// names are the objects of a bucket below a prefix.
func (l *lab) names(t *testing.T, bucket, prefix string) []string {
	t.Helper()
	var names []string
	for it := l.Storage.Bucket(bucket).Objects(t.Context(), &storage.Query{Prefix: prefix}); ; {
		a, err := it.Next()
		if errors.Is(err, iterator.Done) {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, a.Name)
	}
}

// untouched checks that production is as it was: no pointer but that of the lab's own model, nothing in the outbox.
func (l *lab) untouched(t *testing.T) {
	t.Helper()
	if got := l.names(t, batchtest.Artifacts, "released/"); len(got) != 1 {
		t.Errorf("the pointer moved: %q", got)
	}
	if got := l.names(t, batchtest.Outbox, ""); len(got) != 0 {
		t.Errorf("the outbox holds %q", got)
	}
}

func (l *lab) get(ctx context.Context, bucket, name string) ([]byte, error) {
	r, err := l.Storage.Bucket(bucket).Object(name).NewReader(ctx)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func (l *lab) put(ctx context.Context, bucket, name string, data []byte) error {
	w := l.Storage.Bucket(bucket).Object(name).NewWriter(ctx)
	if _, err := w.Write(data); err != nil {
		return err
	}
	return w.Close()
}

const jobSucceeded = aiplatformpb.PipelineState_PIPELINE_STATE_SUCCEEDED
