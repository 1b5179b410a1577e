package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/grpc/codes"

	"github.com/millrace-ml/millrace/internal/ledgertest"
	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/ledger"
)

func open(t *testing.T, f *ledgertest.Faults, o ledger.Options) *ledger.Ledger {
	t.Helper()
	if f == nil {
		f = new(ledgertest.Faults)
	}
	l, err := ledger.New(ledgertest.Client(t, f.Dial()...), o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func key(n int) string { return fmt.Sprintf("%064x", n) }

func pending(n int) *ledger.Run {
	return &ledger.Run{
		Key: key(n), ID: fmt.Sprintf("bike-demand-20110101-%020x", n), Model: "bike-demand", Kind: ledger.Upload,
		Trigger: ledger.Trigger{Size: 12, Uploaded: time.Date(2011, 1, 1, 0, 0, 0, 0, time.UTC)},
		Dataset: ledger.Dataset{Bucket: "inbox", Object: "bike-demand/a.csv", Generation: 1700000000000001},
		State:   ledger.Pending,
	}
}

var sameRecord = cmp.Options{cmpopts.IgnoreUnexported(ledger.Run{}), cmpopts.EquateApproxTime(time.Minute)}

func TestCreateStoresTheWholeRecord(t *testing.T) {
	t.Parallel()
	l := open(t, nil, ledger.Options{})
	full := &ledger.Run{
		Key: key(7), ID: "m-20200101-x", Model: "m", Kind: ledger.Tick, State: ledger.Claimed, Reason: "r", Hold: "h",
		Owner: "o", Lease: 10.5, Attempt: 3, Refusals: 2, Job: "projects/p/locations/r/pipelineJobs/x",
		Trigger: ledger.Trigger{Size: 1, Uploaded: time.Unix(1, 0).UTC(), Schedule: "nightly", At: time.Unix(2, 0).UTC(), Manual: true,
			Request: "k", Body: "b", By: "a@example.com"},
		Dataset: ledger.Dataset{Bucket: "b", Object: "o", Generation: 5, Prefix: "p"},
		Release: ledger.Release{Version: "1", Spec: "gs://a/s", SpecDigest: "sha256:1", Folder: "gs://a/f", FolderDigest: "sha256:2",
			ImageDigest: "sha256:3", Commit: "c", Parameters: `{"a":[[1]]}`, TimeLimit: 60},
		Counts:     ledger.Counts{Rows: 3, Scored: 2, Rejected: 1},
		ClaimedAt:  time.Unix(3, 0).UTC(),
		SubmitAt:   time.Unix(4, 0).UTC(),
		FinishedAt: time.Unix(5, 0).UTC(),
	}
	stored, created, err := l.Create(t.Context(), full, "a test")
	if err != nil || !created {
		t.Fatalf("Create = %v, %v", created, err)
	}
	got, err := l.Get(t.Context(), key(7))
	if err != nil {
		t.Fatal(err)
	}
	want := *full
	want.Revision, want.Writer = 1, stored.Writer
	want.CreatedAt, want.UpdatedAt = got.CreatedAt, got.UpdatedAt
	want.History = []ledger.Change{{At: time.Now(), To: ledger.Claimed, Cause: "a test"}}
	if diff := cmp.Diff(&want, got, sameRecord); diff != "" {
		t.Errorf("stored record (-want +got):\n%s", diff)
	}
	if !got.UpdatedAt.Equal(stored.UpdatedAt) {
		t.Errorf("version of Create = %v, of Get = %v", stored.UpdatedAt, got.UpdatedAt)
	}
	if time.Since(got.CreatedAt).Abs() > time.Minute {
		t.Errorf("created = %v, expected the server's time", got.CreatedAt)
	}
}

func TestCreateSecondTimeReturnsTheFirst(t *testing.T) {
	t.Parallel()
	l := open(t, nil, ledger.Options{})
	first, created, err := l.Create(t.Context(), pending(1), "first")
	if err != nil || !created {
		t.Fatalf("first Create = %v, %v", created, err)
	}
	second, created, err := l.Create(t.Context(), pending(1), "second")
	if err != nil || created {
		t.Fatalf("second Create = %v, %v; expected not created", created, err)
	}
	if second.Writer != first.Writer || second.History[0].Cause != "first" {
		t.Errorf("second Create returned %+v, expected the first record", second)
	}
}

func TestCreateSixteenAtOnceHasOneWinner(t *testing.T) {
	t.Parallel()
	l := open(t, nil, ledger.Options{Timeout: 20 * time.Second})
	var wg sync.WaitGroup
	wins := make(chan bool, 16)
	for range 16 {
		wg.Go(func() {
			_, created, err := l.Create(t.Context(), pending(2), "race")
			if err != nil {
				t.Error(err)
			}
			wins <- created
		})
	}
	wg.Wait()
	close(wins)
	n := 0
	for w := range wins {
		if w {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d creates won, expected 1", n)
	}
}

// Every fault strikes the first Commit. An own write whose answer is lost must be recognised; a write that was not
// applied must be sent again; nothing may be applied twice.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	cases := map[string]ledgertest.Fault{
		"unavailable after apply":        {Code: codes.Unavailable, Applied: true},
		"unavailable before apply":       {Code: codes.Unavailable},
		"deadline exceeded after apply":  {Code: codes.DeadlineExceeded, Applied: true},
		"deadline exceeded before apply": {Code: codes.DeadlineExceeded},
		"silence after apply":            {Silent: true, Applied: true},
		"silence before apply":           {Silent: true},
		"aborted after apply":            {Code: codes.Aborted, Applied: true},
		"aborted three times":            {Code: codes.Aborted, Times: 3},
		"resource exhausted after apply": {Code: codes.ResourceExhausted, Applied: true},
		"internal after apply":           {Code: codes.Internal, Applied: true},
		"internal before apply":          {Code: codes.Internal},
		"unknown after apply":            {Code: codes.Unknown, Applied: true},
		"already exists after apply":     {Code: codes.AlreadyExists, Applied: true},
		"failed precondition after":      {Code: codes.FailedPrecondition, Applied: true},
	}
	for name, f := range cases {
		f.Method = "/Commit"
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			faults := new(ledgertest.Faults)
			l := open(t, faults, ledger.Options{Timeout: time.Second, Backoff: time.Millisecond})
			faults.Arm(f)
			run, created, err := l.Create(t.Context(), pending(3), "create")
			if err != nil || !created {
				t.Fatalf("Create = created %v, %v; expected our own record", created, err)
			}
			faults.Arm(f)
			run, err = l.Update(t.Context(), run, "claim", func(r *ledger.Run) { r.State, r.Owner = ledger.Claimed, "me" }, ledger.StampClaimed)
			if err != nil {
				t.Fatalf("Update: %v", err)
			}
			got, err := l.Get(t.Context(), run.Key)
			if err != nil {
				t.Fatal(err)
			}
			if got.State != ledger.Claimed || got.Owner != "me" || got.Revision != 2 || len(got.History) != 2 {
				t.Errorf("record is %s of %q, revision %d, %d changes; expected claimed of \"me\", 2, 2", got.State, got.Owner, got.Revision, len(got.History))
			}
		})
	}
}

