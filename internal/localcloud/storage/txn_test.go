package storage

import (
	"path/filepath"
	"sync"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// A refusal never takes part of a transaction with it, and never the writes of those that share the transaction.
func TestRefusalsInSharedTransactions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db, err := bolt.Open(filepath.Join(dir, "cloud.db"), 0o600, &bolt.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	s, err := Open(db, dir, Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	var calls sync.WaitGroup
	for _, c := range []struct {
		name    string
		refused bool
		late    bool // after something was written
	}{{"good-1", false, false}, {"early", true, false}, {"good-2", false, false}, {"late", true, true}, {"good-3", false, false}} {
		calls.Go(func() {
			err := s.commit(func(t *txn) error {
				if c.refused && !c.late {
					return invalid("no")
				}
				if _, err := t.insertBucket(bucket{Name: c.name}); err != nil {
					return err
				}
				if c.refused {
					return invalid("too late")
				}
				return nil
			})
			if (reasonOf(err) == reasonInvalid) != c.refused {
				t.Errorf("%s: %v", c.name, err)
			}
		})
	}
	calls.Wait()
	for name, want := range map[string]bool{"good-1": true, "good-2": true, "good-3": true, "early": false, "late": false} {
		err := s.view(func(t *txn) error { _, err := t.bucket(name); return err })
		if (err == nil) != want {
			t.Errorf("%s: %v, want it there: %v", name, err, want)
		}
	}
}
