package firestore_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	client "cloud.google.com/go/firestore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/millrace-ml/millrace/internal/localcloud/firestore"
)

// loser applies the next Commit and answers with the code instead.
type loser struct{ code atomic.Uint32 }

func (l *loser) intercept(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	resp, err := next(ctx, req)
	if strings.HasSuffix(info.FullMethod, "/Commit") {
		if c := codes.Code(l.code.Swap(0)); c != codes.OK {
			return nil, status.Error(c, "the answer is lost")
		}
	}
	return resp, err
}

// What callers get to see when a commit was applied and its answer lost: the reason for every read-back in the ledger.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	l := &loser{}
	c := dial(t, host(t, firestore.Options{}, grpc.UnaryInterceptor(l.intercept)))
	increment := func(d *client.DocumentRef) error {
		return c.RunTransaction(t.Context(), func(_ context.Context, tx *client.Transaction) error {
			s, err := tx.Get(d)
			if err != nil {
				return err
			}
			n, _ := s.Data()["n"].(int64)
			return tx.Set(d, map[string]any{"n": n + 100})
		})
	}
	for _, tc := range []struct {
		name string
		lost codes.Code
		do   func(d *client.DocumentRef, at client.Precondition) error
		want codes.Code
		n    int64 // afterwards, from 100
	}{
		{"a create meets itself", codes.Unavailable, func(d *client.DocumentRef, _ client.Precondition) error {
			_, err := d.Parent.Doc(d.ID+"-new").Create(t.Context(), map[string]any{"n": 1})
			return err
		}, codes.AlreadyExists, 100},
		{"a versioned update meets itself", codes.Unavailable, func(d *client.DocumentRef, at client.Precondition) error {
			_, err := d.Update(t.Context(), []client.Update{{Path: "n", Value: 200}}, at)
			return err
		}, codes.FailedPrecondition, 200},
		{"an increment is applied twice", codes.Unavailable, func(d *client.DocumentRef, _ client.Precondition) error {
			_, err := d.Update(t.Context(), []client.Update{{Path: "n", Value: client.Increment(100)}})
			return err
		}, codes.OK, 300},
		{"a transaction is over, though applied", codes.Unavailable, func(d *client.DocumentRef, _ client.Precondition) error {
			return increment(d)
		}, codes.InvalidArgument, 200},
		{"an aborted transaction is applied twice", codes.Aborted, func(d *client.DocumentRef, _ client.Precondition) error {
			return increment(d)
		}, codes.OK, 300},
		{"an internal error is not repeated", codes.Internal, func(d *client.DocumentRef, _ client.Precondition) error {
			_, err := d.Update(t.Context(), []client.Update{{Path: "n", Value: client.Increment(100)}})
			return err
		}, codes.Internal, 200},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := c.Collection("runs").NewDoc()
			wr, err := d.Create(t.Context(), map[string]any{"n": 100})
			if err != nil {
				t.Fatal(err)
			}
			l.code.Store(uint32(tc.lost))
			if err := tc.do(d, client.LastUpdateTime(wr.UpdateTime)); status.Code(err) != tc.want {
				t.Errorf("%v, want %v", err, tc.want)
			}
			s, err := d.Get(t.Context())
			if err != nil || s.Data()["n"] != tc.n {
				t.Errorf("n = %v, want %d (%v)", s.Data()["n"], tc.n, err)
			}
		})
	}
}
