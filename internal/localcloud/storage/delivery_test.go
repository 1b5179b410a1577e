package storage_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/millrace-ml/millrace/internal/localcloud/events"
)

// An upload by Google's client reaches a function as Pub/Sub would push it, with the object's own resource as data.
func TestUploadReachesAFunction(t *testing.T) {
	t.Parallel()
	const topic = "projects/p/topics/uploads"
	s := withBucket(t, "box")
	if err := s.Notify("box", topic, ""); err != nil {
		t.Fatal(err)
	}
	type push struct {
		Message struct {
			Attributes map[string]string
			Data       []byte
			MessageID  string
		}
		Subscription string
	}
	got := make(chan push, 1)
	function := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var p push
		if err := json.NewDecoder(r.Body).Decode(&p); err != nil {
			t.Error(err)
		}
		got <- p
		w.WriteHeader(http.StatusNoContent)
	}))
	defer function.Close()
	d, err := events.NewDeliverer(s.Events(), events.Subscription{Name: "projects/p/subscriptions/onupload", Topic: topic, URL: function.URL}, events.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	a, err := write(t, s.client(t).Bucket("box").Object("in/x.csv"), "1,2\n", block)
	if err != nil {
		t.Fatal(err)
	}
	var p push
	select {
	case p = <-got:
	case <-ctx.Done():
		t.Fatal("no push came")
	}
	var o struct {
		Name, Bucket, TimeCreated, ContentType, Crc32c string
		Generation, Size, Metageneration               int64 `json:",string"`
	}
	if err := json.Unmarshal(p.Message.Data, &o); err != nil {
		t.Fatal(err)
	}
	created, err := time.Parse(time.RFC3339, o.TimeCreated)
	if err != nil || !created.Equal(a.Created) || o.Name != "in/x.csv" || o.Bucket != "box" || o.Generation != a.Generation || o.Size != 4 || o.Crc32c == "" {
		t.Errorf("%s, want %+v", p.Message.Data, a)
	}
	for n := 1; n > 0 && ctx.Err() == nil; {
		if n, err = s.Events().Len(topic); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
