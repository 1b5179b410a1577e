package storage

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// call is one request of the API, taken apart.
type call struct {
	name           string // as fault switches and logs name it: objects.insert, objects.insert.chunk, …
	bucket, object string
	dst            struct{ bucket, object string } // of a copy or move
	id             string                          // of a notification
	run            func(*Server, http.ResponseWriter, *http.Request, call) error
}

// CallName names the request for logs and fault switches: storage:objects.insert (media and multipart uploads),
// storage:objects.insert.start, .chunk and .cancel (resumable ones), storage:objects.media (reads of bytes),
// storage:objects.get, .list, .patch, .update, .delete, .rewrite, .copy, .compose, .move, storage:buckets.… and
// storage:batch.
func CallName(r *http.Request) string { return "storage:" + route(r).name }

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.work.Add(1)
	defer s.work.Done()
	defer s.watch(w, r)()
	c := route(r)
	if err := refusedRequest(r); err != nil {
		s.writeError(w, r, err)
		return
	}
	if err := c.run(s, w, r, c); err != nil {
		s.writeError(w, r, err)
	}
}

// guard keeps the server to this machine's own programs: a web page that a browser here has open could reach it too, by
// its own origin or by a name that resolves to loopback.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !loopbackHost(r.Host):
			s.writeError(w, r, refuse(http.StatusForbidden, reasonForbidden, "Host %q is not a loopback address; the local Cloud Storage serves this machine only", r.Host))
		case r.Header.Get("Origin") != "":
			s.writeError(w, r, refuse(http.StatusForbidden, reasonForbidden, "requests of web pages (Origin %q) are refused", r.Header.Get("Origin")))
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func loopbackHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// refusedRequest names what a request asks for that is given up here, wherever it asks.
func refusedRequest(r *http.Request) error {
	for h := range r.Header {
		if strings.HasPrefix(h, "X-Goog-Encryption-") || strings.HasPrefix(h, "X-Goog-Copy-Source-Encryption-") {
			return notOffered("customer-supplied encryption keys")
		}
	}
	q := r.URL.Query()
	for name, what := range map[string]string{
		"X-Goog-Signature": "signed URLs", "Signature": "signed URLs", "predefinedAcl": "ACLs", "destinationPredefinedAcl": "ACLs",
		"predefinedDefaultObjectAcl": "ACLs", "kmsKeyName": "customer-managed encryption keys",
		"destinationKmsKeyName": "customer-managed encryption keys", "softDeleted": "soft delete", "filter": "list filters",
	} {
		if v := q.Get(name); v != "" && v != "false" {
			return notOffered(what)
		}
	}
	return nil
}

// route takes the path apart as it was sent: an object's name is one segment with its slashes escaped.
func route(r *http.Request) call {
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/")
	if rest, ok := strings.CutPrefix(path, "batch/storage/v1"); ok && rest == "" {
		return on(r, call{name: "batch"}, methods{http.MethodPost: (*Server).batch})
	}
	for prefix, fn := range map[string]func(*http.Request, call, []string) call{
		"storage/v1/b": routeJSON, "download/storage/v1/b": routeJSON,
		"upload/storage/v1/b": routeUpload, "resumable/upload/storage/v1/b": routeUpload,
	} {
		if path == prefix || strings.HasPrefix(path, prefix+"/") {
			return routeSegments(r, strings.TrimPrefix(strings.TrimPrefix(path, prefix), "/"), fn)
		}
	}
	for prefix, what := range map[string]string{"storage/v1/projects/": "service accounts and HMAC keys"} {
		if strings.HasPrefix(path, prefix) {
			return given(what)
		}
	}
	return routePath(r, path)
}

func routeSegments(r *http.Request, rest string, fn func(*http.Request, call, []string) call) call {
	var segments []string
	if rest != "" {
		for p := range strings.SplitSeq(rest, "/") {
			u, err := url.PathUnescape(p)
			if err != nil {
				return unknown(r)
			}
			segments = append(segments, u)
		}
	}
	var c call
	if len(segments) > 0 {
		c.bucket = segments[0]
	}
	return fn(r, c, segments)
}

func routeJSON(r *http.Request, c call, seg []string) call {
	switch {
	case len(seg) == 0:
		c.name = "buckets"
		return on(r, c, methods{http.MethodGet: (*Server).bucketsList, http.MethodPost: (*Server).bucketsInsert})
	case len(seg) == 1:
		c.name = "buckets"
		return on(r, c, methods{
			http.MethodGet: (*Server).bucketsGet, http.MethodPatch: (*Server).bucketsUpdate,
			http.MethodPut: (*Server).bucketsUpdate, http.MethodDelete: (*Server).bucketsDelete,
		})
	}
	switch seg[1] {
	case "o":
		return routeObjects(r, c, seg[2:])
	case "notificationConfigs":
		return routeNotifications(r, c, seg[2:])
	case "storageLayout":
		c.name = "buckets.storageLayout"
		return on(r, c, methods{http.MethodGet: (*Server).storageLayout})
	case "acl", "defaultObjectAcl":
		return given("bucket ACLs")
	case "iam":
		return given("IAM policies")
	case "folders", "managedFolders":
		if len(seg) == 2 && r.Method == http.MethodGet { // gcloud asks before it removes a bucket; there are none
			c.name = "folders.list"
			return on(r, c, methods{http.MethodGet: (*Server).foldersList})
		}
		return given("folders")
	case "anywhereCaches":
		return given("anywhere caches")
	case "lockRetentionPolicy":
		return given("retention policies")
	}
	return unknown(r)
}

