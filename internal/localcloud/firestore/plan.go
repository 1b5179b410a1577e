package firestore

import (
	"bytes"
	"slices"
)

// plan is how a query's candidates are read: ranges of one index, or all documents of the collection. Every candidate is
// checked against the whole query, so a plan may give too many but never too few.
type plan struct {
	index   *index  // nil: the documents themselves, by name
	equal   []field // the leading fields of the index that have given values
	ordered bool    // each range comes in the query's order
	reverse bool
}

// field is an indexed field and the values that the query allows, encoded.
type field struct {
	path   fieldPath
	values [][]byte
}

// keyRange are the entries from low up to but not including high.
type keyRange struct{ low, high []byte }

// maxRanges is the service's limit of alternatives in one query.
const maxRanges = 30

// access chooses the index: a declared composite one that fits the query whole, else that of one field.
func (d *declared) access(q *query) plan {
	n := q.need(nil)
	if q.group || len(n.equal) == 0 && len(n.ordered) == 0 {
		return plan{ordered: !q.group, reverse: n.name}
	}
	for _, x := range d.composite {
		if x.Collection != q.collection || x.Scope != scopeCollection || !x.serves(n) {
			continue
		}
		p := plan{index: x.stored(), ordered: true}
		p.equal = q.equalities(p.index.Fields[:len(n.equal)])
		p.reverse = p.index.NameDesc != n.name
		if p.alternatives() <= maxRanges {
			return p
		}
	}
	p := plan{index: &index{Collection: q.collection}, reverse: n.name}
	if len(n.equal) > 0 {
		p.index.Fields = []storedField{{Path: n.equal[0]}}
		p.equal = q.equalities(p.index.Fields)
		p.ordered = !slices.ContainsFunc(q.orders, func(o order) bool {
			return !o.field.isName() && !slices.Equal(o.field, n.equal[0])
		})
		return p
	}
	p.index.Fields = []storedField{{Path: n.ordered[0].field}}
	p.ordered = len(n.ordered) == 1 && n.ordered[0].desc == n.name
	return p
}

// equalities gives the values that the first == or in of each field allows.
func (q *query) equalities(fields []storedField) []field {
	list := make([]field, len(fields))
	for i, f := range fields {
		list[i].path = f.Path
		at := slices.IndexFunc(q.filters, func(c filter) bool { return !c.op.inequality() && slices.Equal(c.field, f.Path) })
		values := slices.Clone(q.filters[at].values)
		slices.SortFunc(values, bytes.Compare)
		list[i].values = slices.CompactFunc(values, bytes.Equal)
	}
	return list
}

func (p plan) alternatives() int {
	n := 1
	for _, f := range p.equal {
		n *= len(f.values)
	}
	return n
}

// ranges are the parts of the index to read: one for each combination of values.
func (p plan) ranges(q *query) []keyRange {
	prefixes := [][]byte{append(p.index.prefix(), collKey(q.coll())...)}
	for i, f := range p.equal {
		var next [][]byte
		for _, prefix := range prefixes {
			for _, v := range f.values {
				v = slices.Clone(v)
				if p.index.Fields[i].Desc {
					invert(v)
				}
				next = append(next, append(slices.Clone(prefix), v...))
			}
		}
		prefixes = next
	}
	var low, last []byte
	if len(p.equal) < len(p.index.Fields) {
		f := p.index.Fields[len(p.equal)]
		low, last = q.limits(f.Path)
		if f.Desc {
			low, last = inverted(last), inverted(low)
		}
	}
	ranges := make([]keyRange, len(prefixes))
	for i, prefix := range prefixes {
		ranges[i] = keyRange{append(slices.Clone(prefix), low...), prefixEnd(append(slices.Clone(prefix), last...))}
	}
	return ranges
}

func inverted(b []byte) []byte {
	b = slices.Clone(b)
	invert(b)
	return b
}

// limits bound the values of the first ordered field, both ends and all that begins with them included: from the
// filters, which hold within one type, and from the cursors. Nil is no limit.
func (q *query) limits(f fieldPath) (low, last []byte) {
	raise := func(b []byte) {
		if bytes.Compare(b, low) > 0 {
			low = b
		}
	}
	lower := func(b []byte) {
		if last == nil || bytes.Compare(prefixEnd(b), prefixEnd(last)) < 0 {
			last = b
		}
	}
	for _, c := range q.filters {
		if !slices.Equal(c.field, f) || len(c.values) == 0 {
			continue
		}
		switch v := c.values[0]; c.op {
		case less, lessOrEqual:
			raise(v[:1])
			lower(v)
		case greater, greaterOrEqual:
			raise(v)
			lower(v[:1])
		}
	}
	if o := q.orders[0]; slices.Equal(o.field, f) {
		start, end := raise, lower
		if o.desc {
			start, end = lower, raise
		}
		if q.start != nil && q.start.first != nil {
			start(q.start.first)
		}
		if q.end != nil && q.end.first != nil {
			end(q.end.first)
		}
	}
	return low, last
}
