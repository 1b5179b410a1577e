package firestoretest

import (
	"strings"

	"cloud.google.com/go/firestore"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/api/iterator"
	"google.golang.org/grpc/codes"
)

var listParts = []part{
	{name: "lists of collections, and of documents that are only parents", run: func(e *env) {
		e.set(e.runs().Doc("b"), fields{"n": 1})
		e.set(e.runs().Doc("b").Collection("tasks").Doc("x"), fields{})
		e.set(e.runs().Doc("a").Collection("tasks").Doc("x"), fields{})
		e.set(e.runs().Doc("a").Collection("other").Doc("x").Collection("deep").Doc("y"), fields{})
		refs, err := e.runs().DocumentRefs(e.Context()).GetAll()
		e.code("documents", err, codes.OK)
		var ids []string
		for _, r := range refs {
			ids = append(ids, r.ID)
		}
		if diff := cmp.Diff([]string{"a", "b"}, ids); diff != "" {
			e.Errorf("documents (-want +got):\n%s", diff)
		}
		cols, err := e.runs().Doc("a").Collections(e.Context()).GetAll()
		e.code("collections", err, codes.OK)
		ids = nil
		for _, c := range cols {
			ids = append(ids, c.ID)
		}
		if diff := cmp.Diff([]string{"other", "tasks"}, ids); diff != "" {
			e.Errorf("collections (-want +got):\n%s", diff)
		}
	}},
	{name: "lists come in pages", run: func(e *env) {
		var want []string
		for _, id := range strings.Split("abcdefg", "") {
			e.set(e.runs().Doc(id), fields{"n": 1})
			want = append(want, id)
		}
		var got []string
		it := e.runs().DocumentRefs(e.Context())
		for p := iterator.NewPager(it, 3, ""); ; {
			var refs []*firestore.DocumentRef
			token, err := p.NextPage(&refs)
			if err != nil {
				e.Fatal(err)
			}
			for _, r := range refs {
				got = append(got, r.ID)
			}
			if token == "" {
				break
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			e.Errorf("documents (-want +got):\n%s", diff)
		}
	}},
	{name: "bulk writes succeed and fail one by one", run: func(e *env) {
		e.set(e.runs().Doc("old"), fields{"n": 1})
		bw := e.c.BulkWriter(e.Context())
		results := map[string]*firestore.BulkWriterJob{}
		for _, id := range []string{"a", "b", "old", "c"} {
			j, err := bw.Create(e.runs().Doc(id), fields{"n": 2})
			if err != nil {
				e.Fatal(err)
			}
			results[id] = j
		}
		bw.End()
		for id, j := range results {
			_, err := j.Results()
			want := codes.OK
			if id == "old" {
				want = codes.AlreadyExists
			}
			e.code("bulk create "+id, err, want)
		}
		e.finds("after", e.runs().Where("n", "==", 2), "a", "b", "c")
	}},
}

var indexParts = []part{
	{name: "a query without its composite index is refused and named", part: CompositeIndexes, run: func(e *env) {
		e.set(e.runs().Doc("a"), fields{"model": "m", "state": "x", "created": 1, "rows": 1})
		m := e.runs().Where("model", "==", "m")
		for name, c := range map[string]struct {
			q    firestore.Query
			want string // part of the message, "" = served
		}{
			"equalities alone":             {m.Where("state", "==", "x").Where("rows", "==", 1), ""},
			"equalities, by name":          {m.OrderBy(firestore.DocumentID, firestore.Desc), ""},
			"one order":                    {e.runs().OrderBy("state", firestore.Desc), ""},
			"one range":                    {e.runs().Where("state", ">", "a"), ""},
			"range and order of one field": {e.runs().Where("state", ">", "a").OrderBy("state", firestore.Desc), ""},
			"declared":                     {m.OrderBy("created", firestore.Desc), ""},
			"declared, reversed":           {m.OrderBy("created", firestore.Asc), ""},
			"equalities in another order":  {e.runs().Where("state", "==", "x").Where("model", "==", "m").OrderBy("created", firestore.Desc), ""},
			"equality and range":           {m.Where("state", ">", "a"), "model ASCENDING, state ASCENDING"},
			"equality and another order":   {m.OrderBy("state", firestore.Desc), "model ASCENDING, state DESCENDING"},
			"fewer equalities":             {e.runs().Where("state", "==", "x").OrderBy("created", firestore.Desc), "state ASCENDING, created DESCENDING"},
			"more equalities":              {m.Where("state", "==", "x").Where("rows", "==", 1).OrderBy("created", firestore.Desc), "created DESCENDING"},
			"directions that do not match": {e.runs().OrderBy("created", firestore.Asc).OrderBy("rows", firestore.Desc), "created ASCENDING, rows DESCENDING"},
			"names against the order":      {e.runs().OrderBy("created", firestore.Asc).OrderBy(firestore.DocumentID, firestore.Desc), "created ASCENDING, __name__ DESCENDING"},
			"names alone, down":            {e.runs().OrderBy(firestore.DocumentID, firestore.Desc), "__name__ DESCENDING"},
			"a range, by name":             {e.runs().Where("state", ">", "a").OrderBy(firestore.DocumentID, firestore.Asc), "__name__ ASCENDING, state ASCENDING"},
			"a group's field":              {e.c.CollectionGroup("runs").Where("model", "==", "m"), "scope COLLECTION_GROUP"},
			"a group's declared field":     {e.c.CollectionGroup("tasks").Where("state", "==", "x"), ""},
		} {
			_, err := c.q.Documents(e.Context()).GetAll()
			if c.want == "" {
				e.code(name, err, codes.OK)
				continue
			}
			e.code(name, err, codes.FailedPrecondition)
			if err != nil && (!strings.Contains(err.Error(), "The query requires an index") || !strings.Contains(err.Error(), c.want)) {
				e.Errorf("%s: %v: want the index named: %s", name, err, c.want)
			}
		}
		_, err := m.NewAggregationQuery().WithSum("created", "s").Get(e.Context())
		e.code("sum of a declared field", err, codes.OK)
		_, err = m.NewAggregationQuery().WithSum("n", "s").Get(e.Context())
		e.code("sum of an undeclared field", err, codes.FailedPrecondition)
	}},
}
