// Package firestoretest is the contract of Cloud Firestore as the deployed code relies on it, spoken through the real Go
// client. The local server must pass it whole; other implementations are judged by the same lines.
package firestoretest

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Parts of the suite that not every implementation offers.
const (
	Contention       = "contention"
	CompositeIndexes = "composite indexes"
)

// Indexes is the index file that the queries of the suite need, in the form of the Firebase CLI.
const Indexes = `{"indexes":[
{"collectionGroup":"runs","queryScope":"COLLECTION","fields":[{"fieldPath":"model","order":"ASCENDING"},{"fieldPath":"created","order":"DESCENDING"}]},
{"collectionGroup":"runs","queryScope":"COLLECTION","fields":[{"fieldPath":"model","order":"ASCENDING"},{"fieldPath":"state","order":"ASCENDING"},{"fieldPath":"created","order":"DESCENDING"}]},
{"collectionGroup":"runs","queryScope":"COLLECTION","fields":[{"fieldPath":"created","order":"ASCENDING"},{"fieldPath":"rows","order":"ASCENDING"}]},
{"collectionGroup":"runs","queryScope":"COLLECTION","fields":[{"fieldPath":"trigger.schedule","order":"ASCENDING"},{"fieldPath":"rows","order":"ASCENDING"}]},
{"collectionGroup":"runs","queryScope":"COLLECTION","fields":[{"fieldPath":"model","order":"ASCENDING"},{"fieldPath":"rows","order":"ASCENDING"}]}
],"fieldOverrides":[
{"collectionGroup":"tasks","fieldPath":"state","indexes":[{"queryScope":"COLLECTION","order":"ASCENDING"},{"queryScope":"COLLECTION_GROUP","order":"ASCENDING"}]}
]}`

// Suite runs every part through a client that open gives, but those named in skip. All data goes below documents of its
// own, so that the service may hold other things and may be used again.
func Suite(t *testing.T, open func(*testing.T) *firestore.Client, skip ...string) {
	c := open(t)
	life := time.Now().UnixNano()
	var n atomic.Int64
	for _, p := range slices.Concat(writeParts, transformParts, validationParts, transactionParts, queryParts, orderParts, listParts, indexParts) {
		t.Run(p.name, func(t *testing.T) {
			if slices.Contains(skip, p.part) {
				t.Skipf("%s: not offered by this service", p.part)
			}
			t.Parallel()
			home := c.Collection("suite").Doc(fmt.Sprintf("%d-%d", life, n.Add(1)))
			p.run(&env{T: t, c: c, home: home})
		})
	}
}

// part is one subtest; part.part names what may be skipped.
type part struct {
	name string
	part string
	run  func(*env)
}

// env is what a subtest works with: the client and a document below which everything is its own.
type env struct {
	*testing.T
	c    *firestore.Client
	home *firestore.DocumentRef
}

type fields = map[string]any

func (e *env) runs() *firestore.CollectionRef { return e.home.Collection("runs") }

// seed writes documents by id into runs.
func (e *env) seed(docs map[string]fields) {
	e.Helper()
	for id, f := range docs {
		e.set(e.runs().Doc(id), f)
	}
}

func (e *env) set(d *firestore.DocumentRef, f fields) *firestore.WriteResult {
	e.Helper()
	wr, err := d.Set(e.Context(), f)
	if err != nil {
		e.Fatalf("set %s: %v", d.ID, err)
	}
	return wr
}

func (e *env) get(d *firestore.DocumentRef) *firestore.DocumentSnapshot {
	e.Helper()
	s, err := d.Get(e.Context())
	if err != nil {
		e.Fatalf("get %s: %v", d.ID, err)
	}
	return s
}

// holds compares a stored document.
func (e *env) holds(d *firestore.DocumentRef, want fields) {
	e.Helper()
	if diff := cmp.Diff(want, e.get(d).Data()); diff != "" {
		e.Errorf("%s differs (-want +got):\n%s", d.ID, diff)
	}
}

// code demands the gRPC code of an error, OK for none.
func (e *env) code(what string, err error, want codes.Code) {
	e.Helper()
	if got := status.Code(err); got != want {
		e.Errorf("%s: %v, want %v (%v)", what, got, want, err)
	}
}

// finds demands the ids of a query's documents, in order.
func (e *env) finds(what string, q firestore.Query, want ...string) {
	e.Helper()
	docs, err := q.Documents(e.Context()).GetAll()
	if err != nil {
		e.Errorf("%s: %v", what, err)
		return
	}
	got := []string{}
	for _, d := range docs {
		got = append(got, d.Ref.ID)
	}
	if diff := cmp.Diff(append([]string{}, want...), got); diff != "" {
		e.Errorf("%s (-want +got):\n%s", what, diff)
	}
}
