//go:build unix

package firestore_test

import (
	"bytes"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	client "cloud.google.com/go/firestore"

	"github.com/millrace-ml/millrace/internal/localcloud/firestore/firestoretest"
)

// TestSuiteOnEmulator holds the suite itself to Google's emulator, the judge of what is true of Firestore.
func TestSuiteOnEmulator(t *testing.T) {
	if testing.Short() {
		t.Skip("Google's Firestore emulator: not in short mode")
	}
	t.Parallel()
	addr := startEmulator(t)
	firestoretest.Suite(t, func(t *testing.T) *client.Client { return dial(t, addr) },
		firestoretest.Contention, firestoretest.CompositeIndexes)
}

// startEmulator starts what `gcloud emulators firestore start` starts, without gcloud's own start-up time and its offers
// to install things. It is ended with its process group.
func startEmulator(t *testing.T) (addr string) {
	t.Helper()
	gcloud, err := exec.LookPath("gcloud")
	if err != nil {
		t.Skip("Google's Firestore emulator: gcloud is not installed")
	}
	if _, err := exec.LookPath("java"); err != nil {
		t.Skip("Google's Firestore emulator: Java is not installed")
	}
	if gcloud, err = filepath.EvalSymlinks(gcloud); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(filepath.Dir(gcloud), "..", "platform", "cloud-firestore-emulator", "cloud_firestore_emulator")
	if _, err := os.Stat(script); err != nil {
		t.Skip("Google's Firestore emulator: the component cloud-firestore-emulator of gcloud is not installed")
	}
	addr = freePort(t)
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := exec.Command(script, "start", "--host=127.0.0.1", "--port="+port, "--database-mode=firestore-native") // ended by its group, below
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &out, 5*time.Second
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := false
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // it keeps nothing that could be lost
		_ = cmd.Wait()
		if !ready {
			t.Logf("emulator: %s", &out)
		}
	})
	waitFor(t, time.Minute, "the emulator to listen on "+addr, func() bool {
		resp, err := http.Get("http://" + addr) // bounded by the loop's deadline and loopback
		if err != nil {
			return false
		}
		return resp.Body.Close() == nil && resp.StatusCode == http.StatusOK
	})
	ready = true
	return addr
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // a listener without connections
	return l.Addr().String()
}

func waitFor(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for %s", limit, what)
		}
		time.Sleep(20 * time.Millisecond) // between two looks at a condition
	}
}
