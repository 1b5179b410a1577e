package ledger_test

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/firestore/apiv1/firestorepb"
	"google.golang.org/grpc"

	"github.com/millrace-ml/millrace/internal/ledgertest"
	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/ledger"
)

func ids(runs []*ledger.Run) string {
	var s []string
	for _, r := range runs {
		s = append(s, strings.TrimLeft(r.Key, "0"))
	}
	return strings.Join(s, " ")
}

// fill creates the records 1…9: odd ones of model odd, even ones of model even; 3, 6, 9 are submitted, 5 is held.
func fill(t *testing.T, l *ledger.Ledger) {
	t.Helper()
	for n := 1; n <= 9; n++ {
		r := pending(n)
		r.Model = [2]string{"even", "odd"}[n%2]
		if n%3 == 0 {
			r.State = ledger.Submitted
		}
		if n == 5 {
			r.Hold = "another run"
		}
		if _, created, err := l.Create(t.Context(), r, "fill"); err != nil || !created {
			t.Fatalf("create %d: %v %v", n, created, err)
		}
		awaitNextMillisecond()
	}
}

// awaitNextMillisecond keeps creation times apart: server timestamps have milliseconds.
func awaitNextMillisecond() {
	for start := time.Now().UnixMilli(); time.Now().UnixMilli() < start+2; {
	}
}

func TestListNewestFirstInPages(t *testing.T) {
	t.Parallel()
	l := open(t, nil, ledger.Options{})
	fill(t, l)
	cases := map[string]struct {
		page ledger.Page
		want string
	}{
		"all":               {ledger.Page{}, "9 8 7 6 5 4 3 2 1"},
		"of a model":        {ledger.Page{Model: "odd"}, "9 7 5 3 1"},
		"in a state":        {ledger.Page{State: ledger.Submitted}, "9 6 3"},
		"of both":           {ledger.Page{Model: "odd", State: ledger.Pending}, "7 5 1"},
		"of an unknown one": {ledger.Page{Model: "none"}, ""},
	}
	for name, c := range cases {
		for _, limit := range []int{0, 1, 2, 3, 9} {
			t.Run(fmt.Sprintf("%s, %d a page", name, limit), func(t *testing.T) {
				c.page.Limit = limit
				c.page.Token = ""
				var got []*ledger.Run
				for pages := 0; pages < 20; pages++ {
					runs, next, err := l.List(t.Context(), c.page)
					if err != nil {
						t.Fatal(err)
					}
					if limit > 0 && len(runs) > limit {
						t.Errorf("page of %d, limit %d", len(runs), limit)
					}
					got = append(got, runs...)
					if c.page.Token = next; next == "" {
						break
					}
				}
				if ids(got) != c.want {
					t.Errorf("listed %q, expected %q", ids(got), c.want)
				}
			})
		}
	}
}

func TestListRefusesBadPages(t *testing.T) {
	t.Parallel()
	l := open(t, nil, ledger.Options{})
	for name, p := range map[string]ledger.Page{
		"negative limit":      {Limit: -1},
		"limit too large":     {Limit: ledger.PageLimit + 1},
		"token of noise":      {Token: "%%%"},
		"token without a key": {Token: "MTIz"},
		"token with a path":   {Token: "MTIzIC4uLy4uL3g"},
	} {
		if _, _, err := l.List(t.Context(), p); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v, expected invalid", name, err)
		}
	}
}

func TestWaitingLine(t *testing.T) {
	t.Parallel()
	l := open(t, nil, ledger.Options{})
	fill(t, l)
	ctx := t.Context()
	first, err := l.Oldest(ctx, ledger.Pending, 2, nil)
	if err != nil || ids(first) != "1 2" {
		t.Fatalf("oldest two = %q, %v", ids(first), err)
	}
	rest, err := l.Oldest(ctx, ledger.Pending, 10, first[1])
	if err != nil || ids(rest) != "4 5 7 8" {
		t.Errorf("after them = %q, %v", ids(rest), err)
	}
	due, err := l.Next(ctx, 10)
	if err != nil || ids(due) != "1 2 4 7 8" {
		t.Errorf("due = %q, %v; expected all pending but the held 5", ids(due), err)
	}
	of, err := l.OldestOf(ctx, "even", 2)
	if err != nil || ids(of) != "2 4" {
		t.Errorf("of one model = %q, %v", ids(of), err)
	}
	if first[0].Waited() <= 0 {
		t.Errorf("record waited %v, expected the time since its creation", first[0].Waited())
	}
}

func TestByID(t *testing.T) {
	t.Parallel()
	l := open(t, nil, ledger.Options{})
	fill(t, l)
	got, err := l.ByID(t.Context(), pending(4).ID)
	if err != nil || ids([]*ledger.Run{got}) != "4" {
		t.Errorf("ByID = %v, %v", got, err)
	}
	if _, err := l.ByID(t.Context(), "none"); fault.KindOf(err) != fault.NotFound {
		t.Errorf("ByID of none = %v, expected not found", err)
	}
}

func TestTicksBefore(t *testing.T) {
	t.Parallel()
	l := open(t, nil, ledger.Options{})
	at := func(n int) time.Time { return time.Date(2011, 1, n, 2, 15, 0, 0, time.UTC) }
	for n := 1; n <= 5; n++ {
		r := pending(n)
		r.Kind, r.Trigger = ledger.Tick, ledger.Trigger{Schedule: "nightly", At: at(n)}
		if n == 2 {
			r.Trigger.Schedule = "weekly"
		}
		if n == 3 {
			r.Kind = ledger.Request
		}
		if _, _, err := l.Create(t.Context(), r, "fill"); err != nil {
			t.Fatal(err)
		}
	}
	got, err := l.TicksBefore(t.Context(), "bike-demand", "nightly", at(5), 10)
	if err != nil || ids(got) != "4 1" {
		t.Errorf("ticks before the 5th = %q, %v; expected 4 1", ids(got), err)
	}
}

