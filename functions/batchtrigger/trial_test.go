package batchtrigger

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/millrace-ml/millrace/internal/batchtest"
	"github.com/millrace-ml/millrace/shared/ledger"
)

func TestTrialsByRequest(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	s := serve(t, c, nil)
	uri, _ := c.Propose(t, strings.Replace(batchtest.Model, `version: "7"`, `version: "8"`, 1))
	w := c.Storage.Bucket(batchtest.Staging).Object("smoke/rides/u.csv").NewWriter(t.Context())
	if _, err := w.Write([]byte("x\n1\n")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	body := fmt.Sprintf(`{"model":"rides","candidate":%q,"dataset":{"bucket":%q,"object":"smoke/rides/u.csv","generation":"%d"}}`, uri, batchtest.Staging, w.Attrs().Generation)
	ask := func(path, body, who string) (int, string) {
		status, _, answer := s.call("POST", path, body, "Authorization", who, "Content-Type", "application/json", "Idempotency-Key", "k")
		return status, answer
	}
	for name, tc := range map[string]struct {
		path, body, who string
		status          int
		says            string
	}{
		"as a tick":              {"/ticks", body, ann, 400, "unknown field"},
		"by a stranger":          {"/runs", body, bearer(`{"email":"eve@example.com","email_verified":true}`), 403, "eve@example.com"},
		"by nobody":              {"/runs", body, "", 401, "identity token"},
		"of a foreign bucket":    {"/runs", strings.Replace(body, "gs://"+batchtest.Artifacts, "gs://elsewhere", 1), ann, 400, "none of model"},
		"on the inbox":           {"/runs", strings.Replace(body, `"bucket":"`+batchtest.Staging, `"bucket":"`+batchtest.Inbox, 1), ann, 400, "dataset"},
		"of what is not there":   {"/runs", strings.Replace(body, uri, uri[:len(uri)-69]+strings.Repeat("0", 64)+".json", 1), ann, 404, "not there"},
		"with no dataset":        {"/runs", fmt.Sprintf(`{"model":"rides","candidate":%q}`, uri), ann, 400, `"pointer":"/dataset/object"`},
		"with a schedule beside": {"/runs", strings.Replace(body, `"model"`, `"schedule":"nightly","model"`, 1), ann, 400, "beside a candidate"},
	} {
		status, answer := ask(tc.path, tc.body, tc.who)
		if status != tc.status || !strings.Contains(answer, tc.says) {
			t.Errorf("%s: %d %s; expected %d with %q", name, status, answer, tc.status, tc.says)
		}
	}
	var first ledger.Run
	for range 2 {
		status, answer := ask("/runs", body, ann)
		var run ledger.Run
		if err := json.Unmarshal([]byte(answer), &run); err != nil || status != 200 || run.Trigger.Candidate != uri || run.Release.Version != "8" {
			t.Fatalf("%d %s; expected a run of the candidate", status, answer)
		}
		if first.ID == "" {
			first = run
		}
		if run.ID != first.ID || run.Trigger.By != "ann@example.com" {
			t.Errorf("the same key again is %s by %s, first it was %s", run.ID, run.Trigger.By, first.ID)
		}
	}
	for _, path := range []string{"/runs", "/runs/" + first.ID} {
		if status, _, answer := s.call("GET", path, ""); status != 200 || !strings.Contains(answer, `"candidate":"`+uri+`"`) {
			t.Errorf("GET %s: %d %s; expected the mark", path, status, answer)
		}
	}
	if jobs := c.Vertex.Jobs(); len(jobs) != 1 {
		t.Errorf("jobs are %v", jobs)
	}
}
