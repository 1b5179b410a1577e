package firestore

import (
	"bytes"
	"slices"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	bolt "go.etcd.io/bbolt"
)

// RunQuery answers the documents in order, or one message without a document when there is none.
func (s *Server) RunQuery(req *pb.RunQueryRequest, stream pb.Firestore_RunQueryServer) error {
	q, err := s.query(req.GetParent(), req.GetStructuredQuery(), nil)
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

// query parses a query, refuses it if production would have no index for it, and sees to the index that it reads.
func (s *Server) query(parent string, sq *pb.StructuredQuery, aggregated []fieldPath) (*query, error) {
	if sq == nil {
		return nil, invalid("structured_query is missing")
	}
	q, err := parseQuery(parent, sq)
	if err != nil {
		return nil, err
	}
	if err := s.declared.check(q, aggregated); err != nil {
		return nil, err
	}
	q.present = aggregated
	q.plan = s.declared.access(q)
	if q.plan.index != nil {
		q.plan.index, err = s.ensure(q.plan.index)
	}
	return q, err
}

// hit is a document of a result with its place.
type hit struct {
	key []byte
	doc *pb.Document
}

// run gives the documents of the result and how many the offset skipped.
func (q *query) run(tx *bolt.Tx) (hits []hit, skipped int, err error) {
	most := -1
	if q.plan.ordered && q.limit >= 0 {
		most = q.offset + q.limit
	}
	sorted := q.plan.ordered
	take := func(n docName, d *pb.Document) bool {
		if key, ok := q.sortKey(d); ok && q.within(key) && q.matches(d) {
			hits = append(hits, hit{key, d})
		}
		return most < 0 || len(hits) < most
	}
	switch {
	case most == 0:
	case q.plan.index == nil:
		err = q.scan(tx, take)
	default:
		ranges := q.plan.ranges(q)
		sorted = sorted && len(ranges) == 1
		for _, r := range ranges {
			first := len(hits)
			err = q.scanIndex(tx, r, func(n docName, d *pb.Document) bool {
				take(n, d)
				return most < 0 || len(hits)-first < most
			})
			if err != nil {
				return nil, 0, err
			}
		}
	}
	if !sorted {
		slices.SortFunc(hits, func(a, b hit) int { return bytes.Compare(a.key, b.key) })
	}
	skipped = min(q.offset, len(hits))
	hits = hits[skipped:]
	if q.limit >= 0 {
		hits = hits[:min(q.limit, len(hits))]
	}
	return hits, skipped, err
}

func (q *query) matches(d *pb.Document) bool {
	missing := func(f fieldPath) bool { _, ok := getField(d.Fields, f); return !ok }
	return !slices.ContainsFunc(q.present, missing) &&
		!slices.ContainsFunc(q.filters, func(c filter) bool { return !c.matches(d) })
}
