package firestore

import (
	"fmt"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	bolt "go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"
)

// On disk: one top-level bucket of the shared file, so that the other servers' names cannot clash.
var (
	rootBucket      = []byte("firestore")
	documentsBucket = []byte("documents") // docKey → Document without name
	entriesBucket   = []byte("entries")   // number of the index, collKey, encoded fields, id → id
	indexesBucket   = []byte("indexes")   // number → index
	metaBucket      = []byte("meta")
	clockKey        = []byte("clock") // the last commit's time, µs, big endian
)

func createBuckets(tx *bolt.Tx) error {
	root, err := tx.CreateBucketIfNotExists(rootBucket)
	if err != nil {
		return err
	}
	for _, name := range [][]byte{documentsBucket, entriesBucket, indexesBucket, metaBucket} {
		if _, err := root.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	return nil
}

func bucket(tx *bolt.Tx, name []byte) *bolt.Bucket { return tx.Bucket(rootBucket).Bucket(name) }

// A document's key is its collection's key and its id. The collection's key ends with 00 00, below everything that can
// follow a longer path, so the documents of one collection lie together, in the order of their ids, before those of the
// collections under them.

func pathPrefix(database, path string) []byte {
	key := appendSegment(nil, database)
	for path != "" {
		seg, rest := path, ""
		for i := range len(path) {
			if path[i] == '/' {
				seg, rest = path[:i], path[i+1:]
				break
			}
		}
		key, path = appendSegment(key, seg), rest
	}
	return key
}

func collKey(c collName) []byte { return append(pathPrefix(c.database, c.path), 0, 0) }

func docKey(n docName) []byte { return append(collKey(n.collection()), n.id()...) }

// get gives nil without an error for a document that does not exist.
func get(tx *bolt.Tx, n docName) (*pb.Document, error) {
	data := bucket(tx, documentsBucket).Get(docKey(n))
	if data == nil {
		return nil, nil
	}
	return decodeDocument(n, data)
}

func decodeDocument(n docName, data []byte) (*pb.Document, error) {
	doc := &pb.Document{}
	if err := proto.Unmarshal(data, doc); err != nil {
		return nil, fmt.Errorf("stored document %s: %w", n, err)
	}
	doc.Name = n.String()
	if doc.Fields == nil {
		doc.Fields = map[string]*pb.Value{}
	}
	return doc, nil
}

// put stores doc, or deletes what is stored if doc is nil.
func put(tx *bolt.Tx, n docName, doc *pb.Document) error {
	b := bucket(tx, documentsBucket)
	if doc == nil {
		return b.Delete(docKey(n))
	}
	data, err := proto.Marshal(&pb.Document{Fields: doc.Fields, CreateTime: doc.CreateTime, UpdateTime: doc.UpdateTime})
	if err != nil {
		return fmt.Errorf("store document %s: %w", n, err)
	}
	return b.Put(docKey(n), data)
}
