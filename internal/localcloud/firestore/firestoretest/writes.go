package firestoretest

import (
	"sync"
	"sync/atomic"
	"time"

	"cloud.google.com/go/firestore"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var writeParts = []part{
	{name: "create writes once", run: func(e *env) {
		d := e.runs().Doc("a")
		wr, err := d.Create(e.Context(), fields{"n": 1})
		e.code("create", err, codes.OK)
		_, err = d.Create(e.Context(), fields{"n": 2})
		e.code("create again", err, codes.AlreadyExists)
		s := e.get(d)
		if !s.CreateTime.Equal(wr.UpdateTime) || !s.UpdateTime.Equal(wr.UpdateTime) || s.ReadTime.Before(s.UpdateTime) {
			e.Errorf("created %v, updated %v, read %v: want both %v and a later read", s.CreateTime, s.UpdateTime, s.ReadTime, wr.UpdateTime)
		}
		e.holds(d, fields{"n": int64(1)})
	}},
	{name: "16 creates of one document have one winner, 50 times", run: createRace},
	{name: "set replaces, merge keeps", run: func(e *env) {
		d := e.runs().Doc("a")
		e.set(d, fields{"n": 1, "m": fields{"x": 1, "y": 2}})
		_, err := d.Set(e.Context(), fields{"m": fields{"y": 3}}, firestore.MergeAll)
		e.code("merge", err, codes.OK)
		e.holds(d, fields{"n": int64(1), "m": fields{"x": int64(1), "y": int64(3)}})
		_, err = d.Set(e.Context(), fields{"m": fields{"y": 4}, "n": 9}, firestore.Merge([]string{"m"}))
		e.code("merge of one field", err, codes.OK)
		e.holds(d, fields{"n": int64(1), "m": fields{"y": int64(4)}})
		e.set(d, fields{"z": true})
		e.holds(d, fields{"z": true})
		_, err = e.runs().Doc("new").Set(e.Context(), fields{"a": 1}, firestore.MergeAll)
		e.code("merge into nothing", err, codes.OK)
		e.holds(e.runs().Doc("new"), fields{"a": int64(1)})
	}},
	{name: "update touches only its paths", run: func(e *env) {
		d := e.runs().Doc("a")
		e.set(d, fields{"n": 1, "m": fields{"x": 1, "y": 2}, "odd key": 5})
		_, err := d.Update(e.Context(), []firestore.Update{
			{Path: "m.x", Value: "new"}, {Path: "n", Value: firestore.Delete},
			{FieldPath: []string{"odd key"}, Value: 6}, {Path: "deep.er", Value: 7}, {Path: "absent", Value: firestore.Delete},
		})
		e.code("update", err, codes.OK)
		e.holds(d, fields{"m": fields{"x": "new", "y": int64(2)}, "odd key": int64(6), "deep": fields{"er": int64(7)}})
		_, err = e.runs().Doc("none").Update(e.Context(), []firestore.Update{{Path: "n", Value: 1}})
		e.code("update of a missing document", err, codes.NotFound)
	}},
	{name: "a version precondition is checked", run: func(e *env) {
		d := e.runs().Doc("a")
		first := e.set(d, fields{"n": 1}).UpdateTime
		up := []firestore.Update{{Path: "n", Value: 2}}
		wr, err := d.Update(e.Context(), up, firestore.LastUpdateTime(first))
		e.code("update of the version read", err, codes.OK)
		if !wr.UpdateTime.After(first) {
			e.Errorf("update time %v is not after %v", wr.UpdateTime, first)
		}
		if s := e.get(d); !s.CreateTime.Equal(first) || !s.UpdateTime.Equal(wr.UpdateTime) {
			e.Errorf("created %v, updated %v: want %v, %v", s.CreateTime, s.UpdateTime, first, wr.UpdateTime)
		}
		_, err = d.Update(e.Context(), up, firestore.LastUpdateTime(first))
		e.code("update of an older version", err, codes.FailedPrecondition)
		_, err = e.runs().Doc("none").Update(e.Context(), up, firestore.LastUpdateTime(first))
		e.code("update of a version of nothing", err, codes.FailedPrecondition)
		_, err = d.Delete(e.Context(), firestore.LastUpdateTime(first))
		e.code("delete of an older version", err, codes.FailedPrecondition)
		_, err = d.Delete(e.Context(), firestore.LastUpdateTime(wr.UpdateTime))
		e.code("delete of the version", err, codes.OK)
	}},
	{name: "delete", run: func(e *env) {
		d := e.runs().Doc("a")
		_, err := d.Delete(e.Context())
		e.code("delete of nothing", err, codes.OK)
		_, err = d.Delete(e.Context(), firestore.Exists)
		e.code("delete of nothing that must exist", err, codes.NotFound)
		e.set(d, fields{"n": 1})
		_, err = d.Delete(e.Context(), firestore.Exists)
		e.code("delete", err, codes.OK)
		_, err = d.Get(e.Context())
		e.code("get after delete", err, codes.NotFound)
	}},
	{name: "one refused write refuses its commit", run: func(e *env) {
		a, b := e.runs().Doc("a"), e.runs().Doc("b")
		e.set(b, fields{"n": 1})
		_, err := e.c.Batch().Create(a, fields{"n": 1}).Create(b, fields{"n": 2}).Commit(e.Context()) //nolint:staticcheck // the one call for an atomic commit without reads
		e.code("batch", err, codes.AlreadyExists)
		_, err = a.Get(e.Context())
		e.code("the batch's other document", err, codes.NotFound)
	}},
	{name: "two writes of one document happen in order", run: func(e *env) {
		d := e.runs().Doc("a")
		_, err := e.c.Batch().Create(d, fields{"n": 1, "m": 1}).Update(d, []firestore.Update{{Path: "n", Value: 2}}).Commit(e.Context()) //nolint:staticcheck // as above
		e.code("batch", err, codes.OK)
		e.holds(d, fields{"n": int64(2), "m": int64(1)})
	}},
	{name: "a write that changes nothing keeps the update time", run: func(e *env) {
		d := e.runs().Doc("a")
		first := e.set(d, fields{"n": 1, "m": fields{"x": 1.5}}).UpdateTime
		again := e.set(d, fields{"n": 1, "m": fields{"x": 1.5}}).UpdateTime
		_, err := d.Update(e.Context(), []firestore.Update{{Path: "n", Value: 1}})
		e.code("update", err, codes.OK)
		if got := e.get(d).UpdateTime; !again.Equal(first) || !got.Equal(first) {
			e.Errorf("update times %v, %v, want %v", again, got, first)
		}
	}},
	{name: "update times rise, reads are not older than what they show", run: func(e *env) {
		d := e.runs().Doc("a")
		var last time.Time
		for i := range 20 {
			wr := e.set(d, fields{"n": i})
			if !wr.UpdateTime.After(last) {
				e.Fatalf("write %d: %v is not after %v", i, wr.UpdateTime, last)
			}
			if s := e.get(d); s.ReadTime.Before(s.UpdateTime) || s.UpdateTime.Nanosecond()%1000 != 0 {
				e.Fatalf("read at %v shows %v", s.ReadTime, s.UpdateTime)
			}
			last = wr.UpdateTime
		}
	}},
	{name: "get answers each name once, found or missing", run: func(e *env) {
		a, none := e.runs().Doc("a"), e.runs().Doc("none")
		e.set(a, fields{"n": 1})
		list, err := e.c.GetAll(e.Context(), []*firestore.DocumentRef{none, a, a, none})
		e.code("get all", err, codes.OK)
		for i, want := range []bool{false, true, true, false} {
			if len(list) != 4 || list[i].Exists() != want || list[i].ReadTime.IsZero() {
				e.Fatalf("document %d: %+v, want exists = %v and a read time", i, list[i], want)
			}
		}
		_, err = none.Get(e.Context())
		e.code("get of nothing", err, codes.NotFound)
	}},
	{name: "every type of value comes back", run: func(e *env) {
		d := e.runs().Doc("a")
		at := time.Date(2026, 1, 2, 3, 4, 5, 123456789, time.UTC)
		e.set(d, fields{
			"null": nil, "bool": true, "int": -5, "double": 1.5, "time": at, "string": "é\x00x", "bytes": []byte{0, 1},
			"list": []any{1, "a", fields{"in": []any{2}}}, "empty": fields{}, "nothing": []any{},
		})
		e.holds(d, fields{
			"null": nil, "bool": true, "int": int64(-5), "double": 1.5, "time": at.Truncate(time.Microsecond), "string": "é\x00x",
			"bytes": []byte{0, 1}, "list": []any{int64(1), "a", fields{"in": []any{int64(2)}}}, "empty": fields{},
			"nothing": []any{},
		})
	}},
}

func createRace(e *env) {
	for i := range 50 {
		d := e.runs().NewDoc()
		var wins atomic.Int32
		var wg sync.WaitGroup
		for w := range 16 {
			wg.Go(func() {
				switch _, err := d.Create(e.Context(), fields{"by": w}); status.Code(err) {
				case codes.OK:
					wins.Add(1)
				case codes.AlreadyExists:
				default:
					e.Errorf("round %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		if wins.Load() != 1 {
			e.Fatalf("round %d: %d winners", i, wins.Load())
		}
	}
}
