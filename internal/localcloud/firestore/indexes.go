package firestore

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// declared is the content of firestore.indexes.json: what production has indexes for.
type declared struct {
	composite []composite
	overrides []override
}

type composite struct {
	Collection string       `json:"collectionGroup"`
	Scope      string       `json:"queryScope"`
	Fields     []indexField `json:"fields"`
	Density    string       `json:"density,omitempty"` // newer CLIs write it; SPARSE_ALL is the only one of this edition
}

type indexField struct {
	Path  string `json:"fieldPath"`
	Order string `json:"order,omitempty"`
	Array string `json:"arrayConfig,omitempty"`
}

// override replaces the automatic indexes of one field.
type override struct {
	Collection string `json:"collectionGroup"`
	Path       string `json:"fieldPath"`
	TTL        bool   `json:"ttl"` // documents are not deleted by age here
	Indexes    []struct {
		Scope string `json:"queryScope"`
		Order string `json:"order"`
		Array string `json:"arrayConfig"`
	} `json:"indexes"`
}

const (
	ascending       = "ASCENDING"
	descending      = "DESCENDING"
	scopeCollection = "COLLECTION"
	scopeGroup      = "COLLECTION_GROUP"
)

func parseIndexes(data []byte) (*declared, error) {
	var file struct {
		Indexes   []composite `json:"indexes"`
		Overrides []override  `json:"fieldOverrides"`
	}
	if len(data) == 0 {
		return &declared{}, nil
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&file); err != nil {
		return nil, fmt.Errorf("firestore: read the index file: %w", err)
	}
	for i, x := range file.Indexes {
		if err := x.check(); err != nil {
			return nil, fmt.Errorf("firestore: index file: indexes[%d].%w", i, err)
		}
	}
	return &declared{file.Indexes, file.Overrides}, nil
}

func (x composite) check() error {
	if x.Collection == "" {
		return fmt.Errorf("collectionGroup is missing, expected a collection id")
	}
	if x.Scope != scopeCollection && x.Scope != scopeGroup {
		return fmt.Errorf("queryScope: %q is none of %s, %s", x.Scope, scopeCollection, scopeGroup)
	}
	if len(x.Fields) < 2 && (len(x.Fields) == 0 || x.Fields[0].Path != nameField) {
		return fmt.Errorf("fields: %d given, a composite index has at least two (single fields are indexed by themselves)", len(x.Fields))
	}
	for i, f := range x.Fields {
		if f.Order != ascending && f.Order != descending && f.Array == "" {
			return fmt.Errorf("fields[%d].order: %q is none of %s, %s", i, f.Order, ascending, descending)
		}
		if _, err := parseFieldPath(f.Path); err != nil {
			return fmt.Errorf("fields[%d].fieldPath: %s", i, message(err))
		}
		if f.Path == nameField && i < len(x.Fields)-1 {
			return fmt.Errorf("fields[%d].fieldPath: %s must be the last field", i, nameField)
		}
	}
	return nil
}

// split takes the name off the fields. Where it is not among them it has the last field's direction.
func (x composite) split() (fields []indexField, nameDesc bool) {
	last := x.Fields[len(x.Fields)-1]
	if last.Path == nameField {
		return x.Fields[:len(x.Fields)-1], last.Order == descending
	}
	return x.Fields, last.Order == descending
}

// stored is the index as the file keeps it.
func (x composite) stored() *index {
	fields, nameDesc := x.split()
	y := &index{Collection: x.Collection, NameDesc: nameDesc}
	for _, f := range fields {
		path, _ := parseFieldPath(f.Path) // checked when it was read
		y.Fields = append(y.Fields, storedField{path, f.Order == descending})
	}
	return y
}

// need is the index that a query wants: equality fields in any order, then ordered fields with their directions, then the
// direction of the document's name.
type need struct {
	equal   []fieldPath
	ordered []order
	name    bool        // descending
	behind  []fieldPath // compared, but ordered only behind the name: no index that we declare serves that
}

func (q *query) need(aggregated []fieldPath) need {
	n := need{name: q.orders[len(q.orders)-1].desc}
	for _, c := range q.filters {
		if !c.op.inequality() && !c.field.isName() && !containsField(n.equal, c.field) {
			n.equal = append(n.equal, c.field)
		}
	}
	for _, o := range q.orders {
		if !o.field.isName() && !containsField(n.equal, o.field) {
			n.ordered = append(n.ordered, o)
		}
	}
	for _, f := range aggregated {
		if !containsField(n.equal, f) && !containsOrder(n.ordered, f) {
			n.ordered = append(n.ordered, order{f, n.name})
		}
	}
	for _, f := range q.inequalities() {
		if !containsOrder(q.orders, f) {
			n.behind = append(n.behind, f)
		}
	}
	return n
}

