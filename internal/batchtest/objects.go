package batchtest

import (
	"encoding/json"
	"testing"

	"github.com/millrace-ml/millrace/shared/batch"
	"github.com/millrace-ml/millrace/shared/ledger"
)

// Upload puts an object into the inbox and gives the trigger that its event carries.
func (c *Cloud) Upload(t testing.TB, name, content string) batch.Upload {
	t.Helper()
	w := c.Storage.Bucket(Inbox).Object(name).NewWriter(t.Context())
	_, err := w.Write([]byte(content))
	check(t, err)
	check(t, w.Close())
	a := w.Attrs()
	return batch.Upload{Bucket: a.Bucket, Object: a.Name, Generation: a.Generation, Size: a.Size, Created: a.Created}
}

// Delete removes an object of the inbox.
func (c *Cloud) Delete(t testing.TB, name string) {
	t.Helper()
	check(t, c.Storage.Bucket(Inbox).Object(name).Delete(t.Context()))
}

// Put writes v as JSON into a bucket.
func (c *Cloud) Put(t testing.TB, bucket, object string, v any) {
	t.Helper()
	w := c.Storage.Bucket(bucket).Object(object).NewWriter(t.Context())
	check(t, json.NewEncoder(w).Encode(v))
	check(t, w.Close())
}

// Succeed publishes a run as its pipeline would, without its predictions.
func (c *Cloud) Succeed(t testing.TB, run *ledger.Run, rows int64) {
	t.Helper()
	to := Outbox
	if run.Trial() {
		to = Staging
	}
	c.Put(t, to, batch.SummaryObject(run.Model, run.ID), map[string]any{"rows": rows})
	c.Put(t, to, batch.SuccessObject(run.Model, run.ID), batch.Success{RunID: run.ID, Model: run.Model, Rows: rows, Scored: rows - 1, Rejected: 1})
}

// Ledger is the ledger of the cloud, for looking.
func (c *Cloud) Ledger(t testing.TB) *ledger.Ledger {
	t.Helper()
	l, err := ledger.New(c.Records, ledger.Options{Now: c.Clock.Now})
	check(t, err)
	return l
}

// Runs are all records, the newest first.
func (c *Cloud) Runs(t testing.TB) []*ledger.Run {
	t.Helper()
	runs, next, err := c.Ledger(t).List(t.Context(), ledger.Page{Limit: ledger.PageLimit})
	check(t, err)
	if next != "" {
		t.Fatalf("more than %d records", ledger.PageLimit)
	}
	return runs
}

// TheRun is the one record of the cloud.
func (c *Cloud) TheRun(t testing.TB) *ledger.Run {
	t.Helper()
	runs := c.Runs(t)
	if len(runs) != 1 {
		t.Fatalf("%d records, expected 1", len(runs))
	}
	return runs[0]
}
