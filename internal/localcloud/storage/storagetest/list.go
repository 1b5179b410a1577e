package storagetest

import (
	"errors"
	"fmt"
	"sort"
	"strings"

	"cloud.google.com/go/storage"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/api/iterator"
)

func (e *env) putAll(names ...string) {
	e.Helper()
	for _, n := range names {
		e.put(n, n)
	}
}

func (e *env) lists(q *storage.Query, want ...string) {
	e.Helper()
	if d := cmp.Diff(want, e.list(q)); d != "" {
		e.Errorf("%+v (-want +got):\n%s", *q, d)
	}
}

var lists = []check{
	{"byte order of UTF-8", func(e *env) {
		names := []string{"b", "a/b", "a", "B", "ä", "a!", "日本", "~", "a/", "\U0001F600", "\uFFFD"}
		e.putAll(names...)
		sort.Strings(names)
		e.lists(&storage.Query{}, names...)
	}},
	{"prefix", func(e *env) {
		e.putAll("in/1", "in/2", "in", "inn", "out/1")
		e.lists(&storage.Query{Prefix: "in/"}, "in/1", "in/2")
		e.lists(&storage.Query{Prefix: "in"}, "in", "in/1", "in/2", "inn")
		e.lists(&storage.Query{Prefix: "none"})
	}},
	{"prefix and delimiter", func(e *env) {
		e.putAll("a", "d/1", "d/2", "d/e/3", "d/", "z/1")
		e.lists(&storage.Query{Delimiter: "/"}, "a", "d/→", "z/→")
		e.lists(&storage.Query{Delimiter: "/", Prefix: "d/"}, "d/", "d/1", "d/2", "d/e/→")
		e.lists(&storage.Query{Delimiter: "/", Prefix: "d"}, "d/→")
		e.lists(&storage.Query{Delimiter: "/", IncludeTrailingDelimiter: true}, "a", "d/", "d/→", "z/→")
		e.lists(&storage.Query{Delimiter: "e/"}, "a", "d/", "d/1", "d/2", "z/1", "d/e/→") // a page has its prefixes last
	}},
	{"startOffset is inclusive, endOffset exclusive", func(e *env) {
		e.putAll("a", "b", "c", "d")
		e.lists(&storage.Query{StartOffset: "b", EndOffset: "d"}, "b", "c")
		e.lists(&storage.Query{StartOffset: "bb"}, "c", "d")
		e.lists(&storage.Query{EndOffset: "b"}, "a")
		e.lists(&storage.Query{Prefix: "b", StartOffset: "a"}, "b")
	}},
	{"matchGlob", func(e *env) {
		e.putAll("a.csv", "b.csv", "b.txt", "d/a.csv", "d/e/a.csv", "c1", "c2", "cx")
		for glob, want := range map[string][]string{
			"*.csv": {"a.csv", "b.csv"}, "**.csv": {"a.csv", "b.csv", "d/a.csv", "d/e/a.csv"}, "d/*": {"d/a.csv"},
			"c?": {"c1", "c2", "cx"}, "c[0-9]": {"c1", "c2"}, "b.{csv,txt}": {"b.csv", "b.txt"}, "d/**": {"d/a.csv", "d/e/a.csv"},
			"a+csv": nil,
		} {
			e.lists(&storage.Query{MatchGlob: glob}, want...)
		}
	}},
	{"pages", func(e *env) {
		var names []string
		for i := range 25 {
			names = append(names, fmt.Sprintf("o%02d", i))
		}
		e.putAll(append(names, "p/1", "p/2", "q")...)
		var got []string
		pages := 0
		it := e.b.Objects(e.ctx, &storage.Query{Delimiter: "/"})
		for token := ""; ; pages++ {
			var page []*storage.ObjectAttrs
			next, err := iterator.NewPager(it, 4, token).NextPage(&page)
			e.ok(err)
			if len(page) > 4 {
				e.Errorf("page of %d", len(page))
			}
			for _, o := range page {
				got = append(got, o.Name+o.Prefix)
			}
			if token = next; token == "" {
				break
			}
			it = e.b.Objects(e.ctx, &storage.Query{Delimiter: "/"})
		}
		if d := cmp.Diff(append(names, "q", "p/"), got); d != "" {
			e.Errorf("(-want +got):\n%s", d)
		}
	}},
	{"more than a thousand objects come in pages of a thousand", func(e *env) {
		for i := range 1003 {
			e.put(fmt.Sprintf("o%04d", i), "")
		}
		var page []*storage.ObjectAttrs
		next, err := iterator.NewPager(e.b.Objects(e.ctx, nil), 5000, "").NextPage(&page)
		e.ok(err)
		if len(page) < 1003 || next != "" { // the pager joins pages to reach its size
			e.Errorf("page of %d, token %q", len(page), next)
		}
		if n := len(e.list(nil)); n != 1003 {
			e.Errorf("%d objects", n)
		}
	}},
	{"only the fields that are asked for", func(e *env) {
		e.put("o", "abc")
		q := &storage.Query{}
		e.ok(q.SetAttrSelection([]string{"Name", "Generation", "Size", "Created"}))
		o, err := e.b.Objects(e.ctx, q).Next()
		e.ok(err)
		if o.Name != "o" || o.Generation == 0 || o.Size != 3 || o.Created.IsZero() || o.ContentType != "" || len(o.MD5) != 0 {
			e.Errorf("%+v", o)
		}
	}},
	{"a bucket that is not there is 404", func(e *env) {
		_, err := e.client.Bucket(e.name+"-none").Objects(e.ctx, nil).Next()
		e.wants(404, err)
	}},
	{"an empty bucket lists nothing", func(e *env) {
		if _, err := e.b.Objects(e.ctx, nil).Next(); !errors.Is(err, iterator.Done) {
			e.Errorf("%v", err)
		}
	}},
	{"all versions of a bucket without versioning are the live ones", func(e *env) {
		e.put("o", "1")
		e.put("o", "2")
		e.lists(&storage.Query{Versions: true, Prefix: strings.Repeat("o", 1)}, "o")
	}},
}
