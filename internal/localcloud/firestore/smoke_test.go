package firestore_test

import (
	"context"
	"sync"
	"testing"
	"time"

	client "cloud.google.com/go/firestore"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/millrace-ml/millrace/internal/localcloud/firestore"
)

func TestSmoke(t *testing.T) {
	c := dial(t, host(t, firestore.Options{}))
	ctx := t.Context()
	doc := c.Collection("runs").Doc("a")
	wr, err := doc.Create(ctx, map[string]any{"state": "pending", "n": 1, "at": client.ServerTimestamp})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := doc.Create(ctx, map[string]any{"x": 1}); status.Code(err) != codes.AlreadyExists {
		t.Fatal(err)
	}
	if _, err := doc.Update(ctx, []client.Update{{Path: "n", Value: 2}}, client.LastUpdateTime(wr.UpdateTime)); err != nil {
		t.Fatal(err)
	}
	if _, err := doc.Update(ctx, []client.Update{{Path: "n", Value: 3}}, client.LastUpdateTime(wr.UpdateTime)); status.Code(err) != codes.FailedPrecondition {
		t.Fatal(err)
	}
	s, err := doc.Get(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(s.Data(), s.CreateTime, s.UpdateTime, s.ReadTime)
	docs, err := c.Collection("runs").Where("state", "==", "pending").Limit(1).Documents(ctx).GetAll()
	if err != nil || len(docs) != 1 {
		t.Fatal(docs, err)
	}
	_, err = c.Collection("runs").Where("state", "==", "pending").OrderBy("at", client.Desc).Limit(1).Documents(ctx).GetAll()
	t.Log(err)
	start := time.Now()
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 5 {
				if err := c.RunTransaction(ctx, func(ctx context.Context, tx *client.Transaction) error {
					s, err := tx.Get(doc)
					if err != nil {
						return err
					}
					n, _ := s.DataAt("n")
					return tx.Update(doc, []client.Update{{Path: "n", Value: n.(int64) + 1}})
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	s, _ = doc.Get(ctx)
	t.Log(s.Data(), time.Since(start))
}
