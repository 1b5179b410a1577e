package firestoretest

import (
	"math"
	"time"

	"cloud.google.com/go/firestore"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
)

// transformCases: a field before, what is done to it, the field after.
var transformCases = []struct {
	name      string
	before    any // nil = no field
	transform any
	after     any
}{
	{"increment adds to an integer", 3, firestore.Increment(4), int64(7)},
	{"increment of a missing field gives the operand", nil, firestore.Increment(4), int64(4)},
	{"increment of a string gives the operand", "x", firestore.Increment(4), int64(4)},
	{"increment by a double gives a double", 3, firestore.Increment(0.5), 3.5},
	{"increment stops at the largest integer", int64(math.MaxInt64), firestore.Increment(1), int64(math.MaxInt64)},
	{"increment stops at the smallest integer", int64(math.MinInt64), firestore.Increment(-1), int64(math.MinInt64)},
	{"maximum takes the larger", 3, firestore.FieldTransformMaximum(4), int64(4)},
	{"maximum keeps the larger", 5, firestore.FieldTransformMaximum(4), int64(5)},
	{"maximum of equals keeps what is stored", 3.0, firestore.FieldTransformMaximum(3), 3.0},
	{"maximum takes the larger one's type", 3.5, firestore.FieldTransformMaximum(4), int64(4)},
	{"maximum of a missing field gives the operand", nil, firestore.FieldTransformMaximum(4), int64(4)},
	{"maximum of a string gives the operand", "x", firestore.FieldTransformMaximum(4), int64(4)},
	{"minimum takes the smaller", 5, firestore.FieldTransformMinimum(4.5), 4.5},
	{"minimum keeps the smaller", 3, firestore.FieldTransformMinimum(4), int64(3)},
	{"union adds what is missing", []any{1, "a"}, firestore.ArrayUnion(1.0, "b", "b"), []any{int64(1), "a", "b"}},
	{"union makes an array of no array", "x", firestore.ArrayUnion(1), []any{int64(1)}},
	{"remove takes all equals", []any{1, 2, 1.0, nil}, firestore.ArrayRemove(1, nil), []any{int64(2)}},
	{"remove makes an empty array of nothing", nil, firestore.ArrayRemove(1), []any{}},
}

var transformParts = []part{
	{name: "transforms", run: func(e *env) {
		for i, c := range transformCases {
			d := e.runs().NewDoc()
			before := fields{"other": i}
			if c.before != nil {
				before["f"] = c.before
			}
			e.set(d, before)
			if _, err := d.Update(e.Context(), []firestore.Update{{Path: "f", Value: c.transform}}); err != nil {
				e.Errorf("%s: %v", c.name, err)
				continue
			}
			if diff := cmp.Diff(fields{"other": int64(i), "f": c.after}, e.get(d).Data()); diff != "" {
				e.Errorf("%s (-want +got):\n%s", c.name, diff)
			}
		}
	}},
	{name: "transforms happen after the update, alone they touch nothing else", run: func(e *env) {
		d := e.runs().Doc("a")
		e.set(d, fields{"n": 1, "m": 1})
		_, err := d.Set(e.Context(), fields{"n": firestore.Increment(5)}, firestore.MergeAll)
		e.code("increment alone", err, codes.OK)
		e.holds(d, fields{"n": int64(6), "m": int64(1)})
		_, err = d.Set(e.Context(), fields{"n": firestore.Increment(2), "k": 1})
		e.code("increment beside a replacement", err, codes.OK)
		e.holds(d, fields{"n": int64(2), "k": int64(1)})
		_, err = e.runs().Doc("new").Set(e.Context(), fields{"n": firestore.Increment(2)}, firestore.MergeAll)
		e.code("increment of nothing", err, codes.OK)
		e.holds(e.runs().Doc("new"), fields{"n": int64(2)})
	}},
	{name: "server time is one value of whole milliseconds for a commit", run: func(e *env) {
		a, b := e.runs().Doc("a"), e.runs().Doc("b")
		now := fields{"at": firestore.ServerTimestamp, "m": fields{"at": firestore.ServerTimestamp}}
		_, err := e.c.Batch().Set(a, now).Set(b, now).Commit(e.Context()) //nolint:staticcheck // the one call for an atomic commit without reads
		e.code("commit", err, codes.OK)
		s := e.get(a)
		at, ok := s.Data()["at"].(time.Time)
		if !ok || at.Nanosecond()%int(time.Millisecond) != 0 || at.After(s.UpdateTime) || s.UpdateTime.Sub(at) > time.Minute {
			e.Errorf("server time %v of a commit at %v", at, s.UpdateTime)
		}
		e.holds(b, fields{"at": at, "m": fields{"at": at}})
	}},
}
