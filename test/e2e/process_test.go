package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/millrace-ml/millrace/internal/bundle"
	"github.com/millrace-ml/millrace/internal/devserver"
	"github.com/millrace-ml/millrace/internal/localcloud/events"
	"github.com/millrace-ml/millrace/shared/ledger"
)

// process is a running program of the project.
type process struct {
	cmd  *exec.Cmd
	out  lines
	done chan struct{} // closed when it has ended
	err  error         // how, valid after done
}

// lines collects output.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// launch starts a program; the test's end kills it.
func launch(t *testing.T, dir string, env []string, name string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(name, args...), done: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env = dir, append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.err = p.cmd.Wait(); close(p.done) }()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended
		<-p.done
		if t.Failed() {
			t.Logf("%s:\n%s", filepath.Base(name), p.out.String())
		}
	})
	return p
}

// ended waits for the end.
func (p *process) ended(t *testing.T, limit time.Duration) {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(limit):
		t.Fatalf("the process has not ended after %v", limit)
	}
}

// fast are the settings that let a test see a takeover in seconds.
var fast = []string{"LEASE=1s", "LEASE_MARGIN=1ms", "SWEEP_MIN_AGE=1ms"}

// dev starts `millrace dev` on a data folder; it may be killed by its fault before it is ready.
func dev(t *testing.T, data, models string, env ...string) *process {
	t.Helper()
	return launch(t, "", append(env, fast...), binary, "dev", "--port", "0", "--data", data, "--models", models)
}

// ready waits until the process answers and connects to it.
func (p *process) ready(t *testing.T, data string) *system {
	t.Helper()
	eventually(t, func() string {
		select {
		case <-p.done:
			t.Fatalf("the process ended before it was ready: %v", p.err)
		default:
		}
		if !strings.Contains(p.out.String(), "Millrace is ready") {
			return "not ready"
		}
		return ""
	})
	return connected(t, data)
}

// connected gives the system whose addresses a data folder holds.
func connected(t *testing.T, data string) *system {
	t.Helper()
	env, err := devserver.ReadEnv(data)
	if err != nil {
		t.Fatal(err)
	}
	bare := func(k string) string { return strings.TrimPrefix(env[k], "http://") }
	return connect(t, data, bare("MILLRACE_CONSOLE"), bare("STORAGE_EMULATOR_HOST"), "", bare("MILLRACE_URL"), nil)
}

// sharded is a copy of the models whose runs have several shards even of a small file.
func sharded(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "models")
	if err := os.CopyFS(dir, os.DirFS(models)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "bike-demand", "model.yaml")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, "  small_dataset: 1KiB\n  shard_size: 1MiB\n"...)
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// big is a file of n rows, every thousandth of which is rejected, made of the sample's.
func big(t *testing.T, n int) []byte {
	t.Helper()
	rows := strings.SplitAfter(string(sample(t)), "\n")
	var b strings.Builder
	b.WriteString(rows[0])
	for i := range n {
		row := rows[1+i%240]
		_, rest, _ := strings.Cut(row, ",")
		if i%1000 == 7 {
			rest = strings.Replace(rest, "/2012", "/none", 1)
		}
		fmt.Fprintf(&b, "%d,%s", i+1, rest)
	}
	return []byte(b.String())
}

