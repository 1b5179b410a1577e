package batch_test

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace-ml/millrace/internal/batchtest"
	"github.com/millrace-ml/millrace/shared/batch"
	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/ledger"
)

func TestUploadBecomesOneRun(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	b := c.Batch(t, batch.Options{})
	u := c.Upload(t, "rides/a.csv", "x\n1\n")
	run, err := b.Start(t.Context(), u)
	if err != nil || run.State != ledger.Submitted {
		t.Fatalf("Start = %+v, %v; expected submitted", run, err)
	}
	if want := "rides-" + u.Created.UTC().Format("20060102") + "-" + run.Key[:20]; run.ID != want {
		t.Errorf("run id = %s, expected %s", run.ID, want)
	}
	again, err := b.Start(t.Context(), u)
	if err != nil || again.ID != run.ID || again.Revision != run.Revision {
		t.Errorf("second Start = %+v, %v; expected the same run, untouched", again, err)
	}
	if jobs := c.Vertex.Jobs(); len(jobs) != 1 || jobs[0] != run.ID || c.Vertex.Calls() != 1 {
		t.Errorf("jobs %v after %d calls, expected one", jobs, c.Vertex.Calls())
	}
	stored := c.TheRun(t)
	var states []string
	for _, h := range stored.History {
		states = append(states, string(h.To))
	}
	if got := strings.Join(states, " "); got != "pending claimed submitting submitted" {
		t.Errorf("history is %q", got)
	}
	if stored.CreatedAt.IsZero() || stored.ClaimedAt.IsZero() || stored.SubmitAt.IsZero() || !stored.FinishedAt.IsZero() {
		t.Errorf("times are %v %v %v %v, expected all but the last", stored.CreatedAt, stored.ClaimedAt, stored.SubmitAt, stored.FinishedAt)
	}
}

func TestTheJobIsWhatTheReleaseAndTheTriggerSay(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	u := c.Upload(t, "rides/a.csv", "x\n1\n")
	run, err := c.Batch(t, batch.Options{}).Start(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	job := c.Vertex.Job(run.ID)
	if got := job.GetServiceAccount(); got != c.Config().ServiceAccount {
		t.Errorf("service account = %q", got)
	}
	if got := job.GetRuntimeConfig().GetGcsOutputDirectory(); !strings.HasPrefix(got, "gs://"+batchtest.Staging+"/"+run.ID) {
		t.Errorf("output directory = %q, expected below the run in staging", got)
	}
	want := map[string]string{"key": run.Key[:40], "model": "rides", "kind": "upload"}
	if diff := cmp.Diff(want, job.GetLabels()); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	values := map[string]any{}
	for name, v := range job.GetRuntimeConfig().GetParameterValues() {
		values[name] = v.AsInterface()
	}
	for name, want := range map[string]any{
		"run_id": run.ID, "model": "rides", "key": run.Key, "project": batchtest.Project, "region": batchtest.Region,
		"database": "(default)", "staging": batchtest.Staging, "outbox": batchtest.Outbox,
		"model_uri": run.Release.Folder, "model_digest": run.Release.FolderDigest,
	} {
		if values[name] != want || want == "" {
			t.Errorf("parameter %s = %v, expected %v", name, values[name], want)
		}
	}
	raw, err := json.Marshal(values["dataset"])
	if err != nil {
		t.Fatal(err)
	}
	var d batch.Dataset
	if err := json.Unmarshal(raw, &d); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(batch.Dataset{Bucket: batchtest.Inbox, Object: u.Object, Generation: u.Generation}, d); diff != "" {
		t.Errorf("dataset parameter %s (-want +got):\n%s", raw, diff)
	}
}

func TestSixteenDeliveriesAtOnce(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	b := c.Batch(t, batch.Options{Deadline: 30 * time.Second})
	u := c.Upload(t, "rides/a.csv", "x\n1\n")
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			run, err := b.Start(t.Context(), u)
			if err != nil && fault.KindOf(err) != fault.Unavailable {
				t.Errorf("Start: %v, expected nil or unavailable", err)
			}
			if err == nil && run.State != ledger.Submitted {
				t.Errorf("Start gave a %s run, which would be acknowledged while its owner may still die", run.State)
			}
		})
	}
	wg.Wait()
	run, err := b.Start(t.Context(), u)
	if err != nil || run.State != ledger.Submitted || run.Attempt != 1 {
		t.Errorf("afterwards Start = %+v, %v; expected submitted at the first attempt", run, err)
	}
	if jobs := c.Vertex.Jobs(); len(jobs) != 1 {
		t.Errorf("%d jobs, expected 1", len(jobs))
	}
	c.TheRun(t)
}

