package storage_test

import (
	"strings"
	"testing"
)

func TestMultipartShapes(t *testing.T) {
	t.Parallel()
	s := withBucket(t, "box")
	body := func(meta string) string {
		return "--==B==\r\nContent-Type: application/json\r\n\r\n" + meta + "\r\n--==B==\r\nContent-Type: text/csv\r\nContent-Transfer-Encoding: binary\r\n\r\na=3D\r\n--==B==--\r\n"
	}
	for name, c := range map[string]struct {
		contentType, body string
		status            int
		words             []string
	}{
		"quoted":                  {`multipart/related; boundary="==B=="`, body(`{"name":"m1"}`), 200, []string{`"size":"4"`, "text/csv"}},
		"in single quotes":        {`multipart/related; boundary='==B=='`, body(`{"name":"m2"}`), 200, []string{`"size":"4"`}},
		"the JSON's type wins":    {`multipart/related; boundary="==B=="`, body(`{"name":"m3","contentType":"text/plain"}`), 200, []string{"text/plain"}},
		"unknown fields are fine": {`multipart/related; boundary="==B=="`, body(`{"name":"m4","generation":"7","bucket":"elsewhere","new":1}`), 200, []string{`"bucket":"box"`}},
		"wrong md5":               {`multipart/related; boundary="==B=="`, body(`{"name":"m5","md5Hash":"AAAAAAAAAAAAAAAAAAAAAA=="}`), 400, []string{"MD5"}},
		"no checksum":             {`multipart/related; boundary="==B=="`, body(`{"name":"m6","md5Hash":"short"}`), 400, nil},
		"no boundary":             {`multipart/related`, body(`{"name":"m7"}`), 400, nil},
		"no multipart":            {`text/plain; boundary="==B=="`, body(`{"name":"m8"}`), 400, nil},
		"one part":                {`multipart/related; boundary="==B=="`, "--==B==\r\nContent-Type: application/json\r\n\r\n{}\r\n--==B==--\r\n", 400, nil},
		"cut off":                 {`multipart/related; boundary="==B=="`, strings.TrimSuffix(body(`{"name":"m9"}`), "\r\n--==B==--\r\n"), 400, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s.send(t, "POST", "/upload/storage/v1/b/box/o?uploadType=multipart", c.body, "Content-Type: "+c.contentType).wants(t, c.status, c.words...)
		})
	}
	if a := s.send(t, "GET", "/storage/v1/b/box/o/m9", ""); a.status != 404 {
		t.Errorf("a body that was cut off became an object: %s", a.body)
	}
}

func TestGzipByHeader(t *testing.T) {
	t.Parallel()
	s := withBucket(t, "box")
	s.send(t, "POST", "/upload/storage/v1/b/box/o?uploadType=media&name=z&contentEncoding=gzip", "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\xcaH\xcd\xc9\xc9\x07\x04\x00\x00\xff\xff\x86\xa6\x106\x05\x00\x00\x00").wants(t, 200)
	plain := s.send(t, "GET", "/box/z", "", "Range: bytes=1-2", "Accept-Encoding: identity").wants(t, 200)
	if plain.body != "hello" || plain.header.Get("Content-Encoding") != "" || plain.header.Get("Content-Length") != "" ||
		plain.header.Get("X-Goog-Stored-Content-Encoding") != "gzip" {
		t.Errorf("%q %v", plain.body, plain.header)
	}
	raw := s.send(t, "GET", "/box/z", "", "Range: bytes=0-1", "Accept-Encoding: gzip").wants(t, 206)
	if raw.body != "\x1f\x8b" || raw.header.Get("Content-Encoding") != "gzip" {
		t.Errorf("%q %v", raw.body, raw.header)
	}
	s.send(t, "PATCH", "/storage/v1/b/box/o/z", `{"cacheControl":"no-transform"}`).wants(t, 200)
	kept := s.send(t, "GET", "/box/z", "", "Accept-Encoding: identity").wants(t, 200)
	if kept.body == "hello" || kept.header.Get("Content-Encoding") != "gzip" {
		t.Errorf("%q %v", kept.body, kept.header)
	}
	s.send(t, "POST", "/upload/storage/v1/b/box/o?uploadType=media&name=liar&contentEncoding=gzip", "plain").wants(t, 200)
	s.send(t, "GET", "/box/liar", "", "Accept-Encoding: identity").wants(t, 400)
}