// A process that dies by kill -9 at any of these calls is started again; one run comes out, whole.
func TestKill(t *testing.T) {
	t.Parallel()
	const rows = 40000 // three shards
	content := big(t, rows)
	dir := sharded(t)
	for name, fault := range map[string]string{
		"before the record":                     "match=firestore:Commit,n=1,when=before",
		"after the record":                      "match=firestore:Commit,n=1,when=after",
		"after the claim":                       "match=firestore:Commit,n=2,when=after",
		"after the job id is written":           "match=firestore:Commit,n=3,when=after",
		"before the submission":                 "match=vertex:CreatePipelineJob,n=1,when=before",
		"after the submission":                  "match=vertex:CreatePipelineJob,n=1,when=after",
		"after submitted is written":            "match=firestore:Commit,n=4,when=after",
		"while planning":                        "match=storage:objects.media,n=3,when=after",
		"while scoring":                         "match=storage:objects.media,n=8,when=before",
		"while publishing, before the 1st copy": "match=storage:objects.rewrite,n=1,when=before",
		"while publishing, after the 2nd copy":  "match=storage:objects.rewrite,n=2,when=after",
		"while finishing":                       "match=firestore:Commit,n=5,when=before",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := filepath.Join(t.TempDir(), "data")
			file := filepath.Join(data, "inbox", "bike-demand", "k.csv")
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, content, 0o644); err != nil {
				t.Fatal(err)
			}
			first := dev(t, data, dir, "MILLRACE_CHAOS="+fault+",action=kill")
			first.ended(t, patience)
			if status, ok := first.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
				t.Fatalf("the first process ended by %v, want its fault's SIGKILL", first.cmd.ProcessState)
			}
			s := dev(t, data, dir).ready(t, data)
			run := s.settled(t, 1)["bike-demand/k.csv"]
			s.published(t, run, rows, rows/1000)
			if names := s.list(t, "bike-demand/"); len(names) != 3+3 {
				t.Errorf("the outbox holds %q, want three shards, rejected rows, summary and _SUCCESS.json", names)
			}
		})
	}
}

// stage builds a function as the buildpack does, once per test run.
func stage(t *testing.T, f bundle.Function, model string) (dir, bin string) {
	t.Helper()
	root := t.TempDir()
	repo, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if err := bundle.Stage(ctx, repo, f, model, filepath.Join(root, "stage")); err != nil {
		t.Fatal(err)
	}
	bin, err = bundle.Build(ctx, filepath.Join(root, "stage"), filepath.Join(root, "app"))
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Dir(bin), bin
}

// freePort finds one that nobody listens on now.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// function starts a built function and waits until it listens.
func function(t *testing.T, dir, bin, target string, env ...string) (*process, string) {
	t.Helper()
	port := freePort(t)
	p := launch(t, dir, append(env, "FUNCTION_TARGET="+target, "HOST=127.0.0.1", "PORT="+port), bin)
	eventually(t, func() string {
		select {
		case <-p.done:
			t.Fatalf("%s ended before it listened: %v\n%s", target, p.err, p.out.String())
		default:
		}
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			return err.Error()
		}
		conn.Close()
		return ""
	})
	return p, "http://127.0.0.1:" + port
}

// The functions as the buildpack builds them do what the ones in process do.
func TestBuiltFunctions(t *testing.T) {
	t.Parallel()
	s := start(t, func(o *devserver.Options) { o.Faults = events.Faults{Drop: true} })
	values, err := devserver.ReadEnv(s.data)
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"PIPELINE_SERVICE_ACCOUNT=pipelines@example.iam.gserviceaccount.com", "OPERATORS=*", "CLOUD_RUN_TIMEOUT_SECONDS=60"}
	for k, v := range values {
		env = append(env, k+"="+v)
	}
	dir, bin := stage(t, bundle.OnUpload, "")
	_, upload := function(t, dir, bin, bundle.OnUpload.Target, env...)
	a := s.upload(t, inbox, "bike-demand/built.csv", sample(t))
	untilTaken(t, upload+"/projects/p/topics/t", push(t, a, "1"), http.Header{"Content-Type": {"application/json"}})

	dir, bin = stage(t, bundle.BatchTrigger, "")
	_, trigger := function(t, dir, bin, bundle.BatchTrigger.Target, env...)
	s.upload(t, inbox, "scheduled/bike-demand/2012-08-10.csv", sample(t))
	untilTaken(t, trigger+"/runs", []byte(`{"model":"bike-demand","schedule":"nightly","at":"2012-08-10T12:00:00Z"}`),
		http.Header{"Content-Type": {"application/json"}, "Idempotency-Key": {"k"}})
	for name, r := range s.settled(t, 2) {
		s.published(t, r, 240, 0)
		if name == "bike-demand/built.csv" && r.Kind != ledger.Upload {
			t.Errorf("%s is of kind %s", name, r.Kind)
		}
	}
}

