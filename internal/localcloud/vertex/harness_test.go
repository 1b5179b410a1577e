package vertex_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	aiplatform "cloud.google.com/go/aiplatform/apiv1"
	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	bolt "go.etcd.io/bbolt"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/millrace-ml/millrace/internal/localcloud/vertex"
)

const (
	parent   = "projects/demo/locations/us-central1"
	stepRepo = "registry.example/millrace/step"
	deadline = 60 * time.Second
)

// stepBinary is testdata/step, built once.
var stepBinary string

func TestMain(m *testing.M) {
	if os.Getenv("VERTEX_TEST_SERVER") != "" {
		serve()
		return
	}
	os.Exit(build(m))
}

func build(m *testing.M) int {
	dir, err := os.MkdirTemp("", "vertex-step")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	stepBinary = filepath.Join(dir, "step")
	if out, err := exec.Command("go", "build", "-tags", "disable_grpc_modules", "-o", stepBinary, "./testdata/step").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the step: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

func stepImages(binary string) map[string]vertex.Image {
	return map[string]vertex.Image{stepRepo: {Binary: []string{binary}, Entrypoint: "/ko-app/step"}}
}

// cloud is a server and a real client of it.
type cloud struct {
	t      *testing.T
	dir    string
	server *vertex.Server
	client *aiplatform.PipelineClient
	conn   *grpc.ClientConn
	stop   func()
}

// open starts a server over dir and stops it when the test ends.
func open(t *testing.T, change func(*vertex.Options)) *cloud { return openAt(t, t.TempDir(), change) }

func openAt(t *testing.T, dir string, change func(*vertex.Options)) *cloud {
	t.Helper()
	o := vertex.Options{Images: stepImages(stepBinary), CPUs: 8, Log: slog.New(slog.DiscardHandler), ImageSetting: "--image"}
	if change != nil {
		change(&o)
	}
	db, err := bolt.Open(filepath.Join(dir, "db"), 0o600, &bolt.Options{Timeout: deadline, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	db.MaxBatchDelay = 2 * time.Millisecond
	s, err := vertex.Open(db, filepath.Join(dir, "tasks"), o)
	if err != nil {
		t.Fatal(errors.Join(err, db.Close()))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	s.Register(g)
	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }()
	c := dial(t, l.Addr().String())
	c.dir, c.server = dir, s
	stopped := false
	c.stop = func() {
		if stopped {
			return
		}
		stopped = true
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
		g.Stop()
		err := <-served
		if errors.Is(err, grpc.ErrServerStopped) { // stopped before it began
			err = nil
		}
		if err := errors.Join(err, db.Close()); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(c.stop)
	return c
}

// dial opens a real client of a server at addr.
func dial(t *testing.T, addr string) *cloud {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	client, err := aiplatform.NewPipelineClient(t.Context(), option.WithGRPCConn(conn))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return &cloud{t: t, client: client, conn: conn}
}

// create starts a job.
func (c *cloud) create(r *aiplatformpb.CreatePipelineJobRequest) *aiplatformpb.PipelineJob {
	c.t.Helper()
	job, err := c.client.CreatePipelineJob(c.t.Context(), r)
	if err != nil {
		c.t.Fatalf("CreatePipelineJob: %v", err)
	}
	return job
}

func (c *cloud) get(id string) *aiplatformpb.PipelineJob {
	c.t.Helper()
	job, err := c.client.GetPipelineJob(c.t.Context(), &aiplatformpb.GetPipelineJobRequest{Name: jobName(id)})
	if err != nil {
		c.t.Fatalf("GetPipelineJob: %v", err)
	}
	return job
}

// until polls a job until cond holds.
func (c *cloud) until(id, what string, cond func(*aiplatformpb.PipelineJob) bool) *aiplatformpb.PipelineJob {
	c.t.Helper()
	var job *aiplatformpb.PipelineJob
	poll(c.t, what, func() bool { job = c.get(id); return cond(job) }, func() string { return protojson.Format(job.JobDetail) })
	return job
}

// poll waits for cond.
func poll(t *testing.T, what string, cond func() bool, state func() string) {
	t.Helper()
	limit := time.Now().Add(deadline)
	tick := time.NewTicker(3 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		if time.Now().After(limit) {
			t.Fatalf("after %v still not: %s\n%s", deadline, what, state())
		}
		<-tick.C
	}
}

func ended(j *aiplatformpb.PipelineJob) bool {
	switch j.State {
	case aiplatformpb.PipelineState_PIPELINE_STATE_SUCCEEDED, aiplatformpb.PipelineState_PIPELINE_STATE_FAILED, aiplatformpb.PipelineState_PIPELINE_STATE_CANCELLED:
		return true
	}
	return false
}

// run creates a job and waits for its end.
func (c *cloud) run(r *aiplatformpb.CreatePipelineJobRequest) *aiplatformpb.PipelineJob {
	c.t.Helper()
	c.create(r)
	return c.until(r.PipelineJobId, "the job is finished", ended)
}

// details are the task details by unique name.
func details(j *aiplatformpb.PipelineJob) map[string]*aiplatformpb.PipelineTaskDetail {
	m := map[string]*aiplatformpb.PipelineTaskDetail{}
	for _, d := range j.GetJobDetail().GetTaskDetails() {
		m[d.TaskUniqueName] = d
	}
	return m
}

// states are the task states by unique name, in short.
func states(j *aiplatformpb.PipelineJob) map[string]string {
	m := map[string]string{}
	for name, d := range details(j) {
		m[name] = d.State.String()
	}
	return m
}

// history are the states that a task went through.
func history(d *aiplatformpb.PipelineTaskDetail) (all []string) {
	for _, s := range d.GetPipelineTaskStatus() {
		all = append(all, s.State.String())
	}
	return all
}

// output is an output parameter of a task as JSON-like Go values.
func output(t *testing.T, j *aiplatformpb.PipelineJob, task, key string) any {
	t.Helper()
	v := details(j)[task].GetExecution().GetMetadata().GetFields()["output:"+key]
	if v == nil {
		t.Fatalf("task %s has no output %s", task, key)
	}
	return v.AsInterface()
}

func wantState(t *testing.T, j *aiplatformpb.PipelineJob, want string) {
	t.Helper()
	if got := strings.TrimPrefix(j.State.String(), "PIPELINE_STATE_"); got != want {
		t.Fatalf("job state %s, want %s; error %v\n%s", got, want, j.Error, protojson.Format(j.JobDetail))
	}
}

func lines(t *testing.T, path string) []string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Fields(string(b))
}

func touch(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func replace(s, old, to string) string { return strings.ReplaceAll(s, old, to) }

// zombie says whether a process has ended and only waits for its parent, as it is seen on Linux.
func zombie(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return strings.HasPrefix(rest, "Z") || strings.HasPrefix(rest, "X")
}
