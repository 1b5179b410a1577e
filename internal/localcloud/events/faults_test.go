package events_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/millrace-ml/millrace/internal/localcloud/events"
)

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
