package firestore

import (
	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
)

// BatchGetDocuments answers each distinct name once, as of one moment.
func (s *Server) BatchGetDocuments(req *pb.BatchGetDocumentsRequest, stream pb.Firestore_BatchGetDocumentsServer) error {
	if err := checkDatabase(req.GetDatabase()); err != nil {
		return err
	}
	mask, err := parseMask(req.GetMask())
	if err != nil {
		return err
	}
	names, err := distinct(req.GetDatabase(), req.GetDocuments())
	if err != nil {
		return err
	}
	var answers []*pb.BatchGetDocumentsResponse
	c := consistency{req.GetTransaction(), req.GetNewTransaction(), req.GetReadTime() != nil}
	started, err := s.read(stream.Context(), c, docItems(names, exclusive), func(r reading) error {
		at := readTime(r.tx, r.time)
		for _, n := range names {
			doc, err := get(r.tx, n)
			if err != nil {
				return err
			}
			a := &pb.BatchGetDocumentsResponse{ReadTime: at, Result: &pb.BatchGetDocumentsResponse_Missing{Missing: n.String()}}
			if doc != nil {
				doc.Fields = project(doc.Fields, mask)
				a.Result = &pb.BatchGetDocumentsResponse_Found{Found: doc}
			}
			answers = append(answers, a)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if started != nil {
		answers = append([]*pb.BatchGetDocumentsResponse{{Transaction: started}}, answers...)
	}
	// Sent only now: a slow client must not keep a view open, which would stop the writer when the file has to grow.
	for _, a := range answers {
		if err := stream.Send(a); err != nil {
			return err
		}
	}
	return nil
}

func distinct(database string, docs []string) ([]docName, error) {
	seen := map[docName]bool{}
	var names []docName
	for _, d := range docs {
		n, err := parseDocIn(database, d)
		if err != nil {
			return nil, err
		}
		if !seen[n] {
			seen[n] = true
			names = append(names, n)
		}
	}
	return names, nil
}
