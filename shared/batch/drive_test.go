package batch_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/millrace-ml/millrace/internal/batchtest"
	"github.com/millrace-ml/millrace/internal/localcloud/chaos"
	"github.com/millrace-ml/millrace/shared/batch"
	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/ledger"
)

// A call that Vertex surely refuses ends the run, unless an earlier call, whose answer was lost, has made the job.
func TestRefusals(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		answers []batchtest.Answer
		state   ledger.State
		says    string
	}{
		"invalid argument":           {[]batchtest.Answer{{Code: codes.InvalidArgument}}, ledger.Failed, "InvalidArgument"},
		"permission denied":          {[]batchtest.Answer{{Code: codes.PermissionDenied}}, ledger.Failed, "PermissionDenied"},
		"not found":                  {[]batchtest.Answer{{Code: codes.NotFound}}, ledger.Failed, "NotFound"},
		"no quota":                   {[]batchtest.Answer{{Code: codes.ResourceExhausted}}, ledger.Pending, ""},
		"lost, then refused":         {[]batchtest.Answer{{Code: codes.Unavailable, Applied: true}, {Code: codes.PermissionDenied}}, ledger.Submitted, ""},
		"lost, then exists":          {[]batchtest.Answer{{Code: codes.DeadlineExceeded, Applied: true}}, ledger.Submitted, ""},
		"down once":                  {[]batchtest.Answer{{Code: codes.Unavailable}}, ledger.Submitted, ""},
		"created, and says no quota": {[]batchtest.Answer{{Code: codes.ResourceExhausted, Applied: true}}, ledger.Submitted, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := batchtest.New(t)
			c.Vertex.Script(tc.answers...)
			run, err := c.Batch(t, batch.Options{}).Start(t.Context(), upload(t, c, 1))
			if err != nil || run.State != tc.state || !strings.Contains(run.Reason, tc.says) {
				t.Fatalf("Start = %+v, %v; expected %s with %q", run, err, tc.state, tc.says)
			}
			if failed := c.Logged(t, "run_finished"); tc.state == ledger.Failed && (len(failed) != 1 || failed[0]["level"] != "ERROR" || failed[0]["run_id"] != run.ID) {
				t.Errorf("logged %v, expected one error of the run", failed)
			}
			if want := map[bool]int{true: 1}[tc.state == ledger.Submitted]; len(c.Vertex.Jobs()) != want {
				t.Errorf("jobs %v, expected %d", c.Vertex.Jobs(), want)
			}
		})
	}
}

func TestAnotherJobOfOurID(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	b := c.Batch(t, batch.Options{})
	u := c.Upload(t, "rides/a.csv", "x\n1\n")
	c.Vertex.Script(batchtest.Answer{Code: codes.ResourceExhausted})
	run, err := b.Start(t.Context(), u)
	if err != nil {
		t.Fatal(err)
	}
	c.Vertex.Plant(run.ID, "somebody-elses")
	if report, err := b.Drain(t.Context()); err != nil || report.Ended != 1 {
		t.Fatalf("Drain = %+v, %v", report, err)
	}
	got := c.TheRun(t)
	if got.State != ledger.Failed || !strings.Contains(got.Reason, "collision") {
		t.Errorf("run is %s (%s), expected failed by a collision", got.State, got.Reason)
	}
}

// A late owner wakes after its lease is over and somebody else has taken the run on.
func TestALateOwnerChangesNothing(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	b := c.Batch(t, batch.Options{Deadline: 20 * time.Second, Lease: time.Second, Margin: -1})
	u := c.Upload(t, "rides/a.csv", "x\n1\n")
	asleep, first := make(chan struct{}), true
	var mine *ledger.Run
	c.Vertex.OnCreate(func(string) {
		if !first {
			return
		}
		first = false
		defer close(asleep)
		c.Clock.Advance(2 * time.Second) // the first owner sleeps past its lease
		run, err := b.Start(t.Context(), u)
		if err != nil || run.State != ledger.Submitted || run.Attempt != 2 {
			t.Errorf("the takeover is %+v, %v; expected submitted at the second attempt", run, err)
		}
		mine = run
	})
	run, err := b.Start(t.Context(), u)
	<-asleep
	if err != nil || run.State != ledger.Submitted {
		t.Errorf("the late owner got %+v, %v; expected the run as it is", run, err)
	}
	if got := c.TheRun(t); mine == nil || got.Writer != mine.Writer || got.Revision != mine.Revision {
		t.Errorf("the late owner wrote the record: %+v", got)
	}
	if len(c.Vertex.Jobs()) != 1 {
		t.Errorf("jobs %v, expected one", c.Vertex.Jobs())
	}
}

func TestWrongClocksTakeNothingOverEarly(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]time.Duration{"ten minutes ahead": 10 * time.Minute, "ten minutes behind": -10 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := batchtest.New(t)
			u := c.Upload(t, "rides/a.csv", "x\n1\n")
			b := c.Batch(t, batch.Options{})
			c.Vertex.OnCreate(func(string) {
				wrong := batch.Options{Now: func() time.Time { return time.Now().Add(off) }}
				if _, err := c.Batch(t, wrong).Start(t.Context(), u); fault.KindOf(err) != fault.Unavailable {
					t.Errorf("a process whose clock is wrong got %v, expected busy", err)
				}
			})
			if _, err := b.Start(t.Context(), u); err != nil {
				t.Fatal(err)
			}
			if run := c.TheRun(t); run.Attempt != 1 {
				t.Errorf("attempt %d, expected 1", run.Attempt)
			}
		})
	}
}

