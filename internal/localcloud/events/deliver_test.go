package events_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/millrace-ml/millrace/internal/localcloud/events"
)

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
