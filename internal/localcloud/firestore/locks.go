package firestore

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// locks grants documents and collections in the order of asking. Documents are locked together with an intent on their
// collection and their collection group, so that a transactional query, which locks one of those, excludes every writer
// below it and is excluded by it.
//
// A request waits for conflicting requests that are granted or were made earlier; it gets all its items at once or none.
// A cycle of waiting owners is broken as it arises: an owner in it that holds nothing goes to the end of the queue, else
// the youngest transaction is aborted. Plain commits hold nothing while they wait, so they are never aborted.
type locks struct {
	mu      sync.Mutex
	entries map[string][]*request // by item key, in order of asking; granted and waiting
	waiting []*request            // by seq
	seq     uint64
	closed  error
}

type lockMode uint8

const (
	intent    lockMode = iota // something below is locked
	shared                    // a plain commit: its order among its like is the committer's business
	exclusive                 // a transaction
)

func conflict(a, b lockMode) bool {
	return a == exclusive || b == exclusive
}

// owner is a transaction or a plain commit. Its fields are guarded by locks.mu.
type owner struct {
	age     uint64 // order of beginning; a retry keeps its first attempt's
	held    []*request
	waiting []*request
	ended   error // set when it may lock no more
}

type request struct {
	owner *owner
	items map[string]lockMode
	seq   uint64
	ready chan error // nil = granted
}

// lockWait bounds a wait even if the caller set no deadline.
const lockWait = time.Minute

func newLocks() *locks { return &locks{entries: map[string][]*request{}} }

func (l *locks) newOwner() *owner {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seq++
	return &owner{age: l.seq}
}

// docItems are the items that lock documents in a mode.
func docItems(names []docName, m lockMode) map[string]lockMode {
	items := make(map[string]lockMode, len(names)+2)
	for _, n := range names {
		c := n.collection()
		items["d"+n.String()] = m
		items["c"+c.database+"/"+c.path] = intent
		items["g"+c.database+"/"+c.id()] = intent
	}
	return items
}

func collItems(c collName) map[string]lockMode {
	return map[string]lockMode{"c" + c.database + "/" + c.path: exclusive, "g" + c.database + "/" + c.id(): intent}
}

func groupItems(database, id string) map[string]lockMode {
	return map[string]lockMode{"g" + database + "/" + id: exclusive}
}

// acquire blocks until o has all items, o is aborted, or ctx ends.
func (l *locks) acquire(ctx context.Context, o *owner, items map[string]lockMode) error {
	r, err := l.request(o, items)
	if r == nil || err != nil {
		return err
	}
	timer := time.NewTimer(lockWait)
	defer timer.Stop()
	select {
	case err := <-r.ready:
		return err
	case <-ctx.Done():
		err = status.FromContextError(ctx.Err()).Err()
	case <-timer.C:
		err = status.Errorf(codes.Aborted, "waited %v for a lock that another transaction holds", lockWait)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case err := <-r.ready: // decided meanwhile; a granted lock is released with its owner
		return err
	default:
	}
	l.withdraw(r)
	l.schedule()
	return err
}

func (l *locks) request(o *owner, items map[string]lockMode) (*request, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed != nil {
		return nil, l.closed
	}
	if o.ended != nil {
		return nil, o.ended
	}
	r := &request{owner: o, items: map[string]lockMode{}, ready: make(chan error, 1)}
	for key, m := range items {
		if !o.has(key, m) {
			r.items[key] = m
		}
	}
	if len(r.items) == 0 {
		return nil, nil
	}
	for key := range r.items {
		l.entries[key] = append(l.entries[key], r)
	}
	o.waiting = append(o.waiting, r)
	l.enqueue(r)
	l.schedule()
	l.breakCycles(o)
	return r, nil
}

func (o *owner) has(key string, m lockMode) bool {
	return slices.ContainsFunc(o.held, func(h *request) bool {
		got, ok := h.items[key]
		return ok && got >= m
	})
}

