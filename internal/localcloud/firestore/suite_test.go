package firestore_test

import (
	"testing"

	client "cloud.google.com/go/firestore"

	"github.com/millrace-ml/millrace/internal/localcloud/firestore"
	"github.com/millrace-ml/millrace/internal/localcloud/firestore/firestoretest"
)

func TestSuite(t *testing.T) {
	t.Parallel()
	firestoretest.Suite(t, func(t *testing.T) *client.Client {
		return dial(t, host(t, firestore.Options{Indexes: []byte(firestoretest.Indexes)}))
	})
}
