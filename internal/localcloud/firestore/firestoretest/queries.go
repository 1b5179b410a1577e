package firestoretest

import (
	"fmt"
	"math"

	"cloud.google.com/go/firestore"
	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
)

// mixed is a collection with one document of each kind of value in field v.
func (e *env) mixed() {
	e.seed(map[string]fields{
		"null": {"v": nil}, "true": {"v": true}, "nan": {"v": math.NaN()}, "neg": {"v": -1}, "one": {"v": 1}, "uno": {"v": 1.0},
		"half": {"v": 1.5}, "two": {"v": 2}, "text": {"v": "a"}, "list": {"v": []any{1}}, "map": {"v": fields{"a": 1}}, "without": {"w": 1},
	})
}

var queryParts = []part{
	{name: "comparisons hold within one type", run: func(e *env) {
		e.mixed()
		for _, c := range []struct {
			op   string
			v    any
			want []string
		}{
			{"==", 1, []string{"one", "uno"}},
			{"==", 1.0, []string{"one", "uno"}},
			{"==", nil, []string{"null"}},
			{"==", math.NaN(), []string{"nan"}},
			{"==", []any{1}, []string{"list"}},
			{"==", fields{"a": 1}, []string{"map"}},
			{"==", "b", nil},
			{"<", 1, []string{"neg"}},
			{"<=", 1, []string{"neg", "one", "uno"}},
			{">", 1, []string{"half", "two"}},
			{">=", 1, []string{"one", "uno", "half", "two"}},
			{">=", "a", []string{"text"}},
			{">", "a", nil},
			{"!=", 1, []string{"true", "nan", "neg", "half", "two", "text", "list", "map"}},
			{"!=", nil, []string{"true", "nan", "neg", "one", "uno", "half", "two", "text", "list", "map"}},
			{"!=", math.NaN(), []string{"true", "neg", "one", "uno", "half", "two", "text", "list", "map"}},
			{"in", []any{1, "a", []any{1}, 1}, []string{"list", "one", "text", "uno"}},
			{"in", []any{true}, []string{"true"}},
		} {
			e.finds(fmt.Sprintf("v %s %v", c.op, c.v), e.runs().Where("v", c.op, c.v), c.want...)
		}
	}},
	{name: "conditions are joined by and", run: func(e *env) {
		e.seed(map[string]fields{
			"a": {"model": "m", "state": "pending", "rows": 5}, "b": {"model": "m", "state": "running", "rows": 7},
			"c": {"model": "n", "state": "pending", "rows": 9}, "d": {"model": "m", "rows": 7},
		})
		q := e.runs().Where("model", "==", "m")
		e.finds("one", q, "a", "b", "d")
		e.finds("two equalities", q.Where("state", "==", "pending"), "a")
		e.finds("two sets", e.runs().Where("model", "in", []any{"m", "n"}).Where("state", "in", []any{"pending", "other"}), "a", "c")
		e.finds("a range", e.runs().Where("rows", ">", 5).Where("rows", "<", 9), "b", "d")
		e.finds("an empty range", e.runs().Where("rows", ">", 9).Where("rows", "<", 5))
		e.finds("nested field", e.runs().Where("no.such", "==", 1))
	}},
	{name: "documents by name", run: func(e *env) {
		e.seed(map[string]fields{"a": {"n": 1}, "b": {"n": 2}, "c": {"n": 1}})
		e.finds("equal", e.runs().Where(firestore.DocumentID, "==", e.runs().Doc("b")), "b")
		e.finds("range", e.runs().Where(firestore.DocumentID, ">", e.runs().Doc("a")), "b", "c")
		e.finds("set", e.runs().Where(firestore.DocumentID, "in", []any{e.runs().Doc("c"), e.runs().Doc("a"), e.runs().Doc("x")}), "a", "c")
		e.finds("range and equality", e.runs().Where("n", "==", 1).Where(firestore.DocumentID, ">=", e.runs().Doc("b")), "c")
	}},
	{name: "a query that finds nothing ends", run: func(e *env) {
		e.finds("empty collection", e.runs().Query)
		e.finds("no match", e.runs().Where("n", "==", 1).Limit(3))
	}},
	{name: "limit, offset, limit to last", run: func(e *env) {
		for i := range 10 {
			e.set(e.runs().Doc(fmt.Sprint(i)), fields{"n": 9 - i})
		}
		e.finds("limit", e.runs().Limit(3), "0", "1", "2")
		e.finds("offset", e.runs().Offset(8), "8", "9")
		e.finds("both", e.runs().OrderBy("n", firestore.Asc).Offset(2).Limit(2), "7", "6")
		e.finds("offset beyond the end", e.runs().Offset(20))
		e.finds("limit to last", e.runs().OrderBy("n", firestore.Asc).LimitToLast(2), "1", "0")
		e.finds("limit of nothing", e.runs().Limit(0))
		e.finds("limit of a set", e.runs().Where("n", "in", []any{1, 2, 3}).Limit(2), "6", "7")
	}},
	{name: "select gives only the fields named", run: func(e *env) {
		e.set(e.runs().Doc("a"), fields{"n": 1, "m": fields{"x": 1, "y": 2}})
		for _, c := range []struct {
			paths []string
			want  fields
		}{{[]string{"n"}, fields{"n": int64(1)}}, {[]string{"m.y", "none"}, fields{"m": fields{"y": int64(2)}}}, {nil, fields{}}} {
			docs, err := e.runs().Select(c.paths...).Documents(e.Context()).GetAll()
			if err != nil || len(docs) != 1 {
				e.Fatalf("select %v: %v, %v", c.paths, docs, err)
			}
			if diff := cmp.Diff(c.want, docs[0].Data()); diff != "" {
				e.Errorf("select %v (-want +got):\n%s", c.paths, diff)
			}
		}
	}},
	{name: "a query sees writes at once", run: func(e *env) {
		q := e.runs().Where("state", "==", "pending")
		e.finds("before", q)
		for i := range 5 {
			e.set(e.runs().Doc("a"), fields{"state": "pending", "i": i})
			e.finds("written", q, "a")
			e.set(e.runs().Doc("a"), fields{"state": "running"})
			e.finds("changed", q)
		}
		e.set(e.runs().Doc("a"), fields{"state": "pending"})
		if _, err := e.runs().Doc("a").Delete(e.Context()); err != nil {
			e.Fatal(err)
		}
		e.finds("deleted", q)
	}},
	{name: "only the collection itself is searched, a group through all", run: func(e *env) {
		e.set(e.runs().Doc("a"), fields{"state": "x"})
		e.set(e.runs().Doc("a").Collection("runs").Doc("b"), fields{"state": "x"})
		e.set(e.runs().Doc("a").Collection("tasks").Doc("c"), fields{"state": e.home.ID})
		e.set(e.home.Collection("tasks").Doc("d"), fields{"state": e.home.ID})
		e.finds("collection", e.runs().Query, "a")
		e.finds("group", e.c.CollectionGroup("tasks").Where("state", "==", e.home.ID), "c", "d")
	}},
	{name: "count, sum, average", run: aggregates},
	{name: "bad queries", run: func(e *env) {
		many := make([]any, 31)
		for i := range many {
			many[i] = i
		}
		for name, q := range map[string]firestore.Query{
			"31 alternatives":    e.runs().Where("n", "in", many),
			"no alternatives":    e.runs().Where("n", "in", []any{}),
			"order named twice":  e.runs().OrderBy("n", firestore.Asc).OrderBy("n", firestore.Desc),
			"order behind names": e.runs().OrderBy(firestore.DocumentID, firestore.Asc).OrderBy("n", firestore.Asc),
			"negative limit":     e.runs().Limit(-1),
			"reserved field":     e.runs().Where("__x__", "==", 1),
		} {
			_, err := q.Documents(e.Context()).GetAll()
			e.code(name, err, codes.InvalidArgument)
		}
	}},
}

