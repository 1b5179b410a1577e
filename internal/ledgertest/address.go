package ledgertest

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"
	"google.golang.org/grpc"

	"github.com/millrace-ml/millrace/internal/localcloud/firestore"
	"github.com/millrace-ml/millrace/shared/ledger"
)

// Address is the host:port of a Firestore server that lives as long as the test: Google's emulator where
// FIRESTORE_EMULATOR_HOST names one, else a local server of its own.
func Address(t testing.TB) string {
	t.Helper()
	if a := os.Getenv("FIRESTORE_EMULATOR_HOST"); a != "" {
		return a
	}
	return Serve(t, Records(t, DB(t), firestore.Options{}).Register)
}

// DB opens an empty data file that is deleted with the test. It is not synced: these tests do not cut the power.
func DB(t testing.TB) *bolt.DB {
	t.Helper()
	db, err := bolt.Open(filepath.Join(t.TempDir(), "cloud.db"), 0o600, &bolt.Options{NoSync: true, NoFreelistSync: true})
	if err != nil {
		t.Fatalf("open the data file: %v", err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// Records opens the local Firestore with the ledger's indexes over a data file.
func Records(t testing.TB, db *bolt.DB, o firestore.Options) *firestore.Server {
	t.Helper()
	o.Indexes = ledger.Indexes()
	s, err := firestore.Open(db, o)
	if err != nil {
		t.Fatalf("open the local firestore: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// Serve runs a gRPC server with these services on a loopback port until the test ends.
func Serve(t testing.TB, register func(grpc.ServiceRegistrar), o ...grpc.ServerOption) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(o...)
	register(s)
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Stop(); <-done })
	return l.Addr().String()
}
