package firestore

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	bolt "go.etcd.io/bbolt"
)

// index is one that is kept in the file. It comes to be with the first query that can use it, and is then maintained by
// every write: a waiting line of thousands of documents is not read through for its first one.
type index struct {
	Collection string        `json:"collection"` // id
	Fields     []storedField `json:"fields"`
	NameDesc   bool          `json:"name_desc,omitempty"` // equals are in the descending order of their names
	number     uint32
}

type storedField struct {
	Path fieldPath `json:"path"`
	Desc bool      `json:"desc,omitempty"`
}

func (x *index) same(y *index) bool {
	return x.Collection == y.Collection && x.NameDesc == y.NameDesc && slices.EqualFunc(x.Fields, y.Fields, func(a, b storedField) bool {
		return a.Desc == b.Desc && slices.Equal(a.Path, b.Path)
	})
}

func (x *index) prefix() []byte { return binary.BigEndian.AppendUint32(nil, x.number) }

// key is the document's entry, nil if it lacks a field and so is in no result that the index serves.
func (x *index) key(n docName, d *pb.Document) []byte {
	if d == nil {
		return nil
	}
	key := append(x.prefix(), collKey(n.collection())...)
	for _, f := range x.Fields {
		at := len(key)
		var ok bool
		if key, ok = encodeField(key, d, f.Path); !ok {
			return nil
		}
		if f.Desc {
			invert(key[at:])
		}
	}
	at := len(key)
	key = appendSegment(key, n.id())
	if x.NameDesc {
		invert(key[at:])
	}
	return key
}

// indexSet are the indexes of the file. Writers see pending ones as well: built in the transaction that is being written.
type indexSet struct {
	live    atomic.Pointer[[]*index]
	pending []*index // of the committer's goroutine
}

func (s *indexSet) list() []*index {
	if p := s.live.Load(); p != nil {
		return *p
	}
	return nil
}

// find gives the stored twin of x if there is one.
func find(list []*index, x *index) *index {
	if i := slices.IndexFunc(list, x.same); i >= 0 {
		return list[i]
	}
	return nil
}

// load reads the indexes and drops composite ones that are no longer declared, so that no write pays for them.
func (s *indexSet) load(tx *bolt.Tx, d *declared) error {
	var list, gone []*index
	err := bucket(tx, indexesBucket).ForEach(func(k, v []byte) error {
		x := &index{number: binary.BigEndian.Uint32(k)}
		if err := json.Unmarshal(v, x); err != nil {
			return fmt.Errorf("stored index %x: %w", k, err)
		}
		if len(x.Fields) > 1 && !slices.ContainsFunc(d.composite, func(c composite) bool { return c.stored().same(x) }) {
			gone = append(gone, x)
			return nil
		}
		list = append(list, x)
		return nil
	})
	if err != nil {
		return err
	}
	for _, x := range gone {
		if err := drop(tx, x); err != nil {
			return err
		}
	}
	s.live.Store(&list)
	return nil
}

func drop(tx *bolt.Tx, x *index) error {
	prefix := x.prefix()
	cur := bucket(tx, entriesBucket).Cursor()
	for k, _ := cur.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = cur.Seek(prefix) {
		if err := cur.Delete(); err != nil {
			return err
		}
	}
	return bucket(tx, indexesBucket).Delete(prefix)
}

// maintain moves the document's entries with a write.
func (s *indexSet) maintain(tx *bolt.Tx, n docName, before, after *pb.Document) error {
	entries := bucket(tx, entriesBucket)
	for _, x := range slices.Concat(s.list(), s.pending) {
		if x.Collection != n.collection().id() {
			continue
		}
		was, is := x.key(n, before), x.key(n, after)
		if bytes.Equal(was, is) {
			continue
		}
		if was != nil {
			if err := entries.Delete(was); err != nil {
				return err
			}
		}
		if is != nil {
			if err := entries.Put(is, []byte(n.id())); err != nil {
				return err
			}
		}
	}
	return nil
}

// ensure gives the stored twin of x and builds it if it is not there yet.
func (s *Server) ensure(x *index) (*index, error) {
	if stored := find(s.indexes.list(), x); stored != nil {
		return stored, nil
	}
	err := s.committer.do(func(tx *bolt.Tx) error {
		if find(slices.Concat(s.indexes.list(), s.indexes.pending), x) != nil {
			return nil // another query was faster
		}
		return s.indexes.build(tx, x)
	})
	if err != nil {
		return nil, err
	}
	return find(s.indexes.list(), x), nil
}

func (s *indexSet) build(tx *bolt.Tx, x *index) error {
	b := bucket(tx, indexesBucket)
	n, err := b.NextSequence()
	if err != nil {
		return err
	}
	x.number = uint32(n)
	data, err := json.Marshal(x)
	if err != nil {
		return err
	}
	if err := b.Put(x.prefix(), data); err != nil {
		return err
	}
	entries := bucket(tx, entriesBucket)
	for c := range collectionsBelow(tx, nil) {
		if c.id() != x.Collection {
			continue
		}
		var failed error
		_, err := scanCollection(tx, c, false, func(n docName, d *pb.Document) bool {
			if key := x.key(n, d); key != nil {
				failed = entries.Put(key, []byte(n.id()))
			}
			return failed == nil
		})
		if err = errors.Join(err, failed); err != nil {
			return err
		}
	}
	s.pending = append(s.pending, x)
	tx.OnCommit(func() {
		list := append(slices.Clone(s.list()), x)
		s.live.Store(&list)
	})
	return nil
}
