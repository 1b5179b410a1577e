// Package batchtest is a small cloud for tests of what starts and follows runs: local storage and ledger, a Vertex that does
// as it is told, one clock that the test moves, and a released model.
package batchtest

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	aiplatform "cloud.google.com/go/aiplatform/apiv1"
	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"cloud.google.com/go/firestore"
	"cloud.google.com/go/storage"
	"google.golang.org/grpc"

	"github.com/millrace-ml/millrace/internal/ledgertest"
	"github.com/millrace-ml/millrace/internal/localcloud/chaos"
	localrecords "github.com/millrace-ml/millrace/internal/localcloud/firestore"
	localstorage "github.com/millrace-ml/millrace/internal/localcloud/storage"
	"github.com/millrace-ml/millrace/pipelines/batchscore"
	"github.com/millrace-ml/millrace/shared/batch"
	"github.com/millrace-ml/millrace/shared/cloud"
	"github.com/millrace-ml/millrace/shared/manifest"
	"github.com/millrace-ml/millrace/shared/pipeline"
)

// The buckets of the cloud.
const (
	Inbox     = "millrace-inbox"
	Outbox    = "millrace-outbox"
	Staging   = "millrace-staging"
	Artifacts = "millrace-artifacts"
)

// Model is the manifest of the model that every cloud has released: uploads below rides/, a nightly schedule.
const Model = `name: rides
version: "7"
serve: [batch]
artifact: {path: model.ubj, format: xgboost, sha256: "0000000000000000000000000000000000000000000000000000000000000000"}
inputs: [{name: x, type: number}]
features: [x]
outputs: [{name: y}]
batch:
  uploads: {prefix: rides/}
  time_limit: 2h
  schedules:
    - {name: nightly, cron: "15 2 * * *", zone: America/New_York, dataset: "scheduled/rides/{date}.csv"}
`

// Clock is what servers and code of a cloud take for the time. It runs on by itself.
type Clock struct{ ahead atomic.Int64 }

// Now is the cloud's time.
func (c *Clock) Now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// Advance moves the clock forward.
func (c *Clock) Advance(d time.Duration) { c.ahead.Add(int64(d)) }

// SetTo moves the clock to an instant, which must not be in its past.
func (c *Clock) SetTo(at time.Time) { c.ahead.Store(int64(time.Until(at))) }

// Cloud is one test's cloud.
type Cloud struct {
	Clock     *Clock
	Faults    *chaos.Switch // of the servers
	Vertex    *Vertex
	Storage   *storage.Client
	Records   *firestore.Client
	Pipelines *aiplatform.PipelineClient

	endpoints cloud.Endpoints
	logs      syncBuffer
}

// Project, Region and Database of the cloud.
const (
	Project  = "test-project"
	Region   = "europe-west1"
	Database = "(default)"
)

// New starts the servers, opens the clients, makes the buckets and releases Model. Everything ends with the test.
func New(t testing.TB) *Cloud {
	t.Helper()
	c := &Cloud{Clock: new(Clock), Faults: new(chaos.Switch), Vertex: NewVertex()}
	// Noon, hours from every tick of the schedule: at another time of day a test that moves the clock would meet one.
	c.Clock.SetTo(time.Date(2026, time.June, 1, 12, 0, 0, 0, time.UTC))
	db := ledgertest.DB(t)
	records := ledgertest.Records(t, db, localrecords.Options{Now: c.Clock.Now})
	address := ledgertest.Serve(t, func(r grpc.ServiceRegistrar) {
		records.Register(r)
		aiplatformpb.RegisterPipelineServiceServer(r, c.Vertex)
	}, grpc.UnaryInterceptor(c.Faults.UnaryInterceptor), grpc.StreamInterceptor(c.Faults.StreamInterceptor))

	objects, err := localstorage.Open(db, t.TempDir(), localstorage.Options{Now: c.Clock.Now, NoSync: true, Chaos: c.Faults})
	check(t, err)
	web := httptest.NewServer(objects.Handler())
	t.Cleanup(func() { web.Close(); _ = objects.Close() })
	for _, b := range []string{Inbox, Outbox, Staging, Artifacts} {
		check(t, objects.CreateBucket(b))
	}
	c.endpoints = cloud.Endpoints{Storage: strings.TrimPrefix(web.URL, "http://"), Firestore: address, Vertex: address}
	c.open(t)
	c.Release(t, Model)
	return c
}

