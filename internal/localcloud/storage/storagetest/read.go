package storagetest

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"

	"cloud.google.com/go/storage"
)

func (e *env) readRange(name string, offset, length int64) (string, *storage.Reader, error) {
	r, err := e.b.Object(name).NewRangeReader(e.ctx, offset, length)
	if err != nil {
		return "", nil, err
	}
	b, err := io.ReadAll(r)
	return string(b), r, errors.Join(err, r.Close())
}

func zipped(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = io.WriteString(z, text)
	_ = z.Close()
	return b.String()
}

func isGzip(w *storage.Writer) { w.ContentEncoding, w.ContentType = "gzip", "text/plain" }

var reads = []check{
	{"ranges and suffixes", func(e *env) {
		data := noise(300 << 10)
		for name, set := range map[string]string{"small": data[:1000], "large": data} {
			e.put(name, set)
			n := int64(len(set))
			for _, c := range []struct{ offset, length, from, to int64 }{
				{0, -1, 0, n}, {10, -1, 10, n}, {0, 1, 0, 1}, {7, 20, 7, 27}, {n - 1, 1, n - 1, n}, {n - 5, 100, n - 5, n},
				{-1, -1, n - 1, n}, {-100, -1, n - 100, n}, {0, 0, 0, 0}, {5, 0, 5, 5},
			} {
				got, r, err := e.readRange(name, c.offset, c.length)
				e.ok(err)
				if got != set[c.from:c.to] {
					e.Errorf("%s %d,%d: %d bytes, want %d", name, c.offset, c.length, len(got), c.to-c.from)
				}
				if r.Attrs.Size != n {
					e.Errorf("%s %d,%d: size %d, want %d", name, c.offset, c.length, r.Attrs.Size, n)
				}
			}
		}
	}},
	{"a range that starts beyond the end is 416", func(e *env) {
		e.put("o", "12345")
		for _, offset := range []int64{5, 6, 1 << 40} {
			_, _, err := e.readRange("o", offset, -1)
			e.wants(416, err)
		}
	}},
	{"an object or bucket that is not there is 404", func(e *env) {
		_, err := e.get(e.b.Object("none"))
		e.wants(404, err)
		_, err = e.b.Object("none").Attrs(e.ctx)
		e.wants(404, err)
		e.wants(404, e.b.Object("none").Delete(e.ctx))
		_, err = e.get(e.client.Bucket(e.name + "-none").Object("o"))
		e.wants(404, err)
	}},
	{"a reader tells type, encoding, generation, metageneration and custom metadata", func(e *env) {
		a, err := e.write(e.b.Object("o"), "x", func(w *storage.Writer) {
			w.ContentType, w.CacheControl, w.Metadata = "text/csv", "no-cache", map[string]string{"run": "r1"}
		})
		e.ok(err)
		r, err := e.b.Object("o").NewReader(e.ctx)
		e.ok(err)
		e.ok(r.Close())
		if r.Attrs.ContentType != "text/csv" || r.Attrs.CacheControl != "no-cache" || r.Attrs.Generation != a.Generation ||
			r.Attrs.Metageneration != 1 || r.Attrs.LastModified.IsZero() || r.Metadata()["Run"] != "r1" {
			e.Errorf("%+v %v", r.Attrs, r.Metadata())
		}
	}},
	{"a body that is being read survives an overwrite and a delete", func(e *env) {
		data := noise(4 << 20)
		e.put("o", data)
		for _, change := range []func(){func() { e.put("o", "other") }, func() { e.ok(e.b.Object("o").Delete(e.ctx)) }} {
			e.put("o", data)
			r, err := e.b.Object("o").NewReader(e.ctx)
			e.ok(err)
			head := make([]byte, 1000)
			_, err = io.ReadFull(r, head)
			e.ok(err)
			change()
			rest, err := io.ReadAll(r)
			e.ok(errors.Join(err, r.Close()))
			if string(head)+string(rest) != data {
				e.Errorf("read %d bytes, want the %d from before", len(head)+len(rest), len(data))
			}
		}
	}},
}

// compressed are reads of what is stored as gzip.
var compressed = []check{
	{"stored gzip goes out plain, or as it is when asked", func(e *env) {
		text := strings.Repeat("hello gzip ", 1000)
		_, err := e.write(e.b.Object("z"), zipped(text), isGzip)
		e.ok(err)
		e.holds("z", text)
		raw, err := e.get(e.b.Object("z").ReadCompressed(true))
		e.ok(err)
		if raw != zipped(text) {
			e.Errorf("compressed read has %d bytes, want %d", len(raw), len(zipped(text)))
		}
		if a := e.attrs("z"); a.ContentEncoding != "gzip" || a.Size != int64(len(zipped(text))) {
			e.Errorf("encoding %q size %d", a.ContentEncoding, a.Size)
		}
	}},
	{"gzip with no-transform goes out as it is", func(e *env) {
		_, err := e.write(e.b.Object("z"), zipped("hello"), isGzip, func(w *storage.Writer) { w.CacheControl = "no-transform" })
		e.ok(err)
		raw, err := e.get(e.b.Object("z").ReadCompressed(true))
		e.ok(err)
		if raw != zipped("hello") {
			e.Errorf("%d bytes, want %d", len(raw), len(zipped("hello")))
		}
	}},
}
