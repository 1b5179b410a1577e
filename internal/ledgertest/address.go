package ledgertest

import (
	"os"
	"testing"
)

// Address is the host:port of a Firestore server that lives at least as long as the test.
func Address(t testing.TB) string {
	t.Helper()
	if a := os.Getenv("FIRESTORE_EMULATOR_HOST"); a != "" {
		return a
	}
	t.Skip("no local server yet")
	return ""
}
