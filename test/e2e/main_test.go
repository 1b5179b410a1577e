// Package e2e proves each promise of README.md on the whole system: the real functions, clients, pipeline and steps on
// the local cloud, in process and as built programs.
package e2e

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/storage"
	"google.golang.org/api/iterator"

	"github.com/millrace-ml/millrace/internal/devserver"
	"github.com/millrace-ml/millrace/shared/batch"
	"github.com/millrace-ml/millrace/shared/cloud"
	"github.com/millrace-ml/millrace/shared/entry"
	"github.com/millrace-ml/millrace/shared/ledger"
)

const (
	inbox, outbox = "millrace-inbox", "millrace-outbox"
	models        = "../../models"
	sampleFile    = "../../models/bike-demand/sample.csv"
	patience      = 2 * time.Minute // of any condition that a test waits for; machines that run tests are busy
)

// binary is the built millrace: steps run as processes of it, and it is what the kill tests kill.
var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "millrace-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "millrace")
	build := exec.Command("go", "build", "-tags", "disable_grpc_modules", "-o", binary, "../../cmd/millrace")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build millrace: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// system is a running local cloud with its addresses.
type system struct {
	console, storage, onupload, trigger string
	client                              *storage.Client
	data                                string
	stop                                func()
}

// start runs the whole system in this process until the test ends or stop is called. edit may change the options.
func start(t *testing.T, edit func(*devserver.Options)) *system {
	t.Helper()
	o := devserver.Options{
		Data: filepath.Join(t.TempDir(), "data"), Models: models, Binary: binary, Log: entry.NewLogger(&testLog{t: t}),
		Env: map[string]string{"SWEEP_MIN_AGE": "1ms", "LEASE": "1s", "LEASE_MARGIN": "1ms"},
	}
	if edit != nil {
		edit(&o)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan *devserver.Server, 1), make(chan error, 1)
	o.Ready = func(s *devserver.Server) { ready <- s }
	go func() { done <- devserver.Run(ctx, o) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	select {
	case s := <-ready:
		t.Cleanup(stop)
		return connect(t, o.Data, s.Addr("console"), s.Addr("storage"), s.Addr("onupload"), s.Addr("batchtrigger"), stop)
	case err := <-done:
		cancel()
		t.Fatalf("start: %v", err)
		return nil
	}
}

func connect(t *testing.T, data, console, objects, onupload, trigger string, stop func()) *system {
	t.Helper()
	client, err := cloud.Storage(context.Background(), cloud.Endpoints{Storage: objects})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() }) // connections to a server that is gone
	return &system{
		console: "http://" + console, storage: "http://" + objects, onupload: "http://" + onupload, trigger: "http://" + trigger,
		client: client, data: data, stop: stop,
	}
}

// testLog gives the system's log to the test, which shows it when it fails.
type testLog struct {
	t  *testing.T
	mu sync.Mutex
}

func (l *testLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.t.Context().Err() == nil { // a log after the end of its test would panic
		l.t.Log(strings.TrimSpace(string(p)))
	}
	return len(p), nil
}

// upload writes an object and gives its attributes.
func (s *system) upload(t *testing.T, bucket, name string, content []byte) *storage.ObjectAttrs {
	t.Helper()
	w := s.client.Bucket(bucket).Object(name).NewWriter(t.Context())
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return w.Attrs()
}

// read gives an object of the outbox.
func (s *system) read(t *testing.T, name string) []byte {
	t.Helper()
	r, err := s.client.Bucket(outbox).Object(name).NewReader(t.Context())
	if err != nil {
		t.Fatalf("read %s: %v", name, err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// list names the objects below a prefix of the outbox.
func (s *system) list(t *testing.T, prefix string) []string {
	t.Helper()
	var names []string
	for it := s.client.Bucket(outbox).Objects(t.Context(), &storage.Query{Prefix: prefix}); ; {
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

// ask makes one HTTP call; v, if not nil, takes a JSON answer.
func ask(t *testing.T, method, url string, body []byte, header http.Header, v any) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, h := range header {
		req.Header[k] = h
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if v != nil {
		if err := json.Unmarshal(b, v); err != nil {
			t.Fatalf("%s %s: %d %s: %v", method, url, resp.StatusCode, b, err)
		}
	}
	return resp.StatusCode, string(b)
}

// runs lists all runs.
func (s *system) runs(t *testing.T) []*ledger.Run {
	t.Helper()
	var page struct{ Runs []*ledger.Run }
	if status, body := ask(t, http.MethodGet, s.trigger+"/runs?limit=100", nil, nil, &page); status != http.StatusOK {
		t.Fatalf("list runs: %d %s", status, body)
	}
	return page.Runs
}

// eventually polls until the condition gives "", and fails with what it says when patience ends.
func eventually(t *testing.T, condition func() string) {
	t.Helper()
	deadline := time.After(patience)
	for {
		why := condition()
		if why == "" {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("after %v: %s", patience, why)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// settled waits until there are n runs, all final, and gives them by object name (or schedule).
func (s *system) settled(t *testing.T, n int) map[string]*ledger.Run {
	t.Helper()
	found := map[string]*ledger.Run{}
	eventually(t, func() string {
		clear(found)
		runs := s.runs(t)
		for _, r := range runs {
			if !r.State.Final() {
				return fmt.Sprintf("run %s is %s", r.ID, r.State)
			}
			found[r.Dataset.Object+r.Dataset.Prefix] = r
		}
		if len(runs) != n {
			return fmt.Sprintf("there are %d runs, want %d", len(runs), n)
		}
		return ""
	})
	return found
}

// published checks that a run's output is whole and adds up, and gives its _SUCCESS.json.
func (s *system) published(t *testing.T, r *ledger.Run, rows, rejected int64) batch.Success {
	t.Helper()
	if r.State != ledger.Succeeded {
		t.Fatalf("run %s is %s: %s", r.ID, r.State, r.Reason)
	}
	var ok batch.Success
	if err := json.Unmarshal(s.read(t, batch.SuccessObject(r.Model, r.ID)), &ok); err != nil {
		t.Fatal(err)
	}
	if ok.Rows != rows || ok.Rejected != rejected || ok.Scored+ok.Rejected != ok.Rows {
		t.Errorf("run %s: %d rows = %d scored + %d rejected, want %d rows, %d rejected", r.ID, ok.Rows, ok.Scored, ok.Rejected, rows, rejected)
	}
	predictions := int64(0)
	for _, o := range ok.Objects {
		content := s.read(t, o.Name)
		if int64(len(content)) != o.Size {
			t.Errorf("%s has %d bytes, _SUCCESS.json says %d", o.Name, len(content), o.Size)
		}
		if base := filepath.Base(o.Name); strings.HasPrefix(base, "predictions-") {
			records, err := csv.NewReader(bytes.NewReader(content)).ReadAll()
			if err != nil {
				t.Errorf("%s: %v", o.Name, err)
			}
			predictions += int64(len(records) - 1)
		}
	}
	if predictions != ok.Scored {
		t.Errorf("run %s: %d predictions, %d rows scored", r.ID, predictions, ok.Scored)
	}
	return ok
}

func sample(t *testing.T) []byte {
	t.Helper()
	b, err := os.ReadFile(sampleFile)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
