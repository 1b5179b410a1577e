package firestore

import (
	"fmt"
	"testing"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const (
	testDatabase = "projects/p/databases/d"
	testParent   = testDatabase + "/documents"
)

// badWrites are refused whole, by Commit and by BatchWrite. The Go client does not build them.
var badWrites = map[string][]*pb.Write{
	"no operation":                  {{}},
	"another database":              {{Operation: &pb.Write_Delete{Delete: "projects/p/databases/e/documents/c/a"}}},
	"a collection's name":           {{Operation: &pb.Write_Delete{Delete: testParent + "/c"}}},
	"no documents in the name":      {{Operation: &pb.Write_Delete{Delete: testDatabase + "/c/a"}}},
	"an empty id":                   {{Operation: &pb.Write_Delete{Delete: testParent + "/c/"}}},
	"a delete with a mask":          {{Operation: &pb.Write_Delete{Delete: testParent + "/c/a"}, UpdateMask: &pb.DocumentMask{}}},
	"a mask with the name":          {{Operation: &pb.Write_Update{Update: &pb.Document{Name: testParent + "/c/a"}}, UpdateMask: &pb.DocumentMask{FieldPaths: []string{"__name__"}}}},
	"a mask that is no path":        {{Operation: &pb.Write_Update{Update: &pb.Document{Name: testParent + "/c/a"}}, UpdateMask: &pb.DocumentMask{FieldPaths: []string{"a..b"}}}},
	"a value without a type":        {update(map[string]*pb.Value{"a": {}})},
	"a function as a value":         {update(map[string]*pb.Value{"a": {ValueType: &pb.Value_FunctionValue{}}})},
	"a point that is not on earth":  {update(map[string]*pb.Value{"a": point(91, 0)})},
	"a time beyond all years":       {update(map[string]*pb.Value{"a": instant(1<<60, 0)})},
	"a reference to a collection":   {update(map[string]*pb.Value{"a": reference(testParent + "/c")})},
	"no transforms":                 {{Operation: &pb.Write_Transform{Transform: &pb.DocumentTransform{Document: testParent + "/c/a"}}}},
	"a transform that does nothing": {{Operation: &pb.Write_Transform{Transform: &pb.DocumentTransform{Document: testParent + "/c/a", FieldTransforms: []*transform{{FieldPath: "a"}}}}}},
	"an increment by a string": {{Operation: &pb.Write_Update{Update: &pb.Document{Name: testParent + "/c/a"}}, UpdateTransforms: []*transform{
		{FieldPath: "a", TransformType: &pb.DocumentTransform_FieldTransform_Increment{Increment: text("1")}},
	}}},
	"a version with nanoseconds": {{Operation: &pb.Write_Delete{Delete: testParent + "/c/a"}, CurrentDocument: &pb.Precondition{
		ConditionType: &pb.Precondition_UpdateTime{UpdateTime: &timestamppb.Timestamp{Seconds: 1, Nanos: 1}},
	}}},
}

func update(f map[string]*pb.Value) *pb.Write {
	return &pb.Write{Operation: &pb.Write_Update{Update: &pb.Document{Name: testParent + "/c/a", Fields: f}}}
}

func wantInvalid(t *testing.T, what string, err error) {
	t.Helper()
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("%s: %v, want InvalidArgument", what, err)
	}
}

func TestBadWrites(t *testing.T) {
	t.Parallel()
	s := openTest(t, "")
	good := &pb.Write{Operation: &pb.Write_Update{Update: &pb.Document{Name: testParent + "/c/good"}}}
	for name, writes := range badWrites {
		writes = append([]*pb.Write{good}, writes...)
		_, err := s.Commit(t.Context(), &pb.CommitRequest{Database: testDatabase, Writes: writes})
		wantInvalid(t, "commit with "+name, err)
		_, err = s.BatchWrite(t.Context(), &pb.BatchWriteRequest{Database: testDatabase, Writes: writes})
		wantInvalid(t, "batch write with "+name, err)
	}
	_, err := s.BatchWrite(t.Context(), &pb.BatchWriteRequest{Database: testDatabase, Writes: []*pb.Write{good, good}})
	wantInvalid(t, "batch write of one document twice", err)
	_, err = s.Commit(t.Context(), &pb.CommitRequest{Database: "projects/p", Writes: nil})
	wantInvalid(t, "commit to no database", err)
	list, err := s.ListDocuments(t.Context(), &pb.ListDocumentsRequest{Parent: testParent, CollectionId: "c"})
	if err != nil || len(list.Documents) > 0 {
		t.Errorf("documents after refusals: %v, %v", list.GetDocuments(), err)
	}
}

