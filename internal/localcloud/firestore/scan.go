package firestore

import (
	"bytes"
	"fmt"
	"iter"
	"slices"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	bolt "go.etcd.io/bbolt"
)

// visit takes a document and says whether it wants more.
type visit func(docName, *pb.Document) bool

// walk goes through the keys of a range, forwards or backwards.
func walk(b *bolt.Bucket, r keyRange, reverse bool) iter.Seq2[[]byte, []byte] {
	return func(yield func(k, v []byte) bool) {
		cur := b.Cursor()
		k, v := cur.Seek(r.low)
		next := cur.Next
		if reverse {
			next = cur.Prev
			if end, _ := cur.Seek(r.high); end == nil || r.high == nil {
				k, v = cur.Last()
			} else {
				k, v = cur.Prev()
			}
		}
		for ; k != nil && bytes.Compare(k, r.low) >= 0 && (r.high == nil || bytes.Compare(k, r.high) < 0); k, v = next() {
			if !yield(k, v) {
				return
			}
		}
	}
}

// scanIndex visits the documents of a range of the plan's index.
func (q *query) scanIndex(tx *bolt.Tx, r keyRange, f visit) error {
	c := q.coll()
	for _, id := range walk(bucket(tx, entriesBucket), r, q.plan.reverse) {
		n := c.doc(string(id))
		d, err := get(tx, n)
		if err != nil {
			return err
		}
		if d == nil {
			return fmt.Errorf("an index names %s, which does not exist", n)
		}
		if !f(n, d) {
			return nil
		}
	}
	return nil
}

// scan visits every document of the collection, by name, or of the collection group.
func (q *query) scan(tx *bolt.Tx, f visit) error {
	if !q.group {
		_, err := scanCollection(tx, q.coll(), q.plan.reverse, f)
		return err
	}
	for c := range collectionsBelow(tx, pathPrefix(q.database, q.parent)) {
		if c.id() != q.collection {
			continue
		}
		if more, err := scanCollection(tx, c, false, f); !more || err != nil {
			return err
		}
	}
	return nil
}

func scanCollection(tx *bolt.Tx, c collName, reverse bool, f visit) (more bool, err error) {
	prefix := collKey(c)
	for k, v := range walk(bucket(tx, documentsBucket), keyRange{prefix, prefixEnd(prefix)}, reverse) {
		n := c.doc(string(k[len(prefix):]))
		d, err := decodeDocument(n, v)
		if err != nil {
			return false, err
		}
		if !f(n, d) {
			return false, nil
		}
	}
	return true, nil
}

// collectionsBelow lists the collections that hold documents, at any depth under a key's prefix.
func collectionsBelow(tx *bolt.Tx, prefix []byte) iter.Seq[collName] {
	return func(yield func(collName) bool) {
		cur := bucket(tx, documentsBucket).Cursor()
		k, _ := cur.Seek(prefix)
		for k != nil && bytes.HasPrefix(k, prefix) {
			c, length := readCollection(k)
			if !yield(c) {
				return
			}
			k, _ = cur.Seek(append(slices.Clone(k[:length-2]), 0, 1)) // behind the collection's own documents
		}
	}
}

// readCollection gives a document key's collection and the length of that one's key.
func readCollection(key []byte) (c collName, length int) {
	database, rest, _ := cutEncodedSegment(key)
	c.database = database
	for {
		seg, after, ok := cutEncodedSegment(rest)
		if !ok {
			return c, len(key) - len(rest) + 2
		}
		if c.path != "" {
			c.path += "/"
		}
		c.path, rest = c.path+seg, after
	}
}
