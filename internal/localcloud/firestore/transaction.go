package firestore

import (
	"context"
	"encoding/binary"
	"sync"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// transactions are those that began and are not over. They live in memory: after a restart their ids are unknown.
type transactions struct {
	locks *locks
	idle  time.Duration

	mu   sync.Mutex
	byID map[string]*transaction
	boot uint64 // makes the ids of two lives of one data folder differ
	n    uint64
}

// transaction holds locks on what it read, be it read-only or not: the file keeps no versions for a snapshot, and bbolt's
// own snapshots stop its writers when the file grows. Its fields are guarded by transactions.mu.
type transaction struct {
	id       string
	owner    *owner
	readOnly bool
	busy     int  // calls that use it now
	uses     int  // so that an old idle timer knows that it is old
	ending   bool // a Commit or a Rollback is at work
}

// idSize is the length of an id: the boot, a number, the age, eight bytes each.
const idSize = 24

// graveTime is how long the id of an aborted transaction is remembered, so that its late Commit gets ABORTED and the
// client runs it again.
const graveTime = time.Minute

func newTransactions(l *locks, idle time.Duration, boot uint64) *transactions {
	return &transactions{locks: l, idle: idle, byID: map[string]*transaction{}, boot: boot}
}

// begin registers a transaction; retry is the id of the attempt that it repeats, whose age it takes: who was aborted as
// the younger one does not stay the youngest. The id carries the age, since clients roll back before they try again.
func (ts *transactions) begin(retry []byte, readOnly bool) *transaction {
	t := &transaction{owner: ts.locks.newOwner(), readOnly: readOnly}
	if len(retry) == idSize && binary.BigEndian.Uint64(retry) == ts.boot {
		t.owner.age = min(t.owner.age, binary.BigEndian.Uint64(retry[16:]))
	}
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.n++
	var id []byte
	for _, part := range []uint64{ts.boot, ts.n, t.owner.age} {
		id = binary.BigEndian.AppendUint64(id, part)
	}
	t.id = string(id)
	ts.byID[t.id] = t
	ts.watch(t)
	return t
}

// use finds a transaction for one call and keeps it from being idle until done is called.
func (ts *transactions) use(id []byte) (t *transaction, done func(), err error) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	t, ok := ts.byID[string(id)]
	if !ok {
		return nil, nil, errOver
	}
	if err := ts.locks.failure(t.owner); err != nil {
		return nil, nil, err
	}
	t.busy++
	return t, func() {
		ts.mu.Lock()
		defer ts.mu.Unlock()
		t.busy--
		ts.watch(t)
	}, nil
}

// watch rolls t back when it stays unused for the idle time.
func (ts *transactions) watch(t *transaction) {
	if t.busy > 0 {
		return
	}
	t.uses++
	uses := t.uses
	time.AfterFunc(ts.idle, func() {
		ts.mu.Lock()
		defer ts.mu.Unlock()
		if t.busy == 0 && t.uses == uses {
			ts.abort(t)
		}
	})
}

func (ts *transactions) abort(t *transaction) {
	if ts.byID[t.id] != t {
		return
	}
	ts.locks.release(t.owner, status.Errorf(codes.Aborted, "the transaction was unused for %v and is rolled back; try again", ts.idle))
	time.AfterFunc(graveTime, func() {
		ts.mu.Lock()
		defer ts.mu.Unlock()
		delete(ts.byID, t.id)
	})
}

// claimEnd makes one caller, a Commit or a Rollback, the one that ends t.
func (ts *transactions) claimEnd(t *transaction) bool {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if t.ending {
		return false
	}
	t.ending = true
	return true
}

func (ts *transactions) rollback(id []byte) {
	ts.mu.Lock()
	t := ts.byID[string(id)]
	ts.mu.Unlock()
	if t != nil && ts.claimEnd(t) {
		ts.end(t)
	}
}

// end forgets a transaction that is committed or rolled back and frees what it holds.
func (ts *transactions) end(t *transaction) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	delete(ts.byID, t.id)
	ts.locks.release(t.owner, errOver)
}

var errOver = invalid("The referenced transaction has expired or is no longer valid.")

// BeginTransaction starts a transaction.
func (s *Server) BeginTransaction(_ context.Context, req *pb.BeginTransactionRequest) (*pb.BeginTransactionResponse, error) {
	if err := checkDatabase(req.GetDatabase()); err != nil {
		return nil, err
	}
	t, err := s.begin(req.GetOptions())
	if err != nil {
		return nil, err
	}
	return &pb.BeginTransactionResponse{Transaction: []byte(t.id)}, nil
}

func (s *Server) begin(o *pb.TransactionOptions) (*transaction, error) {
	ro := o.GetReadOnly()
	if ro.GetReadTime() != nil {
		return nil, errNoHistory
	}
	return s.txns.begin(o.GetReadWrite().GetRetryTransaction(), ro != nil), nil
}

// Rollback ends a transaction. One that is over already is no error: a client rolls back after every failure. One that
// is being committed goes on to its end, since its writes may be in the file by now.
func (s *Server) Rollback(_ context.Context, req *pb.RollbackRequest) (*emptypb.Empty, error) {
	if err := checkDatabase(req.GetDatabase()); err != nil {
		return nil, err
	}
	if len(req.GetTransaction()) != idSize {
		return nil, invalid("Invalid transaction.")
	}
	s.txns.rollback(req.GetTransaction())
	return &emptypb.Empty{}, nil
}
