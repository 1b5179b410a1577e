package storage_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace-ml/millrace/internal/localcloud/storage"
)

// noBodies says that the folder has exactly n body files.
func (s *server) noBodies(t testing.TB, n int) {
	t.Helper()
	list, err := os.ReadDir(filepath.Join(s.dir, "bodies"))
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != n {
		t.Errorf("%d body files, want %d", len(list), n)
	}
}

func (s *server) put(t testing.TB, name, content string) string {
	t.Helper()
	return s.send(t, "POST", "/upload/storage/v1/b/box/o?uploadType=media&name="+name, content).wants(t, 200).generation(t)
}

func TestBodyFilesComeAndGo(t *testing.T) {
	t.Parallel()
	s := withBucket(t, "box")
	big := data(100 << 10)
	s.put(t, "small", "x")
	s.noBodies(t, 0)
	s.put(t, "o", big)
	s.noBodies(t, 1)
	s.put(t, "o", big)
	s.noBodies(t, 1)
	s.send(t, "POST", "/storage/v1/b/box/o/o/rewriteTo/b/box/o/copy", "").wants(t, 200)
	s.noBodies(t, 1) // a copy shares the bytes
	s.send(t, "DELETE", "/storage/v1/b/box/o/o", "").wants(t, 204)
	s.holds(t, "copy", big)
	s.send(t, "POST", "/storage/v1/b/box/o/copy/moveTo/o/moved", "").wants(t, 200)
	s.holds(t, "moved", big)
	s.send(t, "POST", "/upload/storage/v1/b/box/o?uploadType=media&name=moved&ifGenerationMatch=0", big).wants(t, 412)
	s.send(t, "POST", "/upload/storage/v1/b/box/o?uploadType=media&name=x", big, "X-Goog-Hash: crc32c=AAAAAA==").wants(t, 400)
	s.noBodies(t, 1)
	s.send(t, "DELETE", "/storage/v1/b/box/o/moved", "").wants(t, 204)
	s.noBodies(t, 0)
}

func TestRestartKeepsAllAndSweepsOrphans(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var before []string
	describe := func(s *server) (out []string) {
		for _, path := range []string{"/storage/v1/b/box/o/small", "/storage/v1/b/box/o/big", "/storage/v1/b/box"} {
			a := s.send(t, "GET", path, "").wants(t, 200)
			out = append(out, strings.ReplaceAll(a.body, s.url, ""))
		}
		return out
	}
	t.Run("first", func(t *testing.T) {
		s := startIn(t, dir, storage.Options{})
		if err := s.CreateBucket("box"); err != nil {
			t.Fatal(err)
		}
		s.put(t, "small", "x")
		s.put(t, "big", data(200<<10))
		s.send(t, "PATCH", "/storage/v1/b/box/o/small", `{"metadata":{"a":"1"}}`).wants(t, 200)
		before = describe(s)
	})
	if err := os.WriteFile(filepath.Join(dir, "bodies", strings.Repeat("0", 32)), []byte("left by a killed upload"), 0o644); err != nil {
		t.Fatal(err)
	}
	s := startIn(t, dir, storage.Options{})
	s.noBodies(t, 1)
	if d := cmp.Diff(before, describe(s)); d != "" {
		t.Errorf("(-before +after):\n%s", d)
	}
	s.holds(t, "big", data(200<<10))
}

func TestGenerationsRiseThoughTheClockFalls(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	clock := time.Now()
	var last string
	for i := range 3 {
		t.Run("process", func(t *testing.T) {
			s := startIn(t, dir, storage.Options{Now: func() time.Time { return clock.Add(-time.Duration(i) * time.Hour) }})
			if err := s.CreateBucket("box"); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				gen := s.put(t, "o", "x")
				if gen <= last {
					t.Errorf("generation %s after %s", gen, last)
				}
				last = gen
			}
		})
	}
}

func TestNamesNeverLeaveTheFolder(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dir := filepath.Join(root, "data")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s := startIn(t, dir, storage.Options{})
	if err := s.CreateBucket("box"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"..%2F..%2F..%2Fescape", "%2Fetc%2Fescape", "..%2Fdata%2F..%2Fescape"} {
		s.put(t, name, data(100<<10))
	}
	list, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 1 {
		t.Errorf("beside the data folder: %v", list)
	}
	s.noBodies(t, 3)
}

func TestFinaliseEvents(t *testing.T) {
	t.Parallel()
	const topic = "projects/p/topics/uploads"
	s := withBucket(t, "box")
	if err := s.Notify("box", topic, "in/"); err != nil {
		t.Fatal(err)
	}
	changed := s.Events().Changed()
	var want []string
	add := func(event string) { want = append(want, event) }
	first := s.put(t, "in%2Fa", "one")
	add("in/a " + first + " ")
	second := s.put(t, "in%2Fa", "two")
	add("in/a " + second + " " + first)
	s.put(t, "out%2Fa", "no event")
	s.send(t, "PATCH", "/storage/v1/b/box/o/in%2Fa", `{"contentType":"a/b"}`).wants(t, 200)
	s.send(t, "POST", "/upload/storage/v1/b/box/o?uploadType=media&name=in%2Fa&ifGenerationMatch=0", "x").wants(t, 412)
	for path, name := range map[string]string{"/storage/v1/b/box/o/in%2Fa/copyTo/b/box/o/in%2Fcopied": "in/copied"} {
		add(name + " " + s.send(t, "POST", path, "").wants(t, 200).generation(t) + " ")
	}
	add("in/joined " + s.send(t, "POST", "/storage/v1/b/box/o/in%2Fjoined/compose", `{"sourceObjects":[{"name":"in/a"}]}`).wants(t, 200).generation(t) + " ")
	add("in/moved " + s.send(t, "POST", "/storage/v1/b/box/o/in%2Fjoined/moveTo/o/in%2Fmoved", "").wants(t, 200).generation(t) + " ")
	up := s.send(t, "POST", "/upload/storage/v1/b/box/o?uploadType=resumable&name=in%2Fr", "").wants(t, 200)
	add("in/r " + s.send(t, "PUT", up.header.Get("Location"), "x").wants(t, 200).generation(t) + " ")
	s.send(t, "DELETE", "/storage/v1/b/box/o/in%2Fr", "").wants(t, 204)

	messages, err := s.Events().Next(topic, "", 100)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range messages {
		a := m.Attributes
		got = append(got, a["objectId"]+" "+a["objectGeneration"]+" "+a["overwroteGeneration"])
		var o struct{ Kind, Bucket, Name, Generation, Size, TimeCreated, Crc32c string }
		if err := json.Unmarshal(m.Data, &o); err != nil {
			t.Fatal(err)
		}
		if a["eventType"] != "OBJECT_FINALIZE" || a["payloadFormat"] != "JSON_API_V1" || a["bucketId"] != "box" || a["eventTime"] == "" ||
			o.Kind != "storage#object" || o.Name != a["objectId"] || o.Generation != a["objectGeneration"] || o.Size == "" || o.TimeCreated == "" || o.Crc32c == "" {
			t.Errorf("%v %s", a, m.Data)
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if !slices.IsSorted(got[:2]) {
		t.Errorf("out of order: %v", got)
	}
	select {
	case <-changed:
	default:
		t.Error("the queue's watchers were not woken")
	}
}
