// Package storage is a Cloud Storage server for one machine: the JSON API and the object reads that Google's own clients
// use, over one bbolt database and a folder of body files. It keeps what exactly-once work rests on: every precondition on
// every call, one generation per content, a write that exists whole or not at all after kill -9, and the finalise event in
// the transaction of its object.
//
// It is not a service for a network (loopback only, no credentials), and it gives up ACLs, IAM, signed URLs, the XML API
// beyond reads, HMAC keys, soft delete and old versions; each answers 501 by name.
package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/millrace-ml/millrace/internal/localcloud/chaos"
	"github.com/millrace-ml/millrace/internal/localcloud/events"
)

// The top-level buckets in the database. Their prefix keeps them apart from those of the servers that share it.
var (
	bucketsKey = []byte("storage.buckets") // name -> bucket
	objectsKey = []byte("storage.objects") // bucket, 0x00, name -> object
	bodiesKey  = []byte("storage.bodies")  // id -> 4 bytes of reference count, then the bytes of an inline body
	uploadsKey = []byte("storage.uploads") // id -> session of a resumable upload
	metaKey    = []byte("storage.meta")    // "generation" -> last generation given
)

// Options are the optional parts of a Server. The zero value works.
type Options struct {
	Now    func() time.Time // time.Now
	Log    *slog.Logger     // slog.Default(); only internal errors and what the start repaired
	NoSync bool             // body files are not fsynced; for tests that do not kill (the database has a switch of its own)
	Chaos  *chaos.Switch    // faults for tests; nil = none
	Idle   time.Duration    // how long a peer may pause inside a body before its connection is given up; 2 minutes
}

// Server is a running Cloud Storage over one database and one folder. Its Handler may be served on several listeners.
type Server struct {
	db     *bolt.DB
	bodies string
	queue  *events.Queue
	now    func() time.Time
	log    *slog.Logger
	noSync bool
	chaos  *chaos.Switch
	idle   time.Duration

	locks sessionLocks
	work  sync.WaitGroup
}

// Open prepares db and dir and removes what a killed process left behind. The caller keeps db and closes it after Close;
// db.MaxBatchDelay of 2 ms gives the best rate of small writes.
func Open(db *bolt.DB, dir string, o Options) (*Server, error) {
	if db == nil || dir == "" {
		return nil, errors.New("open storage: no database or no folder given")
	}
	queue, err := events.Open(db)
	if err != nil {
		return nil, fmt.Errorf("open storage: %w", err)
	}
	s := &Server{db: db, bodies: filepath.Join(dir, "bodies"), queue: queue, now: o.Now, log: o.Log, noSync: o.NoSync, chaos: o.Chaos, idle: o.Idle}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	if s.idle == 0 {
		s.idle = 2 * time.Minute
	}
	if err := os.MkdirAll(s.bodies, 0o755); err != nil {
		return nil, fmt.Errorf("open storage: %w", err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		for _, k := range [][]byte{bucketsKey, objectsKey, bodiesKey, uploadsKey, metaKey} {
			if _, err := tx.CreateBucketIfNotExists(k); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("open storage: %w", err)
	}
	if err := s.expireSessions(); err != nil {
		return nil, fmt.Errorf("open storage: %w", err)
	}
	if err := s.sweep(); err != nil {
		return nil, fmt.Errorf("open storage: %w", err)
	}
	return s, nil
}

// Events is the queue that finalise events are written to.
func (s *Server) Events() *events.Queue { return s.queue }

// Close waits for the requests in work. Stop the listeners first; the database stays open.
func (s *Server) Close() error {
	s.work.Wait()
	return nil
}

// sweep unlinks body files that no record names: what an upload wrote before it was killed, and what a commit replaced
// without coming to unlink it. It asks the database per file and never decodes an object.
func (s *Server) sweep() error {
	dir, err := os.Open(s.bodies)
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return err
	}
	var orphans []string
	err = s.db.View(func(tx *bolt.Tx) error {
		bodies := tx.Bucket(bodiesKey)
		for _, name := range names {
			if bodies.Get([]byte(name)) == nil {
				orphans = append(orphans, name)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, name := range orphans {
		if err := os.Remove(filepath.Join(s.bodies, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if len(orphans) > 0 {
		s.log.Info("removed bodies that a stopped process left", "count", len(orphans))
	}
	return nil
}

// CreateBucket makes a bucket, or leaves the one that is there as it is.
func (s *Server) CreateBucket(name string) error {
	err := s.commit(func(t *txn) error {
		_, err := t.insertBucket(bucket{Name: name})
		return err
	})
	if reasonOf(err) == reasonConflict {
		return nil
	}
	if err != nil {
		return fmt.Errorf("create bucket %q: %w", name, err)
	}
	return nil
}

// Notify makes finalised objects of a bucket events of a topic (projects/P/topics/T), as a notification configuration
// does. Asking again for the same topic and prefix changes nothing.
func (s *Server) Notify(bucketName, topic, prefix string) error {
	err := s.commit(func(t *txn) error {
		b, err := t.bucket(bucketName)
		if err != nil {
			return err
		}
		for _, n := range b.Notifications {
			if n.topic() == topic && n.ObjectNamePrefix == prefix {
				return nil
			}
		}
		_, err = t.addNotification(b, notification{
			Topic: topicPrefix + topic, ObjectNamePrefix: prefix,
			PayloadFormat: "JSON_API_V1", EventTypes: []string{eventFinalize},
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("notify %q of bucket %q: %w", topic, bucketName, err)
	}
	return nil
}

// Handler serves the API. It checks Host and Origin itself.
func (s *Server) Handler() http.Handler {
	var h http.Handler = http.HandlerFunc(s.serve)
	if s.chaos != nil {
		h = s.chaos.Middleware(CallName, h)
	}
	return s.guard(h)
}
