package storagetest

import (
	"fmt"
	"hash/crc32"

	"cloud.google.com/go/storage"
)

var copies = []check{
	{"rewrite keeps bytes, type and metadata, as a new generation", func(e *env) {
		for _, data := range []string{"", "small", noise(300 << 10)} {
			src, err := e.write(e.b.Object("src"), data, func(w *storage.Writer) {
				w.ContentType, w.Metadata = "text/csv", map[string]string{"k": "v"}
			})
			e.ok(err)
			dst, err := e.b.Object("dst").CopierFrom(e.b.Object("src")).Run(e.ctx)
			e.ok(err)
			if dst.Name != "dst" || dst.ContentType != "text/csv" || dst.Metadata["k"] != "v" || dst.CRC32C != src.CRC32C ||
				dst.Size != src.Size || dst.Generation <= src.Generation || dst.Metageneration != 1 {
				e.Errorf("%+v", dst)
			}
			e.holds("dst", data)
			e.ok(e.b.Object("src").Delete(e.ctx))
			e.holds("dst", data) // the copy lives without its source
		}
	}},
	{"rewrite to another bucket, and with other attributes", func(e *env) {
		e.put("src", "x")
		other := newEnv(e.T, e.client)
		c := other.b.Object("dst").CopierFrom(e.b.Object("src"))
		c.ContentType, c.Metadata = "text/other", map[string]string{"new": "1"}
		a, err := c.Run(e.ctx)
		e.ok(err)
		if a.Bucket != other.name || a.ContentType != "text/other" || a.Metadata["new"] != "1" {
			e.Errorf("%+v", a)
		}
		other.holds("dst", "x")
	}},
	{"rewrite onto itself is a new generation of the same bytes", func(e *env) {
		for _, data := range []string{"x", noise(200 << 10)} {
			a := e.put("o", data)
			b, err := e.b.Object("o").CopierFrom(e.b.Object("o")).Run(e.ctx)
			e.ok(err)
			if b.Generation <= a.Generation {
				e.Errorf("generations %d, %d", a.Generation, b.Generation)
			}
			e.holds("o", data)
		}
	}},
	{"rewrite of what is not there is 404", func(e *env) {
		_, err := e.b.Object("dst").CopierFrom(e.b.Object("none")).Run(e.ctx)
		e.wants(404, err)
	}},
	{"compose joins in order, counts components and has no md5", func(e *env) {
		big := noise(200 << 10)
		e.put("a", "A")
		e.put("b", big)
		dst := e.b.Object("ab")
		c := dst.ComposerFrom(e.b.Object("a"), e.b.Object("b"), e.b.Object("a"))
		c.ContentType = "text/csv"
		a, err := c.Run(e.ctx)
		e.ok(err)
		if a.ComponentCount != 3 || len(a.MD5) != 0 || a.ContentType != "text/csv" || a.CRC32C != crc32.Checksum([]byte("A"+big+"A"), castagnoli) {
			e.Errorf("components %d md5 %x type %q crc %d", a.ComponentCount, a.MD5, a.ContentType, a.CRC32C)
		}
		e.holds("ab", "A"+big+"A")
		again, err := e.b.Object("more").ComposerFrom(dst, e.b.Object("a")).Run(e.ctx)
		e.ok(err)
		if again.ComponentCount != 4 {
			e.Errorf("components %d, want 4", again.ComponentCount)
		}
	}},
	{"compose of more than 32 sources is refused", func(e *env) {
		var sources []*storage.ObjectHandle
		for i := range 33 {
			name := fmt.Sprint("s", i)
			e.put(name, name)
			sources = append(sources, e.b.Object(name))
		}
		_, err := e.b.Object("o").ComposerFrom(sources[:32]...).Run(e.ctx)
		e.ok(err)
		_, err = e.b.Object("o").ComposerFrom(sources...).Run(e.ctx)
		e.wants(400, err)
	}},
	{"compose with a missing source is 404 and changes nothing", func(e *env) {
		e.put("a", "A")
		_, err := e.b.Object("o").ComposerFrom(e.b.Object("a"), e.b.Object("none")).Run(e.ctx)
		e.wants(404, err)
		_, err = e.b.Object("o").Attrs(e.ctx)
		e.wants(404, err)
	}},
	{"move takes the bytes along and the old name is gone", func(e *env) {
		for _, data := range []string{"x", noise(200 << 10)} {
			a := e.put("old", data)
			b, err := e.b.Object("old").Move(e.ctx, storage.MoveObjectDestination{Object: "new"})
			e.ok(err)
			if b.Name != "new" || b.Generation <= a.Generation || b.Metageneration != 1 {
				e.Errorf("%+v", b)
			}
			e.holds("new", data)
			_, err = e.b.Object("old").Attrs(e.ctx)
			e.wants(404, err)
		}
	}},
	{"move checks both sides", func(e *env) {
		a := e.put("old", "x")
		e.put("new", "y")
		_, err := e.b.Object("old").If(storage.Conditions{GenerationMatch: a.Generation + 1}).Move(e.ctx, storage.MoveObjectDestination{Object: "new"})
		e.wants(412, err)
		_, err = e.b.Object("old").Move(e.ctx, storage.MoveObjectDestination{Object: "new", Conditions: &storage.Conditions{DoesNotExist: true}})
		e.wants(412, err)
		_, err = e.b.Object("none").Move(e.ctx, storage.MoveObjectDestination{Object: "new"})
		e.wants(404, err)
		e.holds("old", "x")
		e.holds("new", "y")
	}},
}
