package events_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"

	"github.com/millrace-ml/millrace/internal/localcloud/events"
)

const topic = "projects/p/topics/uploads"

func sub(url string) events.Subscription {
	return events.Subscription{Name: "projects/p/subscriptions/onupload", Topic: topic, URL: url}
}

func openDB(t *testing.T, path string) *bolt.DB {
	t.Helper()
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second, NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	db.MaxBatchDelay = 0
	return db
}

func openQueue(t *testing.T) *events.Queue {
	t.Helper()
	db := openDB(t, filepath.Join(t.TempDir(), "q.db"))
	t.Cleanup(func() { _ = db.Close() })
	q, err := events.Open(db)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func publish(t *testing.T, q *events.Queue, n int) {
	t.Helper()
	for i := range n {
		if _, err := q.Publish(events.Message{Topic: topic, Attributes: map[string]string{"objectId": fmt.Sprint("o", i+1)}, Data: []byte("{}"), PublishTime: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
}

// receiver is a function that takes pushes in memory, without a network, so that virtual time can pass.
type receiver struct {
	answer func(r *http.Request, p push) int // 0 = never answers

	mu    sync.Mutex
	began time.Time
	got   []push
	now   int
	most  int
}

type push struct {
	Message struct {
		Attributes             map[string]string
		Data                   []byte
		MessageID, PublishTime string
	}
	DeliveryAttempt *int
	Subscription    string
	after           time.Duration
}

func (r *receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	var p push
	if err := json.NewDecoder(req.Body).Decode(&p); err != nil {
		return nil, err
	}
	r.mu.Lock()
	p.after = time.Since(r.began)
	r.got = append(r.got, p)
	r.now++
	r.most = max(r.most, r.now)
	r.mu.Unlock()
	status := r.answer(req, p)
	r.mu.Lock()
	r.now--
	r.mu.Unlock()
	if status == 0 {
		<-req.Context().Done()
		return nil, req.Context().Err()
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader("because")), Request: req}, nil
}

func (r *receiver) ids() (out []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.got {
		out = append(out, p.Message.Attributes["objectId"])
	}
	return out
}

// deliver runs a deliverer for a span of virtual time. Call it inside a bubble.
func deliver(t *testing.T, q *events.Queue, r *receiver, o events.Options, span time.Duration) *events.Deliverer {
	t.Helper()
	o.Client = &http.Client{Transport: r}
	o.Log = slog.New(slog.DiscardHandler)
	d, err := events.NewDeliverer(q, sub("http://function/"), o)
	if err != nil {
		t.Fatal(err)
	}
	if r.began.IsZero() {
		r.began = time.Now()
	}
	ctx, cancel := context.WithTimeout(t.Context(), span)
	defer cancel()
	if err := d.Run(ctx); err != nil {
		t.Error(err)
	}
	return d
}

func (r *receiver) afters() (out []time.Duration) {
	for _, p := range r.got {
		out = append(out, p.after.Round(time.Second))
	}
	return out
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	for status, acknowledged := range map[int]bool{
		200: true, 201: true, 202: true, 204: true, 0: false, 203: false, 206: false, 301: false, 400: false, 404: false, 429: false, 500: false, 503: false,
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				q := openQueue(t)
				publish(t, q, 1)
				r := &receiver{answer: func(*http.Request, push) int { return status }}
				deliver(t, q, r, events.Options{}, 15*time.Second)
				left, err := q.Next(topic, "", 10)
				if err != nil || (len(left) == 0) != acknowledged {
					t.Errorf("%d messages left, %v", len(left), err)
				}
				if !acknowledged && (left[0].Attempts < 1 || left[0].LastError == "") {
					t.Errorf("%+v", left[0])
				}
			})
		})
	}
}

func TestBackoffDoublesUpToItsMaximum(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := openQueue(t)
		publish(t, q, 1)
		r := &receiver{answer: func(*http.Request, push) int { return 503 }}
		deliver(t, q, r, events.Options{MinBackoff: 10 * time.Second, MaxBackoff: time.Minute}, 5*time.Minute)
		want := []time.Duration{0, 10, 30, 70, 130, 190, 250}
		for i := range want {
			want[i] *= time.Second
		}
		if d := cmp.Diff(want, r.afters()); d != "" {
			t.Errorf("deliveries (-want +got):\n%s", d)
		}
	})
}