// recorder keeps every query that the client sends.
type recorder struct {
	mu      sync.Mutex
	queries []*firestorepb.StructuredQuery
}

type recorded struct {
	grpc.ClientStream
	r *recorder
}

func (s recorded) SendMsg(m any) error {
	if req, ok := m.(*firestorepb.RunQueryRequest); ok {
		s.r.mu.Lock()
		s.r.queries = append(s.r.queries, req.GetStructuredQuery())
		s.r.mu.Unlock()
	}
	return s.ClientStream.SendMsg(m)
}

func (r *recorder) stream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	s, err := open(ctx, desc, cc, method, opts...)
	if err != nil {
		return nil, err
	}
	return recorded{s, r}, nil
}

// queried calls every method that queries, in every shape. A new method of Ledger has to be added here or to plain.
var queried = map[string]func(context.Context, *ledger.Ledger){
	"List": func(ctx context.Context, l *ledger.Ledger) {
		for _, model := range []string{"", "m"} {
			for _, state := range []ledger.State{"", ledger.Failed} {
				for _, token := range []string{"", "MTIzIDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDA"} {
					_, _, _ = l.List(ctx, ledger.Page{Model: model, State: state, Token: token})
				}
			}
		}
	},
	"Oldest": func(ctx context.Context, l *ledger.Ledger) {
		_, _ = l.Oldest(ctx, ledger.Pending, 1, nil)
		_, _ = l.Oldest(ctx, ledger.Pending, 1, pending(1))
	},
	"OldestOf":    func(ctx context.Context, l *ledger.Ledger) { _, _ = l.OldestOf(ctx, "m", 1) },
	"Next":        func(ctx context.Context, l *ledger.Ledger) { _, _ = l.Next(ctx, 1) },
	"TicksBefore": func(ctx context.Context, l *ledger.Ledger) { _, _ = l.TicksBefore(ctx, "m", "s", time.Now(), 1) },
	"ByID":        func(ctx context.Context, l *ledger.Ledger) { _, _ = l.ByID(ctx, "x") },
}

var plain = []string{"Create", "Get", "GetAll", "Update"} // read and write documents by name

func TestEveryQueryHasItsIndex(t *testing.T) {
	t.Parallel()
	var file struct {
		Indexes []struct {
			CollectionGroup, QueryScope string
			Fields                      []struct{ FieldPath, Order string }
		}
	}
	if err := json.Unmarshal(ledger.Indexes(), &file); err != nil {
		t.Fatal(err)
	}
	declared := map[string]int{}
	for _, ix := range file.Indexes {
		if ix.CollectionGroup != ledger.Collection || ix.QueryScope != "COLLECTION" {
			t.Errorf("index of %s with scope %s, expected %s, COLLECTION", ix.CollectionGroup, ix.QueryScope, ledger.Collection)
		}
		var fields []string
		for _, f := range ix.Fields {
			fields = append(fields, f.FieldPath+" "+f.Order)
		}
		declared[strings.Join(fields, ", ")] = 0
	}

	r := new(recorder)
	l, err := ledger.New(ledgertest.Client(t, grpc.WithStreamInterceptor(r.stream)), ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range reflect.TypeOf(l).NumMethod() {
		name := reflect.TypeOf(l).Method(i).Name
		run, ok := queried[name]
		if !ok && !slices.Contains(plain, name) {
			t.Errorf("method %s is in neither list of this test", name)
		}
		if ok {
			run(t.Context(), l)
		}
	}
	if len(r.queries) < 13 {
		t.Errorf("saw %d queries, expected 13 at least", len(r.queries))
	}
	for _, q := range r.queries {
		index, needed := indexOf(q)
		if !needed {
			continue
		}
		if _, ok := declared[index]; !ok {
			t.Errorf("indexes.json lacks %s", index)
		}
		declared[index]++
	}
	for index, used := range declared {
		if used == 0 {
			t.Errorf("no query needs the index %s", index)
		}
	}
}

// indexOf gives the composite index that a query needs: its equality fields by name, then its ordered fields. Equalities
// alone need none, nor does one ordered or ranged field without equality. The document's own name needs no field: it
// follows the direction of the last one.
func indexOf(q *firestorepb.StructuredQuery) (index string, needed bool) {
	var equal, ordered []string
	var filters func(*firestorepb.StructuredQuery_Filter)
	filters = func(f *firestorepb.StructuredQuery_Filter) {
		for _, sub := range f.GetCompositeFilter().GetFilters() {
			filters(sub)
		}
		if ff := f.GetFieldFilter(); ff != nil && ff.GetOp() == firestorepb.StructuredQuery_FieldFilter_EQUAL {
			equal = append(equal, ff.GetField().GetFieldPath()+" ASCENDING")
		}
	}
	filters(q.GetWhere())
	for _, o := range q.GetOrderBy() {
		if path := o.GetField().GetFieldPath(); path != "__name__" {
			ordered = append(ordered, path+" "+o.GetDirection().String())
		}
	}
	if len(ordered) == 0 || len(equal) == 0 && len(ordered) == 1 {
		return "", false
	}
	slices.Sort(equal)
	return strings.Join(append(equal, ordered...), ", "), true
}
