package events

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// maxAtOnce is the number of deliveries in work at most, and window its start and floor: like Pub/Sub, delivery starts
// slowly and grows while the receiver acknowledges, so that a receiver that fails is not run over.
const (
	maxAtOnce   = 100
	minAtOnce   = 4
	retention   = 7 * 24 * time.Hour
	maxDeadline = 600 * time.Second
)

// Subscription says what is delivered where.
type Subscription struct {
	Name  string // projects/P/subscriptions/S, as the receiver reads it
	Topic string // projects/P/topics/T
	URL   string // the push endpoint
}

// Options are the settings of a subscription; the zero value takes Pub/Sub's defaults, without dead letters.
type Options struct {
	AckDeadline         time.Duration // how long the receiver may take; 10 s
	MinBackoff          time.Duration // wait after the first delivery that was handed back; 10 s
	MaxBackoff          time.Duration // the wait doubles up to this; 600 s
	MaxDeliveryAttempts int           // then the message goes to the dead-letter topic; 0 = never
	DeadLetterTopic     string        // the topic's name + "-dead-letter"
	Retention           time.Duration // older messages are dropped, as Pub/Sub does; 7 days
	Faults              Faults
	Client              *http.Client     // a client that follows no redirects
	Now                 func() time.Time // time.Now
	Log                 *slog.Logger     // slog.Default()
}

// Faults make delivery as bad as Pub/Sub may be, the same way for the same seed.
type Faults struct {
	Seed    uint64
	Shuffle bool          // messages that are due are taken in another order
	Delay   time.Duration // each message waits up to this before its first delivery
	Copies  int           // each delivery is made this many times at once; one that succeeds acknowledges
	Drop    bool          // messages are acknowledged without being delivered
}

// Deliverer pushes the messages of one topic to one URL until each is acknowledged or dead. Its state is in the queue: a
// new Deliverer goes on where a killed one was.
type Deliverer struct {
	queue *Queue
	sub   Subscription
	o     Options

	window float64
}

// NewDeliverer checks the subscription. Run it once.
func NewDeliverer(q *Queue, sub Subscription, o Options) (*Deliverer, error) {
	switch {
	case q == nil:
		return nil, errors.New("deliver events: no queue given")
	case !resourceName(sub.Topic, "topics"):
		return nil, fmt.Errorf("deliver events: topic %q is not projects/PROJECT/topics/TOPIC", sub.Topic)
	case !resourceName(sub.Name, "subscriptions"):
		return nil, fmt.Errorf("deliver events: subscription %q is not projects/PROJECT/subscriptions/SUBSCRIPTION", sub.Name)
	case !strings.HasPrefix(sub.URL, "http://") && !strings.HasPrefix(sub.URL, "https://"):
		return nil, fmt.Errorf("deliver events: push endpoint %q is no http address", sub.URL)
	case o.AckDeadline > maxDeadline:
		return nil, fmt.Errorf("deliver events: ack deadline %v is over %v", o.AckDeadline, maxDeadline)
	}
	o.AckDeadline = cmp.Or(o.AckDeadline, 10*time.Second)
	o.MinBackoff = cmp.Or(o.MinBackoff, 10*time.Second)
	o.MaxBackoff = max(o.MinBackoff, cmp.Or(o.MaxBackoff, 600*time.Second))
	o.Retention = cmp.Or(o.Retention, retention)
	o.DeadLetterTopic = cmp.Or(o.DeadLetterTopic, sub.Topic+"-dead-letter")
	o.Faults.Copies = max(1, o.Faults.Copies)
	o.Client = cmp.Or(o.Client, &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }})
	o.Log = cmp.Or(o.Log, slog.Default())
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Deliverer{queue: q, sub: sub, o: o, window: minAtOnce}, nil
}

func resourceName(name, kind string) bool {
	p := strings.Split(name, "/")
	return len(p) == 4 && p[0] == "projects" && p[1] != "" && p[2] == kind && p[3] != ""
}

// DeadLetters lists messages that were given up, oldest first. Each has its last error.
func (d *Deliverer) DeadLetters(limit int) ([]Message, error) {
	return d.queue.Next(d.o.DeadLetterTopic, "", limit)
}