func TestReceiverThatNeverAnswersIsGivenUpAtTheDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := openQueue(t)
		publish(t, q, 1)
		r := &receiver{answer: func(*http.Request, push) int { return 0 }}
		deliver(t, q, r, events.Options{AckDeadline: 20 * time.Second, MinBackoff: 5 * time.Second}, 40*time.Second)
		if d := cmp.Diff([]time.Duration{0, 25 * time.Second}, r.afters()); d != "" {
			t.Errorf("deliveries (-want +got):\n%s", d)
		}
	})
}

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := openQueue(t)
		publish(t, q, 2)
		r := &receiver{answer: func(_ *http.Request, p push) int {
			if p.Message.Attributes["objectId"] == "o1" {
				return 500
			}
			return 200
		}}
		d := deliver(t, q, r, events.Options{MaxDeliveryAttempts: 5, MinBackoff: time.Second}, time.Minute)
		var attempts []int
		for _, p := range r.got {
			if p.Message.Attributes["objectId"] == "o1" {
				attempts = append(attempts, *p.DeliveryAttempt)
			}
		}
		if d := cmp.Diff([]int{1, 2, 3, 4, 5}, attempts); d != "" {
			t.Errorf("attempts (-want +got):\n%s", d)
		}
		dead, err := d.DeadLetters(10)
		if err != nil || len(dead) != 1 {
			t.Fatalf("%d dead letters, %v", len(dead), err)
		}
		m := dead[0]
		if m.Attributes["CloudPubSubDeadLetterSourceDeliveryCount"] != "5" || m.Attributes["CloudPubSubDeadLetterSourceSubscription"] != "onupload" ||
			m.Attributes["CloudPubSubDeadLetterSourceSubscriptionProject"] != "p" || m.Attributes["CloudPubSubDeadLetterSourceTopicPublishTime"] == "" ||
			m.Attributes["objectId"] != "o1" || string(m.Data) != "{}" || !strings.Contains(m.LastError, "because") || m.Topic != topic+"-dead-letter" {
			t.Errorf("%+v", m)
		}
		if n, err := q.Len(topic); n != 0 || err != nil {
			t.Errorf("%d messages left, %v", n, err)
		}
	})
}

func TestEnvelope(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := openQueue(t)
		publish(t, q, 1)
		var raw string
		r := &receiver{answer: func(req *http.Request, p push) int {
			if req.Method != "POST" || req.Header.Get("Content-Type") != "application/json" || req.URL.String() != "http://function/" {
				t.Errorf("%s %s %v", req.Method, req.URL, req.Header)
			}
			b, _ := json.Marshal(p)
			raw = string(b)
			return 204
		}}
		deliver(t, q, r, events.Options{}, time.Second)
		p := r.got[0]
		if p.DeliveryAttempt != nil || p.Subscription != "projects/p/subscriptions/onupload" || p.Message.MessageID == "" ||
			string(p.Message.Data) != "{}" || p.Message.Attributes["objectId"] != "o1" {
			t.Errorf("%s", raw)
		}
		if _, err := time.Parse(time.RFC3339, p.Message.PublishTime); err != nil {
			t.Error(err)
		}
	})
}

// A process that is killed in the middle of backoff leaves the attempts and the time of the next in the queue.
func TestRestartGoesOn(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "q.db")
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		db := openDB(t, path)
		q, err := events.Open(db)
		if err != nil {
			t.Fatal(err)
		}
		publish(t, q, 1)
		r := &receiver{began: began, answer: func(*http.Request, push) int { return 503 }}
		o := events.Options{MaxDeliveryAttempts: 10, MinBackoff: 10 * time.Second}
		deliver(t, q, r, o, 15*time.Second)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		db = openDB(t, path)
		defer func() { _ = db.Close() }()
		if q, err = events.Open(db); err != nil {
			t.Fatal(err)
		}
		deliver(t, q, r, o, 20*time.Second)
		if d := cmp.Diff([]time.Duration{0, 10 * time.Second, 30 * time.Second}, r.afters()); d != "" {
			t.Errorf("deliveries (-want +got):\n%s", d)
		}
		if got := *r.got[2].DeliveryAttempt; got != 3 {
			t.Errorf("attempt %d after the restart, want 3", got)
		}
	})
}

func TestDeliveryCutByShutdownDoesNotCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := openQueue(t)
		publish(t, q, 1)
		deliver(t, q, &receiver{answer: func(*http.Request, push) int { return 0 }}, events.Options{AckDeadline: time.Minute}, time.Second)
		left, err := q.Next(topic, "", 10)
		if err != nil || len(left) != 1 || left[0].Attempts != 0 {
			t.Errorf("%+v, %v", left, err)
		}
	})
}

