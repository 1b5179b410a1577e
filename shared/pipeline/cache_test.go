package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	gcs "cloud.google.com/go/storage"
	"google.golang.org/grpc/codes"

	"github.com/millrace-ml/millrace/internal/localcloud/chaos"
	"github.com/millrace-ml/millrace/shared/fault"
)

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(time.Nanosecond) // so that no two readings are equal, as with a real one
	return c.t
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// cached is a cache over a bucket, with its clock, faults and log.
type cached struct {
	*Cache
	clock  *clock
	client *gcs.Client
	faults *chaos.Switch
	log    *bytes.Buffer
}

func newCached(t *testing.T) *cached {
	t.Helper()
	client, faults := bucket(t)
	c := &cached{clock: &clock{t: time.Unix(1e9, 0)}, client: client, faults: faults, log: &bytes.Buffer{}}
	var err error
	c.Cache, err = NewCache(client, artifacts, CacheOptions{Now: c.clock.now, Log: slog.New(slog.NewTextHandler(c.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *cached) lists() int {
	n := 0
	for _, name := range c.faults.Calls() {
		if name == "storage:objects.list" {
			n++
		}
	}
	return n
}

// down makes the next n lists fail for good; a 403 is not repeated by the client.
func (c *cached) down(n int) {
	for range n {
		c.faults.Arm(chaos.Fault{Match: "storage:objects.list", Code: codes.PermissionDenied})
	}
}

func models(list []Release) string {
	var names []string
	for _, r := range list {
		names = append(names, r.Model)
	}
	return strings.Join(names, " ")
}

func (c *cached) wantAll(t *testing.T, want string) {
	t.Helper()
	list, err := c.All(t.Context())
	if err != nil || models(list) != want {
		t.Errorf("All gives %q, %v, want %q", models(list), err, want)
	}
}

func TestCacheKeepsTheList(t *testing.T) {
	t.Parallel()
	c := newCached(t)
	publish(t, c.client, input(t, batchModel("tides", "")))
	c.faults.Reset()
	for range 5 {
		c.wantAll(t, "tides")
	}
	publish(t, c.client, input(t, batchModel("waves", "")))
	c.faults.Reset()
	c.clock.pass(29 * time.Second)
	c.wantAll(t, "tides")
	if n := c.lists(); n != 0 {
		t.Errorf("the list was read %d times within 30 s", n)
	}
	c.clock.pass(2 * time.Second)
	c.wantAll(t, "tides waves")
}

func TestCacheReadsAgainBeforeItSaysNo(t *testing.T) {
	t.Parallel()
	c := newCached(t)
	c.wantAll(t, "")
	publish(t, c.client, input(t, batchModel("tides", "tides/")))
	isTides := func(r *Release) bool { return r.Model == "tides" }
	if r, ok, err := c.Find(t.Context(), isTides); err != nil || !ok || r.Manifest.Batch.Uploads.Prefix != "tides/" {
		t.Errorf("got %v %v %v", r, ok, err)
	}
	if _, ok, err := c.Find(t.Context(), func(r *Release) bool { return r.Model == "waves" }); err != nil || ok {
		t.Errorf("got %v %v", ok, err)
	}
	c.down(1)
	if _, ok, err := c.Find(t.Context(), func(r *Release) bool { return r.Model == "waves" }); err == nil || ok {
		t.Error("said that there is no such model from an old list")
	}
}

func TestCacheKeepsTheLastGoodList(t *testing.T) {
	t.Parallel()
	c := newCached(t)
	c.down(1)
	if _, err := c.All(t.Context()); err == nil {
		t.Error("a list came from nowhere")
	}
	publish(t, c.client, input(t, batchModel("tides", "")))
	c.wantAll(t, "tides")
	c.clock.pass(time.Hour)
	c.down(2)
	c.wantAll(t, "tides")
	if !strings.Contains(c.log.String(), "the last ones are kept") {
		t.Errorf("the log is %s", c.log)
	}
	c.faults.Reset()
	c.wantAll(t, "tides")
	if n := c.lists(); n != 0 {
		t.Error("storage was asked again at once after it failed")
	}
	c.clock.pass(6 * time.Second)
	c.wantAll(t, "tides")
	if n := c.lists(); n != 1 {
		t.Errorf("storage was asked %d times later", n)
	}
}

func TestCacheOutlivesABrokenPointer(t *testing.T) {
	t.Parallel()
	c := newCached(t)
	publish(t, c.client, input(t, batchModel("tides", "")))
	put(t, c.client, "released/waves.json", "{")
	put(t, c.client, "released/notes.txt", "not a pointer")
	c.wantAll(t, "tides")
	list, err := Releases(t.Context(), c.client, artifacts)
	if models(list) != "tides" || fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "gs://artifacts/released/waves.json") {
		t.Errorf("got %q, %v", models(list), err)
	}
	put(t, c.client, "released/tides.json", `{"model": "rivers"}`)
	c.clock.pass(time.Minute)
	c.wantAll(t, "tides")
	if !strings.Contains(c.log.String(), `it names the model \"rivers\"`) {
		t.Errorf("the log is %s", c.log)
	}
	publish(t, c.client, input(t, batchModel("tides", ""))) // a broken pointer is replaced
	if list, _ := Releases(t.Context(), c.client, artifacts); models(list) != "tides" {
		t.Errorf("released are %q", models(list))
	}
}

func TestPointersOfNoUse(t *testing.T) {
	t.Parallel()
	client, _ := bucket(t)
	good := publish(t, client, input(t, batchModel("tides", "")))
	for name, change := range map[string]func(*Release){
		"no manifest":        func(r *Release) { r.Manifest = nil },
		"another's manifest": func(r *Release) { r.Manifest = batchModel("waves", "") },
		"no spec":            func(r *Release) { r.Spec = "" },
		"no digest":          func(r *Release) { r.FolderDigest = "" },
		"too large":          func(r *Release) { r.Commit = strings.Repeat("x", maxPointer) },
	} {
		r := *good
		change(&r)
		j, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		put(t, client, "released/tides.json", string(j))
		if list, err := Releases(t.Context(), client, artifacts); len(list) != 0 || fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: got %q, %v", name, models(list), err)
		}
	}
}

func TestCacheSharesReads(t *testing.T) {
	t.Parallel()
	c := newCached(t)
	publish(t, c.client, input(t, batchModel("tides", "")))
	c.faults.Reset()
	c.busy <- struct{}{} // hold everyone at the door
	var wg sync.WaitGroup
	asked := make(chan struct{}, 50)
	for range cap(asked) {
		wg.Go(func() {
			asked <- struct{}{}
			if list, err := c.Refresh(t.Context()); err != nil || models(list) != "tides" {
				t.Errorf("got %q, %v", models(list), err)
			}
		})
	}
	for range cap(asked) {
		<-asked
	}
	<-c.busy
	wg.Wait()
	if n := c.lists(); n >= cap(asked) {
		t.Errorf("50 callers at once read the list %d times", n)
	}
}

func TestCacheObeysItsCaller(t *testing.T) {
	t.Parallel()
	c := newCached(t)
	c.busy <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.All(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestNewCacheRefuses(t *testing.T) {
	t.Parallel()
	if _, err := NewCache(nil, artifacts, CacheOptions{}); err == nil {
		t.Error("accepted no client")
	}
	client, _ := bucket(t)
	if _, err := NewCache(client, "", CacheOptions{}); err == nil {
		t.Error("accepted no bucket")
	}
}
