package onupload

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2"
	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/millrace-ml/millrace/shared/batch"
	"github.com/millrace-ml/millrace/shared/entry"
	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/ledger"
)

// finalized is the type of the one event that starts runs. Both ways of delivery become an event of this type.
const finalized = "google.cloud.storage.object.v1.finalized"

// bodyLimit is twice what Eventarc delivers at most; a notification has about 2 KiB.
const bodyLimit = 1 << 20

// handler is idempotent: one generation of an object gives one run, however often and under however many event ids it is
// delivered. A delivery of something submitted or finished changes nothing and is acknowledged.
type handler struct {
	runs *batch.Batch
	unit string // what is deployed
}

// client: GET / tells a deployment which function and unit answer.
// event: POST / or any path below it, Pub/Sub push or CloudEvent, once per object and again until it is acknowledged.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && r.URL.Path == "/" {
		entry.WriteJSON(w, http.StatusOK, map[string]string{"function": "OnUpload", "unit": h.unit})
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		entry.WriteError(w, r, fault.New(fault.Method, nil, "events are sent with POST"))
		return
	}
	run, err := h.start(w, r)
	switch {
	case err == nil:
		entry.Annotate(r.Context(), slog.String("run_id", run.ID), slog.String("model", run.Model), slog.String("state", string(run.State)))
		status := http.StatusOK
		if run.State == ledger.Pending {
			status = http.StatusAccepted
		}
		entry.WriteJSON(w, status, run)
	case fault.KindOf(err).Retry():
		entry.WriteError(w, r, err)
	default: // delivering it again would change nothing
		entry.Log(r.Context()).LogAttrs(r.Context(), slog.LevelWarn, "event acknowledged without a run",
			slog.String("event", "upload_ignored"), slog.Any("error", err))
		entry.WriteJSON(w, http.StatusOK, map[string]string{"ignored": fault.Public(err).Message})
	}
}

func (h *handler) start(w http.ResponseWriter, r *http.Request) (*ledger.Run, error) {
	body, err := entry.ReadBody(w, r, bodyLimit)
	if err != nil {
		return nil, err
	}
	ev, err := decode(r, body)
	if err != nil {
		return nil, err
	}
	upload, err := object(ev)
	if err != nil {
		return nil, err
	}
	entry.Annotate(r.Context(), slog.String("bucket", upload.Bucket), slog.String("object", upload.Object), slog.Int64("generation", upload.Generation))
	return h.runs.Start(r.Context(), upload)
}

// push is the body of a Pub/Sub push. functions.CloudEvent would convert it, but loses deliveryAttempt.
type push struct {
	Message *struct {
		Attributes struct{ EventType, BucketID, ObjectID, PayloadFormat string }
		Data       []byte
		MessageID  string
		Published  time.Time `json:"publishTime"`
	}
	DeliveryAttempt int
}

// decode makes an event of either form: a CloudEvent as Eventarc sends it, or Pub/Sub's envelope of a notification.
func decode(r *http.Request, body []byte) (*event.Event, error) {
	r.Body = io.NopCloser(bytes.NewReader(body))
	if ev, err := cloudevents.NewEventFromHTTPRequest(r); err == nil {
		return ev, nil
	}
	var p push
	if err := json.Unmarshal(body, &p); err != nil || p.Message == nil {
		return nil, fault.New(fault.Invalid, err, "the body is neither a CloudEvent nor a Pub/Sub push")
	}
	entry.Annotate(r.Context(), slog.Int("delivery_attempt", p.DeliveryAttempt))
	m := p.Message
	ev := cloudevents.NewEvent()
	ev.SetID(m.MessageID)
	ev.SetTime(m.Published)
	ev.SetSource("//storage.googleapis.com/projects/_/buckets/" + m.Attributes.BucketID)
	ev.SetSubject("objects/" + m.Attributes.ObjectID)
	ev.SetType(m.Attributes.EventType)
	if m.Attributes.EventType == "OBJECT_FINALIZE" {
		ev.SetType(finalized)
	}
	if err := ev.SetData(cloudevents.ApplicationJSON, m.Data); err != nil {
		return nil, fault.New(fault.Invalid, err, "the message's data cannot be read")
	}
	return &ev, nil
}

// object reads the object resource that the event carries. Numbers come as strings or as numbers.
func object(ev *event.Event) (batch.Upload, error) {
	if ev.Type() != finalized {
		return batch.Upload{}, fault.New(fault.Invalid, nil, "the event is of type %.120q, expected %q", ev.Type(), finalized)
	}
	var o struct {
		Bucket, Name     string
		Generation, Size json.Number
		TimeCreated      time.Time
	}
	if err := json.Unmarshal(ev.Data(), &o); err != nil {
		return batch.Upload{}, fault.New(fault.Invalid, err, "the event's data is no object resource (payload format JSON_API_V1)")
	}
	generation, gerr := o.Generation.Int64()
	size, serr := o.Size.Int64()
	if gerr != nil || serr != nil || size < 0 {
		return batch.Upload{}, fault.New(fault.Invalid, nil, "the event's generation is %.40q and its size %.40q, expected whole numbers", o.Generation, o.Size)
	}
	return batch.Upload{Bucket: o.Bucket, Object: o.Name, Generation: generation, Size: size, Created: o.TimeCreated}, nil
}
