package firestoretest

import (
	"fmt"
	"math"
	"time"

	"cloud.google.com/go/firestore"
	"google.golang.org/genproto/googleapis/type/latlng"
)

// ladder are values from least to greatest; names are their places.
func (e *env) ladder() []any {
	return []any{
		nil, false, true, math.NaN(), math.Inf(-1), -1.5, -1, 0, 0.5, 1, 1.5, int64(1) << 53, int64(1)<<53 + 1, int64(1)<<53 + 3, 1<<53 + 4.0, 1e300, math.Inf(1),
		time.Unix(-5, 0), time.Unix(5, 0), "", "a", "a\x00", "a\x00b", "aa", "b", "é", []byte{}, []byte{0}, []byte{0, 0}, []byte{1},
		e.runs().Doc("a"), e.runs().Doc("a").Collection("x").Doc("a"), e.runs().Doc("a\x00"), e.runs().Doc("b"),
		&latlng.LatLng{Latitude: -1, Longitude: 5}, &latlng.LatLng{Latitude: 1, Longitude: -5}, &latlng.LatLng{Latitude: 1},
		[]any{}, []any{1}, []any{1, 2}, []any{2}, []any{"a"},
		fields{}, fields{"a": 1}, fields{"a": 1, "b": 0}, fields{"a": 2}, fields{"b": 0},
	}
}

