package firestore

import (
	"bytes"
	"context"
	"slices"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	bolt "go.etcd.io/bbolt"
)

// pageSize is used where a request names none, and is the most a page has.
const pageSize = 1000

// ListDocuments lists one collection, or all under a parent, by name. Missing documents are those that have only
// documents below them.
func (s *Server) ListDocuments(ctx context.Context, req *pb.ListDocumentsRequest) (*pb.ListDocumentsResponse, error) {
	l, err := parseList(req)
	if err != nil {
		return nil, err
	}
	resp := &pb.ListDocumentsResponse{}
	c := consistency{req.GetTransaction(), nil, req.GetReadTime() != nil}
	_, err = s.read(ctx, c, listItems(l.only), func(r reading) error {
		collections := []collName{l.only}
		if l.only.path == "" {
			collections = childCollections(r.tx, l.database, l.parent)
		}
		names := listNames(r.tx, collections, req.GetShowMissing(), req.GetPageToken(), l.size+1)
		if len(names) > l.size {
			names = names[:l.size]
			resp.NextPageToken = names[l.size-1].String()
		}
		for _, n := range names {
			doc, err := get(r.tx, n)
			if err != nil {
				return err
			}
			if doc == nil {
				doc = &pb.Document{Name: n.String()}
			}
			doc.Fields = project(doc.Fields, l.mask)
			resp.Documents = append(resp.Documents, doc)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

// listing is a ListDocumentsRequest, checked.
type listing struct {
	database, parent string
	only             collName // without a path: all collections under the parent
	mask             []fieldPath
	size             int
}

func parseList(req *pb.ListDocumentsRequest) (l listing, err error) {
	if o := req.GetOrderBy(); o != "" && o != nameField && o != nameField+" asc" {
		return l, unimplemented("order_by %q: the local Firestore lists by name only; run a query", o)
	}
	if l.database, l.parent, err = parseParent(req.GetParent()); err != nil {
		return l, err
	}
	if l.mask, err = parseMask(req.GetMask()); err != nil {
		return l, err
	}
	if l.size, err = checkPage(req.GetPageSize()); err != nil {
		return l, err
	}
	if req.GetPageToken() != "" {
		if _, err := parseDoc(req.GetPageToken()); err != nil {
			return l, invalid("page_token: not one that this server gave: %s", message(err))
		}
	}
	if req.GetCollectionId() != "" {
		l.only, err = childCollection(l.database, l.parent, req.GetCollectionId())
	}
	return l, err
}

// listItems locks the collection; a list over several locks nothing: no client that we know makes one in a transaction.
func listItems(c collName) map[string]lockMode {
	if c.path == "" {
		return nil
	}
	return collItems(c)
}

func checkPage(n int32) (int, error) {
	if n < 0 {
		return 0, invalid("page_size: %d is negative", n)
	}
	if n == 0 || n > pageSize {
		return pageSize, nil
	}
	return int(n), nil
}

// listNames gives up to limit names behind the one that the token is.
func listNames(tx *bolt.Tx, collections []collName, missing bool, token string, limit int) []docName {
	var names []docName
	for _, c := range collections {
		ids := documentIDs(tx, c)
		if missing {
			ids = append(ids, children(tx, c.database, c.path)...)
			slices.Sort(ids)
			ids = slices.Compact(ids)
		}
		for _, id := range ids {
			if n := c.doc(id); token == "" || bytes.Compare(encodeName(nil, n.String()), encodeName(nil, token)) > 0 {
				names = append(names, n)
			}
			if len(names) == limit {
				return names
			}
		}
	}
	return names
}

func documentIDs(tx *bolt.Tx, c collName) []string {
	var ids []string
	prefix := collKey(c)
	cur := bucket(tx, documentsBucket).Cursor()
	for k, _ := cur.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = cur.Next() {
		ids = append(ids, string(k[len(prefix):]))
	}
	return ids
}

// children are the next ids under a path that lead to documents: collections under a document, or documents that have
// collections under them.
func children(tx *bolt.Tx, database, path string) []string {
	var ids []string
	prefix := pathPrefix(database, path)
	cur := bucket(tx, documentsBucket).Cursor()
	k, _ := cur.Seek(prefix)
	for bytes.HasPrefix(k, prefix) {
		id, rest, ok := cutEncodedSegment(k[len(prefix):])
		if !ok { // the path is a collection, and this one of its own documents
			k, _ = cur.Seek(append(slices.Clone(prefix), 0, 1))
			continue
		}
		ids = append(ids, id)
		k, _ = cur.Seek(prefixEnd(k[:len(k)-len(rest)]))
	}
	return ids
}

func childCollections(tx *bolt.Tx, database, parent string) []collName {
	var list []collName
	for _, id := range children(tx, database, parent) {
		if c, err := childCollection(database, parent, id); err == nil {
			list = append(list, c)
		}
	}
	return list
}

// ListCollectionIds lists the collections directly under a document or the root that lead to documents.
func (s *Server) ListCollectionIds(ctx context.Context, req *pb.ListCollectionIdsRequest) (*pb.ListCollectionIdsResponse, error) {
	database, parent, err := parseParent(req.GetParent())
	if err != nil {
		return nil, err
	}
	size, err := checkPage(req.GetPageSize())
	if err != nil {
		return nil, err
	}
	resp := &pb.ListCollectionIdsResponse{}
	_, err = s.read(ctx, consistency{readTime: req.GetReadTime() != nil}, nil, func(r reading) error {
		ids := children(r.tx, database, parent)
		ids = slices.DeleteFunc(ids, func(id string) bool { return id <= req.GetPageToken() })
		if len(ids) > size {
			ids = ids[:size]
			resp.NextPageToken = ids[size-1]
		}
		resp.CollectionIds = ids
		return nil
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}