func containsField(list []fieldPath, f fieldPath) bool {
	return slices.ContainsFunc(list, func(g fieldPath) bool { return slices.Equal(f, g) })
}

func containsOrder(list []order, f fieldPath) bool {
	return slices.ContainsFunc(list, func(o order) bool { return slices.Equal(o.field, f) })
}

// automatic says whether the indexes that each field has by itself serve the query: equalities alone, or one ordered
// field alone. They do not go backwards through the names of a whole collection.
func (n need) automatic() bool {
	switch {
	case len(n.behind) > 0:
		return false
	case len(n.ordered) == 0:
		return len(n.equal) > 0 || !n.name
	case len(n.ordered) == 1:
		return len(n.equal) == 0 && n.ordered[0].desc == n.name
	}
	return false
}

// check refuses a query that has no index. The rule is never laxer than production: what is not automatic needs one
// declared index that fits exactly. That production can also merge several composite indexes is not used.
func (d *declared) check(q *query, aggregated []fieldPath) error {
	n, scope := q.need(aggregated), scopeCollection
	if q.group {
		scope = scopeGroup
	}
	if n.automatic() {
		return d.checkAutomatic(q.collection, scope, n)
	}
	for _, x := range d.composite {
		if x.Collection == q.collection && x.Scope == scope && x.serves(n) {
			return nil
		}
	}
	return missingIndex(n.index(q.collection, scope))
}

// checkAutomatic looks at the indexes of single fields: a collection group has none that is not declared, and an override
// can take a collection's away.
func (d *declared) checkAutomatic(collection, scope string, n need) error {
	fields := n.equal
	for _, o := range n.ordered {
		fields = append(fields, o.field)
	}
	for _, f := range fields {
		if !d.hasSingle(collection, scope, f) {
			return missingIndex(composite{Collection: collection, Scope: scope, Fields: []indexField{{Path: f.String(), Order: ascending}}})
		}
	}
	return nil
}

func (d *declared) hasSingle(collection, scope string, f fieldPath) bool {
	for _, o := range d.overrides {
		if o.Collection != collection || o.Path != f.String() {
			continue
		}
		for _, x := range o.Indexes {
			if x.Order != "" && (x.Scope == scope || x.Scope == "" && scope == scopeCollection) {
				return true
			}
		}
		return false
	}
	return scope == scopeCollection
}

// serves says whether the index answers the query read forwards or backwards.
func (x composite) serves(n need) bool {
	fields, name := x.split()
	if len(fields) != len(n.equal)+len(n.ordered) || len(n.behind) > 0 {
		return false
	}
	for _, f := range n.equal {
		if !slices.ContainsFunc(fields[:len(n.equal)], func(g indexField) bool { return g.Array == "" && g.Path == f.String() }) {
			return false
		}
	}
	backwards := name != n.name
	for i, o := range n.ordered {
		f := fields[len(n.equal)+i]
		if f.Array != "" || f.Path != o.field.String() || (f.Order == descending) != (o.desc != backwards) {
			return false
		}
	}
	return true
}

// index is the declaration that would serve the query.
func (n need) index(collection, scope string) composite {
	direction := map[bool]string{false: ascending, true: descending}
	x := composite{Collection: collection, Scope: scope}
	last := false
	for _, f := range n.equal {
		x.Fields = append(x.Fields, indexField{Path: f.String(), Order: ascending})
	}
	for _, o := range n.ordered {
		last = o.desc
		x.Fields = append(x.Fields, indexField{Path: o.field.String(), Order: direction[o.desc]})
	}
	if last != n.name || len(n.behind) > 0 {
		x.Fields = append(x.Fields, indexField{Path: nameField, Order: direction[n.name]})
	}
	for _, f := range n.behind {
		x.Fields = append(x.Fields, indexField{Path: f.String(), Order: direction[n.name]})
	}
	return x
}

// missingIndex begins as production's answer does and ends with the line to paste.
func missingIndex(x composite) error {
	line, err := json.Marshal(x)
	if err != nil {
		return status.Errorf(codes.Internal, "describe the index: %v", err)
	}
	words := make([]string, len(x.Fields))
	for i, f := range x.Fields {
		words[i] = f.Path + " " + f.Order
	}
	return status.Errorf(codes.FailedPrecondition, "The query requires an index that is not declared: collection %s, scope %s, %s. In the index file: %s",
		x.Collection, x.Scope, strings.Join(words, ", "), line)
}