func TestEachGenerationIsARun(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	b := c.Batch(t, batch.Options{})
	u1 := c.Upload(t, "rides/a.csv", "x\n1\n")
	if _, err := b.Start(t.Context(), u1); err != nil {
		t.Fatal(err)
	}
	u2 := c.Upload(t, "rides/a.csv", "x\n2\n")
	run, err := b.Start(t.Context(), u2)
	if err != nil || run.State != ledger.Submitted {
		t.Fatalf("Start of the overwrite = %+v, %v", run, err)
	}
	if len(c.Vertex.Jobs()) != 2 {
		t.Errorf("jobs %v, expected two", c.Vertex.Jobs())
	}
}

func TestUploadsThatAreNoData(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	b := c.Batch(t, batch.Options{})
	old := c.Upload(t, "rides/old.csv", "x\n1\n")
	c.Upload(t, "rides/old.csv", "x\n2\n")
	gone := c.Upload(t, "rides/gone.csv", "x\n1\n")
	c.Delete(t, "rides/gone.csv")
	forged := func(name string) batch.Upload {
		return batch.Upload{Bucket: batchtest.Inbox, Object: name, Generation: 1, Size: 5, Created: c.Clock.Now()}
	}
	cases := map[string]struct {
		upload batch.Upload
		state  ledger.State
		says   string
	}{
		"zero bytes":            {c.Upload(t, "rides/empty.csv", ""), ledger.Invalid, "empty"},
		"overwritten":           {old, ledger.Superseded, "newer"},
		"deleted":               {gone, ledger.Invalid, "deleted"},
		"folder marker":         {c.Upload(t, "rides/", ""), ledger.Ignored, "folder"},
		"hidden":                {c.Upload(t, "rides/.DS_Store", "x"), ledger.Ignored, "hidden"},
		"our own marker":        {c.Upload(t, "rides/_SUCCESS", ""), ledger.Ignored, "marker"},
		"temporary":             {c.Upload(t, "rides/a.csv.tmp", "x"), ledger.Ignored, "temporary"},
		"name with ..":          {c.Upload(t, "rides/../x.csv", "x"), ledger.Invalid, `".."`},
		"name with a control":   {c.Upload(t, "rides/a\tb.csv", "x"), ledger.Invalid, "control character"},
		"name of 1,024 bytes":   {c.Upload(t, "rides/"+strings.Repeat("x", 1018), "x"), ledger.Invalid, "1024 bytes"},
		"name with a newline":   {forged("rides/a\nb.csv"), ledger.Invalid, "control character"},
		"name of a megabyte":    {forged("rides/" + strings.Repeat("y", 1<<20)), ledger.Invalid, "bytes"},
		"name that is no UTF-8": {forged("rides/\xff.csv"), ledger.Invalid, "UTF-8"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			for range 2 { // the second delivery changes nothing
				run, err := b.Start(t.Context(), tc.upload)
				if err != nil || run.State != tc.state || !strings.Contains(run.Reason, tc.says) {
					t.Fatalf("Start = %+v, %v; expected %s because of %q", run, err, tc.state, tc.says)
				}
				if run.FinishedAt.IsZero() {
					t.Error("the record has no time of its end")
				}
			}
		})
	}
	if calls := c.Vertex.Calls(); calls != 0 {
		t.Errorf("%d jobs were asked for, expected none", calls)
	}
	if n := len(c.Runs(t)); n != len(cases) {
		t.Errorf("%d records, expected %d", n, len(cases))
	}
	if n := len(c.Logged(t, "run_finished")); n != len(cases) {
		t.Errorf("%d lines run_finished, expected %d", n, len(cases))
	}
}

