// Package events is the local Pub/Sub: a durable queue of messages per topic, and their delivery as HTTP push with
// redelivery, backoff and dead letters. A message is appended inside the transaction of what it reports (Cloud Storage's
// finalise event in the object's transaction), so neither exists without the other.
//
// It is not a general Pub/Sub: a topic has one subscription, and there is no pull.
package events

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
)

// eventsBucket holds one nested bucket per topic; in it 8 bytes of sequence number, big endian, lead to a Message.
var eventsBucket = []byte("events")

// Message is one event of a topic, with the state of its delivery.
type Message struct {
	ID          string            `json:"id"` // decimal sequence number in its topic
	Topic       string            `json:"topic"`
	Attributes  map[string]string `json:"attributes,omitempty"`
	Data        []byte            `json:"data,omitempty"`
	PublishTime time.Time         `json:"publish_time"`

	Attempts  int       `json:"attempts,omitempty"` // deliveries that were handed back
	NotBefore time.Time `json:"not_before,omitzero"`
	LastError string    `json:"last_error,omitempty"`
}

// Queue is the messages of all topics in one database, which other servers may share.
type Queue struct {
	db *bolt.DB

	mu      sync.Mutex
	changed chan struct{}
}

// Open finds the queue in db, or makes it.
func Open(db *bolt.DB) (*Queue, error) {
	if db == nil {
		return nil, fmt.Errorf("open events: no database given")
	}
	err := db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(eventsBucket)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open events: %w", err)
	}
	return &Queue{db: db, changed: make(chan struct{})}, nil
}

// Append puts a message into the queue as part of tx and returns its id. Waiting deliverers learn of it when tx commits.
func (q *Queue) Append(tx *bolt.Tx, m Message) (string, error) {
	if m.Topic == "" {
		return "", fmt.Errorf("append event: the topic is empty")
	}
	b, err := tx.Bucket(eventsBucket).CreateBucketIfNotExists([]byte(m.Topic))
	if err != nil {
		return "", fmt.Errorf("append event to %s: %w", m.Topic, err)
	}
	seq, err := b.NextSequence()
	if err != nil {
		return "", fmt.Errorf("append event to %s: %w", m.Topic, err)
	}
	m.ID = strconv.FormatUint(seq, 10)
	if err := putMessage(b, seq, m); err != nil {
		return "", fmt.Errorf("append event to %s: %w", m.Topic, err)
	}
	tx.OnCommit(q.wake)
	return m.ID, nil
}

// Publish is Append in a transaction of its own.
func (q *Queue) Publish(m Message) (id string, err error) {
	err = q.db.Batch(func(tx *bolt.Tx) error {
		id, err = q.Append(tx, m)
		return err
	})
	return id, err
}

// Changed is closed when a message is appended after this call.
func (q *Queue) Changed() <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.changed
}

func (q *Queue) wake() {
	q.mu.Lock()
	defer q.mu.Unlock()
	close(q.changed)
	q.changed = make(chan struct{})
}

// Next lists up to limit messages of a topic whose id is above after ("" = from the first), oldest first.
func (q *Queue) Next(topic, after string, limit int) ([]Message, error) {
	from := uint64(0)
	if after != "" {
		n, err := strconv.ParseUint(after, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("list events of %s: %q is not a message id", topic, after)
		}
		from = n + 1
	}
	var out []Message
	err := q.db.View(func(tx *bolt.Tx) error {
		b := tx.Bucket(eventsBucket).Bucket([]byte(topic))
		if b == nil {
			return nil
		}
		c := b.Cursor()
		for k, v := c.Seek(seqKey(from)); k != nil && len(out) < limit; k, v = c.Next() {
			var m Message
			if err := json.Unmarshal(v, &m); err != nil {
				return fmt.Errorf("message %d: %w", binary.BigEndian.Uint64(k), err)
			}
			out = append(out, m)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list events of %s: %w", topic, err)
	}
	return out, nil
}

// Len counts the messages of a topic that are neither acknowledged nor dead.
func (q *Queue) Len(topic string) (n int, err error) {
	err = q.db.View(func(tx *bolt.Tx) error {
		if b := tx.Bucket(eventsBucket).Bucket([]byte(topic)); b != nil {
			c := b.Cursor()
			for k, _ := c.First(); k != nil; k, _ = c.Next() {
				n++
			}
		}
		return nil
	})
	return n, err
}

// Ack deletes a message for good. One that is already gone is fine: two deliveries of it may both succeed.
func (q *Queue) Ack(topic, id string) error {
	return q.change(topic, id, func(b *bolt.Bucket, seq uint64, _ Message) error {
		return b.Delete(seqKey(seq))
	})
}

// get finds one message.
func (q *Queue) get(topic, id string) (m Message, ok bool, err error) {
	seq, err := strconv.ParseUint(id, 10, 64)
	if err != nil {
		return m, false, fmt.Errorf("event %q of %s: not a message id", id, topic)
	}
	err = q.db.View(func(tx *bolt.Tx) error {
		b := tx.Bucket(eventsBucket).Bucket([]byte(topic))
		if b == nil {
			return nil
		}
		v := b.Get(seqKey(seq))
		if v == nil {
			return nil
		}
		ok = true
		return json.Unmarshal(v, &m)
	})
	return m, ok, err
}

// change runs fn on a message in one transaction; a missing message is left alone.
func (q *Queue) change(topic, id string, fn func(b *bolt.Bucket, seq uint64, m Message) error) error {
	seq, err := strconv.ParseUint(id, 10, 64)
	if err != nil {
		return fmt.Errorf("event %q of %s: not a message id", id, topic)
	}
	err = q.db.Batch(func(tx *bolt.Tx) error {
		b := tx.Bucket(eventsBucket).Bucket([]byte(topic))
		if b == nil {
			return nil
		}
		v := b.Get(seqKey(seq))
		if v == nil {
			return nil
		}
		var m Message
		if err := json.Unmarshal(v, &m); err != nil {
			return err
		}
		return fn(b, seq, m)
	})
	if err != nil {
		return fmt.Errorf("event %s of %s: %w", id, topic, err)
	}
	return nil
}

func putMessage(b *bolt.Bucket, seq uint64, m Message) error {
	v, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return b.Put(seqKey(seq), v)
}

func seqKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }
