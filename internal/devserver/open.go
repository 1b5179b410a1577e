package devserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
	"google.golang.org/grpc"

	"github.com/millrace-ml/millrace/functions/batchtrigger"
	"github.com/millrace-ml/millrace/functions/onupload"
	"github.com/millrace-ml/millrace/internal/localcloud/events"
	"github.com/millrace-ml/millrace/internal/localcloud/firestore"
	"github.com/millrace-ml/millrace/internal/localcloud/scheduler"
	"github.com/millrace-ml/millrace/internal/localcloud/storage"
	"github.com/millrace-ml/millrace/internal/localcloud/vertex"
	"github.com/millrace-ml/millrace/shared/cloud"
	"github.com/millrace-ml/millrace/shared/entry"
	"github.com/millrace-ml/millrace/shared/ledger"
	"github.com/millrace-ml/millrace/shared/pipeline"
)

const (
	onUploadLimit = 10 * time.Second  // Pub/Sub's ack deadline as Terraform sets it
	triggerLimit  = 180 * time.Second // Cloud Scheduler's attempt deadline
	pushBackoff   = 2 * time.Second
	pushAttempts  = 10
)

// open brings up the local cloud's servers. Nothing listens yet, so steps that a killed server left can be ended first.
func (d *Server) open(ctx context.Context) error {
	var err error
	if d.imageDigest, err = digest(d.opts.Binary); err != nil {
		return fmt.Errorf("the step program: %w", err)
	}
	path := filepath.Join(d.opts.Data, "millrace.db")
	if d.db, err = bolt.Open(path, 0o600, &bolt.Options{Timeout: lockLimit}); err != nil {
		if errors.Is(err, berrors.ErrTimeout) {
			return fmt.Errorf("%s is in use: another make run works on this data folder; stop it, or choose another with DATA=FOLDER", path)
		}
		return fmt.Errorf("open %s: %w", path, err)
	}
	d.db.MaxBatchDelay = 2 * time.Millisecond // the best rate of small durable writes here
	tasks := filepath.Join(d.opts.Data, "vertex")
	if err := vertex.EndOrphans(d.db, tasks, d.log); err != nil {
		return err
	}
	if d.objects, err = storage.Open(d.db, filepath.Join(d.opts.Data, "storage"), storage.Options{Log: d.log, Chaos: d.opts.Chaos}); err != nil {
		return err
	}
	d.onClose(func(context.Context) error { return d.objects.Close() })
	for _, name := range []string{inboxBucket, outboxBucket, stagingBucket, artifactsBucket} {
		if err := d.objects.CreateBucket(name); err != nil {
			return err
		}
	}
	if err := d.objects.Notify(inboxBucket, uploadsTopic, ""); err != nil {
		return err
	}
	if d.documents, err = firestore.Open(d.db, firestore.Options{Indexes: ledger.Indexes()}); err != nil {
		return err
	}
	d.onClose(func(context.Context) error { return d.documents.Close() })
	if d.storage, err = cloud.Storage(ctx, cloud.Endpoints{Storage: d.addr[portStorage]}); err != nil {
		return err
	}
	d.onClose(func(context.Context) error { return d.storage.Close() })
	return d.openVertex(tasks)
}

func (d *Server) openVertex(dir string) (err error) {
	d.pipelines, err = vertex.Open(d.db, dir, vertex.Options{
		Images: map[string]vertex.Image{imageRepository: {Binary: []string{d.opts.Binary, "step"}, Entrypoint: imageEntrypoint}},
		Env:    d.stepEnv(), Storage: d.storage, Lint: pipeline.Lint, Log: d.log,
	})
	if err != nil {
		return err
	}
	d.onClose(d.pipelines.Close)
	options := []grpc.ServerOption{grpc.MaxRecvMsgSize(firestore.MaxMessage)}
	if d.opts.Chaos != nil {
		options = append(options, grpc.UnaryInterceptor(d.opts.Chaos.UnaryInterceptor), grpc.StreamInterceptor(d.opts.Chaos.StreamInterceptor))
	}
	d.grpc = grpc.NewServer(options...)
	d.documents.Register(d.grpc)
	d.pipelines.Register(d.grpc)
	d.onClose(func(context.Context) error { d.grpc.Stop(); return nil })
	return nil
}

// openFunctions opens onupload and batchtrigger and what calls them: push deliveries and the scheduler.
func (d *Server) openFunctions(ctx context.Context, upload, trigger net.Listener) error {
	env := d.functionEnv()
	maps.Copy(env, d.opts.Env)
	for _, f := range []struct {
		name  string
		open  entry.OpenFunc
		on    net.Listener
		limit time.Duration
	}{{"OnUpload", onupload.Open, upload, onUploadLimit}, {"BatchTrigger", batchtrigger.Open, trigger, triggerLimit}} {
		opened, err := f.open(ctx, lookup(env))
		if err != nil {
			return fmt.Errorf("open %s: %w", f.name, err)
		}
		if opened.Close != nil {
			d.onClose(opened.Close)
		}
		d.serve(f.on, entry.Serve(f.name, opened, entry.ServeOptions{Log: d.log, Project: project, Timeout: f.limit}))
	}
	var err error
	d.push, err = events.NewDeliverer(d.objects.Events(), events.Subscription{
		Name: "projects/" + project + "/subscriptions/onupload", Topic: uploadsTopic, URL: "http://" + d.addr[portOnUpload] + "/",
	}, events.Options{
		AckDeadline: onUploadLimit, MinBackoff: pushBackoff, MaxBackoff: time.Minute, MaxDeliveryAttempts: pushAttempts, Faults: d.opts.Faults, Log: d.log,
	})
	if err != nil {
		return err
	}
	d.jobs, err = scheduler.Open(d.db, scheduler.Options{Deadline: triggerLimit, Log: d.log})
	return err
}

// schedule gives the scheduler its jobs: the manifests' schedules, and drain each minute.
func (d *Server) schedule() {
	base := "http://" + d.addr[portBatchTrigger]
	jobs := []scheduler.Job{
		{Name: "drain", Cron: "* * * * *", URL: base + "/drain"},
	}
	for name, m := range d.models {
		if m.manifest == nil || m.manifest.Batch == nil {
			continue
		}
		for _, s := range m.manifest.Batch.Schedules {
			body, err := json.Marshal(map[string]string{"model": name, "schedule": s.Name})
			if err != nil {
				panic(err) // two strings
			}
			jobs = append(jobs, scheduler.Job{Name: name + "-" + s.Name, Cron: s.Cron, Zone: s.Zone, URL: base + "/ticks", Body: body})
		}
	}
	if err := d.jobs.Set(jobs); err != nil {
		d.log.Error("schedules: " + err.Error())
	}
}

// How often a laptop sweeps: soon after a start, so that what a killed process left is driven on as soon as its lease is over,
// then each minute. Deployed it is every five minutes.
const (
	sweepSoon, sweepSoonFor = 3 * time.Second, time.Minute
	sweepLater              = time.Minute
)

// sweep reconciles at the start and from then on.
func (d *Server) sweep(ctx context.Context) {
	for start := time.Now(); ; {
		if err := d.reconcile(ctx); err != nil && ctx.Err() == nil {
			d.log.Warn("reconcile: " + err.Error())
		}
		pause := sweepSoon
		if time.Since(start) > sweepSoonFor {
			pause = sweepLater
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

func (d *Server) reconcile(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, triggerLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+d.addr[portBatchTrigger]+"/reconcile", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("answer %s", resp.Status)
	}
	return nil
}
