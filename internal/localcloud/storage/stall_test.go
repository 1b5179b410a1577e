package storage_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/millrace-ml/millrace/internal/localcloud/storage"
)

// A peer that stands still inside a body loses its connection; one that only rests between requests keeps it.
func TestSilentPeers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	t.Run("fill", func(t *testing.T) {
		s := startIn(t, dir, storage.Options{})
		if err := s.CreateBucket("box"); err != nil {
			t.Fatal(err)
		}
		s.put(t, "big", data(32<<20)) // more than the system buffers for a connection
	})
	s := startIn(t, dir, storage.Options{Idle: 100 * time.Millisecond})
	dial := func(request string) net.Conn {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		return conn
	}

	conn := dial("POST /upload/storage/v1/b/box/o?uploadType=media&name=o HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\nhalf")
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 408") {
		t.Errorf("a silent sender got %q, %v", answer, err)
	}
	s.send(t, "GET", "/storage/v1/b/box/o/o", "").wants(t, 404)

	conn = dial("GET /box/big HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
	stuck := time.Now().Add(500 * time.Millisecond)
	for time.Now().Before(stuck) { // reads nothing meanwhile
		s.send(t, "GET", "/storage/v1/b/box", "").wants(t, 200)
	}
	got, err := io.Copy(io.Discard, conn)
	if got >= 32<<20 || errors.Is(err, io.EOF) {
		t.Errorf("a silent reader got all %d bytes, %v", got, err)
	}

	conn = dial("GET /storage/v1/b/box HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
	rest := time.Now().Add(300 * time.Millisecond)
	for time.Now().Before(rest) {
		s.send(t, "GET", "/storage/v1/b/box", "").wants(t, 200)
	}
	fmt.Fprint(conn, "GET /storage/v1/b/box HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
	if b, err := io.ReadAll(conn); err != nil || strings.Count(string(b), "HTTP/1.1 200") != 2 {
		t.Errorf("%v, %s", err, b)
	}
}
