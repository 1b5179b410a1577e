package storage_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/millrace-ml/millrace/internal/localcloud/chaos"
	"github.com/millrace-ml/millrace/internal/localcloud/storage"
)

const childVariable = "MILLRACE_STORAGE_CHILD"

// TestMain lets this binary be a storage server in a process of its own, for tests that kill it.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childVariable); dir != "" {
		if err := serveChild(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// serveChild serves until it is killed, or its parent closes its standard input.
func serveChild(dir string) error {
	db, err := bolt.Open(filepath.Join(dir, "cloud.db"), 0o600, &bolt.Options{Timeout: 10 * time.Second})
	if err != nil {
		return err
	}
	db.MaxBatchDelay = 2 * time.Millisecond
	sw, err := chaos.FromEnv(os.Getenv)
	if err != nil {
		return err
	}
	s, err := storage.Open(db, dir, storage.Options{Chaos: sw})
	if err != nil {
		return err
	}
	for _, b := range []string{"box"} {
		if err := s.CreateBucket(b); err != nil {
			return err
		}
		if err := s.Notify(b, "projects/p/topics/t", ""); err != nil {
			return err
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("http://%s\n", l.Addr())
	go func() { _, _ = io.Copy(io.Discard, os.Stdin); os.Exit(0) }()
	return http.Serve(l, s.Handler()) // a test's own server
}

// process is a server in a process of its own.
type process struct {
	server
	cmd  *exec.Cmd
	dead chan struct{}
}

func startProcess(t testing.TB, dir, faults string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), childVariable+"="+dir, chaos.Variable+"="+faults)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	p := &process{server: server{dir: dir, url: strings.TrimSpace(line)}, cmd: cmd, dead: make(chan struct{})}
	go func() { _ = cmd.Wait(); close(p.dead) }()
	t.Cleanup(func() { _ = stdin.Close(); p.kill() })
	if err != nil {
		t.Fatalf("the server did not start: %v", err)
	}
	return p
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.dead
}