func (o *owner) isWaiting(r *request) bool { return slices.Contains(o.waiting, r) }

// enqueue puts r at the end of the queue, from wherever it was.
func (l *locks) enqueue(r *request) {
	l.waiting = slices.DeleteFunc(l.waiting, func(w *request) bool { return w == r })
	l.seq++
	r.seq = l.seq
	l.waiting = append(l.waiting, r)
}

// schedule grants what can be granted, oldest first.
func (l *locks) schedule() {
	for _, r := range slices.Clone(l.waiting) {
		if len(l.blockers(r)) > 0 {
			continue
		}
		l.waiting = slices.DeleteFunc(l.waiting, func(w *request) bool { return w == r })
		r.owner.waiting = slices.DeleteFunc(r.owner.waiting, func(w *request) bool { return w == r })
		r.owner.held = append(r.owner.held, r)
		r.ready <- nil
	}
}

// blockers are the owners that r waits for.
func (l *locks) blockers(r *request) []*owner {
	var owners []*owner
	for key, m := range r.items {
		for _, e := range l.entries[key] {
			if e.owner == r.owner || !conflict(e.items[key], m) {
				continue
			}
			if e.owner.isWaiting(e) && e.seq > r.seq {
				continue
			}
			owners = append(owners, e.owner)
		}
	}
	return owners
}

// breakCycles is called after o asked: only that can have closed a cycle, and it leads through o.
func (l *locks) breakCycles(o *owner) {
	for {
		cycle := l.cycle(o, o, map[*owner]bool{})
		if cycle == nil {
			return
		}
		if i := slices.IndexFunc(cycle, func(m *owner) bool { return len(m.held) == 0 }); i >= 0 {
			for _, r := range slices.Clone(cycle[i].waiting) {
				l.enqueue(r)
			}
		} else {
			victim := slices.MaxFunc(cycle, func(a, b *owner) int { return cmp.Compare(a.age, b.age) })
			l.end(victim, status.Error(codes.Aborted, "aborted: this transaction and an older one wait for each other's documents; try again"))
		}
		l.schedule()
	}
}

// cycle is the chain of owners from at back to start.
func (l *locks) cycle(start, at *owner, seen map[*owner]bool) []*owner {
	for _, r := range at.waiting {
		for _, b := range l.blockers(r) {
			if b == start {
				return []*owner{at}
			}
			if seen[b] {
				continue
			}
			seen[b] = true
			if rest := l.cycle(start, b, seen); rest != nil {
				return append(rest, at)
			}
		}
	}
	return nil
}

// release ends an owner for the given reason and lets others go on. The first reason stays.
func (l *locks) release(o *owner, reason error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end(o, reason)
	l.schedule()
}

// failure says why o was ended, if it was.
func (l *locks) failure(o *owner) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return o.ended
}

func (l *locks) end(o *owner, reason error) {
	if o.ended == nil {
		o.ended = reason
	}
	for _, r := range slices.Clone(o.waiting) {
		l.withdraw(r)
		r.ready <- o.ended
	}
	for _, r := range o.held {
		l.forget(r)
	}
	o.held = nil
}

func (l *locks) withdraw(r *request) {
	l.forget(r)
	l.waiting = slices.DeleteFunc(l.waiting, func(w *request) bool { return w == r })
	r.owner.waiting = slices.DeleteFunc(r.owner.waiting, func(w *request) bool { return w == r })
}

func (l *locks) forget(r *request) {
	for key := range r.items {
		left := slices.DeleteFunc(l.entries[key], func(e *request) bool { return e == r })
		if len(left) == 0 {
			delete(l.entries, key)
			continue
		}
		l.entries[key] = left
	}
}

// close fails all that wait and all that will ask.
func (l *locks) close(reason error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = reason
	for _, r := range slices.Clone(l.waiting) {
		l.withdraw(r)
		r.ready <- reason
	}
}
