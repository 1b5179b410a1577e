package events_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

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

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
