package firestore_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	client "cloud.google.com/go/firestore"
	pb "cloud.google.com/go/firestore/apiv1/firestorepb"
	bolt "go.etcd.io/bbolt"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/millrace-ml/millrace/internal/localcloud/firestore"
	"github.com/millrace-ml/millrace/internal/localcloud/firestore/firestoretest"
)

// serveVariable makes the test binary a server over the data file it names, to be killed.
const serveVariable = "FIRESTORE_TEST_SERVE"

func TestMain(m *testing.M) {
	if file := os.Getenv(serveVariable); file != "" {
		if err := serve(file); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serve runs until it is killed, or until the parent's end of standard input is closed.
func serve(file string) error {
	db, err := bolt.Open(file, 0o600, &bolt.Options{Timeout: 5 * time.Second})
	if err != nil {
		return err
	}
	s, err := firestore.Open(db, firestore.Options{Indexes: []byte(firestoretest.Indexes)})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() {
		_, _ = os.Stdin.Read(make([]byte, 1))
		os.Exit(1)
	}()
	fmt.Println(l.Addr())
	g := grpc.NewServer()
	s.Register(g)
	return g.Serve(l)
}

// TestKill kills the server with SIGKILL in the middle of many commits: every answer that was given holds afterwards, and
// times go on rising.
func TestKill(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "data.db")
	written := map[string]time.Time{}
	var last time.Time
	for round := range 5 {
		got := writeUntilKilled(t, file, round)
		for id, at := range got {
			if !at.After(last) {
				t.Errorf("round %d: %s at %v, before the kill at %v", round, id, at, last)
			}
			written[id] = at
		}
		for _, at := range got {
			if at.After(last) {
				last = at
			}
		}
	}
	db, err := bolt.Open(file, 0o600, &bolt.Options{Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() // read from here on
	c := dial(t, serveDB(t, db, firestore.Options{Indexes: []byte(firestoretest.Indexes)}))
	all, err := c.Collection("runs").Where("model", "==", "m").OrderBy("created", client.Desc).Documents(t.Context()).GetAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range all {
		if at, ok := written[d.Ref.ID]; ok && !at.Equal(d.UpdateTime) {
			t.Errorf("%s: updated %v, was answered %v", d.Ref.ID, d.UpdateTime, at)
		}
		delete(written, d.Ref.ID)
	}
	if len(written) > 0 {
		t.Errorf("%d of the answered creates are not in the index: %v", len(written), written)
	}
	t.Logf("%d documents after 5 kills", len(all))
}

// writeUntilKilled starts a server, creates documents from 8 goroutines and kills the server after a while. It gives what
// was acknowledged.
func writeUntilKilled(t *testing.T, file string, round int) map[string]time.Time {
	t.Helper()
	cmd := exec.Command(os.Args[0]) // itself; killed below
	cmd.Env = append(os.Environ(), serveVariable+"="+file)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close() // ends the child if the test ends early
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	addr, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, addr[:len(addr)-1])
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var mu sync.Mutex
	var n atomic.Int64
	got := map[string]time.Time{}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				id := fmt.Sprintf("%d-%d-%d", round, w, i)
				wr, err := c.Collection("runs").Doc(id).Create(ctx, map[string]any{"model": "m", "created": i})
				if err != nil {
					return
				}
				mu.Lock()
				got[id] = wr.UpdateTime
				mu.Unlock()
				if n.Add(1) == int64(100+37*round) { // not at a round number of batches
					if err := cmd.Process.Kill(); err != nil {
						t.Error(err)
					}
					cancel() // else the client waits for the server to come back
				}
			}
		})
	}
	wg.Wait()
	_ = cmd.Wait() // killed
	return got
}

func TestRestart(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "data.db")
	clock := time.Date(2026, 1, 2, 3, 4, 5, 6789, time.UTC)
	now := func() time.Time { return clock }
	open := func() *bolt.DB {
		db, err := bolt.Open(file, 0o600, &bolt.Options{Timeout: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		return db
	}
	var written time.Time
	t.Run("before", func(t *testing.T) {
		db := open()
		t.Cleanup(func() { _ = db.Close() })
		c := dial(t, serveDB(t, db, firestore.Options{Now: now}))
		wr, err := c.Collection("runs").Doc("a").Create(t.Context(), map[string]any{"n": 1})
		if err != nil {
			t.Fatal(err)
		}
		if written = wr.UpdateTime; written.Sub(clock) > time.Millisecond || written.Before(clock.Truncate(time.Microsecond)) {
			t.Errorf("created at %v, the clock stood at %v", written, clock)
		}
	})
	clock = clock.Add(-time.Hour)
	t.Run("after, with a clock that was set back", func(t *testing.T) {
		db := open()
		t.Cleanup(func() { _ = db.Close() })
		addr := serveDB(t, db, firestore.Options{Now: now})
		c := dial(t, addr)
		s, err := c.Collection("runs").Doc("a").Get(t.Context())
		if err != nil || !s.UpdateTime.Equal(written) || s.ReadTime.Before(written) {
			t.Fatalf("%v at %v: %v, want %v and a later read", s.UpdateTime, s.ReadTime, err, written)
		}
		wr, err := s.Ref.Set(t.Context(), map[string]any{"n": 2})
		if err != nil || !wr.UpdateTime.After(written) {
			t.Errorf("set at %v: %v, want after %v", wr.UpdateTime, err, written)
		}
	})
}

// Ids of transactions are not used again: a client that lived longer than the server must not commit into another's.
func TestTransactionOfAnEarlierLife(t *testing.T) {
	t.Parallel()
	db, err := bolt.Open(filepath.Join(t.TempDir(), "data.db"), 0o600, &bolt.Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() // of a test's own file
	const database = "projects/local/databases/(default)"
	var ids [][]byte
	for range 2 {
		s, err := firestore.Open(db, firestore.Options{Now: func() time.Time { return time.Unix(1, 0) }})
		if err != nil {
			t.Fatal(err)
		}
		tx, err := s.BeginTransaction(t.Context(), &pb.BeginTransactionRequest{Database: database})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, tx.Transaction)
		if len(ids) == 2 {
			for i, want := range []codes.Code{codes.InvalidArgument, codes.OK} {
				_, err := s.Commit(t.Context(), &pb.CommitRequest{Database: database, Transaction: ids[i]})
				if status.Code(err) != want {
					t.Errorf("commit of transaction %d: %v, want %v", i, err, want)
				}
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