// What a run was claimed with stays, whatever is released before the takeover.
func TestATakeoverSendsWhatWasClaimed(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	u := c.Upload(t, "rides/a.csv", "x\n1\n")
	ctx, kill := context.WithCancel(t.Context())
	c.Faults.Exit = kill
	c.Faults.Arm(chaos.Fault{Match: "vertex:CreatePipelineJob", Action: chaos.Kill})
	if _, err := c.Batch(t, batch.Options{}).Start(ctx, u); err == nil {
		t.Fatal("the start was not killed")
	}
	claimed := c.TheRun(t)
	if claimed.State != ledger.Submitting {
		t.Fatalf("run is %s, expected submitting", claimed.State)
	}
	newer := c.Release(t, strings.Replace(batchtest.Model, `version: "7"`, `version: "8"`, 1))
	c.Clock.Advance(time.Minute)
	run, err := c.Batch(t, batch.Options{}).Start(t.Context(), u)
	if err != nil || run.State != ledger.Submitted || run.Release != claimed.Release {
		t.Fatalf("Start = %+v, %v; expected the release that it was claimed with", run, err)
	}
	sent := c.Vertex.Job(run.ID).GetRuntimeConfig().GetParameterValues()["model_digest"].GetStringValue()
	if sent != claimed.Release.FolderDigest || sent == newer.FolderDigest {
		t.Errorf("the job has the folder %s, expected %s", sent, claimed.Release.FolderDigest)
	}
}

func TestAPipelineThatCannotBeRead(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	b := c.Batch(t, batch.Options{})
	rel := c.Release(t, batchtest.Model)
	object := strings.TrimPrefix(rel.Spec, "gs://"+batchtest.Artifacts+"/")
	if err := c.Storage.Bucket(batchtest.Artifacts).Object(object).Delete(t.Context()); err != nil {
		t.Fatal(err)
	}
	run, err := b.Start(t.Context(), c.Upload(t, "rides/a.csv", "x\n1\n"))
	if err != nil || run.State != ledger.Failed || !strings.Contains(run.Reason, "no valid pipeline") {
		t.Errorf("without its pipeline: %+v, %v; expected failed", run, err)
	}
	c.Put(t, batchtest.Artifacts, object, "another pipeline")
	run, err = b.Start(t.Context(), c.Upload(t, "rides/b.csv", "x\n1\n"))
	if err != nil || run.State != ledger.Failed || !strings.Contains(run.Reason, "digest") {
		t.Errorf("with another pipeline: %+v, %v; expected failed by its digest", run, err)
	}
}

// A takeover finds that the pipeline which it should send again is gone. Whether the run fails depends on Vertex alone.
func TestATakeoverWithoutThePipeline(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		created bool
		want    ledger.State
	}{"the job was created": {true, ledger.Submitted}, "the job was not created": {false, ledger.Failed}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := batchtest.New(t)
			u := c.Upload(t, "rides/a.csv", "x\n1\n")
			ctx, kill := context.WithCancel(t.Context())
			c.Faults.Exit = kill
			c.Faults.Arm(chaos.Fault{Match: "vertex:CreatePipelineJob", Action: chaos.Kill, After: tc.created})
			if _, err := c.Batch(t, batch.Options{}).Start(ctx, u); err == nil {
				t.Fatal("the start was not killed")
			}
			object := strings.TrimPrefix(c.TheRun(t).Release.Spec, "gs://"+batchtest.Artifacts+"/")
			if err := c.Storage.Bucket(batchtest.Artifacts).Object(object).Delete(t.Context()); err != nil {
				t.Fatal(err)
			}
			c.Clock.Advance(time.Minute)
			run, err := c.Batch(t, batch.Options{}).Start(t.Context(), u)
			if err != nil || run.State != tc.want {
				t.Errorf("Start = %+v, %v; expected %s", run, err, tc.want)
			}
		})
	}
}

// The pipeline cannot be read for a moment: the claim is given back, so that the next delivery need not wait for a lease.
func TestAClaimIsGivenBack(t *testing.T) {
	t.Parallel()
	c := batchtest.New(t)
	b := c.Batch(t, batch.Options{Deadline: 2 * time.Second})
	u := c.Upload(t, "rides/a.csv", "x\n1\n")
	if _, err := b.Start(t.Context(), c.Upload(t, "rides/first.csv", "x\n1\n")); err != nil {
		t.Fatal(err) // the releases are in the cache now
	}
	c.Faults.Arm(chaos.Fault{Match: "storage:objects.media", Code: codes.PermissionDenied})
	_, err := b.Start(t.Context(), u)
	if fault.KindOf(err) != fault.Unavailable {
		t.Fatalf("Start = %v, expected unavailable", err)
	}
	runs := c.Runs(t)
	if runs[0].State != ledger.Pending {
		t.Fatalf("run is %s, expected pending again", runs[0].State)
	}
	if run, err := b.Start(t.Context(), u); err != nil || run.State != ledger.Submitted {
		t.Errorf("the next delivery is %+v, %v; expected submitted at once", run, err)
	}
}
