package firestore

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	bolt "go.etcd.io/bbolt"
)

func TestIndexFile(t *testing.T) {
	t.Parallel()
	good := `{"collectionGroup":"runs","queryScope":"COLLECTION","fields":[{"fieldPath":"a","order":"ASCENDING"},{"fieldPath":"b","order":"DESCENDING"}]}`
	for _, c := range []struct{ name, file, err string }{
		{"none", "", ""},
		{"good", `{"indexes":[` + good + `],"fieldOverrides":[]}`, ""},
		{"as newer tools write it", `{"indexes":[{"collectionGroup":"r","queryScope":"COLLECTION_GROUP","density":"SPARSE_ALL","fields":[{"fieldPath":"a","order":"ASCENDING"},{"fieldPath":"__name__","order":"DESCENDING"}]}]}`, ""},
		{"no JSON", `{"indexes":[`, "read the index file"},
		{"misspelt key", `{"indices":[]}`, `"indices"`},
		{"no collection", `{"indexes":[{"queryScope":"COLLECTION","fields":[]}]}`, "indexes[0].collectionGroup is missing"},
		{"bad scope", `{"indexes":[` + good + `,{"collectionGroup":"r","queryScope":"ALL"}]}`, `indexes[1].queryScope: "ALL" is none of COLLECTION, COLLECTION_GROUP`},
		{"one field", `{"indexes":[{"collectionGroup":"r","queryScope":"COLLECTION","fields":[{"fieldPath":"a","order":"ASCENDING"}]}]}`, "at least two"},
		{"bad order", `{"indexes":[{"collectionGroup":"r","queryScope":"COLLECTION","fields":[{"fieldPath":"a","order":"UP"},{"fieldPath":"b"}]}]}`, `fields[0].order: "UP" is none of`},
		{"bad path", `{"indexes":[{"collectionGroup":"r","queryScope":"COLLECTION","fields":[{"fieldPath":"a..b","order":"ASCENDING"},{"fieldPath":"b","order":"ASCENDING"}]}]}`, "fields[0].fieldPath"},
		{"name in the middle", `{"indexes":[{"collectionGroup":"r","queryScope":"COLLECTION","fields":[{"fieldPath":"__name__","order":"ASCENDING"},{"fieldPath":"b","order":"ASCENDING"}]}]}`, "must be the last"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := parseIndexes([]byte(c.file))
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("%v, want %q", err, c.err)
			}
		})
	}
}

// Indexes outlive the server; a composite one that is no longer declared is dropped, so that no write pays for it.
func TestStoredIndexes(t *testing.T) {
	t.Parallel()
	db, err := bolt.Open(filepath.Join(t.TempDir(), "data.db"), 0o600, &bolt.Options{Timeout: time.Second, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() // of a test's own file
	life := func(indexes string, use func(s *Server), wantIndexes, wantEntries int) {
		t.Helper()
		s, err := Open(db, Options{Indexes: []byte(indexes)})
		if err != nil {
			t.Fatal(err)
		}
		use(s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		err = db.View(func(tx *bolt.Tx) error {
			if i, e := bucket(tx, indexesBucket).Inspect().KeyN, bucket(tx, entriesBucket).Inspect().KeyN; i != wantIndexes || e != wantEntries {
				return fmt.Errorf("%d indexes with %d entries, want %d with %d", i, e, wantIndexes, wantEntries)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	const parent = "projects/p/databases/d/documents"
	write := func(s *Server, n int) {
		var writes []*pb.Write
		for i := range n {
			writes = append(writes, &pb.Write{Operation: &pb.Write_Update{Update: &pb.Document{
				Name: fmt.Sprintf("%s/c/%d", parent, i), Fields: map[string]*pb.Value{"a": integer(int64(i)), "b": text("x")},
			}}})
		}
		if _, err := s.Commit(t.Context(), &pb.CommitRequest{Database: "projects/p/databases/d", Writes: writes}); err != nil {
			t.Fatal(err)
		}
	}
	query := func(s *Server, paths ...string) {
		sq := &pb.StructuredQuery{From: []*pb.StructuredQuery_CollectionSelector{{CollectionId: "c"}}}
		for _, p := range paths {
			sq.OrderBy = append(sq.OrderBy, &pb.StructuredQuery_Order{Field: &pb.StructuredQuery_FieldReference{FieldPath: p}})
		}
		if _, err := s.query(parent, sq, nil); err != nil {
			t.Fatal(err)
		}
	}
	both := strings.ReplaceAll(planIndexes, `"a","order":"ASCENDING"},{"fieldPath":"b","order":"DESCENDING"`, `"a","order":"ASCENDING"},{"fieldPath":"b","order":"ASCENDING"`)
	life(both, func(s *Server) { write(s, 5) }, 0, 0)
	life(both, func(s *Server) { query(s, "a"); query(s, "a", "b"); query(s, "a") }, 2, 10)
	life(both, func(s *Server) { write(s, 7) }, 2, 14)
	life("", func(s *Server) { write(s, 8) }, 1, 8)
}
