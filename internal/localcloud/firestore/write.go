package firestore

import (
	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	bolt "go.etcd.io/bbolt"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// changes is what one commit would do: computed whole before anything is stored, so that a refused write leaves nothing.
type changes struct {
	tx          *bolt.Tx
	time        *timestamppb.Timestamp
	requestTime *timestamppb.Timestamp // milliseconds, as the service's server timestamps
	docs        map[docName]*change
	order       []docName
}

type change struct{ before, after *pb.Document } // nil = does not exist

func newChanges(tx *bolt.Tx, t int64) *changes {
	return &changes{tx: tx, time: micros(t), requestTime: micros(t - t%1000), docs: map[docName]*change{}}
}

func (c *changes) doc(n docName) (*change, error) {
	if ch, ok := c.docs[n]; ok {
		return ch, nil
	}
	doc, err := get(c.tx, n)
	if err != nil {
		return nil, err
	}
	ch := &change{before: doc, after: doc}
	c.docs[n] = ch
	c.order = append(c.order, n)
	return ch, nil
}

// apply adds one write, on top of the earlier writes of the commit. A status error refuses the commit.
func (c *changes) apply(n docName, w *pb.Write) (*pb.WriteResult, error) {
	ch, err := c.doc(n)
	if err != nil {
		return nil, err
	}
	if err := checkPrecondition(n, ch.after, w.GetCurrentDocument()); err != nil {
		return nil, err
	}
	if _, ok := w.Operation.(*pb.Write_Delete); ok {
		ch.after = nil
		return &pb.WriteResult{}, nil
	}
	fields, results := c.updated(ch.after, w)
	if ch.after == nil || !sameFields(ch.after.Fields, fields) {
		if err := checkDocumentSize(n, fields); err != nil {
			return nil, err
		}
		doc := &pb.Document{Name: n.String(), Fields: fields, CreateTime: c.time, UpdateTime: c.time}
		if ch.after != nil {
			doc.CreateTime = ch.after.CreateTime
		}
		ch.after = doc
	}
	return &pb.WriteResult{UpdateTime: ch.after.UpdateTime, TransformResults: results}, nil
}

// updated computes the fields after the write. A mask that is present but empty touches nothing; no mask replaces all.
func (c *changes) updated(doc *pb.Document, w *pb.Write) (map[string]*pb.Value, []*pb.Value) {
	fields := map[string]*pb.Value{}
	if doc != nil {
		fields = proto.CloneOf(doc).Fields
	}
	transforms := w.UpdateTransforms
	if t, ok := w.Operation.(*pb.Write_Transform); ok {
		transforms = t.Transform.GetFieldTransforms()
	} else if update := w.GetUpdate().GetFields(); w.UpdateMask == nil {
		fields = (&pb.Document{Fields: update}).Fields
	} else {
		mask, _ := parseMask(w.UpdateMask) // checked by checkWrite
		for _, p := range mask {
			if v, ok := getField(update, p); ok {
				setField(fields, p, v)
			} else {
				deleteField(fields, p)
			}
		}
	}
	if fields == nil {
		fields = map[string]*pb.Value{}
	}
	var results []*pb.Value
	for _, t := range transforms {
		results = append(results, applyTransform(fields, t, c.requestTime))
	}
	return fields, results
}

func sameFields(a, b map[string]*pb.Value) bool {
	return proto.Equal(&pb.MapValue{Fields: a}, &pb.MapValue{Fields: b})
}

func checkPrecondition(n docName, doc *pb.Document, p *pb.Precondition) error {
	switch want := p.GetConditionType().(type) {
	case *pb.Precondition_Exists:
		if want.Exists && doc == nil {
			return status.Errorf(codes.NotFound, "No document to update: %s", n)
		}
		if !want.Exists && doc != nil {
			return status.Errorf(codes.AlreadyExists, "Document already exists: %s", n)
		}
	case *pb.Precondition_UpdateTime:
		if doc == nil {
			return status.Errorf(codes.FailedPrecondition, "The document does not exist: %s", n)
		}
		if got := doc.UpdateTime.AsTime(); !got.Equal(want.UpdateTime.AsTime()) {
			return status.Errorf(codes.FailedPrecondition, "The stored version (%d) does not match the required base version (%d): %s",
				got.UnixMicro(), want.UpdateTime.AsTime().UnixMicro(), n)
		}
	}
	return nil
}