func TestAtMostAHundredAtOnceAfterASlowStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := openQueue(t)
		publish(t, q, 1000)
		first := 0
		r := &receiver{}
		r.answer = func(*http.Request, push) int {
			time.Sleep(time.Second) // virtual
			r.mu.Lock()
			first = max(first, r.now*b2i(time.Since(r.began) < 1500*time.Millisecond))
			r.mu.Unlock()
			return 200
		}
		deliver(t, q, r, events.Options{}, time.Minute)
		if n, err := q.Len(topic); n != 0 || err != nil {
			t.Errorf("%d left, %v", n, err)
		}
		if r.most != 100 || first > 10 {
			t.Errorf("%d at once at most, %d in the first second; want 100, at most 10", r.most, first)
		}
	})
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestFaultsComeFromTheSeed(t *testing.T) {
	t.Parallel()
	order := func(t *testing.T, f events.Faults) (ids []string, after []time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			q := openQueue(t)
			publish(t, q, 20)
			r := &receiver{answer: func(*http.Request, push) int { return 200 }}
			deliver(t, q, r, events.Options{Faults: f}, time.Hour)
			if n, err := q.Len(topic); n != 0 || err != nil {
				t.Errorf("%d left, %v", n, err)
			}
			ids, after = r.ids(), r.afters()
		})
		return ids, after
	}
	inOrder := make([]string, 20)
	for i := range inOrder {
		inOrder[i] = fmt.Sprint("o", i+1)
	}
	t.Run("shuffle", func(t *testing.T) {
		t.Parallel()
		a, _ := order(t, events.Faults{Seed: 1, Shuffle: true})
		b, _ := order(t, events.Faults{Seed: 2, Shuffle: true})
		if slices.Equal(a, inOrder) || slices.Equal(a, b) {
			t.Errorf("seed 1: %v\nseed 2: %v", a, b)
		}
		slices.Sort(a)
		if len(slices.Compact(a)) != 20 {
			t.Errorf("%d messages", len(a))
		}
	})
	t.Run("copies", func(t *testing.T) {
		t.Parallel()
		ids, _ := order(t, events.Faults{Copies: 3})
		if len(ids) != 60 {
			t.Errorf("%d deliveries, want 60", len(ids))
		}
	})
	t.Run("delay", func(t *testing.T) {
		t.Parallel()
		_, a := order(t, events.Faults{Seed: 1, Delay: 10 * time.Minute})
		_, b := order(t, events.Faults{Seed: 1, Delay: 10 * time.Minute})
		if !slices.Equal(a, b) || a[len(a)-1] < time.Minute || a[len(a)-1] > 10*time.Minute {
			t.Errorf("%v\n%v", a, b)
		}
	})
	t.Run("drop", func(t *testing.T) {
		t.Parallel()
		if ids, _ := order(t, events.Faults{Drop: true}); len(ids) != 0 {
			t.Errorf("delivered %v", ids)
		}
	})
}

func TestOneSuccessOfSeveralCopiesAcknowledges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := openQueue(t)
		publish(t, q, 1)
		r := &receiver{}
		n := 0
		r.answer = func(*http.Request, push) int {
			r.mu.Lock()
			defer r.mu.Unlock()
			if n++; n == 2 {
				return 200
			}
			return 503
		}
		deliver(t, q, r, events.Options{Faults: events.Faults{Copies: 3}}, time.Minute)
		if len(r.got) != 3 {
			t.Errorf("%d deliveries, want 3", len(r.got))
		}
	})
}

func TestOldMessagesAreDropped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := openQueue(t)
		publish(t, q, 1)
		r := &receiver{answer: func(*http.Request, push) int { return 503 }}
		deliver(t, q, r, events.Options{Retention: time.Hour}, 3*time.Hour)
		if n, err := q.Len(topic); n != 0 || err != nil {
			t.Errorf("%d left, %v", n, err)
		}
		if last := r.got[len(r.got)-1].after; last > time.Hour {
			t.Errorf("delivered after %v", last)
		}
	})
}

// Messages that come while the deliverer waits are delivered at once, over a real connection.
func TestRealServer(t *testing.T) {
	t.Parallel()
	got := make(chan string, 10)
	hang := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var p push
		if err := json.NewDecoder(r.Body).Decode(&p); err != nil {
			t.Error(err)
		}
		got <- p.Message.Attributes["objectId"]
		if p.Message.Attributes["objectId"] == "o2" {
			w.WriteHeader(http.StatusProcessing) // acknowledges before the answer comes
			<-hang
		}
	}))
	defer srv.Close()
	defer close(hang)
	q := openQueue(t)
	d, err := events.NewDeliverer(q, sub(srv.URL+"/projects/p/topics/uploads"), events.Options{AckDeadline: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	publish(t, q, 3)
	for range 3 {
		select {
		case <-got:
		case <-ctx.Done():
			t.Fatal("a message did not come")
		}
	}
	for n := 1; n > 0 && ctx.Err() == nil; {
		if n, err = q.Len(topic); err != nil {
			t.Fatal(err)
		}
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.Error("a message was not acknowledged")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestSubscriptionsAreChecked(t *testing.T) {
	t.Parallel()
	q := openQueue(t)
	good := sub("http://127.0.0.1/")
	for name, c := range map[string]struct {
		q    *events.Queue
		edit func(s *events.Subscription, o *events.Options)
		word string
	}{
		"no queue":           {nil, func(*events.Subscription, *events.Options) {}, "no queue"},
		"short topic":        {q, func(s *events.Subscription, _ *events.Options) { s.Topic = "t" }, `topic "t"`},
		"short subscription": {q, func(s *events.Subscription, _ *events.Options) { s.Name = "projects//subscriptions/s" }, "projects//subscriptions/s"},
		"no address":         {q, func(s *events.Subscription, _ *events.Options) { s.URL = "function" }, `"function"`},
		"long deadline":      {q, func(_ *events.Subscription, o *events.Options) { o.AckDeadline = time.Hour }, "1h0m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, o := good, events.Options{}
			c.edit(&s, &o)
			if _, err := events.NewDeliverer(c.q, s, o); err == nil || !strings.Contains(err.Error(), c.word) {
				t.Errorf("%v, want an error with %q", err, c.word)
			}
		})
	}
}
