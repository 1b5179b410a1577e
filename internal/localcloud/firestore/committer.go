package firestore

import (
	bolt "go.etcd.io/bbolt"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// committer puts all work that waits into one bbolt transaction and one fsync: what arrives while a batch is written is
// the next batch. Unlike bbolt's Batch it never delays a lone commit and never runs a function twice.
type committer struct {
	db      *bolt.DB
	settled func() // called after each batch, durable or not
	jobs    chan *job
	stop    chan struct{}
	stopped chan struct{}
}

// job is work inside a write transaction. An error of run means that the file cannot be written, and fails the whole
// batch; a refusal belongs into the caller's own variables.
type job struct {
	run  func(*bolt.Tx) error
	done chan error
}

// maxBatch bounds how long the first of a batch waits for the others' work.
const maxBatch = 256

var errStopping = status.Error(codes.Unavailable, "the local Firestore is stopping")

func newCommitter(db *bolt.DB, settled func()) *committer {
	c := &committer{db: db, settled: settled, jobs: make(chan *job), stop: make(chan struct{}), stopped: make(chan struct{})}
	go c.loop()
	return c
}

// do returns when run's effects are durable. It takes no context: once handed over the work is done in any case, and it
// is short.
func (c *committer) do(run func(*bolt.Tx) error) error {
	j := &job{run: run, done: make(chan error, 1)}
	select {
	case c.jobs <- j:
		return <-j.done
	case <-c.stop:
		return errStopping
	}
}

func (c *committer) loop() {
	defer close(c.stopped)
	for {
		select {
		case j := <-c.jobs:
			c.write(c.collect(j))
		case <-c.stop:
			return
		}
	}
}

func (c *committer) collect(first *job) []*job {
	batch := []*job{first}
	for len(batch) < maxBatch {
		select {
		case j := <-c.jobs:
			batch = append(batch, j)
		default:
			return batch
		}
	}
	return batch
}

func (c *committer) write(batch []*job) {
	err := c.db.Update(func(tx *bolt.Tx) error {
		for _, j := range batch {
			if err := j.run(tx); err != nil {
				return err
			}
		}
		return nil
	})
	c.settled()
	if err != nil {
		err = status.Errorf(codes.Internal, "write the data file: %v", err)
	}
	for _, j := range batch {
		j.done <- err
	}
}

// close waits for the batch that is being written.
func (c *committer) close() {
	close(c.stop)
	<-c.stopped
}
