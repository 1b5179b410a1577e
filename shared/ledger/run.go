package ledger

import (
	"encoding/json"
	"time"
)

// State is where a run stands. Which state may follow which is shared/batch's table.
type State string

// The states. The last six are final.
const (
	Pending    State = "pending"    // waits to be claimed
	Claimed    State = "claimed"    // somebody holds the lease and prepares the submission
	Submitting State = "submitting" // the job id is written; whether Vertex has the job is not known
	Submitted  State = "submitted"  // Vertex has the job
	Running    State = "running"    // Vertex runs it
	Succeeded  State = "succeeded"  // _SUCCESS.json exists
	Failed     State = "failed"
	Cancelled  State = "cancelled"
	Invalid    State = "invalid"    // can never be scored; the reason says why
	Ignored    State = "ignored"    // a rule says that it is not ours
	Superseded State = "superseded" // its generation is gone, a newer one exists
)

// States lists every state in the order of a run's life.
func States() []State {
	return []State{Pending, Claimed, Submitting, Submitted, Running, Succeeded, Failed, Cancelled, Invalid, Ignored, Superseded}
}

// Final says that nothing follows.
func (s State) Final() bool {
	switch s {
	case Succeeded, Failed, Cancelled, Invalid, Ignored, Superseded:
		return true
	}
	return false
}

// Owned says that a lease belongs to the state.
func (s State) Owned() bool { return s == Claimed || s == Submitting }

// Kind is what started a run.
type Kind string

// The kinds of trigger.
const (
	Upload  Kind = "upload"
	Tick    Kind = "tick"
	Request Kind = "request"
)

// Run is one record of the ledger. Everything that a takeover needs is in it, so that a starter which died can be
// replaced by one that knows nothing else.
type Run struct {
	Key        string    `firestore:"key" json:"key"`                  // identity of the trigger, hex; the document's id
	ID         string    `firestore:"run_id" json:"run_id"`            // also the Vertex job id
	Model      string    `firestore:"model" json:"model"`              //
	Kind       Kind      `firestore:"kind" json:"kind"`                //
	Trigger    Trigger   `firestore:"trigger" json:"trigger"`          //
	Dataset    Dataset   `firestore:"dataset" json:"dataset"`          //
	State      State     `firestore:"state" json:"state"`              //
	Reason     string    `firestore:"reason" json:"reason,omitempty"`  // for the person who sent the trigger
	Hold       string    `firestore:"hold" json:"hold,omitempty"`      // id of the run that a pending tick queues behind
	Owner      string    `firestore:"owner" json:"-"`                  // token of who claimed it
	Writer     string    `firestore:"writer" json:"-"`                 // token of the last write, to recognise an own write whose answer was lost
	Revision   int64     `firestore:"revision" json:"revision"`        // rises with each write, so that each write moves the update time
	Lease      float64   `firestore:"lease_seconds" json:"-"`          // a length: times of different clocks are never compared
	Attempt    int64     `firestore:"attempt" json:"attempt"`          // claims and takeovers
	Refusals   int64     `firestore:"refusals" json:"refusals"`        // attempts that ended in the waiting line, for want of quota
	Release    Release   `firestore:"release" json:"release"`          // fixed when claimed
	Job        string    `firestore:"job" json:"job,omitempty"`        // resource name at Vertex, written before the call
	Counts     Counts    `firestore:"counts" json:"counts"`            // from _SUCCESS.json
	CreatedAt  time.Time `firestore:"created" json:"created,omitzero"` // these five are server times
	ClaimedAt  time.Time `firestore:"claimed" json:"claimed,omitzero"`
	SubmitAt   time.Time `firestore:"submitted" json:"submitted,omitzero"`
	FinishedAt time.Time `firestore:"finished" json:"finished,omitzero"`
	History    []Change  `firestore:"history" json:"history,omitempty"` // the newest last, HistoryLimit at most

	UpdatedAt time.Time `firestore:"-" json:"updated,omitzero"` // the document's version
	readAt    time.Time // server time at which this copy was current
}

