package firestore

import (
	"fmt"
	"math/big"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
)

// maxAggregations is the service's limit of one request.
const maxAggregations = 5

// aggregation is a count, or a sum or average of a field.
type aggregation struct {
	alias string
	upTo  int // of a count; 0 = all
	field fieldPath
	avg   bool
}

// RunAggregationQuery answers in one message. Documents that lack one of the aggregated fields count nowhere, as in the
// service.
func (s *Server) RunAggregationQuery(req *pb.RunAggregationQueryRequest, stream pb.Firestore_RunAggregationQueryServer) error {
	if req.GetExplainOptions() != nil {
		return unimplemented("explain_options are not part of the local Firestore")
	}
	list, fields, err := parseAggregations(req.GetStructuredAggregationQuery().GetAggregations())
	if err != nil {
		return err
	}
	q, err := s.query(req.GetParent(), req.GetStructuredAggregationQuery().GetStructuredQuery(), fields)
	if err != nil {
		return err
	}
	resp := &pb.RunAggregationQueryResponse{Result: &pb.AggregationResult{AggregateFields: map[string]*pb.Value{}}}
	c := consistency{req.GetTransaction(), req.GetNewTransaction(), req.GetReadTime() != nil}
	started, err := s.read(stream.Context(), c, q.items(), func(r reading) error {
		hits, _, err := q.run(r.tx)
		if err != nil {
			return err
		}
		resp.ReadTime = readTime(r.tx, r.time)
		for _, a := range list {
			resp.Result.AggregateFields[a.alias] = a.of(hits)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if started != nil {
		if err := stream.Send(&pb.RunAggregationQueryResponse{Transaction: started}); err != nil {
			return err
		}
	}
	return stream.Send(resp)
}

func parseAggregations(in []*pb.StructuredAggregationQuery_Aggregation) ([]aggregation, []fieldPath, error) {
	if len(in) == 0 || len(in) > maxAggregations {
		return nil, nil, invalid("aggregations: expected 1 to %d, got %d", maxAggregations, len(in))
	}
	var list []aggregation
	var fields []fieldPath
	seen := map[string]bool{}
	unnamed := 0
	for _, a := range in {
		agg := aggregation{alias: a.GetAlias()}
		if agg.alias == "" {
			unnamed++
			agg.alias = fmt.Sprintf("field_%d", unnamed)
		}
		if seen[agg.alias] {
			return nil, nil, invalid("aggregations: alias %q is given twice", agg.alias)
		}
		seen[agg.alias] = true
		if err := agg.parseOperator(a); err != nil {
			return nil, nil, err
		}
		if agg.field != nil && !containsField(fields, agg.field) {
			fields = append(fields, agg.field)
		}
		list = append(list, agg)
	}
	return list, fields, nil
}

func (agg *aggregation) parseOperator(a *pb.StructuredAggregationQuery_Aggregation) (err error) {
	switch op := a.GetOperator().(type) {
	case *pb.StructuredAggregationQuery_Aggregation_Count_:
		upTo := op.Count.GetUpTo()
		if agg.upTo = int(upTo.GetValue()); upTo != nil && agg.upTo <= 0 {
			return invalid("aggregations: up_to must be above zero, got %d", agg.upTo)
		}
		return nil
	case *pb.StructuredAggregationQuery_Aggregation_Sum_:
		agg.field, err = parseFieldPath(op.Sum.GetField().GetFieldPath())
	case *pb.StructuredAggregationQuery_Aggregation_Avg_:
		agg.avg = true
		agg.field, err = parseFieldPath(op.Avg.GetField().GetFieldPath())
	default:
		return invalid("aggregations: %q is none of count, sum, avg", agg.alias)
	}
	if err == nil && agg.field.isName() {
		err = invalid("aggregations: %s is no number", nameField)
	}
	return err
}

func (agg *aggregation) of(hits []hit) *pb.Value {
	if agg.field == nil {
		n := len(hits)
		if agg.upTo > 0 {
			n = min(n, agg.upTo)
		}
		return &pb.Value{ValueType: &pb.Value_IntegerValue{IntegerValue: int64(n)}}
	}
	ints, doubles, n, whole := new(big.Int), 0.0, 0, true
	for _, h := range hits {
		v, _ := getField(h.doc.Fields, agg.field)
		switch x := v.GetValueType().(type) {
		case *pb.Value_IntegerValue:
			ints.Add(ints, big.NewInt(x.IntegerValue))
			n++
		case *pb.Value_DoubleValue:
			doubles, whole = doubles+x.DoubleValue, false
			n++
		}
	}
	if !agg.avg && whole && ints.IsInt64() {
		return &pb.Value{ValueType: &pb.Value_IntegerValue{IntegerValue: ints.Int64()}}
	}
	f, _ := new(big.Float).SetInt(ints).Float64()
	sum := f + doubles
	switch {
	case !agg.avg:
		return &pb.Value{ValueType: &pb.Value_DoubleValue{DoubleValue: sum}}
	case n == 0:
		return &pb.Value{ValueType: &pb.Value_NullValue{}}
	}
	return &pb.Value{ValueType: &pb.Value_DoubleValue{DoubleValue: sum / float64(n)}}
}