// A bad setting or a wrong parity row ends the process before the port listens.
func TestABuiltFunctionThatCannotServeDoesNotStart(t *testing.T) {
	t.Parallel()
	dir, bin := stage(t, bundle.Predict, "")
	p := launch(t, dir, []string{"FUNCTION_TARGET=Predict", "HOST=127.0.0.1", "PORT=" + freePort(t)}, bin)
	p.ended(t, 30*time.Second)
	if code := p.cmd.ProcessState.ExitCode(); code != 1 || strings.Count(p.out.String(), "\n") != 1 || !strings.Contains(p.out.String(), "model.yaml") {
		t.Errorf("exit code %d, output %q, want 1 and one line that names the missing file", code, p.out.String())
	}
}

const terminations = 200

// No answer is lost when a predict function is told to leave while it works.
func TestSIGTERMUnderLoad(t *testing.T) {
	t.Parallel()
	dir, bin := stage(t, bundle.Predict, filepath.Join(models, "bike-demand"))
	next := make(chan int)
	var lost, answered atomic.Int64
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for range next {
				terminateUnderLoad(t, dir, bin, &answered, &lost)
			}
		})
	}
	for i := range terminations {
		if t.Failed() {
			break
		}
		next <- i
	}
	close(next)
	workers.Wait()
	t.Logf("%d answers in %d terminations, %d lost", answered.Load(), terminations, lost.Load())
	if lost.Load() > 0 {
		t.Errorf("%d answers were lost", lost.Load())
	}
}

// terminateUnderLoad starts a function, sends SIGTERM while clients are waiting for answers, and counts those that are lost.
// A client stops when an answer says Connection: close, as Cloud Run's router does.
func terminateUnderLoad(t *testing.T, dir, bin string, answered, lost *atomic.Int64) {
	port := freePort(t)
	cmd := exec.Command(bin)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "FUNCTION_TARGET=Predict", "HOST=127.0.0.1", "PORT="+port)
	if err := cmd.Start(); err != nil {
		t.Error(err)
		return
	}
	url := "http://127.0.0.1:" + port + "/v1/models/bike-demand:predict"
	body := `{"instances":[{"dteday":"1/1/2011","hr":0,"season":1,"holiday":false,"workingday":false,"weathersit":1,"temp":0.24,"atemp":0.2879,"hum":0.81,"windspeed":0}]}`
	transport := &http.Transport{MaxIdleConnsPerHost: 8}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
	warm := make(chan struct{}, 1)
	var count atomic.Int64
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			up := false
			for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
				resp, err := client.Post(url, "application/json", strings.NewReader(body))
				if err != nil {
					if !up && errors.Is(err, syscall.ECONNREFUSED) {
						time.Sleep(5 * time.Millisecond) // the function is starting
						continue
					}
					lost.Add(1)
					t.Logf("lost: %v", err)
					return
				}
				up = true
				var b bytes.Buffer
				_, err = b.ReadFrom(resp.Body)
				resp.Body.Close()
				if err != nil || resp.StatusCode != http.StatusOK || !strings.HasPrefix(b.String(), `{"predictions":[25.27`) {
					lost.Add(1)
					t.Logf("lost: %d %q %v", resp.StatusCode, b.String(), err)
					return
				}
				answered.Add(1)
				if count.Add(1) == 50 {
					warm <- struct{}{}
				}
				if resp.Close {
					return
				}
			}
		})
	}
	select {
	case <-warm:
	case <-time.After(patience):
		t.Error("the function did not answer")
	}
	began := time.Now()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	clients.Wait()
	err := cmd.Wait()
	if took := time.Since(began); err != nil || took > 10*time.Second {
		t.Errorf("the function ended with %v after %v, want exit code 0 within Cloud Run's 10 s", err, took)
	}
}