func aggregates(e *env) {
	e.seed(map[string]fields{
		"a": {"n": 1, "d": 0.5, "k": "x"}, "b": {"n": 2, "d": 1}, "c": {"n": "text", "k": "x"}, "d": {"other": 1},
	})
	x, three := e.runs().Where("k", "==", "x"), e.runs().Limit(3)
	for _, c := range []struct {
		name string
		q    *firestore.AggregationQuery
		want map[string]any
	}{
		{"count", e.runs().NewAggregationQuery().WithCount("c"), map[string]any{"c": int64(4)}},
		{"count of a condition", x.NewAggregationQuery().WithCount("c"), map[string]any{"c": int64(2)}},
		{"count with limit", three.NewAggregationQuery().WithCount("c"), map[string]any{"c": int64(3)}},
		{"integers", e.runs().NewAggregationQuery().WithSum("n", "s").WithAvg("n", "a").WithCount("c"), map[string]any{"s": int64(3), "a": 1.5, "c": int64(3)}},
		{"doubles", e.runs().NewAggregationQuery().WithSum("d", "s").WithAvg("d", "a"), map[string]any{"s": 1.5, "a": 0.75}},
		{"nothing", e.home.Collection("none").NewAggregationQuery().WithCount("c").WithSum("n", "s").WithAvg("n", "a"), map[string]any{"c": int64(0), "s": int64(0), "a": nil}},
	} {
		r, err := c.q.Get(e.Context())
		if err != nil {
			e.Errorf("%s: %v", c.name, err)
			continue
		}
		got := map[string]any{}
		for alias, v := range r {
			switch v := v.(*pb.Value).ValueType.(type) {
			case *pb.Value_IntegerValue:
				got[alias] = v.IntegerValue
			case *pb.Value_DoubleValue:
				got[alias] = v.DoubleValue
			default:
				got[alias] = nil
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			e.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}
