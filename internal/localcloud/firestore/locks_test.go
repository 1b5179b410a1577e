package firestore

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// ask runs acquire in the bubble and gives a function that says what came of it: waiting until it was decided.
func ask(t *testing.T, l *locks, o *owner, items map[string]lockMode) func() string {
	t.Helper()
	var result atomic.Value
	result.Store("waiting")
	go func() {
		if err := l.acquire(t.Context(), o, items); err != nil {
			result.Store(status.Code(err).String())
			return
		}
		result.Store("granted")
	}()
	synctest.Wait()
	return func() string {
		synctest.Wait()
		return fmt.Sprint(result.Load())
	}
}

func doc(id string, m lockMode) map[string]lockMode {
	return docItems([]docName{{"db", "runs/" + id}}, m)
}

func want(t *testing.T, what string, got func() string, state string) {
	t.Helper()
	if s := got(); s != state {
		t.Errorf("%s: %s, want %s", what, s, state)
	}
}

var (
	errDone = errors.New("over")
	runs    = collName{"db", "runs"}
)

// lockCases get three owners, a the oldest.
var lockCases = map[string]func(t *testing.T, l *locks, a, b, c *owner){
	"in the order of asking": func(t *testing.T, l *locks, a, b, c *owner) {
		ra, rb, rc := ask(t, l, a, doc("x", exclusive)), ask(t, l, b, doc("x", shared)), ask(t, l, c, doc("x", exclusive))
		want(t, "first", ra, "granted")
		want(t, "second", rb, "waiting")
		l.release(a, errDone)
		want(t, "second", rb, "granted")
		want(t, "third", rc, "waiting")
		l.release(b, errDone)
		want(t, "third", rc, "granted")
	},
	"plain commits do not wait for each other": func(t *testing.T, l *locks, a, b, c *owner) {
		want(t, "first", ask(t, l, a, doc("x", shared)), "granted")
		want(t, "second", ask(t, l, b, doc("x", shared)), "granted")
		want(t, "a reader", ask(t, l, c, doc("x", exclusive)), "waiting")
	},
	"a plain commit does not overtake a waiting transaction": func(t *testing.T, l *locks, a, b, c *owner) {
		ask(t, l, a, doc("x", shared))
		rb, rc := ask(t, l, b, doc("x", exclusive)), ask(t, l, c, doc("x", shared))
		want(t, "late commit", rc, "waiting")
		l.release(a, errDone)
		want(t, "transaction", rb, "granted")
		want(t, "late commit", rc, "waiting")
	},
	"a query keeps writers of its collection out, not others": func(t *testing.T, l *locks, a, b, c *owner) {
		ask(t, l, a, collItems(runs))
		want(t, "document in it", ask(t, l, b, doc("x", shared)), "waiting")
		want(t, "document elsewhere", ask(t, l, c, docItems([]docName{{"db", "runs/x/tasks/y"}}, exclusive)), "granted")
	},
	"a query waits for writers": func(t *testing.T, l *locks, a, b, c *owner) {
		ask(t, l, a, doc("x", shared))
		rb := ask(t, l, b, collItems(runs))
		want(t, "query", rb, "waiting")
		l.release(a, errDone)
		want(t, "query", rb, "granted")
	},
	"a group query keeps writers at any depth out": func(t *testing.T, l *locks, a, b, c *owner) {
		ask(t, l, a, groupItems("db", "runs"))
		want(t, "top", ask(t, l, b, doc("x", shared)), "waiting")
		want(t, "below", ask(t, l, c, docItems([]docName{{"db", "a/b/runs/x"}}, exclusive)), "waiting")
	},
	"an owner does not wait for itself": func(t *testing.T, l *locks, a, _, _ *owner) {
		ask(t, l, a, doc("x", exclusive))
		want(t, "again", ask(t, l, a, doc("x", exclusive)), "granted")
		want(t, "its collection", ask(t, l, a, collItems(runs)), "granted")
	},
	"a cycle aborts the younger": func(t *testing.T, l *locks, a, b, _ *owner) {
		ask(t, l, a, doc("x", exclusive))
		ask(t, l, b, doc("y", exclusive))
		ra := ask(t, l, a, doc("y", exclusive))
		want(t, "older", ra, "waiting")
		rb := ask(t, l, b, doc("x", exclusive))
		want(t, "younger", rb, "Aborted")
		want(t, "older", ra, "granted")
	},
	"a cycle closed by the older aborts the younger too": func(t *testing.T, l *locks, a, b, _ *owner) {
		ask(t, l, a, doc("x", exclusive))
		ask(t, l, b, doc("y", exclusive))
		rb := ask(t, l, b, doc("x", exclusive))
		ra := ask(t, l, a, doc("y", exclusive))
		want(t, "younger", rb, "Aborted")
		want(t, "older", ra, "granted")
		if l.failure(b) == nil || l.failure(a) != nil {
			t.Error("only the younger must have failed")
		}
	},
	"a cycle of three": func(t *testing.T, l *locks, a, b, c *owner) {
		ask(t, l, a, doc("x", exclusive))
		ask(t, l, b, doc("y", exclusive))
		ask(t, l, c, doc("z", exclusive))
		ra, rb := ask(t, l, a, doc("y", exclusive)), ask(t, l, b, doc("z", exclusive))
		rc := ask(t, l, c, doc("x", exclusive))
		want(t, "youngest", rc, "Aborted")
		want(t, "second", rb, "granted")
		want(t, "first", ra, "waiting")
	},
	"a plain commit that waits is passed, never aborted": func(t *testing.T, l *locks, a, _, plain *owner) {
		ask(t, l, a, doc("x", exclusive))
		rp := ask(t, l, plain, docItems([]docName{{"db", "runs/x"}, {"db", "runs/y"}}, shared))
		want(t, "plain", rp, "waiting")
		want(t, "transaction", ask(t, l, a, doc("y", exclusive)), "granted")
		want(t, "plain", rp, "waiting")
		l.release(a, errDone)
		want(t, "plain", rp, "granted")
	},
	"who was aborted locks nothing more": func(t *testing.T, l *locks, a, b, _ *owner) {
		ask(t, l, a, doc("x", exclusive))
		l.release(a, errOver)
		want(t, "again", ask(t, l, a, doc("x", exclusive)), "InvalidArgument")
		want(t, "another", ask(t, l, b, doc("x", exclusive)), "granted")
	},
	"a wait ends after a minute": func(t *testing.T, l *locks, a, b, c *owner) {
		ask(t, l, a, doc("x", exclusive))
		rb, rc := ask(t, l, b, doc("x", exclusive)), ask(t, l, c, doc("x", exclusive))
		time.Sleep(lockWait) // the bubble's clock
		want(t, "second", rb, "Aborted")
		l.release(a, errDone)
		want(t, "third", rc, "Aborted")
	},
	"stopping ends all waits": func(t *testing.T, l *locks, a, b, c *owner) {
		ask(t, l, a, doc("x", exclusive))
		rb := ask(t, l, b, doc("x", exclusive))
		l.close(errStopping)
		want(t, "second", rb, "Unavailable")
		want(t, "third", ask(t, l, c, doc("y", exclusive)), "Unavailable")
	},
}

