package storage_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/millrace-ml/millrace/internal/localcloud/storage"
)

const block = 256 << 10

func data(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%d,", i*7919)
	}
	return b.String()[:n]
}

// session opens a resumable upload and returns its path.
func (s *server) session(t testing.TB, query string, headers ...string) string {
	t.Helper()
	a := s.send(t, "POST", "/upload/storage/v1/b/box/o?uploadType=resumable&name=o"+query, "", headers...).wants(t, 200)
	u, err := url.Parse(a.header.Get("Location"))
	if err != nil || !strings.HasPrefix(a.header.Get("Location"), s.url) {
		t.Fatalf("Location %q, want one on %s", a.header.Get("Location"), s.url)
	}
	return u.RequestURI()
}

func (s *server) chunk(t testing.TB, path, body, span string, headers ...string) answered {
	t.Helper()
	return s.send(t, "PUT", path, body, append(headers, "Content-Range: bytes "+span)...)
}

func (a answered) incomplete(t testing.TB, have int) {
	t.Helper()
	a.wants(t, 308)
	want := ""
	if have > 0 {
		want = fmt.Sprintf("bytes=0-%d", have-1)
	}
	if got := a.header.Get("Range"); got != want {
		t.Errorf("Range %q, want %q", got, want)
	}
}

func (s *server) holds(t testing.TB, name, want string) {
	t.Helper()
	if a := s.send(t, "GET", "/box/"+name, "").wants(t, 200); a.body != want {
		t.Errorf("%s holds %d bytes, want %d", name, len(a.body), len(want))
	}
}

