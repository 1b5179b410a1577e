package firestore

import (
	"bytes"
	"slices"

	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// query is a StructuredQuery, checked and made explicit: all orders that Firestore implies are written out.
type query struct {
	database   string
	parent     string // path of the document under which the collections lie, "" = the root
	collection string // id
	group      bool   // all collections of that id below parent
	filters    []filter
	orders     []order // ends with __name__
	start, end *bound
	offset     int
	limit      int         // -1 = none
	mask       []fieldPath // nil = whole documents
	present    []fieldPath // must exist, for aggregations
	plan       plan
}

type order struct {
	field fieldPath
	desc  bool
}

// bound is a cursor: an encoded prefix of sort keys.
type bound struct {
	key    []byte
	first  []byte // of its first value, for index scans
	before bool   // the position is just before documents with this prefix, else just behind them
}

func unimplemented(format string, args ...any) error {
	return status.Errorf(codes.Unimplemented, format, args...)
}

func parseQuery(parent string, sq *pb.StructuredQuery) (*query, error) {
	q := &query{offset: int(sq.GetOffset()), limit: -1}
	var err error
	if q.database, q.parent, err = parseParent(parent); err != nil {
		return nil, err
	}
	if sq.GetFindNearest() != nil {
		return nil, unimplemented("find_nearest: vector search is not part of the local Firestore")
	}
	if err := q.parseFrom(sq.GetFrom()); err != nil {
		return nil, err
	}
	if q.filters, err = parseFilter(nil, sq.GetWhere()); err != nil {
		return nil, err
	}
	if q.offset < 0 || sq.GetLimit().GetValue() < 0 {
		return nil, invalid("offset and limit must not be negative, got %d and %d", q.offset, sq.GetLimit().GetValue())
	}
	if sq.GetLimit() != nil {
		q.limit = int(sq.GetLimit().GetValue())
	}
	if err := q.parseOrders(sq.GetOrderBy()); err != nil {
		return nil, err
	}
	given := len(sq.GetOrderBy())
	if q.start, err = q.parseCursor("start_at", given, sq.GetStartAt()); err != nil {
		return nil, err
	}
	if q.end, err = q.parseCursor("end_at", given, sq.GetEndAt()); err != nil {
		return nil, err
	}
	return q, q.parseSelect(sq.GetSelect())
}

func (q *query) parseFrom(from []*pb.StructuredQuery_CollectionSelector) error {
	if len(from) != 1 {
		return invalid("from: expected one collection, got %d", len(from))
	}
	q.collection, q.group = from[0].GetCollectionId(), from[0].GetAllDescendants()
	if q.collection == "" {
		return unimplemented("from: queries over all collections are not part of the local Firestore")
	}
	_, err := childCollection(q.database, q.parent, q.collection)
	return err
}

// parseOrders appends what the service implies (query.proto): fields with an inequality by name, then the document's
// name, all in the direction of the last order given.
func (q *query) parseOrders(orders []*pb.StructuredQuery_Order) error {
	last := false
	has := func(f fieldPath) bool { return containsOrder(q.orders, f) }
	for _, o := range orders {
		f, err := parseFieldPath(o.GetField().GetFieldPath())
		if err != nil {
			return err
		}
		if has(f) {
			return invalid("order_by: %s is named twice", f)
		}
		last = o.GetDirection() == pb.StructuredQuery_DESCENDING
		q.orders = append(q.orders, order{f, last})
	}
	if has(fieldPath{nameField}) {
		if !q.orders[len(q.orders)-1].field.isName() {
			return invalid("order_by: nothing may follow %s", nameField)
		}
		return nil // names are unique: more fields would order nothing
	}
	for _, f := range q.inequalities() {
		if !has(f) {
			q.orders = append(q.orders, order{f, last})
		}
	}
	q.orders = append(q.orders, order{fieldPath{nameField}, last})
	return nil
}

// inequalities are the fields that are compared by order, but the name, sorted.
func (q *query) inequalities() []fieldPath {
	var list []fieldPath
	for _, c := range q.filters {
		if c.op.inequality() && !c.field.isName() && !containsField(list, c.field) {
			list = append(list, c.field)
		}
	}
	slices.SortFunc(list, func(a, b fieldPath) int { return slices.Compare(a, b) })
	return list
}

// parseCursor takes values for the orders that were given, not for those that are implied.
func (q *query) parseCursor(what string, given int, c *pb.Cursor) (*bound, error) {
	if c == nil {
		return nil, nil
	}
	if len(c.GetValues()) > given {
		return nil, invalid("%s: %d values for %d orders", what, len(c.GetValues()), given)
	}
	b := &bound{before: c.GetBefore()}
	for i, v := range c.GetValues() {
		o := q.orders[i]
		if err := checkValue(v, 1, false); err != nil {
			return nil, invalid("%s: value %d: %s", what, i, message(err))
		}
		if _, ref := v.ValueType.(*pb.Value_ReferenceValue); o.field.isName() && !ref {
			return nil, invalid("%s: value %d: the position of %s must be a reference", what, i, nameField)
		}
		enc := encode(nil, v)
		if i == 0 {
			b.first = slices.Clone(enc)
		}
		if o.desc {
			invert(enc)
		}
		b.key = append(b.key, enc...)
	}
	return b, nil
}

func (q *query) parseSelect(p *pb.StructuredQuery_Projection) error {
	if len(p.GetFields()) == 0 {
		return nil
	}
	q.mask = []fieldPath{}
	for _, f := range p.GetFields() {
		path, err := parseFieldPath(f.GetFieldPath())
		if err != nil {
			return err
		}
		if !path.isName() {
			q.mask = append(q.mask, path)
		}
	}
	return nil
}

// sortKey is the document's place in the query's order; false if it lacks an ordered field and so is no result.
func (q *query) sortKey(d *pb.Document) ([]byte, bool) {
	var key []byte
	for _, o := range q.orders {
		at := len(key)
		var ok bool
		if key, ok = encodeField(key, d, o.field); !ok {
			return nil, false
		}
		if o.desc {
			invert(key[at:])
		}
	}
	return key, true
}

func encodeField(dst []byte, d *pb.Document, f fieldPath) ([]byte, bool) {
	if f.isName() {
		return encodeName(dst, d.Name), true
	}
	v, ok := getField(d.Fields, f)
	if !ok {
		return dst, false
	}
	return encode(dst, v), true
}

// within says whether a sort key lies between the cursors.
func (q *query) within(key []byte) bool {
	if q.start != nil {
		c := bytes.Compare(key[:min(len(key), len(q.start.key))], q.start.key)
		if c < 0 || c == 0 && !q.start.before {
			return false
		}
	}
	if q.end != nil {
		c := bytes.Compare(key[:min(len(key), len(q.end.key))], q.end.key)
		if c > 0 || c == 0 && q.end.before {
			return false
		}
	}
	return true
}

// items are the locks of the query in a transaction.
func (q *query) items() map[string]lockMode {
	if q.group {
		return groupItems(q.database, q.collection)
	}
	return collItems(q.coll())
}

// coll is the collection of a query that is not over a group.
func (q *query) coll() collName {
	c, _ := childCollection(q.database, q.parent, q.collection) // checked by parseFrom
	return c
}
