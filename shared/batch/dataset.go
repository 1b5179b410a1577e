package batch

import (
	"time"

	"github.com/millrace-ml/millrace/shared/ledger"
)

// Dataset names the rows of one run: one object generation, or what lies under a prefix. It travels as a STRUCT
// parameter of the pipeline and, resolved by the plan step, as <staging>/<run>/dataset.json.
type Dataset = ledger.Dataset

// Success is _SUCCESS.json: written last, once, and the only thing a reader of the outbox may trust.
type Success struct {
	RunID    string    `json:"run_id"`
	Model    string    `json:"model"`
	Version  string    `json:"version"`
	Digest   string    `json:"digest"` // of the model's artifact, "sha256:<hex>"
	Rows     int64     `json:"rows"`   // = Scored + Rejected
	Scored   int64     `json:"scored"`
	Rejected int64     `json:"rejected"`
	Objects  []Object  `json:"objects"`
	Finished time.Time `json:"finished"`
}

// Object is one published object of the outbox, with what proves that it is whole.
type Object struct {
	Name   string `json:"name"`
	CRC32C uint32 `json:"crc32c"`
	Size   int64  `json:"size"`
}

// Verdict is verdict.json: why a dataset as a whole was not scored. Plan or publish writes it once and then exits 0,
// since a failing task would only be retried.
type Verdict struct {
	State  string `json:"state"`  // "invalid": none there, no rows, wrong columns; "failed": too many rejected rows
	Reason string `json:"reason"` // for the person who sent the dataset
}

// DatasetObject is the object of the staging bucket that lists what a run reads.
func DatasetObject(runID string) string { return runID + "/dataset.json" }

// VerdictObject is the object of the staging bucket that holds the run's verdict, if there is one.
func VerdictObject(runID string) string { return runID + "/verdict.json" }

// OutputPrefix is where a run's objects lie in the outbox. It ends with a slash.
func OutputPrefix(model, runID string) string { return model + "/" + runID + "/" }

// SuccessObject is the object of the outbox that says the run's output is complete.
func SuccessObject(model, runID string) string { return OutputPrefix(model, runID) + "_SUCCESS.json" }

// SummaryObject is the object of the outbox with the run's counts, lineage and timings.
func SummaryObject(model, runID string) string { return OutputPrefix(model, runID) + "summary.json" }
