package firestore

import (
	"context"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	bolt "go.etcd.io/bbolt"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
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
	err := s.committer.do(func(tx *bolt.Tx) error {
		t, err := s.clock.tick(tx)
		if err != nil {
			return err
		}
		c := newChanges(tx, t)
		for i, w := range writes {
			result, err := c.apply(names[i], w)
			if _, ok := status.FromError(err); !ok {
				return err
			}
			if err != nil {
				refusal = err
				return nil
			}
			resp.WriteResults = append(resp.WriteResults, result)
		}
		resp.CommitTime = c.time
		return c.store()
	})
	if err == nil {
		err = refusal
	}
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// BatchWrite applies each write on its own: one that is refused does not keep the others from happening.
func (s *Server) BatchWrite(ctx context.Context, req *pb.BatchWriteRequest) (*pb.BatchWriteResponse, error) {
	names, err := checkWrites(req, req.GetDatabase(), nil)
	if err != nil {
		return nil, err
	}
	writes := req.GetWrites()
	errs := make([]error, len(writes))
	seen := map[docName]bool{}
	all := make([]docName, len(writes))
	for i, w := range writes {
		n, err := checkWrite(req.GetDatabase(), w)
		if err == nil && seen[n] {
			return nil, invalid("BatchWrite: %s is written more than once", n)
		}
		if errs[i] = err; err == nil {
			seen[n], all[i], names = true, n, append(names, n)
		}
	}
	o := s.locks.newOwner()
	defer s.locks.release(o, errOver)
	if err := s.locks.acquire(ctx, o, docItems(names, shared)); err != nil {
		return nil, err
	}
	results := make([]*pb.WriteResult, len(writes))
	err = s.committer.do(func(tx *bolt.Tx) error {
		for i, w := range writes {
			if errs[i] != nil {
				continue
			}
			if err := s.writeAlone(tx, all[i], w, &results[i], &errs[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return batchResponse(results, errs), nil
}

// writeAlone is a commit of one write. Its refusal goes to refusal; what it returns fails the file.
func (s *Server) writeAlone(tx *bolt.Tx, n docName, w *pb.Write, result **pb.WriteResult, refusal *error) error {
	t, err := s.clock.tick(tx)
	if err != nil {
		return err
	}
	c := newChanges(tx, t)
	*result, err = c.apply(n, w)
	if _, ok := status.FromError(err); !ok {
		return err
	}
	if err != nil {
		*refusal = err
		return nil
	}
	return c.store()
}

func batchResponse(results []*pb.WriteResult, errs []error) *pb.BatchWriteResponse {
	resp := &pb.BatchWriteResponse{WriteResults: results}
	for i, err := range errs {
		if err != nil {
			results[i] = &pb.WriteResult{}
		}
		st := status.New(codes.OK, "").Proto()
		if err != nil {
			st = status.Convert(err).Proto()
		}
		resp.Status = append(resp.Status, st)
	}
	return resp
}
