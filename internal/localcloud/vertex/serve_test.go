package vertex_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
	"google.golang.org/grpc"

	"github.com/millrace-ml/millrace/internal/localcloud/vertex"
)

// killer is a log that kills its own process at the n-th line: there is one after each step of the engine, written or
// done, so n walks through all states in which a kill can find it.
type killer struct {
	slog.Handler
	left *atomic.Int64
}

func (k killer) Enabled(context.Context, slog.Level) bool { return true }

func (k killer) Handle(ctx context.Context, r slog.Record) error {
	if k.left.Add(-1) == 0 {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the kill comes before anything else of this goroutine
	}
	return k.Handler.Handle(ctx, r)
}

// serve is the server process of the tests that kill.
func serve() {
	dir := os.Getenv("VERTEX_TEST_SERVER")
	n, err := strconv.ParseInt(os.Getenv("VERTEX_TEST_KILL"), 10, 64)
	if err != nil {
		fatal(err)
	}
	left := &atomic.Int64{}
	left.Store(n)
	db, err := bolt.Open(filepath.Join(dir, "db"), 0o600, &bolt.Options{Timeout: deadline})
	if err != nil {
		fatal(err)
	}
	db.MaxBatchDelay = 2 * time.Millisecond
	s, err := vertex.Open(db, filepath.Join(dir, "tasks"), vertex.Options{
		Images: stepImages(os.Getenv("VERTEX_TEST_STEP")), CPUs: 2, Grace: 200 * time.Millisecond,
		Log: slog.New(killer{slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}), left}),
	})
	if err != nil {
		fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fatal(err)
	}
	g := grpc.NewServer()
	s.Register(g)
	fmt.Println(l.Addr())
	fatal(g.Serve(l))
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// child is a server process.
type child struct {
	*cloud
	cmd    *exec.Cmd
	exited chan struct{}
	log    *strings.Builder // to be read after exited
}

// spawn starts a server process over dir that kills itself at the n-th line of its log, 0 = never.
func spawn(t *testing.T, dir string, n int) *child {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), "VERTEX_TEST_SERVER="+dir, "VERTEX_TEST_STEP="+stepBinary, fmt.Sprint("VERTEX_TEST_KILL=", n))
	log := &strings.Builder{}
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	addr, readErr := bufio.NewReader(out).ReadString('\n')
	c := &child{cmd: cmd, exited: make(chan struct{}), log: log}
	go func() { _ = cmd.Wait(); close(c.exited) }()
	t.Cleanup(c.kill)
	if readErr != nil { // killed before it listened
		c.kill()
		return c
	}
	c.cloud = dial(t, strings.TrimSpace(addr))
	c.dir = dir
	return c
}

// kill is kill -9, and waits.
func (c *child) kill() {
	_ = c.cmd.Process.Kill()
	<-c.exited
}

func (c *child) dead() bool {
	select {
	case <-c.exited:
		return true
	default:
		return false
	}
}

// recordProcess writes a record of a process as a server would have, with the start time of another one.
func recordProcess(t *testing.T, dir string, pid int) {
	t.Helper()
	db, err := bolt.Open(filepath.Join(dir, "db"), 0o600, &bolt.Options{Timeout: deadline})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte("vertex.processes")).Put(binary.BigEndian.AppendUint64(nil, uint64(pid)), fmt.Appendf(nil, `{"pid":%d,"identity":"another boot 1","task":"a"}`, pid))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}
