// Package devserver is `millrace dev`: the three functions and every model on a local cloud, in one process over one data
// folder. It adds no way of working of its own: what is dropped, ticked or asked for goes through the same functions,
// pipeline and clients as on Google Cloud. It is for one person's machine, not for a network: loopback only.
package devserver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	gcs "cloud.google.com/go/storage"
	bolt "go.etcd.io/bbolt"
	"google.golang.org/grpc"

	"github.com/millrace-ml/millrace/internal/localcloud/chaos"
	"github.com/millrace-ml/millrace/internal/localcloud/events"
	"github.com/millrace-ml/millrace/internal/localcloud/firestore"
	"github.com/millrace-ml/millrace/internal/localcloud/scheduler"
	"github.com/millrace-ml/millrace/internal/localcloud/storage"
	"github.com/millrace-ml/millrace/internal/localcloud/vertex"
)

// The local cloud's one project.
const (
	project         = "millrace-local"
	region          = "us-central1"
	inboxBucket     = "millrace-inbox"
	outboxBucket    = "millrace-outbox"
	stagingBucket   = "millrace-staging"
	artifactsBucket = "millrace-artifacts"
	uploadsTopic    = "projects/" + project + "/topics/uploads"
)

const (
	headerLimit = 5 * time.Second
	idleLimit   = 60 * time.Second
	stopLimit   = 15 * time.Second
	lockLimit   = 500 * time.Millisecond
)

// Options say where things are. Everything but Log and Chaos is required.
type Options struct {
	Port   int               // the console's; the others count from it; 0 takes free ports
	Data   string            // the data folder
	Models string            // the folder with one folder per model
	Binary string            // the millrace program: its `step` runs as the step container
	Log    *slog.Logger      // slog.Default()
	Ready  func(*Server)     // called once everything answers
	Env    map[string]string // settings of onupload and batchtrigger beyond the addresses, such as LEASE
	Faults events.Faults     // of the push deliveries, for tests
	Chaos  *chaos.Switch     // faults of the servers, for tests
}

// Server is a running local cloud with its functions.
type Server struct {
	opts        Options
	log         *slog.Logger
	db          *bolt.DB
	imageDigest string
	addr        map[int]string // by port offset
	storage     *gcs.Client
	objects     *storage.Server
	documents   *firestore.Server
	pipelines   *vertex.Server
	jobs        *scheduler.Scheduler
	push        *events.Deliverer
	grpc        *grpc.Server
	models      map[string]*model // owned by the watcher
	view        atomic.Pointer[[]modelView]

	mu      sync.Mutex
	slots   map[string]*slot
	servers []*http.Server
	closers []func(context.Context) error
	tasks   sync.WaitGroup
	stop    context.CancelCauseFunc
}

// Run serves until ctx ends, and then stops in order. An error of any part stops all.
func Run(ctx context.Context, o Options) error {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	d := &Server{opts: o, log: o.Log, addr: map[int]string{}, models: map[string]*model{}, slots: map[string]*slot{}, stop: cancel}
	err := d.start(ctx)
	if err == nil {
		if o.Ready != nil {
			o.Ready(d)
		}
		<-ctx.Done()
		if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
			err = cause
		}
	}
	cancel(nil)
	// The caller's context has ended; stopping needs a time of its own.
	limit, done := context.WithTimeout(context.WithoutCancel(ctx), stopLimit)
	defer done()
	return errors.Join(err, d.close(limit))
}

// Addr is host:port of one of the fixed ports, by what it serves: console, storage, grpc, onupload, batchtrigger.
func (d *Server) Addr(what string) string {
	return d.addr[map[string]int{"console": portConsole, "storage": portStorage, "grpc": portGRPC, "onupload": portOnUpload, "batchtrigger": portBatchTrigger}[what]]
}

func (d *Server) start(ctx context.Context) error {
	if _, err := modelNames(d.opts.Models); err != nil { // later it may come and go
		return fmt.Errorf("%w; expected a folder with one folder per model, such as models/ of the checkout", err)
	}
	if err := os.MkdirAll(filepath.Join(d.opts.Data, inboxFolder), 0o755); err != nil {
		return err
	}
	listeners := make([]net.Listener, portBatchTrigger+1)
	for offset := range listeners {
		l, err := listen(d.opts.Port, offset)
		if err != nil {
			closeAll(listeners)
			return err
		}
		listeners[offset], d.addr[offset] = l, l.Addr().String()
	}
	if err := d.open(ctx); err != nil {
		closeAll(listeners)
		return err
	}
	d.tasks.Go(func() { d.report("serve gRPC", d.grpc.Serve(listeners[portGRPC])) })
	d.serve(listeners[portStorage], d.objects.Handler())
	if err := d.openFunctions(ctx, listeners[portOnUpload], listeners[portBatchTrigger]); err != nil {
		closeAll([]net.Listener{listeners[portConsole]})
		return err
	}
	d.lookAtModels(ctx, true)
	d.serve(listeners[portConsole], d.console())
	if err := d.writeEnv(); err != nil {
		return err
	}
	d.tasks.Go(func() { d.watchModels(ctx) })
	inbox := &folder{root: filepath.Join(d.opts.Data, inboxFolder), bucket: d.storage.Bucket(inboxBucket), log: d.log, seen: map[string]look{}}
	d.tasks.Go(func() { inbox.run(ctx) })
	d.tasks.Go(func() { d.report("deliver events", d.push.Run(ctx)) })
	d.tasks.Go(func() { d.report("scheduler", d.jobs.Run(ctx)) })
	d.tasks.Go(func() { d.sweep(ctx) })
	return nil
}

// report ends everything when a part ends on its own.
func (d *Server) report(what string, err error) {
	if err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, grpc.ErrServerStopped) && !errors.Is(err, context.Canceled) {
		d.stop(fmt.Errorf("%s: %w", what, err))
	}
}

// onClose keeps what to close; the last opened is closed first.
func (d *Server) onClose(f func(context.Context) error) { d.closers = append(d.closers, f) }

func (d *Server) close(ctx context.Context) error {
	d.mu.Lock()
	servers := d.servers
	d.mu.Unlock()
	var errs []error
	for _, s := range servers {
		if err := s.Shutdown(ctx); err != nil {
			errs = append(errs, s.Close())
		}
	}
	for i := len(d.closers) - 1; i >= 0; i-- {
		errs = append(errs, d.closers[i](ctx))
	}
	d.tasks.Wait()
	if d.db != nil {
		errs = append(errs, d.db.Close())
	}
	return errors.Join(errs...)
}

// digest is the sha256 of a file, as an image's digest is written.
func digest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}