func TestLocks(t *testing.T) {
	t.Parallel()
	for name, run := range lockCases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newLocks()
				run(t, l, l.newOwner(), l.newOwner(), l.newOwner())
				l.close(errStopping)
				synctest.Wait()
				l.mu.Lock()
				defer l.mu.Unlock()
				if left := len(l.waiting); left > 0 {
					t.Errorf("%d requests still wait", left)
				}
			})
		})
	}
}

// A caller that goes away leaves the queue, and those behind it go on.
func TestLockGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLocks()
		a, b, c := l.newOwner(), l.newOwner(), l.newOwner()
		ask(t, l, a, doc("x", shared))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.acquire(ctx, b, doc("x", exclusive)); status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("%v, want DeadlineExceeded", err)
		}
		want(t, "behind it", ask(t, l, c, doc("x", shared)), "granted")
		for _, o := range []*owner{a, b, c} {
			l.release(o, errOver)
		}
		if len(l.entries) != 0 {
			t.Errorf("entries left: %v", l.entries)
		}
	})
}

// An unused transaction is rolled back, so that a forgotten one stops nobody, and its late Commit is ABORTED so that the
// client runs it again.
func TestIdleTransaction(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLocks()
		ts := newTransactions(l, 5*time.Second, 1)
		tx := ts.begin(nil, false)
		use := func() error {
			_, done, err := ts.use([]byte(tx.id))
			if err == nil {
				done()
			}
			return err
		}
		_, done, err := ts.use([]byte(tx.id))
		if err != nil {
			t.Fatal(err)
		}
		ask(t, l, tx.owner, doc("x", exclusive))
		time.Sleep(time.Minute) // in use: a long call is not idle
		done()
		other := ask(t, l, l.newOwner(), doc("x", exclusive))
		for range 3 {
			time.Sleep(4 * time.Second)
			if err := use(); err != nil {
				t.Fatal(err)
			}
		}
		want(t, "other", other, "waiting")
		time.Sleep(5 * time.Second)
		want(t, "other", other, "granted")
		if err := use(); status.Code(err) != codes.Aborted {
			t.Errorf("use of an idle transaction: %v, want Aborted", err)
		}
		retry := ts.begin([]byte(tx.id), false)
		if retry.owner.age != tx.owner.age {
			t.Errorf("the retry's age is %d, want the first attempt's %d", retry.owner.age, tx.owner.age)
		}
		time.Sleep(graveTime + time.Second)
		if err := use(); status.Code(err) != codes.InvalidArgument {
			t.Errorf("use of a forgotten transaction: %v, want InvalidArgument", err)
		}
		ts.end(retry)
		time.Sleep(graveTime + ts.idle)
		ts.mu.Lock()
		defer ts.mu.Unlock()
		if len(ts.byID) != 0 {
			t.Errorf("%d transactions are remembered", len(ts.byID))
		}
	})
}
