package firestore

import (
	"strings"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
)

// Limits of Cloud Firestore on documents ("Quotas and limits").
const (
	maxDocument   = 1 << 20
	maxFieldValue = maxDocument - 89
	maxDepth      = 20
	maxRequest    = 10 << 20
)

// checkFields validates what a document would hold and cuts its timestamps to microseconds, in place.
func checkFields(fields map[string]*pb.Value) error {
	for name, v := range fields {
		if err := checkFieldName(name); err != nil {
			return err
		}
		if err := checkValue(v, 1, false); err != nil {
			return invalid("field %q: %s", shorten(name), message(err))
		}
	}
	return nil
}

func checkValue(v *pb.Value, depth int, inArray bool) error {
	switch x := v.GetValueType().(type) {
	case *pb.Value_NullValue, *pb.Value_BooleanValue, *pb.Value_IntegerValue, *pb.Value_DoubleValue:
		return nil
	case *pb.Value_StringValue:
		return checkLength(len(x.StringValue))
	case *pb.Value_BytesValue:
		return checkLength(len(x.BytesValue))
	case *pb.Value_TimestampValue:
		if err := x.TimestampValue.CheckValid(); err != nil {
			return invalid("timestamp: %v", err)
		}
		x.TimestampValue.Nanos -= x.TimestampValue.Nanos % 1000
		return nil
	case *pb.Value_ReferenceValue:
		_, err := parseDoc(x.ReferenceValue)
		return err
	case *pb.Value_GeoPointValue:
		return checkGeoPoint(x)
	case *pb.Value_ArrayValue:
		if inArray {
			return invalid("an array directly inside an array is not allowed")
		}
		return checkArray(x.ArrayValue.GetValues(), depth)
	case *pb.Value_MapValue:
		return checkMap(x.MapValue.GetFields(), depth)
	}
	return invalid("value without a type that a document can hold")
}

func checkLength(n int) error {
	if n > maxFieldValue {
		return invalid("value of %d bytes, at most %d are allowed", n, maxFieldValue)
	}
	return nil
}

func checkArray(values []*pb.Value, depth int) error {
	if depth > maxDepth {
		return errTooDeep
	}
	for _, e := range values {
		if err := checkValue(e, depth+1, true); err != nil {
			return err
		}
	}
	return nil
}

var errTooDeep = invalid("maps and arrays are nested deeper than %d", maxDepth)

func checkMap(fields map[string]*pb.Value, depth int) error {
	if depth > maxDepth {
		return errTooDeep
	}
	for name, e := range fields {
		if err := checkFieldName(name); err != nil {
			return err
		}
		if err := checkValue(e, depth+1, false); err != nil {
			return err
		}
	}
	return nil
}

func checkGeoPoint(x *pb.Value_GeoPointValue) error {
	lat, lng := x.GeoPointValue.GetLatitude(), x.GeoPointValue.GetLongitude()
	if lat >= -90 && lat <= 90 && lng >= -180 && lng <= 180 {
		return nil
	}
	return invalid("geo point %v, %v: expected latitude -90 to 90, longitude -180 to 180", lat, lng)
}

// valueSize follows "Storage size calculations" of Cloud Firestore.
func valueSize(v *pb.Value) int {
	switch x := v.GetValueType().(type) {
	case *pb.Value_IntegerValue, *pb.Value_DoubleValue, *pb.Value_TimestampValue:
		return 8
	case *pb.Value_StringValue:
		return len(x.StringValue) + 1
	case *pb.Value_BytesValue:
		return len(x.BytesValue)
	case *pb.Value_ReferenceValue:
		_, path, _ := splitName(x.ReferenceValue)
		return nameSize(path)
	case *pb.Value_GeoPointValue:
		return 16
	case *pb.Value_ArrayValue:
		n := 0
		for _, e := range x.ArrayValue.GetValues() {
			n += valueSize(e)
		}
		return n
	case *pb.Value_MapValue:
		return fieldsSize(x.MapValue.GetFields())
	}
	return 1
}

func fieldsSize(fields map[string]*pb.Value) int {
	n := 0
	for name, v := range fields {
		n += len(name) + 1 + valueSize(v)
	}
	return n
}

// nameSize counts each id and its end, and the service's 16 bytes.
func nameSize(path string) int { return len(path) + 1 + 16 }

func checkDocumentSize(n docName, fields map[string]*pb.Value) error {
	if size := nameSize(n.path) + fieldsSize(fields) + 32; size > maxDocument {
		return invalid("document %q would have %d bytes, at most %d are allowed", shorten(n.String()), size, maxDocument)
	}
	return nil
}

// checkWrite validates all of a write that does not depend on the stored document, and gives the document's name.
func checkWrite(database string, w *pb.Write) (docName, error) {
	if p, ok := w.GetCurrentDocument().GetConditionType().(*pb.Precondition_UpdateTime); ok {
		if err := p.UpdateTime.CheckValid(); err != nil {
			return docName{}, invalid("current_document.update_time: %v", err)
		}
		if p.UpdateTime.GetNanos()%1000 != 0 {
			return docName{}, invalid("current_document.update_time: %v has more than microseconds", p.UpdateTime.AsTime())
		}
	}
	switch op := w.GetOperation().(type) {
	case *pb.Write_Delete:
		if w.UpdateMask != nil || len(w.UpdateTransforms) > 0 {
			return docName{}, invalid("a delete takes neither update_mask nor update_transforms")
		}
		return parseDocIn(database, op.Delete)
	case *pb.Write_Update:
		n, err := parseDocIn(database, op.Update.GetName())
		if err != nil {
			return n, err
		}
		if _, err := parseMask(w.UpdateMask); err != nil {
			return n, err
		}
		if err := checkFields(op.Update.GetFields()); err != nil {
			return n, err
		}
		return n, checkTransforms(w.UpdateTransforms)
	case *pb.Write_Transform:
		n, err := parseDocIn(database, op.Transform.GetDocument())
		if err == nil && len(op.Transform.GetFieldTransforms()) == 0 {
			err = invalid("transform: field_transforms must not be empty")
		}
		if err != nil {
			return n, err
		}
		return n, checkTransforms(op.Transform.GetFieldTransforms())
	}
	return docName{}, invalid("a write needs one of update, delete, transform")
}

func parseMask(m *pb.DocumentMask) ([]fieldPath, error) {
	if m == nil {
		return nil, nil
	}
	paths := make([]fieldPath, 0, len(m.GetFieldPaths()))
	for _, s := range m.GetFieldPaths() {
		p, err := parseFieldPath(s)
		if err == nil && p.isName() {
			err = invalid("mask: %s cannot be written or projected", nameField)
		}
		if err != nil {
			return nil, err
		}
		paths = append(paths, p)
	}
	return paths, nil
}

// message is the text of an error without the code that status puts before it.
func message(err error) string {
	_, text, ok := strings.Cut(err.Error(), " desc = ")
	if !ok {
		return err.Error()
	}
	return text
}
