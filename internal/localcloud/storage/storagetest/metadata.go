package storagetest

import (
	"errors"
	"strings"

	"cloud.google.com/go/storage"
	"google.golang.org/api/iterator"
)

var metadata = []check{
	{"an update keeps the generation and the bytes, and counts the metageneration", func(e *env) {
		a := e.put("o", "x")
		u, err := e.b.Object("o").Update(e.ctx, storage.ObjectAttrsToUpdate{ContentType: "text/csv", Metadata: map[string]string{"a": "1", "b": "2"}})
		e.ok(err)
		if u.Generation != a.Generation || u.Metageneration != 2 || u.ContentType != "text/csv" || u.Metadata["a"] != "1" || !u.Created.Equal(a.Created) {
			e.Errorf("%+v", u)
		}
		if u.Etag == a.Etag {
			e.Error("the etag stayed")
		}
		e.holds("o", "x")
	}},
	{"an update of some attributes leaves the others", func(e *env) {
		_, err := e.write(e.b.Object("o"), "x", func(w *storage.Writer) { w.ContentType, w.CacheControl = "text/csv", "no-store" })
		e.ok(err)
		u, err := e.b.Object("o").Update(e.ctx, storage.ObjectAttrsToUpdate{ContentLanguage: "de"})
		e.ok(err)
		if u.ContentType != "text/csv" || u.CacheControl != "no-store" || u.ContentLanguage != "de" {
			e.Errorf("%+v", u)
		}
	}},
	{"an empty value removes", func(e *env) {
		_, err := e.write(e.b.Object("o"), "x", func(w *storage.Writer) { w.CacheControl, w.Metadata = "no-store", map[string]string{"a": "1"} })
		e.ok(err)
		u, err := e.b.Object("o").Update(e.ctx, storage.ObjectAttrsToUpdate{CacheControl: "", Metadata: map[string]string{}})
		e.ok(err)
		if u.CacheControl != "" || len(u.Metadata) != 0 {
			e.Errorf("%+v", u)
		}
	}},
	{"custom metadata over 8 KiB is refused", func(e *env) {
		_, err := e.write(e.b.Object("o"), "x", func(w *storage.Writer) { w.Metadata = map[string]string{"k": strings.Repeat("v", 9<<10)} })
		e.wants(400, err)
	}},
}

var buckets = []check{
	{"attrs, labels and a second create", func(e *env) {
		u, err := e.b.Update(e.ctx, func() storage.BucketAttrsToUpdate {
			var a storage.BucketAttrsToUpdate
			a.SetLabel("team", "x")
			return a
		}())
		e.ok(err)
		if u.Labels["team"] != "x" || u.Name != e.name || u.MetaGeneration < 2 {
			e.Errorf("%+v", u)
		}
		e.wants(409, e.b.Create(e.ctx, Project, nil))
	}},
	{"a bucket that holds objects is not deleted", func(e *env) {
		e.put("o", "x")
		e.wants(409, e.b.Delete(e.ctx))
		e.ok(e.b.Object("o").Delete(e.ctx))
		e.ok(e.b.Delete(e.ctx))
		_, err := e.b.Attrs(e.ctx)
		e.wants(404, err)
	}},
	{"buckets are listed", func(e *env) {
		it := e.client.Buckets(e.ctx, Project)
		it.Prefix = e.name
		b, err := it.Next()
		e.ok(err)
		if b.Name != e.name {
			e.Errorf("bucket %q", b.Name)
		}
		if _, err := it.Next(); !errors.Is(err, iterator.Done) {
			e.Errorf("%v", err)
		}
	}},
	{"names that Cloud Storage refuses are 400", func(e *env) {
		for _, n := range []string{"ab", "Upper", "-x-", "has space", strings.Repeat("x", 64), "a..b"} {
			e.wants(400, e.client.Bucket(n).Create(e.ctx, Project, nil))
		}
	}},
}
