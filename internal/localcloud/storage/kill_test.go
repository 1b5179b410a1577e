package storage_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	gcs "cloud.google.com/go/storage"
	bolt "go.etcd.io/bbolt"

	"github.com/millrace-ml/millrace/internal/localcloud/events"
)

// TestKilledWhileOverwriting kills the server again and again while objects are overwritten: each must always be there,
// whole, as the last version that was answered or a later one.
func TestKilledWhileOverwriting(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rounds, objects := 12, 8
	if testing.Short() {
		rounds = 3
	}
	answered := make([]int, objects) // the last version whose write was answered
	content := func(o, version int) string {
		size := 10
		if o%2 == 1 {
			size = 90 << 10 // a body file
		}
		return fmt.Sprintf("%d;", version) + data(size)
	}
	version := 0
	for round := range rounds {
		p := startProcess(t, dir, "")
		p.checkWhole(t, round, answered, content)
		var wg sync.WaitGroup
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		for o := range objects {
			wg.Go(func() {
				for v := version + 1; ctx.Err() == nil; v++ {
					if !p.try(ctx, o, content(o, v)) {
						return
					}
					answered[o] = v
				}
			})
		}
		time.AfterFunc(time.Duration(20+round*23%150)*time.Millisecond, p.kill)
		wg.Wait()
		cancel()
		version += 100_000
		for _, a := range answered {
			version = max(version, a)
		}
	}
	p := startProcess(t, dir, "")
	p.checkWhole(t, rounds, answered, content)
}

func (p *process) try(ctx context.Context, o int, content string) bool {
	url := fmt.Sprintf("%s/upload/storage/v1/b/box/o?uploadType=media&name=o%d", p.url, o)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(content))
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return err == nil && resp.StatusCode == http.StatusOK
}

func (p *process) checkWhole(t *testing.T, round int, answered []int, content func(o, version int) string) {
	t.Helper()
	listed := p.names(t)
	for o, want := range answered {
		a := p.send(t, "GET", fmt.Sprintf("/box/o%d", o), "")
		if want == 0 && a.status == http.StatusNotFound {
			continue
		}
		var got int
		if _, err := fmt.Sscanf(a.body, "%d;", &got); err != nil || a.status != 200 || got < want || a.body != content(o, got) {
			t.Fatalf("round %d: object %d: status %d, version %d of %d bytes, want %d or later", round, o, a.status, got, len(a.body), want)
		}
		if !strings.Contains(" "+strings.Join(listed, " ")+" ", fmt.Sprintf(" o%d ", o)) {
			t.Fatalf("round %d: object %d is not listed: %v", round, o, listed)
		}
	}
}

// TestKilledAtEachWrite kills the server at each kind of write, before and after it applied. After a restart the write has
// happened whole with its event, or not at all.
func TestKilledAtEachWrite(t *testing.T) {
	t.Parallel()
	big := data(300 << 10)
	for _, c := range []struct {
		call   string
		method string
		path   string
		body   string
		made   map[string]string // objects after it, beside "src"
	}{
		{"objects.insert", "POST", "/upload/storage/v1/b/box/o?uploadType=media&name=new", big, map[string]string{"new": big}},
		{"objects.insert", "POST", "/upload/storage/v1/b/box/o?uploadType=media&name=src", "small", map[string]string{"src": "small"}},
		{"objects.rewrite", "POST", "/storage/v1/b/box/o/src/rewriteTo/b/box/o/new", "", map[string]string{"new": big}},
		{"objects.compose", "POST", "/storage/v1/b/box/o/new/compose", `{"sourceObjects":[{"name":"src"},{"name":"src"}]}`, map[string]string{"new": big + big}},
		{"objects.move", "POST", "/storage/v1/b/box/o/src/moveTo/o/new", "", map[string]string{"new": big, "src": ""}},
		{"objects.delete", "DELETE", "/storage/v1/b/box/o/src", "", map[string]string{"src": ""}},
		{"objects.patch", "PATCH", "/storage/v1/b/box/o/src", `{"contentType":"a/b"}`, nil},
	} {
		for _, when := range []string{"before", "after"} {
			t.Run(c.call+" "+when, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				p := startProcess(t, dir, "")
				p.put(t, "src", big)
				p.kill()
				p = startProcess(t, dir, "action=kill,match=storage:"+c.call+",when="+when)
				req, err := http.NewRequest(c.method, p.url+c.path, strings.NewReader(c.body))
				if err != nil {
					t.Fatal(err)
				}
				if resp, err := http.DefaultTransport.RoundTrip(req); err == nil {
					_ = resp.Body.Close()
					t.Fatalf("status %d from a server that should be dead", resp.StatusCode)
				}
				<-p.dead
				p = startProcess(t, dir, "")
				want := map[string]string{"src": big}
				for name, content := range c.made {
					if when == "after" {
						want[name] = content
					}
				}
				for name, content := range want {
					if content == "" {
						p.send(t, "GET", "/box/"+name, "").wants(t, 404)
						delete(want, name)
						continue
					}
					p.holds(t, name, content)
				}
				if got := p.names(t); len(got) != len(want) {
					t.Errorf("objects %v, want %d", got, len(want))
				}
				p.kill()
				wantEvents := 1 // that of "src"
				if when == "after" && c.call != "objects.delete" && c.call != "objects.patch" {
					wantEvents = 2
				}
				if got := eventsIn(t, dir); got != wantEvents {
					t.Errorf("%d events, want %d", got, wantEvents)
				}
			})
		}
	}
}

// eventsIn counts the events in the folder of a server that is dead.
func eventsIn(t *testing.T, dir string) int {
	t.Helper()
	db, err := bolt.Open(filepath.Join(dir, "cloud.db"), 0o600, &bolt.Options{Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	q, err := events.Open(db)
	if err != nil {
		t.Fatal(err)
	}
	n, err := q.Len("projects/p/topics/t")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestKilledInsideAnUpload kills the server in one upload by Google's client, which goes on against the next process: the
// object is there once, whole, and its writer is told so.
func TestKilledInsideAnUpload(t *testing.T) {
	t.Parallel()
	full := data(6*block + 9)
	for _, fault := range []string{
		"match=storage:objects.insert.start,n=1,when=before", "match=storage:objects.insert.start,n=1,when=after",
		"match=storage:objects.insert.chunk,n=1,when=before", "match=storage:objects.insert.chunk,n=3,when=after",
		"match=storage:objects.insert.chunk,n=7,when=before", "match=storage:objects.insert.chunk,n=7,when=after",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			proxy := newSwitchboard(t)
			p := startProcess(t, dir, "action=kill,"+fault)
			proxy.to(p.url)
			w := (&server{url: proxy.url}).client(t).Bucket("box").Object("o").If(gcs.Conditions{DoesNotExist: true}).NewWriter(t.Context())
			w.ChunkSize = block
			written := make(chan error, 1)
			go func() {
				_, err := io.WriteString(w, full)
				written <- errors.Join(err, w.Close())
			}()
			<-p.dead
			p = startProcess(t, dir, "")
			proxy.to(p.url)
			if err := <-written; err != nil {
				t.Fatal(err)
			}
			p.holds(t, "o", full)
			p.kill()
			if n := eventsIn(t, dir); n != 1 {
				t.Errorf("%d events, want 1", n)
			}
		})
	}
}
