package firestore

import (
	"context"
	"fmt"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	bolt "go.etcd.io/bbolt"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// MaxMessage is what the gRPC server must be able to receive (grpc.MaxRecvMsgSize): a request of the size Firestore
// allows, and its frame. gRPC's own default is 4 MiB.
const MaxMessage = maxRequest + 1<<20

// Options of a server. The zero value works.
type Options struct {
	Now     func() time.Time // time.Now
	Indexes []byte           // content of firestore.indexes.json as the Firebase CLI writes it; none = no composite index
	// IdleTransaction is how long a transaction may hold its locks without a call: 5 s. Cloud Firestore allows more, but
	// there a forgotten transaction stops nobody else's laptop.
	IdleTransaction time.Duration
}

// Server is the service. Safe for concurrent use.
type Server struct {
	pb.UnimplementedFirestoreServer // answers UNIMPLEMENTED with the method's name

	db        *bolt.DB
	clock     *clock
	committer *committer
	locks     *locks
	txns      *transactions
	declared  *declared
	indexes   *indexSet
}

var _ pb.FirestoreServer = (*Server)(nil)

// Open makes a server over db, which others may use too: it keeps to one top-level bucket. The caller closes db, after
// Close.
func Open(db *bolt.DB, o Options) (*Server, error) {
	if db == nil {
		return nil, fmt.Errorf("firestore: no data file")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.IdleTransaction <= 0 {
		o.IdleTransaction = 5 * time.Second
	}
	decl, err := parseIndexes(o.Indexes)
	if err != nil {
		return nil, err
	}
	s := &Server{db: db, clock: &clock{now: o.Now}, locks: newLocks(), declared: decl, indexes: &indexSet{}}
	var boot int64
	err = db.Update(func(tx *bolt.Tx) error {
		if err := createBuckets(tx); err != nil {
			return err
		}
		s.clock.load(tx)
		if err := s.indexes.load(tx, decl); err != nil {
			return err
		}
		boot, err = s.clock.tick(tx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("firestore: prepare the data file: %w", err)
	}
	s.clock.settled()
	s.txns = newTransactions(s.locks, o.IdleTransaction, uint64(boot))
	s.committer = newCommitter(db, func() {
		s.clock.settled()
		s.indexes.pending = nil
	})
	return s, nil
}

// Register adds the service to a gRPC server, which must take messages of MaxMessage.
func (s *Server) Register(r grpc.ServiceRegistrar) { pb.RegisterFirestoreServer(r, s) }

// Close ends all transactions and waits for the commit that is being written. Calls that come later fail.
func (s *Server) Close() error {
	s.locks.close(errStopping)
	s.committer.close()
	return nil
}

// errNoHistory answers every wish to read the past.
var errNoHistory = status.Error(codes.Unimplemented, "read_time: the local Firestore keeps no history, only the present can be read")

// reading is one consistent view for one call.
type reading struct {
	tx   *bolt.Tx
	time int64 // clock.beforeRead
}

// consistency is what a read request says about its snapshot.
type consistency struct {
	transaction []byte
	begin       *pb.TransactionOptions // of a transaction that the call itself starts
	readTime    bool
}

// read runs f on the present, after locking items if the request belongs to a transaction. It gives
// the id of a transaction that it started.
func (s *Server) read(ctx context.Context, c consistency, items map[string]lockMode, f func(reading) error) ([]byte, error) {
	if c.readTime {
		return nil, errNoHistory
	}
	var started []byte
	if c.begin != nil {
		t, err := s.begin(c.begin)
		if err != nil {
			return nil, err
		}
		started = []byte(t.id)
		c.transaction = started
	}
	if c.transaction == nil {
		return nil, s.view(f)
	}
	err := s.readInTransaction(ctx, c.transaction, items, f)
	if err != nil && started != nil {
		s.txns.rollback(started)
	}
	return started, err
}

func (s *Server) readInTransaction(ctx context.Context, id []byte, items map[string]lockMode, f func(reading) error) error {
	t, done, err := s.txns.use(id)
	if err != nil {
		return err
	}
	defer done()
	if err := s.locks.acquire(ctx, t.owner, items); err != nil {
		return err
	}
	return s.view(f)
}

func (s *Server) view(f func(reading) error) error {
	before := s.clock.beforeRead()
	return internal(s.db.View(func(tx *bolt.Tx) error { return f(reading{tx, before}) }))
}

// internal gives an error of the data file a code.
func internal(err error) error {
	if _, ok := status.FromError(err); !ok {
		return status.Errorf(codes.Internal, "read the data file: %v", err)
	}
	return err
}