// Trigger keeps what started the run, for people and for taking it over. Only the fields of its kind are set.
type Trigger struct {
	Size     int64     `firestore:"size" json:"size,omitempty"`         // upload: bytes
	Uploaded time.Time `firestore:"uploaded" json:"uploaded,omitzero"`  // upload: timeCreated
	Schedule string    `firestore:"schedule" json:"schedule,omitempty"` // tick, request
	At       time.Time `firestore:"at" json:"at,omitzero"`              // tick, request: the instant that {date} and {hour} mean
	Manual   bool      `firestore:"manual" json:"manual,omitempty"`     // tick: forced by a person
	Request  string    `firestore:"request" json:"request,omitempty"`   // request: Idempotency-Key
	Body     string    `firestore:"body" json:"-"`                      // request: digest of what was asked
	By       string    `firestore:"by" json:"by,omitempty"`             // request: who

	// Candidate marks the trial of a release whose pointer has not moved: its gs:// URI. What such a run predicts is for
	// nobody but who asked for it.
	Candidate string `firestore:"candidate" json:"candidate,omitempty"` // request
}

// Dataset names the rows of one run: one object generation, or what lies under a prefix. It travels as a STRUCT
// parameter of the pipeline and, resolved by the plan step, as <staging>/<run>/dataset.json.
type Dataset struct {
	Bucket     string `firestore:"bucket" json:"bucket"`
	Object     string `firestore:"object" json:"object,omitempty"`
	Generation int64  `firestore:"generation" json:"generation,string,omitempty"` // 0: the plan step resolves it, once
	Prefix     string `firestore:"prefix" json:"prefix,omitempty"`                // set instead of Object
}

// Release is what a run was claimed with. A takeover submits exactly this, whatever has been released since.
type Release struct {
	Version      string `firestore:"version" json:"version,omitempty"` // of the model
	Spec         string `firestore:"spec" json:"spec,omitempty"`       // gs:// address of the compiled pipeline
	SpecDigest   string `firestore:"spec_digest" json:"spec_digest,omitempty"`
	Folder       string `firestore:"folder" json:"folder,omitempty"` // gs:// address of the model folder's tar
	FolderDigest string `firestore:"folder_digest" json:"folder_digest,omitempty"`
	ImageDigest  string `firestore:"image_digest" json:"image_digest,omitempty"`
	Commit       string `firestore:"commit" json:"commit,omitempty"`
	Own          bool   `firestore:"own_pipeline" json:"own_pipeline,omitempty"` // the graph is the user's: it closes no run and writes no proof
	Parameters   string `firestore:"parameters" json:"-"`                        // JSON: Firestore takes no list in a list
	TimeLimit    int64  `firestore:"time_limit_seconds" json:"time_limit_seconds,omitempty"`
}

// Values are the released parameters by name. They are never nil.
func (r *Release) Values() (map[string]any, error) {
	values := map[string]any{}
	if r.Parameters == "" || r.Parameters == "null" {
		return values, nil
	}
	err := json.Unmarshal([]byte(r.Parameters), &values)
	return values, err
}

// Counts are the rows of a finished run. Rows = Scored + Rejected.
type Counts struct {
	Rows     int64 `firestore:"rows" json:"rows"`
	Scored   int64 `firestore:"scored" json:"scored"`
	Rejected int64 `firestore:"rejected" json:"rejected"`
}

// Change is one step of a run's life. Its time is the writer's clock: good to read, never compared.
type Change struct {
	At    time.Time `firestore:"at" json:"at"`
	From  State     `firestore:"from" json:"from,omitempty"`
	To    State     `firestore:"to" json:"to"`
	Cause string    `firestore:"cause" json:"cause"`
}

// HistoryLimit bounds the history of one record; the oldest entries give way.
const HistoryLimit = 40

// LeaseLeft is how long the record's owner may still be at work: lease plus margin, less the age of the last write.
// Both times are the server's, so a wrong clock takes nothing over early. Zero or less: free to take over.
func (r *Run) LeaseLeft(margin time.Duration) time.Duration {
	if !r.State.Owned() {
		return 0
	}
	lease := max(time.Duration(r.Lease*float64(time.Second)), time.Second)
	return lease + margin - r.Age()
}

// Age is the time from the last write of the record to this reading of it, by the server's clock.
func (r *Run) Age() time.Duration { return r.readAt.Sub(r.UpdatedAt) }

// Waited is the time from the record's creation to this reading of it, by the server's clock.
func (r *Run) Waited() time.Duration { return r.readAt.Sub(r.CreatedAt) }

// ReadAt is the server time at which this copy of the record was current.
func (r *Run) ReadAt() time.Time { return r.readAt }

// Trial says that the run tries a candidate.
func (r *Run) Trial() bool { return r.Trigger.Candidate != "" }

// clone copies the record so that a change which is not stored leaves the original alone.
func (r *Run) clone() *Run {
	c := *r
	c.History = append([]Change(nil), r.History...)
	return &c
}
