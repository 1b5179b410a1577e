package firestore

import (
	"bytes"
	"slices"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	bolt "go.etcd.io/bbolt"
)

// RunQuery answers the documents in order, or one message without a document when there is none.
func (s *Server) RunQuery(req *pb.RunQueryRequest, stream pb.Firestore_RunQueryServer) error {
	q, err := s.plan(req.GetParent(), req.GetStructuredQuery(), nil)
	if err != nil {
		return err
	}
	if req.GetExplainOptions() != nil {
		return unimplemented("explain_options are not part of the local Firestore")
	}
	var answers []*pb.RunQueryResponse
	c := consistency{req.GetTransaction(), req.GetNewTransaction(), req.GetReadTime() != nil}
	started, err := s.read(stream.Context(), c, q.items(), func(r reading) error {
		hits, skipped, err := q.run(r.tx)
		if err != nil {
			return err
		}
		at := readTime(r.tx, r.time)
		for _, h := range hits {
			h.doc.Fields = project(h.doc.Fields, q.mask)
			answers = append(answers, &pb.RunQueryResponse{Document: h.doc, ReadTime: at})
		}
		if len(answers) == 0 {
			answers = []*pb.RunQueryResponse{{ReadTime: at}}
		}
		answers[0].SkippedResults = int32(skipped)
		return nil
	})
	if err != nil {
		return err
	}
	if started != nil {
		answers = append([]*pb.RunQueryResponse{{Transaction: started}}, answers...)
	}
	for _, a := range answers {
		if err := stream.Send(a); err != nil {
			return err
		}
	}
	return nil
}

// plan parses a query and refuses it if production would have no index for it.
func (s *Server) plan(parent string, sq *pb.StructuredQuery, aggregated []fieldPath) (*query, error) {
	if sq == nil {
		return nil, invalid("structured_query is missing")
	}
	q, err := parseQuery(parent, sq)
	if err != nil {
		return nil, err
	}
	return q, s.indexes.check(q, aggregated)
}

// hit is a document of a result with its place.
type hit struct {
	key []byte
	doc *pb.Document
}

// run gives the documents of the result and how many the offset skipped.
func (q *query) run(tx *bolt.Tx) (hits []hit, skipped int, err error) {
	err = q.scan(tx, func(d *pb.Document) bool {
		key, ok := q.sortKey(d)
		if ok && q.within(key) && q.matches(d) {
			hits = append(hits, hit{key, d})
		}
		return true
	})
	slices.SortFunc(hits, func(a, b hit) int { return bytes.Compare(a.key, b.key) })
	skipped = min(q.offset, len(hits))
	hits = hits[skipped:]
	if q.limit >= 0 {
		hits = hits[:min(q.limit, len(hits))]
	}
	return hits, skipped, err
}

func (q *query) matches(d *pb.Document) bool {
	return !slices.ContainsFunc(q.filters, func(c filter) bool { return !c.matches(d) })
}

// scan gives every document of the collection or group to f until it answers false.
func (q *query) scan(tx *bolt.Tx, f func(*pb.Document) bool) error {
	if !q.group {
		_, err := scanCollection(tx, q.coll(), f)
		return err
	}
	for c := range collectionsBelow(tx, q.database, q.parent) {
		if c.id() != q.collection {
			continue
		}
		if more, err := scanCollection(tx, c, f); !more || err != nil {
			return err
		}
	}
	return nil
}

func scanCollection(tx *bolt.Tx, c collName, f func(*pb.Document) bool) (more bool, err error) {
	prefix := collKey(c)
	cur := bucket(tx, documentsBucket).Cursor()
	for k, v := cur.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = cur.Next() {
		d, err := decodeDocument(c.doc(string(k[len(prefix):])), v)
		if err != nil {
			return false, err
		}
		if !f(d) {
			return false, nil
		}
	}
	return true, nil
}

// collectionsBelow lists the collections that hold documents, at any depth under a document or the root.
func collectionsBelow(tx *bolt.Tx, database, parent string) func(yield func(collName) bool) {
	return func(yield func(collName) bool) {
		prefix := pathPrefix(database, parent)
		cur := bucket(tx, documentsBucket).Cursor()
		k, _ := cur.Seek(prefix)
		for bytes.HasPrefix(k, prefix) {
			path, length := readCollection(k)
			if !yield(collName{database, path}) {
				return
			}
			k, _ = cur.Seek(append(slices.Clone(k[:length-2]), 0, 1)) // behind the collection's own documents
		}
	}
}

// readCollection gives the path of a document key's collection and the length of its key.
func readCollection(key []byte) (path string, length int) {
	_, rest, _ := cutEncodedSegment(key) // the database
	for {
		seg, after, ok := cutEncodedSegment(rest)
		if !ok {
			return path, len(key) - len(rest) + 2
		}
		if path != "" {
			path += "/"
		}
		path, rest = path+seg, after
	}
}
