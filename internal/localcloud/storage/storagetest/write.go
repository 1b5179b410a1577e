package storagetest

import (
	"crypto/md5" // Cloud Storage's own checksum of objects
	"encoding/hex"
	"hash/crc32"
	"strings"
	"time"

	"cloud.google.com/go/storage"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func chunked(size int) func(*storage.Writer) { return func(w *storage.Writer) { w.ChunkSize = size } }

var writes = []check{
	{"an object has size, checksums, generation, metageneration and times", func(e *env) {
		before := time.Now().Add(-10 * time.Second)
		a := e.put("in/x.csv", "a,b\n1,2\n")
		sum := md5.Sum([]byte("a,b\n1,2\n")) // see the import
		switch {
		case a.Name != "in/x.csv" || a.Bucket != e.name || a.Size != 8:
			e.Errorf("name %q bucket %q size %d", a.Name, a.Bucket, a.Size)
		case a.CRC32C != crc32.Checksum([]byte("a,b\n1,2\n"), castagnoli) || hex.EncodeToString(a.MD5) != hex.EncodeToString(sum[:]):
			e.Errorf("crc32c %d md5 %x", a.CRC32C, a.MD5)
		case a.Generation <= 0 || a.Metageneration != 1:
			e.Errorf("generation %d metageneration %d", a.Generation, a.Metageneration)
		case a.Created.Before(before) || !a.Created.Equal(a.Updated):
			e.Errorf("created %v updated %v", a.Created, a.Updated)
		case a.ContentType == "" || a.Etag == "" || a.MediaLink == "" || a.StorageClass != "STANDARD" || a.ComponentCount != 0:
			e.Errorf("%+v", a)
		}
	}},
	{"an empty object exists", func(e *env) {
		if a := e.put("empty", ""); a.Size != 0 {
			e.Errorf("size %d", a.Size)
		}
		e.holds("empty", "")
	}},
	{"an empty object by resumable upload exists", func(e *env) {
		_, err := e.write(e.b.Object("empty"), "", chunked(256<<10))
		e.ok(err)
		e.holds("empty", "")
	}},
	{"bodies around the sizes where storing changes come back whole", func(e *env) {
		for _, n := range []int{1, 64<<10 - 1, 64 << 10, 64<<10 + 1, 256<<10 - 1, 256 << 10, 256<<10 + 1, 3 << 20} {
			data := noise(n)
			e.put("o", data)
			e.holds("o", data)
			_, err := e.write(e.b.Object("r"), data, chunked(256<<10))
			e.ok(err)
			e.holds("r", data)
		}
	}},
	{"a resumable upload of several chunks has the checksums of the whole", func(e *env) {
		data := noise(5<<20 + 17)
		a, err := e.write(e.b.Object("big"), data, chunked(1<<20))
		e.ok(err)
		sum := md5.Sum([]byte(data)) // see the import
		if a.Size != int64(len(data)) || a.CRC32C != crc32.Checksum([]byte(data), castagnoli) || string(a.MD5) != string(sum[:]) {
			e.Errorf("size %d crc32c %d md5 %x", a.Size, a.CRC32C, a.MD5)
		}
		e.holds("big", data)
	}},
	{"overwriting makes a higher generation and metageneration 1", func(e *env) {
		first := e.put("o", "one")
		second := e.put("o", "two")
		if second.Generation <= first.Generation || second.Metageneration != 1 {
			e.Errorf("generations %d, %d, metageneration %d", first.Generation, second.Generation, second.Metageneration)
		}
		e.holds("o", "two")
	}},
	{"a deleted and recreated object has a higher generation", func(e *env) {
		first := e.put("o", "one")
		e.ok(e.b.Object("o").Delete(e.ctx))
		if second := e.put("o", "one"); second.Generation <= first.Generation {
			e.Errorf("generations %d, %d", first.Generation, second.Generation)
		}
	}},
	{"a wrong crc32c is refused and nothing is created", func(e *env) {
		for _, chunk := range []int{0, 16 << 20, 256 << 10} {
			_, err := e.write(e.b.Object("o"), noise(600<<10), chunked(chunk), func(w *storage.Writer) {
				w.CRC32C, w.SendCRC32C = 1, true
			})
			e.wants(400, err)
			_, err = e.b.Object("o").Attrs(e.ctx)
			e.wants(404, err)
		}
	}},
	{"a wrong md5 is refused and nothing is created", func(e *env) {
		for _, chunk := range []int{16 << 20, 256 << 10} {
			_, err := e.write(e.b.Object("o"), noise(600<<10), chunked(chunk), func(w *storage.Writer) { w.MD5 = make([]byte, 16) })
			e.wants(400, err)
			_, err = e.b.Object("o").Attrs(e.ctx)
			e.wants(404, err)
		}
	}},
	{"attributes of the writer are stored", func(e *env) {
		_, err := e.write(e.b.Object("o"), "x", func(w *storage.Writer) {
			w.ContentType, w.CacheControl, w.ContentLanguage = "text/csv", "no-store", "en"
			w.ContentDisposition, w.Metadata = "attachment", map[string]string{"run": "r1", "Mixed": "Ü"}
			w.CustomTime = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		})
		e.ok(err)
		a := e.attrs("o")
		if a.ContentType != "text/csv" || a.CacheControl != "no-store" || a.ContentLanguage != "en" || a.ContentDisposition != "attachment" ||
			a.Metadata["run"] != "r1" || a.Metadata["Mixed"] != "Ü" || a.CustomTime.Year() != 2026 {
			e.Errorf("%+v", a)
		}
	}},
	{"a bucket that is not there is 404", func(e *env) {
		_, err := e.write(e.client.Bucket(e.name+"-none").Object("o"), "x")
		e.wants(404, err)
		_, err = e.write(e.client.Bucket(e.name+"-none").Object("o"), noise(300<<10), chunked(256<<10))
		e.wants(404, err)
	}},
	{"names are plain characters, not paths", func(e *env) {
		names := []string{
			"../x", "../../../../etc/passwd", "/x", "x//y", "x/y", "x/", "a", "a/b", "a/b/", "folder/", long, long + "/" + long,
			"q?x=1#frag", "100%25", "%2e%2e", "plus+and space", "ü/日本", "a/../b", "..a", "tab\tinside", strings.Repeat("n", 1024),
			"o/compose", "x/rewriteTo/b/c/o/d", "*[]{}", `back\slash`, "'\"&<>;=:@,", "\x01",
		}
		for _, n := range names {
			e.put(n, "content of "+n)
		}
		for _, n := range names {
			e.holds(n, "content of "+n)
			if a := e.attrs(n); a.Name != n {
				e.Errorf("name %q came back as %q", n, a.Name)
			}
		}
		if got := e.list(nil); len(got) != len(names) {
			e.Errorf("%d names listed, want %d: %q", len(got), len(names), got)
		}
		for _, n := range names {
			e.ok(e.b.Object(n).Delete(e.ctx))
		}
	}},
	{"names that Cloud Storage refuses are 400", func(e *env) {
		for _, n := range []string{".", "..", "a\nb", "a\rb", strings.Repeat("n", 1025), ".well-known/acme-challenge/x"} {
			_, err := e.write(e.b.Object(n), "x")
			if c := code(err); c != 400 {
				e.Errorf("%q: status %d (%v), want 400", n, c, err)
			}
		}
	}},
}