func TestResumableUpload(t *testing.T) {
	t.Parallel()
	full := data(3*block + 100)
	for name, run := range map[string]func(t *testing.T, s *server, path string){
		"chunk by chunk, total known": func(t *testing.T, s *server, path string) {
			s.chunk(t, path, full[:block], fmt.Sprintf("0-%d/%d", block-1, len(full))).incomplete(t, block)
			s.chunk(t, path, full[block:], fmt.Sprintf("%d-%d/%d", block, len(full)-1, len(full))).wants(t, 200)
			s.holds(t, "o", full)
		},
		"chunk by chunk, total at the end": func(t *testing.T, s *server, path string) {
			s.chunk(t, path, full[:2*block], fmt.Sprintf("0-%d/*", 2*block-1)).incomplete(t, 2*block)
			s.chunk(t, path, full[2*block:3*block], fmt.Sprintf("%d-%d/*", 2*block, 3*block-1)).incomplete(t, 3*block)
			s.chunk(t, path, "", fmt.Sprintf("*/%d", 3*block)).wants(t, 200)
			s.holds(t, "o", full[:3*block])
		},
		"whole in one request": func(t *testing.T, s *server, path string) {
			s.send(t, "PUT", path, full).wants(t, 200)
			s.holds(t, "o", full)
		},
		"nothing at all": func(t *testing.T, s *server, path string) {
			s.chunk(t, path, "", "*/0").wants(t, 200)
			s.holds(t, "o", "")
		},
		"a status query does not finish a part": func(t *testing.T, s *server, path string) {
			s.chunk(t, path, "", fmt.Sprintf("*/%d", len(full))).incomplete(t, 0)
			s.chunk(t, path, full[:block], fmt.Sprintf("0-%d/%d", block-1, len(full))).incomplete(t, block)
			s.chunk(t, path, "", fmt.Sprintf("*/%d", len(full))).incomplete(t, block)
			s.chunk(t, path, "", "*/*").incomplete(t, block)
			s.send(t, "GET", "/storage/v1/b/box/o/o", "").wants(t, 404)
		},
		"without 308 for those that ask": func(t *testing.T, s *server, path string) {
			a := s.chunk(t, path, full[:block], fmt.Sprintf("0-%d/*", block-1), "X-GUploader-No-308: yes").wants(t, 200)
			if a.header.Get("X-Http-Status-Code-Override") != "308" || a.header.Get("Range") == "" {
				t.Errorf("%v", a.header)
			}
		},
		"a chunk sent twice counts once": func(t *testing.T, s *server, path string) {
			for range 2 {
				s.chunk(t, path, full[:block], fmt.Sprintf("0-%d/*", block-1)).incomplete(t, block)
			}
			s.chunk(t, path, full[:2*block], fmt.Sprintf("0-%d/*", 2*block-1)).incomplete(t, 2*block) // overlaps
			s.chunk(t, path, full[block:], fmt.Sprintf("%d-%d/%d", block, len(full)-1, len(full))).wants(t, 200)
			s.holds(t, "o", full)
		},
		"a finished upload answers the same object again": func(t *testing.T, s *server, path string) {
			gen := s.send(t, "PUT", path, full).wants(t, 200).generation(t)
			for _, again := range []answered{
				s.chunk(t, path, full[3*block:], fmt.Sprintf("%d-%d/%d", 3*block, len(full)-1, len(full))),
				s.chunk(t, path, "", fmt.Sprintf("*/%d", len(full))),
				s.chunk(t, path, "", "*/*"),
				s.send(t, "PUT", path, full),
			} {
				if g := again.wants(t, 200).generation(t); g != gen {
					t.Errorf("generation %s, want %s", g, gen)
				}
			}
			if g := s.send(t, "GET", "/storage/v1/b/box/o/o", "").generation(t); g != gen {
				t.Errorf("the object was written again: generation %s, want %s", g, gen)
			}
		},
		"a gap is refused": func(t *testing.T, s *server, path string) {
			s.chunk(t, path, full[block:2*block], fmt.Sprintf("%d-%d/*", block, 2*block-1)).wants(t, 400)
			s.chunk(t, path, "", "*/*").incomplete(t, 0)
		},
		"an odd chunk that is not the last is refused": func(t *testing.T, s *server, path string) {
			s.chunk(t, path, full[:1000], "0-999/*").wants(t, 400)
			s.chunk(t, path, full[:1000], "0-999/5000").wants(t, 400)
		},
		"a body of another length than its range is refused": func(t *testing.T, s *server, path string) {
			s.chunk(t, path, full[:1000], "0-1999/2000").wants(t, 400)
			s.chunk(t, path, full[:2000], "0-999/1000").wants(t, 400)
		},
		"nonsense ranges are refused": func(t *testing.T, s *server, path string) {
			for _, span := range []string{"x-y/z", "5-2/10", "0-9/5", "0-9", "*/x", "-1-5/10"} {
				s.chunk(t, path, full[:10], span).wants(t, 400)
			}
		},
		"a total that changes is refused": func(t *testing.T, s *server, path string) {
			s.chunk(t, path, full[:block], fmt.Sprintf("0-%d/%d", block-1, len(full))).incomplete(t, block)
			s.chunk(t, path, full[block:2*block], fmt.Sprintf("%d-%d/%d", block, 2*block-1, 2*block)).wants(t, 400)
		},
		"a wrong checksum ends the upload": func(t *testing.T, s *server, path string) {
			s.send(t, "PUT", path, full, "X-Goog-Hash: crc32c=AAAAAA==").wants(t, 400)
			s.send(t, "GET", "/storage/v1/b/box/o/o", "").wants(t, 404)
			s.send(t, "PUT", path, full).wants(t, 404)
		},
		"cancelled": func(t *testing.T, s *server, path string) {
			s.chunk(t, path, full[:block], fmt.Sprintf("0-%d/*", block-1)).incomplete(t, block)
			s.send(t, "DELETE", path, "").wants(t, 499)
			s.send(t, "PUT", path, full).wants(t, 404)
			s.noBodies(t, 0)
		},
		"a finished one is not cancelled": func(t *testing.T, s *server, path string) {
			s.send(t, "PUT", path, full).wants(t, 200)
			s.send(t, "DELETE", path, "").wants(t, 404)
			s.holds(t, "o", full)
		},
		"an unknown id": func(t *testing.T, s *server, path string) {
			s.send(t, "PUT", path+"x", full).wants(t, 404)
		},
		"the session of another bucket": func(t *testing.T, s *server, path string) {
			s.send(t, "PUT", strings.Replace(path, "/b/box/", "/b/other/", 1), full).wants(t, 404)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := withBucket(t, "box", "other")
			run(t, s, s.session(t, ""))
		})
	}
}