func TestBadReads(t *testing.T) {
	t.Parallel()
	s := openTest(t, "")
	list := func(change func(*pb.ListDocumentsRequest)) error {
		req := &pb.ListDocumentsRequest{Parent: testParent, CollectionId: "c"}
		change(req)
		_, err := s.ListDocuments(t.Context(), req)
		return err
	}
	for name, err := range map[string]error{
		"negative page":       list(func(r *pb.ListDocumentsRequest) { r.PageSize = -1 }),
		"strange token":       list(func(r *pb.ListDocumentsRequest) { r.PageToken = "x" }),
		"bad parent":          list(func(r *pb.ListDocumentsRequest) { r.Parent = testParent + "/c" }),
		"bad mask":            list(func(r *pb.ListDocumentsRequest) { r.Mask = &pb.DocumentMask{FieldPaths: []string{""}} }),
		"reserved collection": list(func(r *pb.ListDocumentsRequest) { r.CollectionId = "__c__" }),
		"unknown transaction": list(func(r *pb.ListDocumentsRequest) {
			r.ConsistencySelector = &pb.ListDocumentsRequest_Transaction{Transaction: []byte("x")}
		}),
	} {
		wantInvalid(t, name, err)
	}
	order := []*pb.StructuredQuery_Order{{Field: &pb.StructuredQuery_FieldReference{FieldPath: "a"}}}
	for name, change := range map[string]func(*pb.StructuredQuery){
		"more cursor values than orders": func(q *pb.StructuredQuery) {
			q.StartAt = &pb.Cursor{Values: []*pb.Value{integer(1), reference(testParent + "/c/a")}}
		},
		"a cursor value without a type": func(q *pb.StructuredQuery) { q.EndAt = &pb.Cursor{Values: []*pb.Value{{}}} },
		"a name that is no reference": func(q *pb.StructuredQuery) {
			q.OrderBy[0].Field.FieldPath = nameField
			q.StartAt = &pb.Cursor{Values: []*pb.Value{text("a")}}
		},
		"two collections": func(q *pb.StructuredQuery) { q.From = append(q.From, q.From[0]) },
		"negative offset": func(q *pb.StructuredQuery) { q.Offset = -1 },
		"bad field":       func(q *pb.StructuredQuery) { q.OrderBy[0].Field.FieldPath = "a b" },
		"bad selection": func(q *pb.StructuredQuery) {
			q.Select = &pb.StructuredQuery_Projection{Fields: []*pb.StructuredQuery_FieldReference{{FieldPath: "."}}}
		},
	} {
		q := &pb.StructuredQuery{From: []*pb.StructuredQuery_CollectionSelector{{CollectionId: "c"}}, OrderBy: []*pb.StructuredQuery_Order{
			{Field: &pb.StructuredQuery_FieldReference{FieldPath: order[0].Field.FieldPath}},
		}}
		change(q)
		_, err := s.query(testParent, q, nil)
		wantInvalid(t, name, err)
	}
	_, err := s.query(testParent, nil, nil)
	wantInvalid(t, "no query", err)
}

func TestBadAggregations(t *testing.T) {
	t.Parallel()
	count := func(alias string, upTo *wrapperspb.Int64Value) *pb.StructuredAggregationQuery_Aggregation {
		return &pb.StructuredAggregationQuery_Aggregation{Alias: alias, Operator: &pb.StructuredAggregationQuery_Aggregation_Count_{
			Count: &pb.StructuredAggregationQuery_Aggregation_Count{UpTo: upTo},
		}}
	}
	var six []*pb.StructuredAggregationQuery_Aggregation
	for i := range maxAggregations + 1 {
		six = append(six, count(fmt.Sprint(i), nil))
	}
	for name, list := range map[string][]*pb.StructuredAggregationQuery_Aggregation{
		"none": nil, "six": six, "one alias twice": {count("a", nil), count("a", nil)}, "up to zero": {count("a", wrapperspb.Int64(0))},
		"of nothing": {{Alias: "a"}},
		"sum of names": {{Operator: &pb.StructuredAggregationQuery_Aggregation_Sum_{Sum: &pb.StructuredAggregationQuery_Aggregation_Sum{
			Field: &pb.StructuredQuery_FieldReference{FieldPath: nameField},
		}}}},
	} {
		_, _, err := parseAggregations(list)
		wantInvalid(t, name, err)
	}
	if list, _, err := parseAggregations([]*pb.StructuredAggregationQuery_Aggregation{count("", nil), count("x", nil), count("", nil)}); err != nil || list[0].alias != "field_1" || list[2].alias != "field_2" {
		t.Errorf("aliases %+v, %v", list, err)
	}
}

// A transaction is over with its Commit, whatever came of it, and is forgotten.
func TestEndOfTransactions(t *testing.T) {
	t.Parallel()
	s := openTest(t, "")
	for name, write := range map[string]*pb.Write{
		"applied": update(nil),
		"refused": {Operation: &pb.Write_Delete{Delete: testParent + "/c/none"}, CurrentDocument: &pb.Precondition{ConditionType: &pb.Precondition_Exists{Exists: true}}},
	} {
		tx, err := s.BeginTransaction(t.Context(), &pb.BeginTransactionRequest{Database: testDatabase})
		if err != nil {
			t.Fatal(err)
		}
		req := &pb.CommitRequest{Database: testDatabase, Transaction: tx.Transaction, Writes: []*pb.Write{write}}
		if _, err := s.Commit(t.Context(), req); (err == nil) != (name == "applied") {
			t.Errorf("%s: %v", name, err)
		}
		_, err = s.Commit(t.Context(), req)
		wantInvalid(t, "commit again", err)
		if _, err := s.Rollback(t.Context(), &pb.RollbackRequest{Database: testDatabase, Transaction: tx.Transaction}); err != nil {
			t.Errorf("rollback after commit: %v", err)
		}
	}
	_, err := s.Rollback(t.Context(), &pb.RollbackRequest{Database: testDatabase, Transaction: []byte("x")})
	wantInvalid(t, "rollback of nonsense", err)
	s.txns.mu.Lock()
	defer s.txns.mu.Unlock()
	if n := len(s.txns.byID); n > 0 {
		t.Errorf("%d transactions are remembered", n)
	}
}