// Run delivers until ctx ends, then waits for the deliveries in work, which end with it and count as not made.
func (d *Deliverer) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	r := &round{Deliverer: d, done: make(chan outcome)}
	defer func() {
		cancel()
		for ; r.inWork > 0; r.inWork-- {
			<-r.done
		}
	}()
	for {
		changed := d.queue.Changed()
		if err := r.load(); err != nil {
			return err
		}
		wait := r.dispatch(ctx)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-changed:
		case out := <-r.done:
			if err := r.settle(out); err != nil {
				timer.Stop()
				return err
			}
		case <-timer.C:
		}
		timer.Stop()
	}
}

// round is the state of one Run: the messages that are known and wait, and the deliveries in work.
type round struct {
	*Deliverer
	waiting heapOf
	last    string // newest message loaded
	inWork  int
	done    chan outcome
}

type outcome struct {
	id    string
	retry time.Time // zero: acknowledged, dead or gone
	ok    bool
	err   error
}

const loadPage = 1000

// load takes note of messages that came since the last look.
func (r *round) load() error {
	for {
		page, err := r.queue.Next(r.sub.Topic, r.last, loadPage)
		if err != nil {
			return err
		}
		for _, m := range page {
			r.last = m.ID
			heap.Push(&r.waiting, r.entry(m.ID, r.due(m)))
		}
		if len(page) < loadPage {
			return nil
		}
	}
}

// due is when a message may be delivered: its backoff, or the fault's delay if it was never tried.
func (r *round) due(m Message) time.Time {
	if m.Attempts == 0 && r.o.Faults.Delay > 0 {
		return m.PublishTime.Add(time.Duration(r.chance(m.ID, "delay") % uint64(r.o.Faults.Delay)))
	}
	return m.NotBefore
}

func (r *round) entry(id string, due time.Time) entry {
	e := entry{id: id, due: due}
	if r.o.Faults.Shuffle {
		e.order = r.chance(id, "order")
	}
	return e
}

// chance is a number that only seed, message and purpose decide.
func (r *round) chance(id, purpose string) uint64 {
	h := fnv.New64a()
	_, _ = fmt.Fprintf(h, "%d\x00%s\x00%s", r.o.Faults.Seed, purpose, id)
	return h.Sum64()
}

// idle is how long Run sleeps at most when nothing is due; whatever happens in the queue wakes it.
const idle = time.Hour

// dispatch starts what is due, as far as the window allows, and returns how long until the next is.
func (r *round) dispatch(ctx context.Context) time.Duration {
	now := r.o.Now()
	if r.o.Faults.Shuffle {
		r.waiting.mix(now)
	}
	for len(r.waiting) > 0 {
		next := r.waiting[0]
		if wait := next.due.Sub(now); wait > 0 {
			return min(wait, idle)
		}
		if r.inWork >= int(r.window) {
			return idle // an outcome wakes us
		}
		heap.Pop(&r.waiting)
		r.inWork++
		go func() { r.done <- r.deliver(ctx, next.id) }()
	}
	return idle
}

func (r *round) settle(out outcome) error {
	r.inWork--
	if out.err != nil {
		return out.err
	}
	if out.ok {
		r.window = min(maxAtOnce, r.window+1)
	} else {
		r.window = max(minAtOnce, r.window/2)
	}
	if !out.retry.IsZero() {
		heap.Push(&r.waiting, r.entry(out.id, out.retry))
	}
	return nil
}

// entry is a waiting message; order decides among those that are due at once, by id if it is not set.
type entry struct {
	id    string
	due   time.Time
	order uint64
}

type heapOf []entry

func (h heapOf) Len() int { return len(h) }

func (h heapOf) Less(i, j int) bool {
	a, b := h[i], h[j]
	return cmp.Or(a.due.Compare(b.due), cmp.Compare(a.order, b.order), cmp.Compare(len(a.id), len(b.id)), cmp.Compare(a.id, b.id)) < 0
}

func (h heapOf) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push and Pop are for container/heap.
func (h *heapOf) Push(x any) { *h = append(*h, x.(entry)) }

// Pop is for container/heap.
func (h *heapOf) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// mix makes all that is due equal in time, so that only the seed decides the order.
func (h *heapOf) mix(now time.Time) {
	for i := range *h {
		if (*h)[i].due.Before(now) {
			(*h)[i].due = time.Time{}
		}
	}
	heap.Init(h)
}
