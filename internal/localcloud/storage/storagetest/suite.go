// Package storagetest is the contract that a Cloud Storage server must keep for this project's code, checked through
// Google's own Go client. The local server passes it in every test run; the real service can be asked the same.
package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/storage"
	"google.golang.org/api/googleapi"
	"google.golang.org/api/iterator"
)

// Project is the project that the suite's buckets are made in; a test against the real service sets it.
var Project = "local"

type group struct {
	name   string
	checks []check
}

// Suite runs every check, each in a bucket of its own. open gives a client for the server under test and closes it with
// the test; it is called once per check.
func Suite(t *testing.T, open func(t *testing.T) *storage.Client) {
	run(t, open, []group{
		{"write", writes}, {"precondition", conditions}, {"read", reads}, {"compressed", compressed}, {"list", lists},
		{"copy", copies}, {"metadata", metadata}, {"bucket", buckets}, {"concurrency", races},
	})
}

// SuiteJSONReads runs the checks that read, for a client with storage.WithJSONReads. It leaves out compressed reads, which
// that client does not do.
func SuiteJSONReads(t *testing.T, open func(t *testing.T) *storage.Client) {
	run(t, open, []group{{"precondition", conditions}, {"read", reads}})
}

func run(t *testing.T, open func(t *testing.T) *storage.Client, groups []group) {
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			for _, c := range g.checks {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					c.run(newEnv(t, open(t)))
				})
			}
		})
	}
}

type check struct {
	name string
	run  func(e *env)
}

// env is one check's client and bucket. Its helpers fail the test, so that a check reads as a story.
type env struct {
	*testing.T
	ctx    context.Context
	client *storage.Client
	name   string
	b      *storage.BucketHandle
}

var bucketNumber atomic.Int64

func newEnv(t *testing.T, client *storage.Client) *env {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	name := fmt.Sprintf("millrace-suite-%d-%d", time.Now().UnixNano(), bucketNumber.Add(1))
	e := &env{T: t, ctx: ctx, client: client, name: name, b: client.Bucket(name)}
	e.ok(e.b.Create(ctx, Project, nil))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		it := e.b.Objects(ctx, nil)
		for o, err := it.Next(); err == nil; o, err = it.Next() {
			_ = e.b.Object(o.Name).Delete(ctx)
		}
		_ = e.b.Delete(ctx)
	})
	return e
}

func (e *env) ok(err error) {
	e.Helper()
	if err != nil {
		e.Fatalf("unexpected error: %v", err)
	}
}

// code is the HTTP status of an error of the client, 200 for none.
func code(err error) int {
	var api *googleapi.Error
	switch {
	case err == nil:
		return http.StatusOK
	case errors.Is(err, storage.ErrObjectNotExist), errors.Is(err, storage.ErrBucketNotExist):
		return http.StatusNotFound
	case errors.As(err, &api):
		return api.Code
	}
	return -1
}

func (e *env) wants(want int, err error) {
	e.Helper()
	if got := code(err); got != want {
		e.Fatalf("status %d (%v), want %d", got, err, want)
	}
}

// put writes an object whole and returns its attributes.
func (e *env) put(name, data string) *storage.ObjectAttrs {
	e.Helper()
	a, err := e.write(e.b.Object(name), data)
	e.ok(err)
	return a
}

func (e *env) write(o *storage.ObjectHandle, data string, set ...func(*storage.Writer)) (*storage.ObjectAttrs, error) {
	w := o.NewWriter(e.ctx)
	if len(data) < 256<<10 {
		w.ChunkSize = 256 << 10 // still one request; the client zeroes a buffer of this size for each write
	}
	for _, f := range set {
		f(w)
	}
	if _, err := io.WriteString(w, data); err != nil {
		_ = w.Close()
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return w.Attrs(), nil
}

func (e *env) get(o *storage.ObjectHandle) (string, error) {
	r, err := o.NewReader(e.ctx)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(r)
	return string(b), errors.Join(err, r.Close())
}

func (e *env) holds(name, want string) {
	e.Helper()
	got, err := e.get(e.b.Object(name))
	e.ok(err)
	if got != want {
		e.Fatalf("%s holds %d bytes %.40q, want %d bytes %.40q", name, len(got), got, len(want), want)
	}
}

func (e *env) attrs(name string) *storage.ObjectAttrs {
	e.Helper()
	a, err := e.b.Object(name).Attrs(e.ctx)
	e.ok(err)
	return a
}

// list is the names and, with a trailing "→", the prefixes of a query.
func (e *env) list(q *storage.Query) []string {
	e.Helper()
	var out []string
	it := e.b.Objects(e.ctx, q)
	for {
		o, err := it.Next()
		if errors.Is(err, iterator.Done) {
			return out
		}
		e.ok(err)
		if o.Prefix != "" {
			out = append(out, o.Prefix+"→")
		} else {
			out = append(out, o.Name)
		}
	}
}

// noise is n bytes that do not repeat within any block the client or the server uses.
func noise(n int) string {
	var b bytes.Buffer
	b.Grow(n + 16)
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%d;", i*2654435761)
	}
	return b.String()[:n]
}

var long = strings.Repeat("x", 255)
