package firestore_test

import (
	"context"
	"net"
	"path/filepath"
	"testing"
	"time"

	client "cloud.google.com/go/firestore"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	bolt "go.etcd.io/bbolt"

	"github.com/millrace-ml/millrace/internal/localcloud/firestore"
)

// host serves a server over a data file of its own. Interceptors stand before the service.
func host(t testing.TB, o firestore.Options, grpcOptions ...grpc.ServerOption) (addr string) {
	t.Helper()
	db, err := bolt.Open(filepath.Join(t.TempDir(), "data.db"), 0o600, &bolt.Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return serveDB(t, db, o, grpcOptions...)
}

// serveDB serves on a free loopback port until the test ends.
func serveDB(t testing.TB, db *bolt.DB, o firestore.Options, grpcOptions ...grpc.ServerOption) (addr string) {
	t.Helper()
	s, err := firestore.Open(db, o)
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer(append(grpcOptions, grpc.MaxRecvMsgSize(firestore.MaxMessage))...)
	s.Register(g)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- g.Serve(l) }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		g.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// owner is the token with which the clients call what FIRESTORE_EMULATOR_HOST names; the emulator asks for it.
type owner struct{}

func (owner) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer owner"}, nil
}

func (owner) RequireTransportSecurity() bool { return false }

func dial(t testing.TB, addr string) *client.Client {
	t.Helper()
	c, err := client.NewClient(t.Context(), "local",
		option.WithEndpoint(addr), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())),
		option.WithGRPCDialOption(grpc.WithPerRPCCredentials(owner{})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}
