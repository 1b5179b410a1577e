// Package vertex is Vertex AI Pipelines for one machine: google.cloud.aiplatform.v1.PipelineService over a bbolt file,
// for the real client. It executes the PipelineSpec that a job carries, with every container as a process of a binary
// that its image table names. Jobs and task states are on disk before they are told or acted on, so a server that was
// killed goes on where it stood.
//
// It is not for production, not a container runtime (there is no isolation between steps and the machine) and not a
// checker of specs: Options.Lint is.
package vertex

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"cloud.google.com/go/storage"
	"github.com/kubeflow/pipelines/api/v2alpha1/go/pipelinespec"
	bolt "go.etcd.io/bbolt"
	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc"
)

// Options of a Server. The zero value works for pipelines without containers.
type Options struct {
	// Images says which program stands for which container image. Its keys are repositories, without tag and digest.
	Images map[string]Image
	// ImageSetting names, for the error about an unknown image, the setting with which a user adds one.
	ImageSetting string
	// Env is given to every process: the addresses of the other servers. It wins over what a spec sets.
	Env map[string]string
	// Storage moves declared artifacts; without it a pipeline that has any fails with a message that says so.
	Storage *storage.Client
	// Lint refuses specs when a job is created; nil checks no more than execution needs.
	Lint func(*pipelinespec.PipelineSpec) error
	// Quota is how many jobs a minute may be created in one location; more get RESOURCE_EXHAUSTED. 0 is no limit.
	Quota int
	// CPUs bounds the sum of the cpuLimit of running processes; 0 is the machine's.
	CPUs float64
	// Grace is how long a process has between SIGTERM and SIGKILL; 0 is 10 s.
	Grace time.Duration
	// LogBytes caps the log of one attempt; 0 is 4 MiB.
	LogBytes int64
	Now      func() time.Time // nil is time.Now
	Log      *slog.Logger     // nil is slog.Default
}

// Server is the service. Its methods are safe for concurrent use.
type Server struct {
	aiplatformpb.UnimplementedPipelineServiceServer

	store   store
	dir     string // of task folders, absolute and without symbolic links
	o       Options
	cpus    *semaphore.Weighted
	cpuSize int64
	starter *starter
	exprs   *expressions
	files   *files
	quota   quota

	names   sync.RWMutex  // held for writing while a job and its folder are deleted, so that its id is not taken in between
	kill    chan struct{} // closed when Close's deadline has passed: processes get no more time
	mu      sync.Mutex
	closing bool
	runs    map[string]*handle
	wg      sync.WaitGroup
}

// handle reaches a job that is being executed.
type handle struct{ cancel context.CancelCauseFunc }

var (
	errClosing   = errors.New("the server is closing")
	errCancelled = errors.New("the job was cancelled")
)

// Open opens the service over db and the folder dir, in which tasks get their folders. It first ends the processes that
// an earlier server left (EndOrphans), then goes on with every unfinished job: so what Options.Env names must be bound by
// now, though it need not answer yet. db stays the caller's.
func Open(db *bolt.DB, dir string, o Options) (*Server, error) {
	if db == nil {
		return nil, errors.New("vertex: no database")
	}
	if err := checkImages(o.Images); err != nil {
		return nil, err
	}
	setDefaults(&o)
	if err := EndOrphans(db, dir, o.Log); err != nil {
		return nil, err
	}
	abs, err := folder(dir)
	if err != nil {
		return nil, err
	}
	exprs, err := newExpressions()
	if err != nil {
		return nil, err
	}
	size := max(milli(o.CPUs), 1)
	s := &Server{
		store: store{db}, dir: abs, o: o, cpus: semaphore.NewWeighted(size), cpuSize: size, starter: newStarter(),
		exprs: exprs, files: &files{client: o.Storage}, quota: quota{limit: o.Quota}, kill: make(chan struct{}),
		runs: map[string]*handle{},
	}
	left, err := s.store.unfinished()
	if err != nil {
		s.starter.close()
		return nil, err
	}
	for _, name := range left {
		s.launch(name)
	}
	return s, nil
}

func setDefaults(o *Options) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.CPUs <= 0 {
		o.CPUs = float64(runtime.NumCPU())
	}
	if o.Grace <= 0 {
		o.Grace = 10 * time.Second
	}
	if o.LogBytes <= 0 {
		o.LogBytes = 4 << 20
	}
	if o.ImageSetting == "" {
		o.ImageSetting = "vertex.Options.Images"
	}
}

// milli is a number of CPUs in thousandths, the unit of the semaphore.
func milli(cpus float64) int64 { return int64(math.Ceil(cpus * 1000)) }

// folder makes dir and names it without symbolic links: TMPDIR of every process lies below it, by which strays are known
// later, so it must read the same at every start.
func folder(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err == nil {
		err = os.MkdirAll(abs, 0o755)
	}
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	if err != nil {
		return "", fmt.Errorf("task folder %s: %w", dir, err)
	}
	return abs, nil
}

// Register adds the PipelineService and google.longrunning.Operations to a gRPC server.
func (s *Server) Register(r grpc.ServiceRegistrar) {
	aiplatformpb.RegisterPipelineServiceServer(r, s)
	longrunningpb.RegisterOperationsServer(r, operations{store: s.store})
}

// Close ends all processes (SIGTERM, and SIGKILL after the grace or when ctx ends) and waits for them. Their tasks stay
// RUNNING on disk and start again with the next Open.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		return nil
	}
	s.closing = true
	for _, h := range s.runs {
		h.cancel(errClosing)
	}
	s.mu.Unlock()

	done := make(chan struct{})
	go func() { s.wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		close(s.kill)
		<-done
	}
	s.starter.close()
	return nil
}

// launch executes a stored job until it is finished or the server closes.
func (s *Server) launch(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return
	}
	// The job outlives the request that created it: Close ends it.
	ctx, cancel := context.WithCancelCause(context.Background())
	h := &handle{cancel}
	s.runs[name] = h
	s.wg.Go(func() {
		defer func() {
			s.mu.Lock()
			if s.runs[name] == h { // and not a new job's whose name was free again
				delete(s.runs, name)
			}
			s.mu.Unlock()
			cancel(nil)
		}()
		s.execute(ctx, cancel, name)
	})
}

// open says whether new work is taken.
func (s *Server) open() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.closing
}

// stop cancels the context of a job that is being executed.
func (s *Server) stop(name string, cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.runs[name]; h != nil {
		h.cancel(cause)
	}
}
