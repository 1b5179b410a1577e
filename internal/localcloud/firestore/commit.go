package firestore

import (
	"context"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	bolt "go.etcd.io/bbolt"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Commit applies all writes or none, durably before the answer.
func (s *Server) Commit(ctx context.Context, req *pb.CommitRequest) (*pb.CommitResponse, error) {
	names, err := checkWrites(req, req.GetDatabase(), req.GetWrites())
	if err != nil {
		return nil, err
	}
	if len(req.GetTransaction()) == 0 {
		o := s.locks.newOwner()
		defer s.locks.release(o, errOver)
		return s.commit(ctx, o, shared, names, req.GetWrites())
	}
	t, done, err := s.txns.use(req.GetTransaction())
	if err != nil {
		return nil, err
	}
	defer done()
	if t.readOnly && len(names) > 0 {
		return nil, invalid("Cannot modify entities in a read-only transaction.")
	}
	if !s.txns.claimEnd(t) {
		return nil, errOver
	}
	defer s.txns.end(t)
	return s.commit(ctx, t.owner, exclusive, names, req.GetWrites())
}

func checkWrites(req proto.Message, database string, writes []*pb.Write) ([]docName, error) {
	if err := checkDatabase(database); err != nil {
		return nil, err
	}
	if n := proto.Size(req); n > maxRequest {
		return nil, invalid("request of %d bytes: at most %d are allowed", n, maxRequest)
	}
	names := make([]docName, len(writes))
	for i, w := range writes {
		n, err := checkWrite(database, w)
		if err != nil {
			return nil, err
		}
		names[i] = n
	}
	return names, nil
}

func (s *Server) commit(ctx context.Context, o *owner, m lockMode, names []docName, writes []*pb.Write) (*pb.CommitResponse, error) {
	if err := s.locks.acquire(ctx, o, docItems(names, m)); err != nil {
		return nil, err
	}
	resp := &pb.CommitResponse{}
	var refusal error
	err := s.committer.do(func(tx *bolt.Tx) (err error) {
		resp.WriteResults, resp.CommitTime, refusal, err = s.apply(tx, names, writes)
		return err
	})
	if err == nil {
		err = refusal
	}
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// apply does all writes or none. A refusal has a gRPC code; err is the data file's.
func (s *Server) apply(tx *bolt.Tx, names []docName, writes []*pb.Write) (
	results []*pb.WriteResult, at *timestamppb.Timestamp, refusal, err error,
) {
	t, err := s.clock.tick(tx)
	if err != nil {
		return nil, nil, nil, err
	}
	c := newChanges(tx, t)
	for i, w := range writes {
		result, err := c.apply(names[i], w)
		if _, ok := status.FromError(err); !ok {
			return nil, nil, nil, err
		}
		if err != nil {
			return nil, nil, err, nil
		}
		results = append(results, result)
	}
	for _, n := range c.order {
		if err := s.store(tx, n, c.docs[n]); err != nil {
			return nil, nil, nil, err
		}
	}
	return results, c.time, nil, nil
}

// store writes one changed document and its index entries.
func (s *Server) store(tx *bolt.Tx, n docName, ch *change) error {
	if ch.before == ch.after {
		return nil
	}
	if err := put(tx, n, ch.after); err != nil {
		return err
	}
	return s.indexes.maintain(tx, n, ch.before, ch.after)
}

// BatchWrite applies each write on its own: one that is refused does not keep the others from happening.
func (s *Server) BatchWrite(ctx context.Context, req *pb.BatchWriteRequest) (*pb.BatchWriteResponse, error) {
	names, err := checkWrites(req, req.GetDatabase(), req.GetWrites())
	if err != nil {
		return nil, err
	}
	seen := map[docName]bool{}
	for _, n := range names {
		if seen[n] {
			return nil, invalid("BatchWrite: %s is written more than once", n)
		}
		seen[n] = true
	}
	o := s.locks.newOwner()
	defer s.locks.release(o, errOver)
	if err := s.locks.acquire(ctx, o, docItems(names, shared)); err != nil {
		return nil, err
	}
	resp := &pb.BatchWriteResponse{}
	err = s.committer.do(func(tx *bolt.Tx) error {
		for i, w := range req.GetWrites() {
			results, _, refusal, err := s.apply(tx, names[i:i+1], []*pb.Write{w})
			if err != nil {
				return err
			}
			if refusal != nil {
				results = []*pb.WriteResult{{}}
			}
			resp.WriteResults = append(resp.WriteResults, results...)
			resp.Status = append(resp.Status, status.Convert(refusal).Proto())
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i, st := range resp.Status {
		if st == nil {
			resp.Status[i] = status.New(codes.OK, "").Proto()
		}
	}
	return resp, nil
}
