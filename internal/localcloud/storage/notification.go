package storage

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace-ml/millrace/internal/localcloud/events"
)

const (
	topicPrefix   = "//pubsub.googleapis.com/"
	eventFinalize = "OBJECT_FINALIZE"
)

// notification says which events of a bucket go to which topic.
type notification struct {
	ID               string            `json:"id"`
	Topic            string            `json:"topic"` // //pubsub.googleapis.com/projects/P/topics/T
	PayloadFormat    string            `json:"payload_format,omitempty"`
	EventTypes       []string          `json:"event_types,omitempty"`
	ObjectNamePrefix string            `json:"object_name_prefix,omitempty"`
	CustomAttributes map[string]string `json:"custom_attributes,omitempty"`
}

func (n notification) topic() string { return strings.TrimPrefix(n.Topic, topicPrefix) }

func (n notification) resource(base, bucket string) map[string]any {
	r := map[string]any{
		"kind": "storage#notification", "id": n.ID, "topic": n.Topic, "payload_format": n.PayloadFormat, "etag": n.ID,
		"selfLink": base + "/storage/v1/b/" + bucket + "/notificationConfigs/" + n.ID,
	}
	if len(n.EventTypes) > 0 {
		r["event_types"] = n.EventTypes
	}
	if n.ObjectNamePrefix != "" {
		r["object_name_prefix"] = n.ObjectNamePrefix
	}
	if len(n.CustomAttributes) > 0 {
		r["custom_attributes"] = n.CustomAttributes
	}
	return r
}

func (n notification) valid() error {
	parts := strings.Split(n.topic(), "/")
	if !strings.HasPrefix(n.Topic, topicPrefix) || len(parts) != 4 || parts[0] != "projects" || parts[2] != "topics" {
		return invalid("Invalid topic %q, wanted //pubsub.googleapis.com/projects/PROJECT/topics/TOPIC", n.Topic)
	}
	if n.PayloadFormat != "JSON_API_V1" && n.PayloadFormat != "NONE" {
		return invalid("Invalid payload_format %q, wanted JSON_API_V1 or NONE", n.PayloadFormat)
	}
	if len(n.EventTypes) == 0 {
		return notOffered("events of all types; name OBJECT_FINALIZE in event_types")
	}
	for _, t := range n.EventTypes {
		if !slices.Contains([]string{eventFinalize, "OBJECT_DELETE", "OBJECT_METADATA_UPDATE", "OBJECT_ARCHIVE"}, t) {
			return invalid("Invalid event type %q", t)
		}
		if t != eventFinalize {
			return notOffered("events of type " + t)
		}
	}
	return nil
}

func (t *txn) addNotification(b *bucket, n notification) (notification, error) {
	if err := n.valid(); err != nil {
		return n, err
	}
	b.LastNotice++
	n.ID = strconv.Itoa(b.LastNotice)
	b.Notifications = append(b.Notifications, n)
	return n, t.putBucket(b)
}

// finalised writes the events of a new content, in the transaction that makes it. Changes of metadata have none.
func (t *txn) finalised(o, old *object) error {
	b, err := t.bucket(o.bucket)
	if err != nil {
		return err
	}
	for _, n := range b.Notifications {
		if !strings.HasPrefix(o.name, n.ObjectNamePrefix) {
			continue
		}
		attrs := map[string]string{
			"eventType": eventFinalize, "bucketId": o.bucket, "objectId": o.name,
			"objectGeneration": strconv.FormatInt(o.Generation, 10), "eventTime": o.Created.Format("2006-01-02T15:04:05.000000Z"),
			"payloadFormat": n.PayloadFormat, "notificationConfig": "projects/_/buckets/" + o.bucket + "/notificationConfigs/" + n.ID,
		}
		for k, v := range n.CustomAttributes {
			attrs[k] = v
		}
		if old != nil {
			attrs["overwroteGeneration"] = strconv.FormatInt(old.Generation, 10)
		}
		m := events.Message{Topic: n.topic(), Attributes: attrs, PublishTime: o.Created}
		if n.PayloadFormat == "JSON_API_V1" {
			if m.Data, err = json.Marshal(o.resource("https://www.googleapis.com")); err != nil {
				return err
			}
		}
		if _, err := t.s.queue.Append(t.tx, m); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) notificationsInsert(w http.ResponseWriter, r *http.Request, c call) error {
	fields, err := readFields(w, r)
	if err != nil {
		return err
	}
	raw, err := json.Marshal(fields)
	if err != nil {
		return err
	}
	var n notification
	if err := json.Unmarshal(raw, &n); err != nil {
		return invalid("Invalid notification configuration: %v", err)
	}
	err = s.commit(func(t *txn) error {
		b, err := t.bucket(c.bucket)
		if err != nil {
			return err
		}
		n, err = t.addNotification(b, n)
		return err
	})
	if err != nil {
		return err
	}
	return answer(w, r, n.resource(baseOf(r), c.bucket))
}

func (s *Server) notifications(bucket string) (list []notification, err error) {
	err = s.view(func(t *txn) error {
		b, err := t.bucket(bucket)
		if err == nil {
			list = b.Notifications
		}
		return err
	})
	return list, err
}

func (s *Server) notificationsList(w http.ResponseWriter, r *http.Request, c call) error {
	list, err := s.notifications(c.bucket)
	if err != nil {
		return err
	}
	out := map[string]any{"kind": "storage#notifications"}
	items := []map[string]any{}
	for _, n := range list {
		items = append(items, n.resource(baseOf(r), c.bucket))
	}
	if len(items) > 0 {
		out["items"] = items
	}
	return answer(w, r, out)
}

func (s *Server) notificationsGet(w http.ResponseWriter, r *http.Request, c call) error {
	list, err := s.notifications(c.bucket)
	if err != nil {
		return err
	}
	for _, n := range list {
		if n.ID == c.id {
			return answer(w, r, n.resource(baseOf(r), c.bucket))
		}
	}
	return notFound("The specified notification configuration does not exist: %s", c.id)
}

func (s *Server) notificationsDelete(w http.ResponseWriter, _ *http.Request, c call) error {
	err := s.commit(func(t *txn) error {
		b, err := t.bucket(c.bucket)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(b.Notifications, func(n notification) bool { return n.ID == c.id })
		if i < 0 {
			return notFound("The specified notification configuration does not exist: %s", c.id)
		}
		b.Notifications = slices.Delete(b.Notifications, i, i+1)
		return t.putBucket(b)
	})
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
