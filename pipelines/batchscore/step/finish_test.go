package step_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"cloud.google.com/go/firestore"

	"github.com/millrace-ml/millrace/internal/ledgertest"
	"github.com/millrace-ml/millrace/pipelines/batchscore"
	"github.com/millrace-ml/millrace/pipelines/batchscore/step"
	"github.com/millrace-ml/millrace/shared/batch"
	"github.com/millrace-ml/millrace/shared/cloud"
	"github.com/millrace-ml/millrace/shared/ledger"
)

const key = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// record puts a run into a ledger and answers how to read it.
func record(t *testing.T, address string) *ledger.Ledger {
	t.Helper()
	db, err := cloud.Firestore(t.Context(), cloud.Endpoints{Firestore: address}, "finish", firestore.DefaultDatabaseID)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	l, err := ledger.New(db, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := l.Create(t.Context(), &ledger.Run{Key: key, ID: runID, Model: model, Kind: ledger.Upload, State: ledger.Running, Job: "job"}, "test"); err != nil {
		t.Fatal(err)
	}
	return l
}

func (w *world) finish(t *testing.T, address, run, state, message string) (int, string) {
	t.Helper()
	in, err := json.Marshal(map[string]any{"inputs": map[string]any{"parameterValues": map[string]any{
		batchscore.ParamRunID: run, batchscore.ParamModel: model, batchscore.ParamKey: key, batchscore.ParamProject: "finish",
		batchscore.ParamRegion: "local", batchscore.ParamDatabase: firestore.DefaultDatabaseID, batchscore.ParamStaging: staging, batchscore.ParamOutbox: outbox,
		batchscore.ParamStatus: map[string]any{"state": state, "error": map[string]any{"message": message}, "pipelineTaskName": "work"},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"STORAGE_EMULATOR_HOST": strings.TrimPrefix(w.url, "http://"), "FIRESTORE_EMULATOR_HOST": address}
	var log bytes.Buffer
	code := step.Main(t.Context(), []string{batchscore.StepFinish, batchscore.FlagExecutorInput, string(in)}, func(k string) string { return env[k] }, &log)
	return code, log.String()
}

func TestFinish(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		file           string
		state, message string
		want           ledger.State
		reason         string
	}{
		"published":                      {sample(t), "SUCCEEDED", "", ledger.Succeeded, ""},
		"published, then the task fell":  {sample(t), "FAILED", "out of memory", ledger.Succeeded, ""},
		"a verdict":                      {"x\n1\n", "SUCCEEDED", "", ledger.Invalid, "is missing"},
		"nothing written, task failed":   {"", "FAILED", "out of memory", ledger.Failed, "out of memory"},
		"nothing written, task finished": {"", "SUCCEEDED", "", ledger.Failed, "without _SUCCESS.json"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, bikes(t))
			address := ledgertest.Address(t)
			l := record(t, address)
			if tc.file != "" {
				w.put(t, inbox, "f.csv", tc.file)
				w.whole(t, object("f.csv", 0))
			}
			for range 2 {
				if code, log := w.finish(t, address, runID, tc.state, tc.message); code != 0 {
					t.Fatalf("finish ended with %d:\n%s", code, log)
				}
			}
			run, err := l.Get(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			if run.State != tc.want || !strings.Contains(run.Reason, tc.reason) {
				t.Errorf("the run is %s: %s, want %s: %s", run.State, run.Reason, tc.want, tc.reason)
			}
			if rows := int64(strings.Count(sample(t), "\n") - 1); tc.want == ledger.Succeeded && run.Counts.Rows != rows {
				t.Errorf("counts are %+v, want %d rows", run.Counts, rows)
			}
		})
	}
}

// TestFinishIsAHint: a run that is not in the ledger is for Reconcile, and no reason to fail the job; a ledger that does
// not answer is.
func TestFinishIsAHint(t *testing.T) {
	t.Parallel()
	w := newWorld(t, bikes(t))
	if code, log := w.finish(t, ledgertest.Address(t), "bike-demand-20120801-ffffffffffffffffffff", "SUCCEEDED", ""); code != 0 || !strings.Contains(log, "cannot be closed from here") {
		t.Errorf("an unknown run: exit code %d, log %s", code, log)
	}
	if code, log := w.finish(t, "127.0.0.1:1", runID, "SUCCEEDED", ""); code != 1 {
		t.Errorf("no ledger: exit code %d, log %s", code, log)
	}
	if names := w.list(t, outbox, batch.OutputPrefix(model, runID)); len(names) > 0 {
		t.Errorf("finish wrote %q", names)
	}
}
