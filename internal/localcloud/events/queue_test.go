package events_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/millrace-ml/millrace/internal/localcloud/events"
)

func TestQueueOrderAndPaging(t *testing.T) {
	t.Parallel()
	q := openQueue(t)
	publish(t, q, 300) // ids of one to three digits: order is by number
	after := ""
	n := 0
	for {
		page, err := q.Next(topic, after, 7)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range page {
			n++
			if want := fmt.Sprint("o", n); m.Attributes["objectId"] != want {
				t.Fatalf("message %s is %s, want %s", m.ID, m.Attributes["objectId"], want)
			}
			after = m.ID
		}
		if len(page) == 0 {
			break
		}
	}
	if n != 300 {
		t.Errorf("%d messages", n)
	}
}

func TestAckIsFinalAndRepeatable(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "q.db")
	db := openDB(t, path)
	q, err := events.Open(db)
	if err != nil {
		t.Fatal(err)
	}
	publish(t, q, 2)
	for range 2 {
		if err := q.Ack(topic, "1"); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = openDB(t, path)
	defer func() { _ = db.Close() }()
	if q, err = events.Open(db); err != nil {
		t.Fatal(err)
	}
	left, err := q.Next(topic, "", 10)
	if err != nil || len(left) != 1 || left[0].ID != "2" {
		t.Errorf("%+v, %v", left, err)
	}
	publish(t, q, 1)
	if left, _ = q.Next(topic, "2", 10); len(left) != 1 || left[0].ID != "3" {
		t.Errorf("ids start again: %+v", left)
	}
}

func TestAppendSharesTheFateOfItsTransaction(t *testing.T) {
	t.Parallel()
	db := openDB(t, filepath.Join(t.TempDir(), "q.db"))
	defer func() { _ = db.Close() }()
	q, err := events.Open(db)
	if err != nil {
		t.Fatal(err)
	}
	changed := q.Changed()
	undo := errors.New("undo")
	err = db.Update(func(tx *bolt.Tx) error {
		if _, err := q.Append(tx, events.Message{Topic: topic}); err != nil {
			return err
		}
		return undo
	})
	if !errors.Is(err, undo) {
		t.Fatal(err)
	}
	select {
	case <-changed:
		t.Error("woken by a transaction that was rolled back")
	default:
	}
	if n, err := q.Len(topic); n != 0 || err != nil {
		t.Errorf("%d messages, %v", n, err)
	}
}

func TestConcurrentPublishersLoseNothing(t *testing.T) {
	t.Parallel()
	q := openQueue(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 25 {
				if _, err := q.Publish(events.Message{Topic: topic}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n, err := q.Len(topic); n != 200 || err != nil {
		t.Errorf("%d messages, %v", n, err)
	}
}

func TestQueueRefusesNonsense(t *testing.T) {
	t.Parallel()
	q := openQueue(t)
	if _, err := q.Publish(events.Message{}); err == nil {
		t.Error("a message without a topic")
	}
	if err := q.Ack(topic, "x"); err == nil {
		t.Error("an id that is no number")
	}
	if _, err := q.Next(topic, "x", 1); err == nil {
		t.Error("a position that is no number")
	}
	if _, err := events.Open(nil); err == nil {
		t.Error("no database")
	}
}