func TestAnnouncedLengthIsKept(t *testing.T) {
	t.Parallel()
	s := withBucket(t, "box")
	path := s.session(t, "", "X-Upload-Content-Length: 100", "X-Upload-Content-Type: text/csv")
	s.send(t, "PUT", path, data(99)).wants(t, 400)
	s.send(t, "PUT", path, data(100)).wants(t, 200, "text/csv")
}

func TestSessionKnowsItsPreconditionAndStart(t *testing.T) {
	t.Parallel()
	s := withBucket(t, "box")
	path := s.session(t, "&ifGenerationMatch=0")
	s.send(t, "POST", "/upload/storage/v1/b/box/o?uploadType=media&name=o", "first").wants(t, 200)
	s.send(t, "POST", "/upload/storage/v1/b/box/o?uploadType=resumable&name=o&ifGenerationMatch=0", "").wants(t, 412)
	s.send(t, "PUT", path, "second").wants(t, 412)
	s.holds(t, "o", "first")
	s.send(t, "POST", "/resumable/upload/storage/v1/b/box/o?name=g", `{"metadata":{"a":"1"}}`).wants(t, 200)
}

func TestSessionSurvivesARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	full := data(2*block + 5)
	var path string
	t.Run("first process", func(t *testing.T) {
		s := startIn(t, dir, storage.Options{})
		if err := s.CreateBucket("box"); err != nil {
			t.Fatal(err)
		}
		path = s.session(t, "&ifGenerationMatch=0")
		s.chunk(t, path, full[:block], fmt.Sprintf("0-%d/*", block-1)).incomplete(t, block)
	})
	t.Run("second process", func(t *testing.T) {
		s := startIn(t, dir, storage.Options{})
		s.chunk(t, path, "", "*/*").incomplete(t, block)
		s.chunk(t, path, full[block:], fmt.Sprintf("%d-%d/%d", block, len(full)-1, len(full))).wants(t, 200)
		s.holds(t, "o", full)
	})
	t.Run("third process", func(t *testing.T) {
		s := startIn(t, dir, storage.Options{})
		s.chunk(t, path, "", "*/*").wants(t, 200, `"name":"o"`)
	})
	t.Run("eight days later", func(t *testing.T) {
		s := startIn(t, dir, storage.Options{Now: func() time.Time { return time.Now().Add(8 * 24 * time.Hour) }})
		s.chunk(t, path, "", "*/*").wants(t, 404)
		s.holds(t, "o", full)
	})
}

// A connection that breaks inside a chunk leaves the whole blocks that came, and the sender goes on from there.
func TestBrokenConnectionInsideAChunk(t *testing.T) {
	t.Parallel()
	s := withBucket(t, "box")
	path := s.session(t, "")
	full := data(4 * block)
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(conn)
	fmt.Fprintf(w, "PUT %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\nContent-Range: bytes 0-%d/%d\r\n\r\n%s",
		path, len(full), len(full)-1, len(full), full[:2*block+1000])
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		a := s.chunk(t, path, "", "*/*")
		if a.header.Get("Range") == fmt.Sprintf("bytes=0-%d", 2*block-1) {
			break
		}
	}
	s.chunk(t, path, full[2*block:], fmt.Sprintf("%d-%d/%d", 2*block, len(full)-1, len(full))).wants(t, 200)
	s.holds(t, "o", full)
}

// A sender that gave up waiting sends again while its first request is still in work: both end in one object.
func TestSameUploadManyTimesAtOnce(t *testing.T) {
	t.Parallel()
	s := withBucket(t, "box")
	path := s.session(t, "")
	full := data(2*block + 3)
	generations := make(chan string, 8)
	var senders sync.WaitGroup
	for range cap(generations) {
		senders.Go(func() {
			if a := s.send(t, "PUT", path, full); a.status == 200 {
				generations <- a.generation(t)
			} else {
				t.Errorf("status %d %s", a.status, a.body)
			}
		})
	}
	senders.Wait()
	close(generations)
	want := s.send(t, "GET", "/storage/v1/b/box/o/o", "").generation(t)
	for got := range generations {
		if got != want {
			t.Errorf("generation %s, want %s", got, want)
		}
	}
	s.holds(t, "o", full)
}
