package events

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
)

// acknowledges are the statuses by which a push endpoint takes a message; all else hands it back.
var acknowledges = []int{http.StatusProcessing, http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent}

// envelope is the body of a push request.
type envelope struct {
	Message         envelopeMessage `json:"message"`
	DeliveryAttempt int             `json:"deliveryAttempt,omitempty"` // only with a dead-letter policy
	Subscription    string          `json:"subscription"`
}

type envelopeMessage struct {
	Attributes  map[string]string `json:"attributes,omitempty"`
	Data        []byte            `json:"data,omitempty"`
	MessageID   string            `json:"messageId"`
	PublishTime string            `json:"publishTime"`
}

// deliver makes one delivery and records its outcome.
func (d *Deliverer) deliver(ctx context.Context, id string) outcome {
	m, ok, err := d.queue.get(d.sub.Topic, id)
	switch {
	case err != nil:
		return outcome{id: id, err: err}
	case !ok:
		return outcome{id: id, ok: true}
	case d.o.Now().Sub(m.PublishTime) > d.o.Retention:
		d.o.Log.Error("event dropped: it is older than the subscription keeps messages", "message", id, "topic", m.Topic, "published", m.PublishTime)
		return outcome{id: id, ok: true, err: d.queue.Ack(m.Topic, id)}
	case d.o.Faults.Drop:
		return outcome{id: id, ok: true, err: d.queue.Ack(m.Topic, id)}
	}
	err = d.pushCopies(ctx, m)
	if err == nil {
		return outcome{id: id, ok: true, err: d.queue.Ack(m.Topic, id)}
	}
	if ctx.Err() != nil { // we are leaving: this delivery does not count
		return outcome{id: id}
	}
	return d.handedBack(m, err)
}

// pushCopies makes the delivery, several times at once if the faults want it; one success is enough.
func (d *Deliverer) pushCopies(ctx context.Context, m Message) error {
	results := make(chan error, d.o.Faults.Copies)
	for range d.o.Faults.Copies {
		go func() { results <- d.push(ctx, m) }()
	}
	var failed error
	taken := false
	for range d.o.Faults.Copies {
		if err := <-results; err != nil {
			failed = err
		} else {
			taken = true
		}
	}
	if taken {
		return nil
	}
	return failed
}

func (d *Deliverer) push(ctx context.Context, m Message) error {
	e := envelope{Subscription: d.sub.Name, Message: envelopeMessage{
		Attributes: m.Attributes, Data: m.Data, MessageID: m.ID, PublishTime: m.PublishTime.UTC().Format("2006-01-02T15:04:05.000Z"),
	}}
	if d.o.MaxDeliveryAttempts > 0 {
		e.DeliveryAttempt = m.Attempts + 1
	}
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, d.o.AckDeadline)
	defer cancel()
	var early atomic.Bool // the transport may call back after Do has given up
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: func(code int, _ textproto.MIMEHeader) error {
		if !slices.Contains(acknowledges, code) {
			return nil
		}
		early.Store(true)
		return errors.New("acknowledged")
	}})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.sub.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "CloudPubSub-Google")
	resp, err := d.o.Client.Do(req)
	if early.Load() {
		return nil
	}
	if err != nil {
		return err
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	_ = resp.Body.Close()
	if err != nil {
		return fmt.Errorf("status %d, then: %w", resp.StatusCode, err)
	}
	if !slices.Contains(acknowledges, resp.StatusCode) {
		return fmt.Errorf("status %d: %s", resp.StatusCode, strings.TrimSpace(string(text)))
	}
	return nil
}

// handedBack counts a failed delivery and sets the time of the next, or gives the message up.
func (d *Deliverer) handedBack(m Message, cause error) outcome {
	m.Attempts++
	m.LastError = cause.Error()
	if d.o.MaxDeliveryAttempts > 0 && m.Attempts >= d.o.MaxDeliveryAttempts {
		d.o.Log.Error("event given up", "event", "dead_letter", "message", m.ID, "topic", m.Topic, "attempts", m.Attempts,
			"object", m.Attributes["objectId"], "error", m.LastError)
		return outcome{id: m.ID, err: d.bury(m)}
	}
	wait := d.o.MaxBackoff
	if shift := m.Attempts - 1; shift < 32 && d.o.MinBackoff<<shift < wait && d.o.MinBackoff<<shift > 0 {
		wait = d.o.MinBackoff << shift
	}
	m.NotBefore = d.o.Now().Add(wait)
	d.o.Log.Warn("event handed back", "message", m.ID, "topic", m.Topic, "attempt", m.Attempts, "wait", wait.String(), "error", m.LastError)
	err := d.queue.change(m.Topic, m.ID, func(b *bolt.Bucket, seq uint64, _ Message) error { return putMessage(b, seq, m) })
	return outcome{id: m.ID, retry: m.NotBefore, err: err}
}

// bury moves a message to the dead-letter topic in one transaction.
func (d *Deliverer) bury(m Message) error {
	project := strings.Split(d.sub.Name, "/")[1]
	dead := m
	dead.Attempts = 0
	dead.Topic, dead.NotBefore, dead.PublishTime = d.o.DeadLetterTopic, time.Time{}, d.o.Now().UTC()
	dead.Attributes = map[string]string{
		"CloudPubSubDeadLetterSourceDeliveryCount":       strconv.Itoa(m.Attempts),
		"CloudPubSubDeadLetterSourceSubscription":        strings.Split(d.sub.Name, "/")[3],
		"CloudPubSubDeadLetterSourceSubscriptionProject": project,
		"CloudPubSubDeadLetterSourceTopicPublishTime":    m.PublishTime.UTC().Format(time.RFC3339Nano),
	}
	for k, v := range m.Attributes {
		dead.Attributes[k] = v
	}
	return d.queue.change(m.Topic, m.ID, func(b *bolt.Bucket, seq uint64, _ Message) error {
		if err := b.Delete(seqKey(seq)); err != nil {
			return err
		}
		_, err := d.queue.Append(b.Tx(), dead)
		return err
	})
}
