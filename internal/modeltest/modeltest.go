// Package modeltest tests model folders as they will be used: each is opened, its parity rows are asked for over HTTP, its
// sample.csv is dropped into the inbox and must come back scored. One local cloud serves all of them.
package modeltest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace-ml/millrace/internal/devserver"
	"github.com/millrace-ml/millrace/internal/folder"
	"github.com/millrace-ml/millrace/shared/entry"
	"github.com/millrace-ml/millrace/shared/ledger"
	"github.com/millrace-ml/millrace/shared/manifest"
)

// patience is how long a run may take: machines that run tests are busy.
const patience = 2 * time.Minute

// Binary is the millrace program whose `step` runs the pipelines: the one that MILLRACE_BINARY names, else it is built into
// dir. root is the repository's.
func Binary(dir, root string) (string, error) {
	if b := os.Getenv("MILLRACE_BINARY"); b != "" {
		return filepath.Abs(b)
	}
	b := filepath.Join(dir, "millrace")
	build := exec.Command("go", "build", "-tags", "disable_grpc_modules", "-o", b, "./cmd/millrace") //nolint:noctx // from TestMain, whose own time limit ends it
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build millrace: %w\n%s", err, out)
	}
	return b, nil
}

// Server is a local cloud over a folder of models.
type Server struct{ console, storage, trigger, models string }

// Start serves the models until the test ends.
func Start(t *testing.T, models, binary string) *Server {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, done := make(chan *devserver.Server, 1), make(chan error, 1)
	log := &buffer{}
	o := devserver.Options{
		Data: filepath.Join(t.TempDir(), "data"), Models: models, Binary: binary, Log: entry.NewLogger(log),
		Ready: func(s *devserver.Server) { ready <- s },
	}
	go func() { done <- devserver.Run(ctx, o) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("stop: %v", err)
		}
		if t.Failed() {
			t.Log(log.String())
		}
	})
	select {
	case s := <-ready:
		return &Server{"http://" + s.Addr("console"), "http://" + s.Addr("storage"), "http://" + s.Addr("batchtrigger"), models}
	case err := <-done:
		done <- nil // for the cleanup
		t.Fatalf("start: %v", err)
		return nil
	}
}

// buffer keeps the log until somebody needs it.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Test tests one model folder in all the ways it is served.
func (s *Server) Test(t *testing.T, name string) {
	t.Helper()
	model, err := folder.Check(s.models, name)
	if err != nil {
		t.Fatal(err)
	}
	m := model.Manifest()
	if err := folder.CheckNeighbours(s.models, m); err != nil {
		t.Error(err)
	}
	if m.Serves(manifest.ServeRealtime) {
		s.askAll(t, name)
	}
	if m.Serves(manifest.ServeBatch) {
		s.scoreSample(t, m)
	}
}

// askAll compares the answers over HTTP with the folder's own, whose parity rows have just been proven.
func (s *Server) askAll(t *testing.T, name string) {
	t.Helper()
	r, err := folder.Diff{Models: s.models, Model: name, URL: s.console}.Run(t.Context())
	if err != nil {
		t.Errorf("predict: %v", err)
		return
	}
	if r.Rows == 0 || r.Differ != 0 || r.Refused != 0 {
		t.Errorf("predict: of %d parity rows, %d are answered otherwise than the folder says and %d are refused: %+v", r.Rows+r.Refused, r.Differ, r.Refused, r.Largest)
	}
	t.Logf("%s: %d parity rows answered over HTTP as recorded", name, r.Rows)
}

// scoreSample uploads sample.csv and follows its run.
func (s *Server) scoreSample(t *testing.T, m *manifest.Manifest) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(s.models, m.Name, "sample.csv"))
	if err != nil || m.Batch.Uploads == nil {
		t.Logf("%s: skipped: batch, which needs a sample.csv and batch.uploads", m.Name)
		return
	}
	object := m.Batch.Uploads.Prefix + "sample.csv"
	s.call(t, http.MethodPost, s.storage+"/upload/storage/v1/b/millrace-inbox/o?uploadType=media&name="+url.QueryEscape(object), content, nil)
	var page struct{ Runs []*ledger.Run }
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		s.call(t, http.MethodGet, s.trigger+"/runs?model="+m.Name, nil, &page)
		if len(page.Runs) > 0 && page.Runs[0].State.Final() {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: after %v the upload has no finished run: %+v", m.Name, patience, page.Runs)
		}
	}
	r := page.Runs[0]
	c := r.Counts
	if len(page.Runs) != 1 || r.State != ledger.Succeeded || c.Rows == 0 || c.Scored == 0 || c.Rows != c.Scored+c.Rejected {
		t.Errorf("%s: %d runs, the first is %s (%s): %d rows = %d scored + %d rejected", m.Name, len(page.Runs), r.State, r.Reason, c.Rows, c.Scored, c.Rejected)
	}
	t.Logf("%s: sample.csv has %d rows, %d scored, %d rejected", m.Name, c.Rows, c.Scored, c.Rejected)
}

// Gone waits until the server answers for a model no longer.
func (s *Server) Gone(t *testing.T, name string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.console+"/v1/models/"+name, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is still served after its folder went", name)
		}
	}
}

func (s *Server) call(t *testing.T, method, target string, body []byte, v any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, target, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d: %s", resp.StatusCode, strings.TrimSpace(string(answer)))
	}
	if err == nil && v != nil {
		err = json.Unmarshal(answer, v)
	}
	if err != nil {
		t.Fatalf("%s %s: %v", method, target, err)
	}
}
