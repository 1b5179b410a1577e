package firestore_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	client "cloud.google.com/go/firestore"

	"github.com/millrace-ml/millrace/internal/localcloud/firestore"
	"github.com/millrace-ml/millrace/internal/localcloud/firestore/firestoretest"
)

func run(n int) map[string]any {
	return map[string]any{
		"model": fmt.Sprintf("model-%d", n%5), "state": "pending", "created": n, "owner": "0123456789abcdef", "attempt": 1,
		"trigger": map[string]any{"kind": "upload", "bucket": "inbox", "object": fmt.Sprintf("model/%d.csv", n), "generation": n},
	}
}

// BenchmarkCreate: durable creates of distinct documents, one and 16 at a time.
func BenchmarkCreate(b *testing.B) {
	for _, writers := range []int{1, 16} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			c := dial(b, host(b, firestore.Options{}))
			var n atomic.Int64
			b.SetParallelism(max(1, writers/2)) // times GOMAXPROCS
			b.ResetTimer()
			if writers == 1 {
				for b.Loop() {
					create(b, c, int(n.Add(1)))
				}
				return
			}
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					create(b, c, int(n.Add(1)))
				}
			})
		})
	}
}

func create(b *testing.B, c *client.Client, n int) {
	if _, err := c.Collection("runs").Doc(fmt.Sprint(n)).Create(b.Context(), run(n)); err != nil {
		b.Error(err)
	}
}

// BenchmarkTransaction: read-modify-write transactions, all on one document.
func BenchmarkTransaction(b *testing.B) {
	c := dial(b, host(b, firestore.Options{}))
	d := c.Collection("runs").Doc("hot")
	b.SetParallelism(8)
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			err := c.RunTransaction(b.Context(), func(_ context.Context, tx *client.Transaction) error {
				s, err := tx.GetAll([]*client.DocumentRef{d})
				if err != nil {
					return err
				}
				n, _ := s[0].Data()["n"].(int64)
				return tx.Set(d, map[string]any{"n": n + 1})
			})
			if err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkFirstOfManyWaiting: the question that every start of a run asks, with 10,000 runs waiting.
func BenchmarkFirstOfManyWaiting(b *testing.B) {
	c := dial(b, host(b, firestore.Options{Indexes: []byte(firestoretest.Indexes)}))
	bw := c.BulkWriter(b.Context())
	for n := range 10_000 {
		if _, err := bw.Create(c.Collection("runs").Doc(fmt.Sprint(n)), run(n)); err != nil {
			b.Fatal(err)
		}
	}
	bw.End()
	q := c.Collection("runs").Where("model", "==", "model-1").Where("state", "==", "pending").OrderBy("created", client.Asc).Limit(1)
	for b.Loop() {
		docs, err := q.Documents(b.Context()).GetAll()
		if err != nil || len(docs) != 1 || docs[0].Ref.ID != "1" {
			b.Fatal(docs, err)
		}
	}
}