func TestFaultsThatGiveUp(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		fault ledgertest.Fault
		want  fault.Kind
	}{
		"aborted to the end":    {ledgertest.Fault{Method: "/Commit", Code: codes.Aborted, Times: 100}, fault.Unavailable},
		"commit never answers":  {ledgertest.Fault{Method: "/Commit", Code: codes.Unavailable, Times: 1000}, fault.Unavailable},
		"no permission":         {ledgertest.Fault{Method: "/Commit", Code: codes.PermissionDenied, Times: 100}, fault.Unavailable},
		"our own mistake":       {ledgertest.Fault{Method: "/Commit", Code: codes.InvalidArgument, Times: 100}, fault.Internal},
		"reads fail as well":    {ledgertest.Fault{Method: "", Code: codes.Unavailable, Times: 1000}, fault.Unavailable},
		"answer and reads lost": {ledgertest.Fault{Method: "", Silent: true, Times: 1000}, fault.Unavailable},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			faults := new(ledgertest.Faults)
			l := open(t, faults, ledger.Options{Timeout: 50 * time.Millisecond, Backoff: time.Millisecond})
			faults.Arm(c.fault)
			_, _, err := l.Create(t.Context(), pending(4), "create")
			if fault.KindOf(err) != c.want {
				t.Errorf("Create: %v (%v), expected %v", err, fault.KindOf(err), c.want)
			}
			if n := faults.Calls("/Commit"); n > 1 && strings.HasPrefix(name, "our own") {
				t.Errorf("a write that is wrong was sent %d times", n)
			}
		})
	}
}

func TestAbortedIsTriedFiveTimes(t *testing.T) {
	t.Parallel()
	faults := new(ledgertest.Faults)
	l := open(t, faults, ledger.Options{Backoff: time.Millisecond})
	faults.Arm(ledgertest.Fault{Method: "/Commit", Code: codes.Aborted, Times: 100})
	_, _, err := l.Create(t.Context(), pending(5), "create")
	if n := faults.Calls("/Commit"); n != 5 || err == nil {
		t.Errorf("%d commits, err %v; expected 5 and an error", n, err)
	}
}

