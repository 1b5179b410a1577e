package firestoretest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"cloud.google.com/go/firestore"
	"google.golang.org/grpc/codes"
)

var transactionParts = []part{
	{name: "a transaction reads and writes at once", run: func(e *env) {
		a, b := e.runs().Doc("a"), e.runs().Doc("b")
		e.set(a, fields{"n": 1})
		err := e.c.RunTransaction(e.Context(), func(_ context.Context, tx *firestore.Transaction) error {
			s, err := tx.Get(a)
			if err != nil {
				return err
			}
			n, _ := s.Data()["n"].(int64)
			if err := tx.Update(a, []firestore.Update{{Path: "n", Value: n + 1}}); err != nil {
				return err
			}
			return tx.Create(b, fields{"copy": n})
		})
		e.code("transaction", err, codes.OK)
		e.holds(a, fields{"n": int64(2)})
		e.holds(b, fields{"copy": int64(1)})
	}},
	{name: "a function that fails writes nothing", run: func(e *env) {
		a, stop := e.runs().Doc("a"), errors.New("stop")
		calls := 0
		err := e.c.RunTransaction(e.Context(), func(_ context.Context, tx *firestore.Transaction) error {
			calls++
			if err := tx.Create(a, fields{"n": 1}); err != nil {
				return err
			}
			return stop
		})
		if !errors.Is(err, stop) || calls != 1 {
			e.Errorf("%d calls, %v", calls, err)
		}
		_, err = a.Get(e.Context())
		e.code("get", err, codes.NotFound)
	}},
	{name: "a refused commit is not run again", run: func(e *env) {
		a := e.runs().Doc("a")
		e.set(a, fields{"n": 1})
		calls := 0
		err := e.c.RunTransaction(e.Context(), func(_ context.Context, tx *firestore.Transaction) error {
			calls++
			return tx.Create(a, fields{"n": 2})
		})
		e.code("transaction", err, codes.AlreadyExists)
		if calls != 1 {
			e.Errorf("%d calls", calls)
		}
		e.set(a, fields{"n": 3}) // its locks are gone
	}},
	{name: "a read-only transaction sees one state and cannot write", run: func(e *env) {
		a := e.runs().Doc("a")
		e.set(a, fields{"n": 1})
		err := e.c.RunTransaction(e.Context(), func(_ context.Context, tx *firestore.Transaction) error {
			_, err := tx.GetAll([]*firestore.DocumentRef{a, e.runs().Doc("none")})
			return err
		}, firestore.ReadOnly)
		e.code("transaction", err, codes.OK)
	}},
	{name: "a plain write waits for a transaction that read its document", run: plainWriteWaits},
	{name: "an insert waits for a transaction that queried its collection", run: insertWaits},
	{name: "16 goroutines × 5 read-modify-write transactions on one document", part: Contention, run: contention},
	{name: "two readers that both write: both succeed", part: Contention, run: twoDocuments},
}

// waits runs write while a transaction that did read is open and demands that write happens only after its commit.
func (e *env) waits(read func(*firestore.Transaction) error, write func() error) {
	e.Helper()
	var committing atomic.Bool
	inside, written := make(chan struct{}), make(chan error, 1)
	go func() {
		<-inside
		err := write()
		if !committing.Load() {
			err = errors.Join(err, errors.New("the write overtook the transaction"))
		}
		written <- err
	}()
	var once sync.Once
	err := e.c.RunTransaction(e.Context(), func(_ context.Context, tx *firestore.Transaction) error {
		if err := read(tx); err != nil {
			return err
		}
		once.Do(func() { close(inside) })
		select {
		case err := <-written: // overtaken
			written <- err
		case <-time.After(300 * time.Millisecond): // what must not happen has no event to wait for
		}
		committing.Store(true)
		return tx.Set(e.runs().Doc("seen"), fields{"n": 1})
	})
	e.code("transaction", err, codes.OK)
	if err := <-written; err != nil {
		e.Errorf("write: %v", err)
	}
}

func plainWriteWaits(e *env) {
	a := e.runs().Doc("a")
	e.set(a, fields{"n": 1})
	e.waits(func(tx *firestore.Transaction) error {
		_, err := tx.Get(a)
		return err
	}, func() error {
		_, err := a.Set(e.Context(), fields{"n": 2})
		return err
	})
	e.holds(a, fields{"n": int64(2)})
}

func insertWaits(e *env) {
	e.set(e.runs().Doc("a"), fields{"state": "pending"})
	e.waits(func(tx *firestore.Transaction) error {
		_, err := tx.Documents(e.runs().Where("state", "==", "pending")).GetAll()
		return err
	}, func() error {
		_, err := e.runs().Doc("b").Create(e.Context(), fields{"state": "pending"})
		return err
	})
}

func contention(e *env) {
	d := e.runs().Doc("a")
	e.set(d, fields{"n": 0})
	var calls atomic.Int32
	start := time.Now()
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 5 {
				e.code("transaction", e.increment(d, &calls), codes.OK)
			}
		})
	}
	wg.Wait()
	took := time.Since(start)
	e.holds(d, fields{"n": int64(80)})
	e.Logf("80 transactions in %v, %d calls", took, calls.Load())
	if calls.Load() != 80 || took > 10*time.Second {
		e.Errorf("%d calls in %v: want 80, none aborted, in less than 10 s", calls.Load(), took)
	}
}

func (e *env) increment(d *firestore.DocumentRef, calls *atomic.Int32) error {
	return e.c.RunTransaction(e.Context(), func(_ context.Context, tx *firestore.Transaction) error {
		calls.Add(1)
		s, err := tx.Get(d)
		if err != nil {
			return err
		}
		n, _ := s.Data()["n"].(int64)
		return tx.Set(d, fields{"n": n + 1})
	})
}

// twoDocuments makes a cycle on purpose: each transaction reads one document and then the other's. The younger is
// aborted, and its next attempt succeeds.
func twoDocuments(e *env) {
	a, b := e.runs().Doc("a"), e.runs().Doc("b")
	e.set(a, fields{"n": 0})
	e.set(b, fields{"n": 0})
	var met sync.WaitGroup
	met.Add(2)
	cross := func(first, second *firestore.DocumentRef) error {
		var once sync.Once
		return e.c.RunTransaction(e.Context(), func(_ context.Context, tx *firestore.Transaction) error {
			if _, err := tx.Get(first); err != nil {
				return err
			}
			once.Do(func() { met.Done(); met.Wait() })
			s, err := tx.Get(second)
			if err != nil {
				return err
			}
			n, _ := s.Data()["n"].(int64)
			return tx.Set(second, fields{"n": n + 1})
		})
	}
	var wg sync.WaitGroup
	wg.Go(func() { e.code("a, b", cross(a, b), codes.OK) })
	wg.Go(func() { e.code("b, a", cross(b, a), codes.OK) })
	wg.Wait()
	e.holds(a, fields{"n": int64(1)})
	e.holds(b, fields{"n": int64(1)})
}
