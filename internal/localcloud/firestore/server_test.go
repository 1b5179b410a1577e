package firestore_test

import (
	"context"
	"strings"
	"testing"
	"time"

	client "cloud.google.com/go/firestore"
	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/millrace-ml/millrace/internal/localcloud/firestore"
)

// What is left out says so by name, and never half works.
func TestLeftOut(t *testing.T) {
	t.Parallel()
	conn, err := grpc.NewClient(host(t, firestore.Options{}), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() // nothing is in flight
	c := pb.NewFirestoreClient(conn)
	const database = "projects/p/databases/d"
	query := func(ctx context.Context, q *pb.StructuredQuery) error {
		q.From = []*pb.StructuredQuery_CollectionSelector{{CollectionId: "c"}}
		s, err := c.RunQuery(ctx, &pb.RunQueryRequest{Parent: database + "/documents", QueryType: &pb.RunQueryRequest_StructuredQuery{StructuredQuery: q}})
		if err == nil {
			_, err = s.Recv()
		}
		return err
	}
	where := func(op pb.StructuredQuery_FieldFilter_Operator) *pb.StructuredQuery {
		f := &pb.StructuredQuery_FieldFilter{Field: &pb.StructuredQuery_FieldReference{FieldPath: "a"}, Op: op, Value: &pb.Value{ValueType: &pb.Value_BooleanValue{}}}
		return &pb.StructuredQuery{Where: &pb.StructuredQuery_Filter{FilterType: &pb.StructuredQuery_Filter_FieldFilter{FieldFilter: f}}}
	}
	for name, call := range map[string]func(context.Context) error{
		"GetDocument": func(ctx context.Context) error {
			_, err := c.GetDocument(ctx, &pb.GetDocumentRequest{Name: database + "/documents/c/a"})
			return err
		},
		"Listen": func(ctx context.Context) error {
			s, err := c.Listen(ctx)
			if err == nil {
				_, err = s.Recv()
			}
			return err
		},
		"ExecutePipeline": func(ctx context.Context) error {
			s, err := c.ExecutePipeline(ctx, &pb.ExecutePipelineRequest{Database: database})
			if err == nil {
				_, err = s.Recv()
			}
			return err
		},
		"read_time": func(ctx context.Context) error {
			_, err := c.ListDocuments(ctx, &pb.ListDocumentsRequest{Parent: database + "/documents", CollectionId: "c", ConsistencySelector: &pb.ListDocumentsRequest_ReadTime{ReadTime: timestamppb.Now()}})
			return err
		},
		"OR": func(ctx context.Context) error {
			return query(ctx, &pb.StructuredQuery{Where: &pb.StructuredQuery_Filter{FilterType: &pb.StructuredQuery_Filter_CompositeFilter{CompositeFilter: &pb.StructuredQuery_CompositeFilter{Op: pb.StructuredQuery_CompositeFilter_OR}}}})
		},
		"ARRAY_CONTAINS": func(ctx context.Context) error {
			return query(ctx, where(pb.StructuredQuery_FieldFilter_ARRAY_CONTAINS))
		},
		"NOT_IN": func(ctx context.Context) error { return query(ctx, where(pb.StructuredQuery_FieldFilter_NOT_IN)) },
		"find_nearest": func(ctx context.Context) error {
			return query(ctx, &pb.StructuredQuery{FindNearest: &pb.StructuredQuery_FindNearest{}})
		},
		"order_by": func(ctx context.Context) error {
			_, err := c.ListDocuments(ctx, &pb.ListDocumentsRequest{Parent: database + "/documents", CollectionId: "c", OrderBy: "a"})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if err := call(ctx); status.Code(err) != codes.Unimplemented || !strings.Contains(err.Error(), name) {
				t.Errorf("%v, want Unimplemented with the name", err)
			}
		})
	}
}

// A request of the size that Firestore takes arrives, one above it is refused with a reason.
func TestLargeRequests(t *testing.T) {
	t.Parallel()
	c := dial(t, host(t, firestore.Options{}))
	batch := func(documents int) error {
		b := c.Batch() //nolint:staticcheck // the one call for an atomic commit without reads
		for range documents {
			b.Create(c.Collection("runs").NewDoc(), map[string]any{"text": strings.Repeat("x", 1_000_000)})
		}
		_, err := b.Commit(t.Context())
		return err
	}
	if err := batch(10); err != nil {
		t.Error(err)
	}
	if err := batch(11); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "10485760") {
		t.Errorf("%v, want InvalidArgument with the limit", err)
	}
}

// A transaction that nobody goes on with does not stop others for longer than the idle time.
func TestForgottenTransaction(t *testing.T) {
	t.Parallel()
	c := dial(t, host(t, firestore.Options{IdleTransaction: 300 * time.Millisecond}))
	d := c.Collection("runs").Doc("a")
	calls := 0
	err := c.RunTransaction(t.Context(), func(ctx context.Context, tx *client.Transaction) error {
		if calls++; calls > 1 {
			return nil
		}
		if _, err := tx.GetAll([]*client.DocumentRef{d}); err != nil {
			return err
		}
		_, err := d.Set(context.WithoutCancel(t.Context()), map[string]any{"by": "someone else"}) // waits for our own lock
		return err
	})
	if err != nil || calls < 2 {
		t.Errorf("%d calls, %v: want the commit ABORTED and the function run again", calls, err)
	}
}

func TestOpenNeedsAFile(t *testing.T) {
	t.Parallel()
	if _, err := firestore.Open(nil, firestore.Options{}); err == nil {
		t.Error("opened without a data file")
	}
}
