package step_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	gcs "cloud.google.com/go/storage"
	bolt "go.etcd.io/bbolt"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"

	"github.com/millrace-ml/millrace/internal/localcloud/chaos"
	"github.com/millrace-ml/millrace/internal/localcloud/storage"
	"github.com/millrace-ml/millrace/pipelines/batchscore"
	"github.com/millrace-ml/millrace/pipelines/batchscore/step"
	"github.com/millrace-ml/millrace/shared/batch"
	"github.com/millrace-ml/millrace/shared/pipeline"
)

// world is a Cloud Storage with the four buckets, and one model in it.
type world struct {
	url    string
	client *gcs.Client
	chaos  *chaos.Switch
	folder string // gs:// URI
	digest string
}

const (
	inbox, staging, outbox, artifacts = "millrace-inbox", "millrace-staging", "millrace-outbox", "millrace-artifacts"

	model = "bike-demand"
	runID = "bike-demand-20120801-0123456789abcdef0123"
)

func newWorld(t testing.TB, folder fstest.MapFS) *world {
	t.Helper()
	dir := t.TempDir()
	db, err := bolt.Open(filepath.Join(dir, "cloud.db"), 0o600, &bolt.Options{Timeout: 10 * time.Second, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	db.MaxBatchDelay = 2 * time.Millisecond
	w := &world{chaos: &chaos.Switch{}}
	server, err := storage.Open(db, dir, storage.Options{NoSync: true, Chaos: w.chaos})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(server.Handler())
	w.url = h.URL
	w.client, err = gcs.NewClient(t.Context(), option.WithEndpoint(h.URL+"/storage/v1/"), option.WithoutAuthentication())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		h.Close()
		if err := errors.Join(w.client.Close(), server.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	for _, b := range []string{inbox, staging, outbox, artifacts} {
		if err := w.client.Bucket(b).Create(t.Context(), "local", nil); err != nil {
			t.Fatal(err)
		}
	}
	w.release(t, folder)
	return w
}

// release puts a model folder where the steps fetch it from.
func (w *world) release(t testing.TB, folder fstest.MapFS) {
	t.Helper()
	tar, digest, err := pipeline.Tar(folder)
	if err != nil {
		t.Fatal(err)
	}
	name := "models/" + model + "/" + strings.TrimPrefix(digest, "sha256:") + ".tar"
	w.put(t, artifacts, name, string(tar))
	w.folder, w.digest = "gs://"+artifacts+"/"+name, digest
}

// put writes an object and answers its generation.
func (w *world) put(t testing.TB, bucket, name, text string) int64 {
	t.Helper()
	out := w.client.Bucket(bucket).Object(name).NewWriter(t.Context())
	if _, err := io.WriteString(out, text); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Attrs().Generation
}

// get reads an object, "" and false if it is not there.
func (w *world) get(t testing.TB, bucket, name string) (string, bool) {
	t.Helper()
	r, err := w.client.Bucket(bucket).Object(name).NewReader(t.Context())
	if errors.Is(err, gcs.ErrObjectNotExist) {
		return "", false
	}
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(data), true
}

func (w *world) remove(t testing.TB, bucket, name string) {
	t.Helper()
	if err := w.client.Bucket(bucket).Object(name).Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// list names the objects below a prefix, without it.
func (w *world) list(t testing.TB, bucket, prefix string) []string {
	t.Helper()
	it := w.client.Bucket(bucket).Objects(t.Context(), &gcs.Query{Prefix: prefix})
	var names []string
	for {
		o, err := it.Next()
		if errors.Is(err, iterator.Done) {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, strings.TrimPrefix(o.Name, prefix))
	}
}

// result is what a step left behind.
type result struct {
	code    int
	log     string
	outputs map[string]json.RawMessage
}

// run calls a step as its container is called.
func (w *world) run(t testing.TB, name string, more map[string]any) result {
	t.Helper()
	r, err := w.call(t.Context(), t.TempDir(), name, more)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (w *world) call(ctx context.Context, dir, name string, more map[string]any) (result, error) {
	params := map[string]any{
		batchscore.ParamRunID: runID, batchscore.ParamModel: model, batchscore.ParamStaging: staging, batchscore.ParamOutbox: outbox,
		batchscore.ParamModelURI: w.folder, batchscore.ParamModelDigest: w.digest,
		batchscore.ParamSpecDigest: "sha256:5bec", batchscore.ParamImage: "steps@sha256:1", batchscore.ParamCommit: "c0ffee",
	}
	for k, v := range more {
		params[k] = v
	}
	outputFile := filepath.Join(dir, "not", "there", "executor_output.json")
	files := map[string]any{}
	for _, p := range []string{batchscore.OutMode, batchscore.OutShards, batchscore.OutCount, batchscore.OutHeader} {
		files[p] = map[string]string{"outputFile": filepath.Join(dir, "single", p, "value")}
	}
	in, err := json.Marshal(map[string]any{
		"inputs":  map[string]any{"parameterValues": params},
		"outputs": map[string]any{"parameters": files, "outputFile": outputFile},
	})
	if err != nil {
		return result{}, err
	}
	env := map[string]string{"STORAGE_EMULATOR_HOST": strings.TrimPrefix(w.url, "http://")}
	var log bytes.Buffer
	r := result{code: step.Main(ctx, []string{name, batchscore.FlagExecutorInput, string(in)}, func(k string) string { return env[k] }, &log)}
	r.log = log.String()
	data, err := os.ReadFile(outputFile)
	if r.code != 0 {
		return r, nil
	}
	if err != nil {
		return r, fmt.Errorf("the step left no output: %w", err)
	}
	var out struct{ ParameterValues map[string]json.RawMessage }
	err = json.Unmarshal(data, &out)
	r.outputs = out.ParameterValues
	return r, err
}

func (r result) ok(t testing.TB) result {
	t.Helper()
	if r.code != 0 {
		t.Fatalf("the step ended with %d:\n%s", r.code, r.log)
	}
	return r
}

func (r result) text(t testing.TB, name string) string {
	t.Helper()
	var s string
	if err := json.Unmarshal(r.outputs[name], &s); err != nil {
		t.Fatalf("output %s is %s", name, r.outputs[name])
	}
	return s
}

func object(name string, generation int64) map[string]any {
	return map[string]any{batchscore.ParamDataset: batch.Dataset{Bucket: inbox, Object: name, Generation: generation}}
}

// whole runs the tasks of the graph in order and answers plan's mode.
func (w *world) whole(t testing.TB, dataset map[string]any) string {
	t.Helper()
	planned := w.run(t, batchscore.StepPlan, dataset).ok(t)
	mode := planned.text(t, batchscore.OutMode)
	if mode == batchscore.ModeDone {
		return mode
	}
	var shards []json.RawMessage
	if err := json.Unmarshal(planned.outputs[batchscore.OutShards], &shards); err != nil {
		t.Fatal(err)
	}
	for i := range shards { // from the last to the first: their order must not matter
		w.run(t, batchscore.StepScore, map[string]any{
			batchscore.ParamShard: shards[len(shards)-1-i], batchscore.ParamHeader: planned.outputs[batchscore.OutHeader]}).ok(t)
	}
	w.run(t, batchscore.StepPublish, map[string]any{batchscore.ParamCount: len(shards)}).ok(t)
	return mode
}

// bikes is the example model, with lines put below "batch:" of its manifest.
func bikes(t testing.TB, lines ...string) fstest.MapFS {
	t.Helper()
	dir := filepath.Join("..", "..", "..", "models", model)
	folder := fstest.MapFS{}
	for _, name := range []string{"model.yaml", "parity.jsonl", "artifact/model.ubj"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		folder[name] = &fstest.MapFile{Data: data, Mode: 0o644}
	}
	yaml := string(folder["model.yaml"].Data)
	for _, line := range lines {
		key, _, _ := strings.Cut(line, ":")
		var kept []string
		for l := range strings.Lines(yaml) {
			if !strings.HasPrefix(l, "  "+key+":") {
				kept = append(kept, l)
			}
		}
		yaml = strings.Replace(strings.Join(kept, ""), "\nbatch:\n", "\nbatch:\n  "+line+"\n", 1)
	}
	folder["model.yaml"].Data = []byte(yaml)
	return folder
}

// sample is the example's rows: real ones, 2012.
func sample(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "..", "models", model, "sample.csv"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
