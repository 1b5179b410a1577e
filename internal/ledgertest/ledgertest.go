// Package ledgertest gives tests a Firestore of their own: Google's emulator where FIRESTORE_EMULATOR_HOST names one, else
// the local server. It also has the interceptor that loses, delays and refuses calls.
package ledgertest

import (
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"cloud.google.com/go/firestore"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// projects numbers the projects of one test process, so that tests on one emulator never see each other's records.
var projects atomic.Int64

// Client opens the real client on an empty database. It is closed with the test.
func Client(t testing.TB, dial ...grpc.DialOption) *firestore.Client {
	t.Helper()
	return Open(t, Address(t), dial...)
}

// Open opens the real client on an empty database of the server at address.
func Open(t testing.TB, address string, dial ...grpc.DialOption) *firestore.Client {
	t.Helper()
	dial = append(dial, grpc.WithTransportCredentials(insecure.NewCredentials()))
	conn, err := grpc.NewClient(address, dial...)
	if err != nil {
		t.Fatalf("dial %s: %v", address, err)
	}
	project := fmt.Sprintf("p%d-%d-%d", os.Getpid(), time.Now().UnixNano(), projects.Add(1))
	client, err := firestore.NewClient(t.Context(), project, option.WithGRPCConn(conn))
	if err != nil {
		t.Fatalf("open firestore: %v", err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}
