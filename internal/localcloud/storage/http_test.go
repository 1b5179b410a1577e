package storage_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/millrace-ml/millrace/internal/localcloud/storage"
)

// answered is what a plain HTTP request got.
type answered struct {
	status int
	header http.Header
	body   string
}

// send makes one request; headers are "Name: value".
func (s *server) send(t testing.TB, method, path, body string, headers ...string) answered {
	t.Helper()
	if !strings.HasPrefix(path, "http") {
		path = s.url + path
	}
	req, err := http.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			req.Host = value
		}
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultTransport.RoundTrip(req) // no redirects: 308 is an answer here
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answered{resp.StatusCode, resp.Header, string(b)}
}

func (a answered) wants(t testing.TB, status int, words ...string) answered {
	t.Helper()
	if a.status != status {
		t.Fatalf("status %d %s, want %d", a.status, a.body, status)
	}
	for _, w := range words {
		if !strings.Contains(a.body, w) {
			t.Errorf("body %s, want %q in it", a.body, w)
		}
	}
	return a
}

// generation is that of an object resource.
func (a answered) generation(t testing.TB) string {
	t.Helper()
	var o struct{ Generation string }
	if err := json.Unmarshal([]byte(a.body), &o); err != nil || o.Generation == "" {
		t.Fatalf("no generation in %s", a.body)
	}
	return o.Generation
}