func TestUpdateOverAnotherVersionIsLost(t *testing.T) {
	t.Parallel()
	l := open(t, nil, ledger.Options{})
	run, _, err := l.Create(t.Context(), pending(6), "create")
	if err != nil {
		t.Fatal(err)
	}
	claim := func(owner string) error {
		_, err := l.Update(t.Context(), run, "claim", func(r *ledger.Run) { r.State, r.Owner = ledger.Claimed, owner })
		return err
	}
	if err := claim("a"); err != nil {
		t.Fatal(err)
	}
	err = claim("b")
	var lost *ledger.Lost
	if !errors.As(err, &lost) || lost.Current.Owner != "a" {
		t.Fatalf("second claim: %v, expected Lost with owner a", err)
	}
	if run.State != ledger.Pending || run.Owner != "" {
		t.Errorf("the copy that was read changed: %+v", run)
	}
}

func TestUpdateOfAMissingRecord(t *testing.T) {
	t.Parallel()
	l := open(t, nil, ledger.Options{})
	run := pending(8)
	run.UpdatedAt = time.Now().Truncate(time.Microsecond)
	_, err := l.Update(t.Context(), run, "x", func(*ledger.Run) {})
	if fault.KindOf(err) != fault.Unavailable {
		t.Errorf("Update = %v, expected unavailable: a ledger that lost its records gets them again", err)
	}
	if _, err := l.Get(t.Context(), run.Key); fault.KindOf(err) != fault.NotFound {
		t.Errorf("Get = %v, expected not found", err)
	}
}

func TestEveryWriteMovesTheVersion(t *testing.T) {
	t.Parallel()
	l := open(t, nil, ledger.Options{})
	run, _, err := l.Create(t.Context(), pending(9), "create")
	if err != nil {
		t.Fatal(err)
	}
	next, err := l.Update(t.Context(), run, "heartbeat", func(*ledger.Run) {})
	if err != nil {
		t.Fatal(err)
	}
	if !next.UpdatedAt.After(run.UpdatedAt) {
		t.Errorf("update time %v did not move from %v: a lease would end under a live owner", next.UpdatedAt, run.UpdatedAt)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	t.Parallel()
	l := open(t, nil, ledger.Options{})
	run, _, err := l.Create(t.Context(), pending(10), "create")
	for i := range ledger.HistoryLimit + 5 {
		if err != nil {
			t.Fatal(err)
		}
		run, err = l.Update(t.Context(), run, fmt.Sprint("takeover ", i), func(r *ledger.Run) { r.Owner = fmt.Sprint(i) })
	}
	if n := len(run.History); n != ledger.HistoryLimit {
		t.Errorf("history has %d entries, expected %d", n, ledger.HistoryLimit)
	}
	if last := run.History[len(run.History)-1].Cause; last != fmt.Sprint("takeover ", ledger.HistoryLimit+4) {
		t.Errorf("newest entry is %q", last)
	}
}

func TestLeaseRunsOnTheServersClock(t *testing.T) {
	t.Parallel()
	wrong := time.Now().Add(-10 * time.Minute)
	l := open(t, nil, ledger.Options{Now: func() time.Time { return wrong }})
	run := pending(11)
	run.State, run.Lease = ledger.Claimed, 1
	stored, _, err := l.Create(t.Context(), run, "create")
	if err != nil {
		t.Fatal(err)
	}
	if left := stored.LeaseLeft(0); left != time.Second {
		t.Errorf("lease just after the write is %v, expected 1s", left)
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		got, err := l.Get(t.Context(), run.Key)
		if err != nil {
			t.Fatal(err)
		}
		if left := got.LeaseLeft(0); left <= 0 {
			if got.Age() < time.Second {
				t.Fatalf("expired at the age of %v, expected 1s at least", got.Age())
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the lease did not end")
		}
	}
}

func TestLeaseLeft(t *testing.T) {
	t.Parallel()
	none := &ledger.Run{State: ledger.Pending, Lease: 100}
	if got := none.LeaseLeft(time.Hour); got != 0 {
		t.Errorf("a pending record has a lease of %v, expected none", got)
	}
	zero := &ledger.Run{State: ledger.Claimed}
	if got := zero.LeaseLeft(0); got != time.Second {
		t.Errorf("a lease of length 0 counts as %v, expected 1s: a lease always", got)
	}
}

func TestGetAllInPages(t *testing.T) {
	t.Parallel()
	l := open(t, nil, ledger.Options{Timeout: 20 * time.Second})
	for _, n := range []int{20, 319, 620} {
		if _, _, err := l.Create(t.Context(), pending(n), "create"); err != nil {
			t.Fatal(err)
		}
	}
	var keys []string
	for n := range 640 {
		keys = append(keys, key(n))
	}
	got, err := l.GetAll(t.Context(), keys)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 || got[key(20)] == nil || got[key(319)] == nil || got[key(620)] == nil {
		t.Errorf("GetAll found %d records, expected 20, 319 and 620", len(got))
	}
}

func TestCancelledCallerIsNotTheLedgersFault(t *testing.T) {
	t.Parallel()
	l := open(t, nil, ledger.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := l.Create(ctx, pending(12), "create"); !errors.Is(err, context.Canceled) {
		t.Errorf("Create = %v, expected context canceled", err)
	}
}
