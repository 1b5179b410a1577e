package deploy

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/millrace-ml/millrace/internal/bundle"
	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/manifest"
)

// eventTrial tries onupload and batchtrigger. Their work must be done once, so nothing is sent to two revisions to compare
// them: the new one says which unit it is, and onupload ignores an upload that is none.
type eventTrial struct {
	function bundle.Function
	unit     string
	patience time.Duration
	now      func() time.Time
}

func (e *eventTrial) smoke(ctx context.Context, s *server) error {
	if err := e.which(ctx, s); err != nil {
		return err
	}
	if e.function != bundle.OnUpload {
		return nil
	}
	event, err := smokeEvent(e.now())
	if err != nil {
		return err
	}
	return s.patiently(ctx, e.patience, http.MethodPost, event, func(r reply) error {
		var answer struct{ Ignored string }
		if r.status != http.StatusOK || json.Unmarshal(r.body, &answer) != nil || answer.Ignored == "" {
			return fault.New(fault.Internal, nil, "the event of an object below %s is answered with %d %.200q, expected 200 and that it is ignored", manifest.SmokePrefix, r.status, r.body)
		}
		return nil
	})
}

// which wants the unit that was deployed.
func (e *eventTrial) which(ctx context.Context, s *server) error {
	return s.patiently(ctx, e.patience, http.MethodGet, nil, func(r reply) error {
		var answer struct{ Function, Unit string }
		if err := json.Unmarshal(r.body, &answer); r.status != http.StatusOK || err != nil || answer.Unit != e.unit || answer.Function != e.function.Target {
			return fault.New(fault.Internal, nil, "GET / is answered with %d %.200q, expected function %s of unit %s", r.status, r.body, e.function.Target, e.unit)
		}
		return nil
	})
}

func (e *eventTrial) compare(context.Context, *server, *server) error { return nil }

// check asks the new revision once more, now that it has the traffic.
func (e *eventTrial) check(ctx context.Context, _, after *server, _, _ time.Time) error {
	return e.which(ctx, after)
}

// smokeEvent is a push of Pub/Sub about an object that nobody uploaded.
func smokeEvent(now time.Time) ([]byte, error) {
	name := fmt.Sprintf("%s%d", manifest.SmokePrefix, now.Unix())
	object, err := json.Marshal(map[string]any{"bucket": "smoke-test", "name": name, "generation": "1", "size": "1", "timeCreated": now.UTC().Format(time.RFC3339)})
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{"deliveryAttempt": 1, "message": map[string]any{
		"attributes": map[string]string{"eventType": "OBJECT_FINALIZE", "bucketId": "smoke-test", "objectId": name, "payloadFormat": "JSON_API_V1"},
		"data":       base64.StdEncoding.EncodeToString(object), "messageId": "smoke", "publishTime": now.UTC().Format(time.RFC3339),
	}})
}
