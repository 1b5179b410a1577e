package vertex

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	bolt "go.etcd.io/bbolt"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// maxBatch is how many names a batch request may have.
const maxBatch = 32

// operations answers google.longrunning.Operations. All of this server's operations are done when they are made.
type operations struct {
	longrunningpb.UnimplementedOperationsServer
	store store
}

// GetOperation answers a stored operation.
func (o operations) GetOperation(_ context.Context, r *longrunningpb.GetOperationRequest) (*longrunningpb.Operation, error) {
	op := &longrunningpb.Operation{}
	err := o.store.db.View(func(tx *bolt.Tx) error {
		value := tx.Bucket(bucketOperations).Get([]byte(r.Name))
		if value == nil {
			return status.Errorf(codes.NotFound, "there is no operation %s", r.Name)
		}
		return proto.Unmarshal(value, op)
	})
	return op, err
}

// WaitOperation need not wait.
func (o operations) WaitOperation(ctx context.Context, r *longrunningpb.WaitOperationRequest) (*longrunningpb.Operation, error) {
	return o.GetOperation(ctx, &longrunningpb.GetOperationRequest{Name: r.Name})
}

// finishedOperation stores an operation with its answer, in the transaction that did its work.
func finishedOperation(tx *bolt.Tx, parent string, now time.Time, meta func(*aiplatformpb.GenericOperationMetadata) proto.Message, answer proto.Message) (*longrunningpb.Operation, error) {
	m, err := anypb.New(meta(&aiplatformpb.GenericOperationMetadata{CreateTime: timestamppb.New(now), UpdateTime: timestamppb.New(now)}))
	if err != nil {
		return nil, err
	}
	a, err := anypb.New(answer)
	if err != nil {
		return nil, err
	}
	id, err := tx.Bucket(bucketOperations).NextSequence()
	if err != nil {
		return nil, err
	}
	op := &longrunningpb.Operation{
		Name: fmt.Sprintf("%s/operations/%d", parent, id), Metadata: m, Done: true, Result: &longrunningpb.Operation_Response{Response: a},
	}
	value, err := proto.Marshal(op)
	if err != nil {
		return nil, err
	}
	return op, tx.Bucket(bucketOperations).Put([]byte(op.Name), value)
}

func deleteMeta(g *aiplatformpb.GenericOperationMetadata) proto.Message {
	return &aiplatformpb.DeleteOperationMetadata{GenericMetadata: g}
}

func cancelMeta(g *aiplatformpb.GenericOperationMetadata) proto.Message {
	return &aiplatformpb.BatchCancelPipelineJobsOperationMetadata{GenericMetadata: g}
}

// DeletePipelineJob removes a finished job, its task details and its logs. Its id is free again.
func (s *Server) DeletePipelineJob(_ context.Context, r *aiplatformpb.DeletePipelineJobRequest) (*longrunningpb.Operation, error) {
	n, err := parseName(r.Name)
	if err != nil {
		return nil, err
	}
	return s.delete(n.parent, []jobName{n}, func([]*aiplatformpb.PipelineJob) proto.Message { return &emptypb.Empty{} })
}

// BatchDeletePipelineJobs removes several finished jobs, or none.
func (s *Server) BatchDeletePipelineJobs(_ context.Context, r *aiplatformpb.BatchDeletePipelineJobsRequest) (*longrunningpb.Operation, error) {
	names, err := batchNames(r.Parent, r.Names)
	if err != nil {
		return nil, err
	}
	return s.delete(r.Parent, names, func(jobs []*aiplatformpb.PipelineJob) proto.Message {
		return &aiplatformpb.BatchDeletePipelineJobsResponse{PipelineJobs: jobs}
	})
}

// batchNames checks the names of a batch request; one that stands there twice counts once.
func batchNames(parent string, names []string) ([]jobName, error) {
	if err := checkParent(parent); err != nil {
		return nil, err
	}
	if len(names) == 0 || len(names) > maxBatch {
		return nil, status.Errorf(codes.InvalidArgument, "names has %d entries, want 1 to %d", len(names), maxBatch)
	}
	var all []jobName
	seen := map[string]bool{}
	for _, name := range names {
		n, err := parseName(name)
		if err != nil {
			return nil, err
		}
		if n.parent != parent {
			return nil, status.Errorf(codes.InvalidArgument, "%s is not in %s", name, parent)
		}
		if !seen[name] {
			all = append(all, n)
		}
		seen[name] = true
	}
	return all, nil
}

func (s *Server) delete(parent string, names []jobName, answer func([]*aiplatformpb.PipelineJob) proto.Message) (*longrunningpb.Operation, error) {
	s.names.Lock()
	defer s.names.Unlock()
	var op *longrunningpb.Operation
	name := "" // the one that an error is about
	err := s.store.db.Update(func(tx *bolt.Tx) error {
		var jobs []*aiplatformpb.PipelineJob
		for _, n := range names {
			name = n.full
			err := changeJob(tx, n.full, func(job *aiplatformpb.PipelineJob) error {
				if !finished(job.State) {
					return status.Errorf(codes.FailedPrecondition, "%s is in the state %s: cancel it before it is deleted", job.Name, job.State)
				}
				jobs = append(jobs, job)
				return nil
			})
			if err != nil {
				return err
			}
			if err := deleteJob(tx, n.full); err != nil {
				return err
			}
		}
		var err error
		op, err = finishedOperation(tx, parent, s.o.Now(), deleteMeta, answer(jobs))
		return err
	})
	if err != nil {
		return nil, s.failure(name, err)
	}
	for _, n := range names {
		if err := os.RemoveAll(jobFolder(s.dir, n)); err != nil {
			s.o.Log.Warn("vertex: the folder of a deleted job is left", "job", n.full, "error", err)
		}
	}
	return op, nil
}

// BatchCancelPipelineJobs asks several jobs to end and skips finished ones. If one does not exist none is cancelled.
func (s *Server) BatchCancelPipelineJobs(_ context.Context, r *aiplatformpb.BatchCancelPipelineJobsRequest) (*longrunningpb.Operation, error) {
	names, err := batchNames(r.Parent, r.Names)
	if err != nil {
		return nil, err
	}
	now := s.o.Now()
	var op *longrunningpb.Operation
	var jobs []*aiplatformpb.PipelineJob
	name := ""
	err = s.store.db.Update(func(tx *bolt.Tx) error {
		for _, n := range names {
			name = n.full
			err := changeJob(tx, n.full, func(job *aiplatformpb.PipelineJob) error {
				if finished(job.State) {
					return errSkip
				}
				beginCancel(job, now)
				jobs = append(jobs, job)
				return nil
			})
			if err != nil && !errors.Is(err, errSkip) {
				return err
			}
		}
		var err error
		op, err = finishedOperation(tx, r.Parent, now, cancelMeta, &aiplatformpb.BatchCancelPipelineJobsResponse{PipelineJobs: jobs})
		return err
	})
	if err != nil {
		return nil, s.failure(name, err)
	}
	for _, j := range jobs {
		s.stop(j.Name, errCancelled)
	}
	return op, nil
}

// errSkip leaves a job as it is.
var errSkip = errors.New("skip")
