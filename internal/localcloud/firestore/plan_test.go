package firestore

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	bolt "go.etcd.io/bbolt"
	"google.golang.org/protobuf/types/known/wrapperspb"
	"pgregory.net/rapid"
)

const planIndexes = `{"indexes":[
{"collectionGroup":"c","queryScope":"COLLECTION","fields":[{"fieldPath":"a","order":"ASCENDING"},{"fieldPath":"b","order":"DESCENDING"}]},
{"collectionGroup":"c","queryScope":"COLLECTION","fields":[{"fieldPath":"a","order":"DESCENDING"},{"fieldPath":"b","order":"ASCENDING"},{"fieldPath":"m.x","order":"ASCENDING"}]},
{"collectionGroup":"c","queryScope":"COLLECTION","fields":[{"fieldPath":"b","order":"ASCENDING"},{"fieldPath":"m.x","order":"DESCENDING"}]},
{"collectionGroup":"c","queryScope":"COLLECTION","fields":[{"fieldPath":"b","order":"ASCENDING"},{"fieldPath":"__name__","order":"DESCENDING"}]},
{"collectionGroup":"c","queryScope":"COLLECTION","fields":[{"fieldPath":"__name__","order":"DESCENDING"}]}]}`

func openTest(t *testing.T, indexes string) *Server {
	t.Helper()
	db, err := bolt.Open(filepath.Join(t.TempDir(), "data.db"), 0o600, &bolt.Options{Timeout: time.Second, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(db, Options{Indexes: []byte(indexes)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

var planFields = []string{"a", "b", "m.x"}

// smallValue draws from so few values that documents agree in some fields.
func smallValue() *rapid.Generator[*pb.Value] {
	return rapid.SampledFrom([]*pb.Value{integer(1), double(1), integer(2), integer(3), double(2.5), text("x"), text("y"), nullValue(), double(nanValue), boolean(true), arrayOf([]*pb.Value{integer(1)})})
}

var nanValue = func() float64 { var zero float64; return zero / zero }()

func randomFields(t *rapid.T) map[string]*pb.Value {
	f := map[string]*pb.Value{}
	for _, p := range planFields {
		if rapid.IntRange(0, 9).Draw(t, "has "+p) > 0 {
			path, _ := parseFieldPath(p)
			setField(f, path, smallValue().Draw(t, p))
		}
	}
	return f
}

func randomQuery(t *rapid.T, parent string) *pb.StructuredQuery {
	ref := func(p string) *pb.StructuredQuery_FieldReference {
		return &pb.StructuredQuery_FieldReference{FieldPath: p}
	}
	q := &pb.StructuredQuery{From: []*pb.StructuredQuery_CollectionSelector{{CollectionId: "c"}}}
	var filters []*pb.StructuredQuery_Filter
	for range rapid.IntRange(0, 3).Draw(t, "filters") {
		op := rapid.SampledFrom([]pb.StructuredQuery_FieldFilter_Operator{1, 2, 3, 4, 5, 5, 5, 6, 8, 8}).Draw(t, "op")
		v := smallValue().Draw(t, "operand")
		if op == pb.StructuredQuery_FieldFilter_IN {
			v = arrayOf(rapid.SliceOfN(smallValue(), 1, 4).Draw(t, "operands"))
		}
		filters = append(filters, &pb.StructuredQuery_Filter{FilterType: &pb.StructuredQuery_Filter_FieldFilter{FieldFilter: &pb.StructuredQuery_FieldFilter{
			Field: ref(rapid.SampledFrom(planFields).Draw(t, "filtered")), Op: op, Value: v,
		}}})
	}
	q.Where = &pb.StructuredQuery_Filter{FilterType: &pb.StructuredQuery_Filter_CompositeFilter{CompositeFilter: &pb.StructuredQuery_CompositeFilter{Op: 1, Filters: filters}}}
	fields := append(slices.Clone(planFields), nameField)
	for _, p := range rapid.Permutation(fields).Draw(t, "orders")[:rapid.IntRange(0, 3).Draw(t, "order count")] {
		q.OrderBy = append(q.OrderBy, &pb.StructuredQuery_Order{Field: ref(p), Direction: pb.StructuredQuery_Direction(rapid.IntRange(1, 2).Draw(t, "direction"))})
	}
	cursor := func(name string) *pb.Cursor {
		n := rapid.IntRange(-2, len(q.OrderBy)).Draw(t, name)
		if n < 0 {
			return nil
		}
		c := &pb.Cursor{Before: rapid.Bool().Draw(t, name+" before")}
		for _, o := range q.OrderBy[:n] {
			v := smallValue().Draw(t, name+" value")
			if o.Field.FieldPath == nameField {
				v = reference(fmt.Sprintf("%s/c/%d", parent, rapid.IntRange(0, 9).Draw(t, name+" id")))
			}
			c.Values = append(c.Values, v)
		}
		return c
	}
	q.StartAt, q.EndAt = cursor("start"), cursor("end")
	q.Offset = rapid.Int32Range(0, 3).Draw(t, "offset")
	if n := rapid.Int32Range(-1, 4).Draw(t, "limit"); n >= 0 {
		q.Limit = wrapperspb.Int32(n)
	}
	return q
}

// Whatever index a query is read from, and whatever was written since that index came to be, the answer is the one that
// reading all documents and sorting them gives.
func TestPlansAgreeWithAFullScan(t *testing.T) {
	t.Parallel()
	s := openTest(t, planIndexes)
	life := 0
	rapid.Check(t, func(t *rapid.T) {
		life++
		database := fmt.Sprintf("projects/p/databases/d%d", life)
		parent := database + "/documents"
		for range rapid.IntRange(1, 6).Draw(t, "rounds") {
			var writes []*pb.Write
			for i := range 10 {
				name := fmt.Sprintf("%s/c/%d", parent, i)
				switch rapid.IntRange(0, 3).Draw(t, "write") {
				case 0:
					writes = append(writes, &pb.Write{Operation: &pb.Write_Delete{Delete: name}})
				case 1, 2:
					writes = append(writes, &pb.Write{Operation: &pb.Write_Update{Update: &pb.Document{Name: name, Fields: randomFields(t)}}})
				}
			}
			if _, err := s.Commit(t.Context(), &pb.CommitRequest{Database: database, Writes: writes}); err != nil {
				t.Fatal(err)
			}
			agree(t, s, parent, randomQuery(t, parent))
		}
	})
}

func agree(t *rapid.T, s *Server, parent string, sq *pb.StructuredQuery) {
	q, err := parseQuery(parent, sq)
	if err != nil {
		return // for example an order behind __name__
	}
	q.plan = s.declared.access(q)
	if q.plan.index != nil {
		if q.plan.index, err = s.ensure(q.plan.index); err != nil {
			t.Fatal(err)
		}
	}
	slow := *q
	slow.plan = plan{}
	err = s.view(func(r reading) error {
		got, _, err := q.run(r.tx)
		if err != nil {
			return err
		}
		want, _, err := slow.run(r.tx)
		if err != nil {
			return err
		}
		if g, w := names(got), names(want); !slices.Equal(g, w) {
			t.Fatalf("index %+v, ordered %v, reverse %v:\n got %v\nwant %v", q.plan.index, q.plan.ordered, q.plan.reverse, g, w)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func names(hits []hit) []string {
	var list []string
	for _, h := range hits {
		list = append(list, h.doc.Name)
	}
	return list
}