func routeNotifications(r *http.Request, c call, seg []string) call {
	c.name = "notifications"
	switch len(seg) {
	case 0:
		return on(r, c, methods{http.MethodGet: (*Server).notificationsList, http.MethodPost: (*Server).notificationsInsert})
	case 1:
		c.id = seg[0]
		return on(r, c, methods{http.MethodGet: (*Server).notificationsGet, http.MethodDelete: (*Server).notificationsDelete})
	}
	return unknown(r)
}

func routeObjects(r *http.Request, c call, seg []string) call {
	c.name = "objects"
	if len(seg) == 0 {
		return on(r, c, methods{http.MethodGet: (*Server).objectsList})
	}
	c.object = seg[0]
	switch {
	case len(seg) == 1 && r.URL.Query().Get("alt") == "media":
		c.name = "objects.media"
		return on(r, c, methods{http.MethodGet: (*Server).media, http.MethodHead: (*Server).media})
	case len(seg) == 1:
		return on(r, c, methods{
			http.MethodGet: (*Server).objectsGet, http.MethodPatch: (*Server).objectsUpdate,
			http.MethodPut: (*Server).objectsUpdate, http.MethodDelete: (*Server).objectsDelete,
		})
	case len(seg) == 2 && seg[1] == "compose":
		c.name = "objects.compose"
		return on(r, c, methods{http.MethodPost: (*Server).compose})
	case len(seg) == 6 && (seg[1] == "rewriteTo" || seg[1] == "copyTo") && seg[2] == "b" && seg[4] == "o":
		c.name, c.dst.bucket, c.dst.object = "objects.rewrite", seg[3], seg[5]
		if seg[1] == "copyTo" {
			c.name = "objects.copy"
		}
		return on(r, c, methods{http.MethodPost: (*Server).rewrite})
	case len(seg) == 4 && seg[1] == "moveTo" && seg[2] == "o":
		c.name, c.dst.bucket, c.dst.object = "objects.move", c.bucket, seg[3]
		return on(r, c, methods{http.MethodPost: (*Server).move})
	case seg[1] == "acl":
		return given("object ACLs")
	case seg[1] == "restore":
		return given("soft delete")
	}
	return unknown(r)
}

func routeUpload(r *http.Request, c call, seg []string) call {
	if len(seg) != 2 || seg[1] != "o" {
		return unknown(r)
	}
	q := r.URL.Query()
	switch {
	case q.Get("upload_id") != "":
		c.id = q.Get("upload_id")
		c.name = "objects.insert.chunk"
		if r.Method == http.MethodDelete {
			c.name = "objects.insert.cancel"
		}
		return on(r, c, methods{
			http.MethodPost: (*Server).uploadChunk, http.MethodPut: (*Server).uploadChunk, http.MethodDelete: (*Server).uploadCancel,
		})
	case q.Get("uploadType") == "resumable" || strings.HasPrefix(r.URL.Path, "/resumable/"):
		c.name = "objects.insert.start"
		return on(r, c, methods{http.MethodPost: (*Server).uploadStart})
	}
	c.name = "objects.insert"
	return on(r, c, methods{http.MethodPost: (*Server).objectsInsert})
}

// routePath is the read of an object by path, the one part of the XML API that is offered.
func routePath(r *http.Request, path string) call {
	b, o, ok := strings.Cut(path, "/")
	name, err := url.PathUnescape(o)
	switch {
	case path == "":
		return given("the XML API's listing of buckets")
	case err != nil || checkBucketName(b) != nil:
		return unknown(r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		return given("writes through the XML API")
	case !ok || o == "":
		return given("the XML API's listing of objects")
	}
	return call{name: "objects.media", bucket: b, object: name, run: (*Server).media}
}

type methods map[string]func(*Server, http.ResponseWriter, *http.Request, call) error

var verbs = map[string]string{
	http.MethodGet: "get", http.MethodPost: "insert", http.MethodPatch: "patch", http.MethodPut: "update", http.MethodDelete: "delete",
}

// on picks the function of the request's method. X-HTTP-Method-Override serves clients that cannot send PATCH.
func on(r *http.Request, c call, m methods) call {
	method := r.Method
	if o := r.Header.Get("X-HTTP-Method-Override"); o != "" && method == http.MethodPost {
		method = o
	}
	run, ok := m[method]
	if !ok {
		c.run = func(*Server, http.ResponseWriter, *http.Request, call) error {
			return refuse(http.StatusMethodNotAllowed, "methodNotAllowed", "%s is not offered at %s", method, r.URL.Path)
		}
		return c
	}
	c.run = run
	if c.name == "buckets" || c.name == "objects" || c.name == "notifications" {
		verb := verbs[method]
		if method == http.MethodGet && c.object == "" && c.id == "" && (c.name != "buckets" || c.bucket == "") {
			verb = "list"
		}
		c.name += "." + verb
	}
	return c
}

func given(what string) call {
	return call{name: "notOffered", run: func(*Server, http.ResponseWriter, *http.Request, call) error { return notOffered(what) }}
}

func unknown(r *http.Request) call {
	return call{name: "unknown", run: func(*Server, http.ResponseWriter, *http.Request, call) error {
		return notFound("Not Found: %s %s is no path of the Cloud Storage API", r.Method, r.URL.EscapedPath())
	}}
}
