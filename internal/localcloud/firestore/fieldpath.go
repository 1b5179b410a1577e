package firestore

import (
	"regexp"
	"strings"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
)

// nameField is the pseudo field that stands for the document's own name in queries.
const nameField = "__name__"

// fieldPath is a field's place in a document, one map key each.
type fieldPath []string

var simpleSegment = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z_0-9]*$`)

// String is the canonical spelling, the one indexes.json uses: segments that are not plain words in backticks.
func (p fieldPath) String() string {
	var b strings.Builder
	for i, s := range p {
		if i > 0 {
			b.WriteByte('.')
		}
		if simpleSegment.MatchString(s) {
			b.WriteString(s)
			continue
		}
		b.WriteString("`" + strings.NewReplacer(`\`, `\\`, "`", "\\`").Replace(s) + "`")
	}
	return b.String()
}

func (p fieldPath) isName() bool { return len(p) == 1 && p[0] == nameField }

// parseFieldPath reads `a.b` with quoted segments, and refuses what no document can hold.
func parseFieldPath(s string) (fieldPath, error) {
	var p fieldPath
	rest := s
	for {
		seg, tail, ok := cutSegment(rest)
		if !ok {
			return nil, invalid("field path %q: expected words joined by dots, other names in backticks", shorten(s))
		}
		p = append(p, seg)
		if tail == "" {
			break
		}
		rest = tail[1:]
	}
	if p.isName() {
		return p, nil
	}
	for _, seg := range p {
		if err := checkFieldName(seg); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// cutSegment takes one segment off; tail is empty or starts with the dot before the next.
func cutSegment(s string) (seg, tail string, ok bool) {
	if !strings.HasPrefix(s, "`") {
		seg, tail = s, ""
		if i := strings.IndexByte(s, '.'); i >= 0 {
			seg, tail = s[:i], s[i:]
		}
		return seg, tail, simpleSegment.MatchString(seg)
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
			if i == len(s) {
				return "", "", false
			}
			b.WriteByte(s[i])
		case '`':
			tail = s[i+1:]
			return b.String(), tail, tail == "" || tail[0] == '.'
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", false
}

func checkFieldName(s string) error {
	switch {
	case s == "":
		return invalid("field name must not be empty")
	case reserved(s):
		return invalid("field name %q is reserved (__…__)", shorten(s))
	case len(s) > maxID:
		return invalid("field name of %d bytes: at most %d are allowed", len(s), maxID)
	}
	return nil
}

func getField(fields map[string]*pb.Value, p fieldPath) (*pb.Value, bool) {
	for i, seg := range p {
		v, ok := fields[seg]
		if !ok {
			return nil, false
		}
		if i == len(p)-1 {
			return v, true
		}
		fields = v.GetMapValue().GetFields()
	}
	return nil, false
}

// setField puts v at p; whatever stands in the way of the path and is no map is replaced by one, as the service does.
func setField(fields map[string]*pb.Value, p fieldPath, v *pb.Value) {
	for _, seg := range p[:len(p)-1] {
		m, ok := fields[seg].GetValueType().(*pb.Value_MapValue)
		if !ok {
			m = &pb.Value_MapValue{MapValue: &pb.MapValue{}}
			fields[seg] = &pb.Value{ValueType: m}
		}
		if m.MapValue.Fields == nil {
			m.MapValue.Fields = map[string]*pb.Value{}
		}
		fields = m.MapValue.Fields
	}
	fields[p[len(p)-1]] = v
}

func deleteField(fields map[string]*pb.Value, p fieldPath) {
	for _, seg := range p[:len(p)-1] {
		fields = fields[seg].GetMapValue().GetFields()
	}
	delete(fields, p[len(p)-1]) // a nil map takes a delete
}

// project keeps only the masked fields. A nil mask keeps all.
func project(fields map[string]*pb.Value, mask []fieldPath) map[string]*pb.Value {
	if mask == nil {
		return fields
	}
	out := map[string]*pb.Value{}
	for _, p := range mask {
		if v, ok := getField(fields, p); ok {
			setField(out, p, v)
		}
	}
	return out
}