func withBucket(t testing.TB, names ...string) *server {
	t.Helper()
	s := start(t, storage.Options{})
	for _, n := range names {
		if err := s.CreateBucket(n); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestReadsByPath(t *testing.T) {
	t.Parallel()
	s := withBucket(t, "box")
	s.send(t, "POST", "/upload/storage/v1/b/box/o?uploadType=media&name=in%2Fa.txt", "0123456789", "Content-Type: text/plain").wants(t, 200)
	for name, c := range map[string]struct {
		method, path, rng string
		status            int
		body, header      string
	}{
		"escaped":               {"GET", "/box/in%2Fa.txt", "", 200, "0123456789", "Content-Length: 10"},
		"plain slash":           {"GET", "/box/in/a.txt", "", 200, "0123456789", "X-Goog-Stored-Content-Encoding: identity"},
		"head":                  {"HEAD", "/box/in/a.txt", "", 200, "", "Content-Length: 10"},
		"download path":         {"GET", "/download/storage/v1/b/box/o/in%2Fa.txt?alt=media", "", 200, "0123456789", "X-Goog-Storage-Class: STANDARD"},
		"JSON path":             {"GET", "/storage/v1/b/box/o/in%2Fa.txt?alt=media", "", 200, "0123456789", "Content-Type: text/plain"},
		"range":                 {"GET", "/box/in/a.txt", "bytes=2-4", 206, "234", "Content-Range: bytes 2-4/10"},
		"suffix":                {"GET", "/box/in/a.txt", "bytes=-3", 206, "789", "Content-Range: bytes 7-9/10"},
		"long suffix":           {"GET", "/box/in/a.txt", "bytes=-30", 206, "0123456789", "Content-Range: bytes 0-9/10"},
		"empty suffix":          {"GET", "/box/in/a.txt", "bytes=-0", 416, "", "Content-Range: bytes */10"},
		"end beyond":            {"GET", "/box/in/a.txt", "bytes=8-100", 206, "89", "Content-Range: bytes 8-9/10"},
		"start beyond":          {"GET", "/box/in/a.txt", "bytes=10-", 416, "", "Content-Range: bytes */10"},
		"reversed is ignored":   {"GET", "/box/in/a.txt", "bytes=5-2", 200, "0123456789", ""},
		"several are ignored":   {"GET", "/box/in/a.txt", "bytes=0-1,3-4", 200, "0123456789", ""},
		"nonsense is ignored":   {"GET", "/box/in/a.txt", "bytes=x-", 200, "0123456789", ""},
		"other unit is ignored": {"GET", "/box/in/a.txt", "lines=1-2", 200, "0123456789", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := s.send(t, c.method, c.path, "", "Range: "+c.rng).wants(t, c.status)
			if c.body != "" && a.body != c.body {
				t.Errorf("body %q, want %q", a.body, c.body)
			}
			if name, value, ok := strings.Cut(c.header, ": "); ok && a.header.Get(name) != value {
				t.Errorf("%s is %q, want %q", name, a.header.Get(name), value)
			}
		})
	}
}

func TestConditionsByHeader(t *testing.T) {
	t.Parallel()
	s := withBucket(t, "box")
	gen := s.send(t, "POST", "/upload/storage/v1/b/box/o?uploadType=media&name=o", "x").wants(t, 200).generation(t)
	etag := s.send(t, "GET", "/storage/v1/b/box/o/o", "").header.Get("Etag")
	for _, c := range []struct {
		path, header string
		status       int
	}{
		{"/box/o", "x-goog-if-generation-match: " + gen, 200},
		{"/box/o", "x-goog-if-generation-match: 1", 412},
		{"/box/o", "x-goog-if-metageneration-match: 1", 200},
		{"/box/o", "x-goog-if-metageneration-match: 2", 412},
		{"/box/o?generation=" + gen, "x-a: b", 200},
		{"/box/o?generation=1", "x-a: b", 404},
		{"/box/o?ifGenerationNotMatch=" + gen, "x-a: b", 304},
		{"/storage/v1/b/box/o/o", "If-None-Match: " + etag, 304},
		{"/storage/v1/b/box/o/o", `If-None-Match: "other"`, 200},
		{"/storage/v1/b/box/o/o", "If-Match: " + etag, 200},
		{"/storage/v1/b/box/o/o", `If-Match: "other"`, 412},
	} {
		if a := s.send(t, "GET", c.path, "", c.header); a.status != c.status {
			t.Errorf("%s, %s: status %d, want %d", c.path, c.header, a.status, c.status)
		}
	}
}

func TestFieldSelection(t *testing.T) {
	t.Parallel()
	s := withBucket(t, "box")
	s.send(t, "POST", "/upload/storage/v1/b/box/o?uploadType=media&name=o", "x").wants(t, 200)
	for spec, want := range map[string]string{
		"items(name,size)":          `{"items":[{"name":"o","size":"1"}]}`,
		"items/name":                `{"items":[{"name":"o"}]}`,
		"kind,items/name":           `{"items":[{"name":"o"}],"kind":"storage#objects"}`,
		"items/name,items/size":     `{"items":[{"name":"o","size":"1"}]}`,
		"items/name,kind":           `{"items":[{"name":"o"}],"kind":"storage#objects"}`,
		"items/name,items(size)":    `{"items":[{"name":"o","size":"1"}]}`,
		"kind,items(kind),kind":     `{"items":[{"kind":"storage#object"}],"kind":"storage#objects"}`,
		"prefixes":                  `{}`,
		"*(name)":                   `{"items":[{"name":"o"}],"kind":"storage#objects"}`,
		"nextPageToken,items(name)": `{"items":[{"name":"o"}]}`,
	} {
		a := s.send(t, "GET", "/storage/v1/b/box/o?fields="+spec, "").wants(t, 200)
		if strings.TrimSpace(a.body) != want {
			t.Errorf("%s: %s, want %s", spec, a.body, want)
		}
	}
}

func TestFieldThatIsAskedForWholeAndInPart(t *testing.T) {
	t.Parallel()
	s := withBucket(t, "box")
	s.send(t, "POST", "/upload/storage/v1/b/box/o?uploadType=media&name=o", "x").wants(t, 200)
	for _, spec := range []string{"items,items/name", "items/name,items"} {
		s.send(t, "GET", "/storage/v1/b/box/o?fields="+spec, "").wants(t, 200, `"size":"1"`, `"crc32c"`)
	}
}

func TestMethodOverride(t *testing.T) {
	t.Parallel()
	s := withBucket(t, "box")
	s.send(t, "POST", "/upload/storage/v1/b/box/o?uploadType=media&name=o", "x").wants(t, 200)
	s.send(t, "POST", "/storage/v1/b/box/o/o", `{"contentType":"text/csv"}`, "X-HTTP-Method-Override: PATCH").wants(t, 200, "text/csv", `"metageneration":"2"`)
	s.send(t, "PUT", "/storage/v1/b/box/o/o", `{"cacheControl":"no-store"}`).wants(t, 200, "no-store")
	if a := s.send(t, "GET", "/storage/v1/b/box/o/o", ""); strings.Contains(a.body, "text/csv") {
		t.Errorf("PUT left the content type: %s", a.body)
	}
	s.send(t, "PATCH", "/storage/v1/b/box/o/o", `{"metadata":{"a":"1","b":"2"}}`).wants(t, 200, `"a":"1"`)
	a := s.send(t, "PATCH", "/storage/v1/b/box/o/o", `{"metadata":{"a":null}}`).wants(t, 200, `"b":"2"`)
	if strings.Contains(a.body, `"a":"1"`) {
		t.Errorf("null did not remove: %s", a.body)
	}
}

func TestBatchOfCalls(t *testing.T) {
	t.Parallel()
	s := withBucket(t, "box")
	for _, n := range []string{"a", "b"} {
		s.send(t, "POST", "/upload/storage/v1/b/box/o?uploadType=media&name="+n, "x").wants(t, 200)
	}
	var body strings.Builder
	for i, call := range []string{"DELETE /storage/v1/b/box/o/a HTTP/1.1", "DELETE /storage/v1/b/box/o/none HTTP/1.1", "GET /storage/v1/b/box/o/b HTTP/1.1"} {
		fmt.Fprintf(&body, "--XX\r\nContent-Type: application/http\r\nContent-ID: <id+%d>\r\n\r\n%s\r\n\r\n\r\n", i, call)
	}
	body.WriteString("--XX--")
	s.send(t, "POST", "/batch/storage/v1", body.String(), "Content-Type: multipart/mixed; boundary=\"XX\"").
		wants(t, 200, "HTTP/1.1 204", "HTTP/1.1 404", "HTTP/1.1 200", "<response-id+0>", `"name":"b"`)
	s.send(t, "GET", "/storage/v1/b/box/o/a", "").wants(t, 404)
}

func TestNotificationConfigurations(t *testing.T) {
	t.Parallel()
	s := withBucket(t, "box")
	base := "/storage/v1/b/box/notificationConfigs"
	s.send(t, "POST", base, `{"topic":"//pubsub.googleapis.com/projects/p/topics/t","payload_format":"JSON_API_V1","event_types":["OBJECT_FINALIZE"]}`).wants(t, 200, `"id":"1"`)
	s.send(t, "POST", base, `{"topic":"t"}`).wants(t, 400, "projects/PROJECT/topics/TOPIC")
	s.send(t, "GET", base, "").wants(t, 200, "projects/p/topics/t")
	s.send(t, "GET", base+"/1", "").wants(t, 200, "OBJECT_FINALIZE")
	s.send(t, "DELETE", base+"/1", "").wants(t, 204)
	s.send(t, "GET", base+"/1", "").wants(t, 404)
	for range 2 {
		if err := s.Notify("box", "projects/p/topics/t", "in/"); err != nil {
			t.Fatal(err)
		}
	}
	if a := s.send(t, "GET", base, "").wants(t, 200); strings.Count(a.body, `"id"`) != 1 {
		t.Errorf("asking twice made two: %s", a.body)
	}
	if err := s.Notify("none", "projects/p/topics/t", ""); err == nil {
		t.Error("a notification of no bucket")
	}
	if err := s.Notify("box", "t", ""); err == nil {
		t.Error("a topic without a project")
	}
}