var orderParts = []part{
	{name: "values of all types are ordered", run: func(e *env) {
		var up, down []string
		for i, v := range e.ladder() {
			id := fmt.Sprintf("%02d", i)
			e.set(e.runs().Doc(id), fields{"v": v})
			up, down = append(up, id), append([]string{id}, down...)
		}
		e.set(e.runs().Doc("without"), fields{"w": 1})
		e.finds("ascending", e.runs().OrderBy("v", firestore.Asc), up...)
		e.finds("descending", e.runs().OrderBy("v", firestore.Desc), down...)
		for _, i := range []int{0, 3, 9, 16, 30, 40, len(up) - 1} {
			v := e.ladder()[i]
			e.finds(fmt.Sprintf("from %d", i), e.runs().OrderBy("v", firestore.Asc).StartAt(v), up[i:]...)
			e.finds(fmt.Sprintf("behind %d", i), e.runs().OrderBy("v", firestore.Asc).StartAfter(v), up[i+1:]...)
			e.finds(fmt.Sprintf("to %d", i), e.runs().OrderBy("v", firestore.Asc).EndAt(v), up[:i+1]...)
			e.finds(fmt.Sprintf("before %d", i), e.runs().OrderBy("v", firestore.Asc).EndBefore(v), up[:i]...)
			e.finds(fmt.Sprintf("down from %d", i), e.runs().OrderBy("v", firestore.Desc).StartAt(v).Limit(3), down[len(down)-1-i:min(len(down), len(down)+2-i)]...)
		}
	}},
	{name: "names break ties, in the last direction", run: func(e *env) {
		e.seed(map[string]fields{"a": {"n": 1}, "b": {"n": 1}, "c": {"n": 0}, "d": {"n": 2}})
		e.finds("by name", e.runs().Query, "a", "b", "c", "d")
		e.finds("an equality, by name, down", e.runs().Where("n", "==", 1).OrderBy(firestore.DocumentID, firestore.Desc), "b", "a")
		e.finds("ascending", e.runs().OrderBy("n", firestore.Asc), "c", "a", "b", "d")
		e.finds("descending", e.runs().OrderBy("n", firestore.Desc), "d", "b", "a", "c")
		e.finds("a range orders", e.runs().Where("n", ">", 0), "a", "b", "d")
		e.finds("a range, down", e.runs().Where("n", ">", 0).OrderBy("n", firestore.Desc), "d", "b", "a")
		e.finds("an equality's own field", e.runs().Where("n", "==", 1).OrderBy("n", firestore.Desc), "b", "a")
		e.finds("a set's own field", e.runs().Where("n", "in", []any{2, 1}).OrderBy("n", firestore.Desc), "d", "b", "a")
	}},
	{name: "cursors continue where a page ended", run: func(e *env) {
		for i := range 20 {
			e.set(e.runs().Doc(fmt.Sprintf("%02d", i)), fields{"n": i / 4, "model": "m", "created": i / 4})
		}
		for name, q := range map[string]firestore.Query{
			"by name": e.runs().OrderBy(firestore.DocumentID, firestore.Asc), "by value": e.runs().OrderBy("n", firestore.Desc),
			"by value, one condition": e.runs().Where("model", "==", "m").OrderBy("created", firestore.Desc),
		} {
			e.pages(name, q)
		}
		e.finds("behind a value", e.runs().OrderBy("n", firestore.Asc).StartAfter(3), "16", "17", "18", "19")
		e.finds("behind a value and a name", e.runs().OrderBy("n", firestore.Asc).OrderBy(firestore.DocumentID, firestore.Asc).StartAfter(3, "14").Limit(2), "15", "16")
		e.finds("between names", e.runs().OrderBy(firestore.DocumentID, firestore.Asc).StartAt("03").EndBefore("05"), "03", "04")
	}},
	{name: "conditions and orders together", run: func(e *env) {
		for i := range 12 {
			e.set(e.runs().Doc(fmt.Sprintf("%02d", i)), fields{
				"model": []any{"m", "n", "o"}[i%3], "state": []any{"pending", "running"}[i%2], "created": i / 4, "rows": 12 - i,
				"trigger": fields{"schedule": "s" + fmt.Sprint(i%2)},
			})
		}
		m := e.runs().Where("model", "==", "m")
		e.finds("equality, order", m.OrderBy("created", firestore.Desc), "09", "06", "03", "00")
		e.finds("read backwards", m.OrderBy("created", firestore.Asc), "00", "03", "06", "09")
		e.finds("equality, range, order", m.Where("created", ">=", 1).OrderBy("created", firestore.Desc).Limit(1), "09")
		e.finds("two equalities, order", m.Where("state", "==", "running").OrderBy("created", firestore.Desc), "09", "03")
		e.finds("a set, order", e.runs().Where("model", "in", []any{"m", "n"}).OrderBy("created", firestore.Desc).Limit(3), "10", "09", "07")
		e.finds("two sets, order", e.runs().Where("model", "in", []any{"n", "o"}).Where("state", "in", []any{"running"}).OrderBy("created", firestore.Desc).Limit(2), "11", "07")
		e.finds("two orders", e.runs().OrderBy("created", firestore.Asc).OrderBy("rows", firestore.Asc).Limit(5), "03", "02", "01", "00", "07")
		e.finds("two orders, down", e.runs().OrderBy("created", firestore.Desc).OrderBy("rows", firestore.Desc).Limit(2), "08", "09")
		e.finds("two ranges", e.runs().Where("created", ">", 0).Where("rows", "<", 6), "07", "11", "10", "09", "08")
		e.finds("inside a map", e.runs().Where("trigger.schedule", "==", "s1").Where("rows", ">", 8), "03", "01")
	}},
}

// pages reads a query two documents at a time and demands what it gives at once.
func (e *env) pages(name string, q firestore.Query) {
	e.Helper()
	all, err := q.Documents(e.Context()).GetAll()
	if err != nil || len(all) != 20 {
		e.Errorf("%s: %d documents, %v", name, len(all), err)
		return
	}
	page := q.Limit(2)
	for i := 0; i < len(all); i += 2 {
		e.finds(fmt.Sprintf("%s, page at %d", name, i), page, all[i].Ref.ID, all[i+1].Ref.ID)
		page = q.StartAfter(all[i+1]).Limit(2)
	}
	e.finds(name+", last page", page)
}