func (c *Cloud) open(t testing.TB) {
	t.Helper()
	var err error
	ctx := context.Background() // the clients outlive the test's own context, whose end comes before the cleanups
	c.Storage, err = cloud.Storage(ctx, c.endpoints)
	check(t, err)
	c.Records, err = cloud.Firestore(ctx, c.endpoints, Project, Database)
	check(t, err)
	c.Pipelines, err = cloud.Pipelines(ctx, c.endpoints, Region)
	check(t, err)
	t.Cleanup(func() { _ = c.Storage.Close(); _ = c.Records.Close(); _ = c.Pipelines.Close() })
}

// Release releases a model of this manifest as of the clock's time.
func (c *Cloud) Release(t testing.TB, text string) *pipeline.Release {
	t.Helper()
	r, err := pipeline.Publish(t.Context(), c.Storage, Artifacts, c.Input(t, text))
	check(t, err)
	return r
}

// Propose writes a candidate of this manifest.
func (c *Cloud) Propose(t testing.TB, text string) (uri string, candidate *pipeline.Release) {
	t.Helper()
	uri, candidate, err := pipeline.Propose(t.Context(), c.Storage, Artifacts, c.Input(t, text))
	check(t, err)
	return uri, candidate
}

// Input is a release of this manifest before it is written.
func (c *Cloud) Input(t testing.TB, text string) pipeline.PublishInput {
	t.Helper()
	m, err := manifest.Parse("model.yaml", []byte(text))
	check(t, err)
	spec, err := batchscore.Build(m, "step:test")
	check(t, err)
	yaml, err := pipeline.Encode(spec)
	check(t, err)
	return pipeline.PublishInput{
		Folder: fs.FS(fstest.MapFS{"model.yaml": {Data: []byte(text)}}), Manifest: m, Spec: yaml, Image: "step:test", Now: c.Clock.Now(),
	}
}

// Config is the cloud's places as package batch takes them.
func (c *Cloud) Config() batch.Config {
	return batch.Config{
		Project: Project, Region: Region, Database: Database, ServiceAccount: "runner@test-project.iam.gserviceaccount.com",
		Inbox: Inbox, Outbox: Outbox, Staging: Staging, Artifacts: Artifacts,
	}
}

// Getenv is the cloud's environment for a function's Open, with changes: "" unsets.
func (c *Cloud) Getenv(changes map[string]string) func(string) string {
	env := map[string]string{
		"GOOGLE_CLOUD_PROJECT": Project, "REGION": Region, "PIPELINE_SERVICE_ACCOUNT": c.Config().ServiceAccount,
		"INBOX_BUCKET": Inbox, "OUTBOX_BUCKET": Outbox, "STAGING_BUCKET": Staging, "ARTIFACTS_BUCKET": Artifacts,
		"STORAGE_EMULATOR_HOST": c.endpoints.Storage, "FIRESTORE_EMULATOR_HOST": c.endpoints.Firestore, "VERTEX_ENDPOINT": c.endpoints.Vertex,
	}
	for k, v := range changes {
		env[k] = v
	}
	return func(k string) string { return env[k] }
}

// Batch is the domain over this cloud, quick to try again, on the cloud's clock unless o.Now says otherwise.
func (c *Cloud) Batch(t testing.TB, o batch.Options) *batch.Batch {
	t.Helper()
	if o.Now == nil {
		o.Now = c.Clock.Now
	}
	o.Ledger.Now, o.Releases.Now = o.Now, o.Now
	if o.Ledger.Backoff == 0 {
		o.Ledger.Backoff = time.Millisecond
	}
	if o.DrainPause == 0 {
		o.DrainPause = -1
	}
	b, err := batch.New(c.Records, c.Storage, c.Pipelines, c.log, c.Config(), o)
	check(t, err)
	return b
}

func (c *Cloud) log(context.Context) *slog.Logger { return slog.New(slog.NewJSONHandler(&c.logs, nil)) }

// Logged gives the lines that were logged with this value of the key event.
func (c *Cloud) Logged(t testing.TB, event string) []map[string]any {
	t.Helper()
	var found []map[string]any
	for line := range strings.Lines(c.logs.String()) {
		var m map[string]any
		check(t, json.Unmarshal([]byte(line), &m))
		if m["event"] == event {
			found = append(found, m)
		}
	}
	return found
}

// syncBuffer is a buffer that several goroutines may write.
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

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
