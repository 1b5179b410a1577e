package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/millrace-ml/millrace/shared/batch"
	"github.com/millrace-ml/millrace/shared/ledger"
)

func TestShowTellsATrialFromARun(t *testing.T) {
	t.Parallel()
	run := &ledger.Run{ID: "rides-request-1", Model: "rides", Kind: ledger.Request, State: ledger.Succeeded,
		Trigger: ledger.Trigger{Schedule: "nightly"}, Dataset: ledger.Dataset{Bucket: "b", Object: "o.csv"}}
	for name, tc := range map[string]struct{ candidate, trigger, output string }{
		"a run":   {"", "request nightly at", "in the outbox"},
		"a trial": {"gs://a/candidates/rides/0.json", "request of the candidate gs://a/candidates/rides/0.json: gs://b/o.csv", "in staging"},
	} {
		r := *run
		r.Trigger.Candidate = tc.candidate
		var out bytes.Buffer
		if err := printDetail(console{out: &out}, &batch.Detail{Run: &r}); err != nil {
			t.Fatal(err)
		}
		if s := out.String(); !strings.Contains(s, tc.trigger) || !strings.Contains(s, tc.output) {
			t.Errorf("%s is shown as\n%s", name, s)
		}
	}
}