func TestTriggersWithoutARecord(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	b := c.Batch(t, batch.Options{})
	good := c.Upload(t, "rides/a.csv", "x\n1\n")
	edit := func(f func(*batch.Upload)) batch.Upload { u := good; f(&u); return u }
	cases := map[string]struct {
		trigger batch.Trigger
		want    fault.Kind
	}{
		"another bucket":      {edit(func(u *batch.Upload) { u.Bucket = batchtest.Outbox }), fault.Invalid},
		"no model's prefix":   {edit(func(u *batch.Upload) { u.Object = "bikes/a.csv" }), fault.NotFound},
		"smoke test":          {edit(func(u *batch.Upload) { u.Object = ".smoke/a.csv" }), fault.Invalid},
		"parallel part":       {edit(func(u *batch.Upload) { u.Object = "gcloud/tmp/parallel_composite_uploads/x" }), fault.NotFound},
		"no name":             {edit(func(u *batch.Upload) { u.Object = "" }), fault.Invalid},
		"no generation":       {edit(func(u *batch.Upload) { u.Generation = 0 }), fault.Invalid},
		"no time":             {edit(func(u *batch.Upload) { u.Created = time.Time{} }), fault.Invalid},
		"tick, no model":      {batch.Tick{Ask: batch.Ask{Model: "none", Schedule: "nightly"}}, fault.NotFound},
		"tick, no schedule":   {batch.Tick{Ask: batch.Ask{Model: "rides", Schedule: "weekly"}}, fault.NotFound},
		"request, no key":     {batch.Request{Ask: batch.Ask{Model: "rides", Schedule: "nightly"}}, fault.Invalid},
		"request, long key":   {batch.Request{Ask: batch.Ask{Model: "rides", Schedule: "nightly"}, Key: strings.Repeat("k", 256)}, fault.Invalid},
		"request, odd key":    {batch.Request{Ask: batch.Ask{Model: "rides", Schedule: "nightly"}, Key: "a\nb"}, fault.Invalid},
		"request, no model":   {batch.Request{Ask: batch.Ask{Model: "none", Schedule: "nightly"}, Key: "k"}, fault.NotFound},
		"request, year 0":     {batch.Request{Ask: batch.Ask{Model: "rides", Schedule: "nightly", At: time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)}, Key: "k"}, fault.Invalid},
		"request, year 12000": {batch.Request{Ask: batch.Ask{Model: "rides", Schedule: "nightly", At: time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC)}, Key: "k"}, fault.Invalid},
	}
	for name, tc := range cases {
		run, err := b.Start(t.Context(), tc.trigger)
		if fault.KindOf(err) != tc.want || run != nil {
			t.Errorf("%s: Start = %v, %v; expected %v", name, run, err, tc.want)
		}
	}
	if n := len(c.Runs(t)); n != 0 {
		t.Errorf("%d records, expected none", n)
	}
}

func TestAModelReleasedAMomentAgoTakesItsUploads(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	b := c.Batch(t, batch.Options{})
	if _, err := b.Start(t.Context(), c.Upload(t, "rides/a.csv", "x\n1\n")); err != nil {
		t.Fatal(err) // the list of releases is in the cache now
	}
	c.Release(t, strings.NewReplacer("name: rides", "name: boats", "rides/", "boats/").Replace(batchtest.Model))
	run, err := b.Start(t.Context(), c.Upload(t, "boats/a.csv", "x\n1\n"))
	if err != nil || run.Model != "boats" || run.State != ledger.Submitted {
		t.Errorf("Start = %+v, %v; expected a run of boats", run, err)
	}
}

func TestBusyWhileALiveOwnerIsAtWork(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	b := c.Batch(t, batch.Options{Lease: 10 * time.Second})
	u := c.Upload(t, "rides/a.csv", "x\n1\n")
	c.Vertex.OnCreate(func(string) {
		// A second delivery comes while the first one waits for Vertex.
		_, err := b.Start(t.Context(), u)
		public := fault.Public(err)
		if public.Kind != fault.Unavailable || public.RetryAfter < 10*time.Second || public.RetryAfter > 15*time.Second {
			t.Errorf("Start beside a live owner: %v, retry after %v; expected unavailable for the rest of 15 s", err, public.RetryAfter)
		}
	})
	if _, err := b.Start(t.Context(), u); err != nil {
		t.Fatal(err)
	}
}
