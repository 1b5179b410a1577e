package batch

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strconv"
	"time"

	"github.com/millrace-ml/millrace/shared/ledger"
	"github.com/millrace-ml/millrace/shared/pipeline"
)

// How much of a key, 64 hex digits, stands where.
const (
	labelDigits = 40 // in the label that proves whose a job is; label values end at 63 characters
	runDigits   = 20 // in a run's id: readable, and no two runs of a model and day share them by chance
)

// identity is the key of a trigger: sha256 in hex over its parts, each with its length in front, so that no two lists of
// parts read the same. Event ids are not among the parts: one upload may be announced under several.
func identity(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		_, _ = io.WriteString(h, strconv.Itoa(len(p))+":"+p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// runID names the run and its Vertex job. The date is the trigger's, so that a repeat after midnight has the same id.
func runID(model string, date time.Time, key string) string {
	return model + "-" + date.UTC().Format("20060102") + "-" + key[:runDigits]
}

// requestRunID is runID for a request with a key, which has no date.
func requestRunID(model, key string) string { return model + "-request-" + key[:runDigits] }

func labels(run *ledger.Run) map[string]string {
	return map[string]string{pipeline.LabelKey: run.Key[:labelDigits], "model": run.Model, "kind": string(run.Kind)}
}

func uploadKey(model string, u Upload) string {
	return identity(model, string(ledger.Upload), u.Bucket, u.Object, strconv.FormatInt(u.Generation, 10))
}

func tickKey(model, schedule string, at time.Time) string {
	return identity(model, string(ledger.Tick), schedule, at.UTC().Format(time.RFC3339))
}

// manualKey is of a tick that a person forced. The word keeps it apart from the tick of the same instant.
func manualKey(model, schedule string, minute time.Time) string {
	return identity(model, string(ledger.Tick), schedule, "manual", minute.UTC().Format(time.RFC3339))
}

// RequestRunID is the id of the run that a request of the model with this Idempotency-Key has, or would have.
func RequestRunID(model, idempotencyKey string) string {
	return requestRunID(model, requestKey(model, idempotencyKey))
}

func requestKey(model, idempotencyKey string) string {
	return identity(model, string(ledger.Request), idempotencyKey)
}
