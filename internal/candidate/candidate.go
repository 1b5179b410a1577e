// Package candidate tries the release of a batch model before its pointer moves: the whole pipeline runs once on the
// model's parity rows, as a request of its own whose output goes to staging, and every prediction is compared. It is for
// deployments. It moves no pointer (package pipeline does) and proves nothing about the function that answers in real time.
//
// A trial is found again: its rows, its candidate and its Idempotency-Key follow from the unit, so a build that is repeated
// goes on where the one before stopped. Only a trial that has failed is started again, under a key with the next number.
package candidate

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"cloud.google.com/go/storage"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/pipeline"
)

// DefaultDeadline is that of a trial as a whole. On Vertex a task takes minutes to begin, and a trial has two.
const DefaultDeadline = 30 * time.Minute

// Options say what is tried and where. Everything down to Unit is required.
type Options struct {
	In        *pipeline.PublishInput
	Storage   *storage.Client
	Artifacts string // bucket, by name
	Staging   string // bucket, by name
	Trigger   string // base URL of batchtrigger: https, or http on this machine
	Unit      string // hash of the unit; the Idempotency-Key comes of it

	Token    func(context.Context) (string, error) // identity token for Trigger; nil: it wants none, as on a laptop
	HTTP     *http.Client                          // http.DefaultClient; it follows no redirect here
	Deadline time.Duration                         // DefaultDeadline
	Poll     time.Duration                         // the first pause between two looks at the run; 1 s, and longer each time
	Log      io.Writer                             // told what happens, a line each; nil: nobody is
}

// Result is a trial that was passed.
type Result struct {
	Model     string `json:"model"`
	Candidate string `json:"candidate"` // gs:// URI
	RunID     string `json:"run_id"`
	Attempt   int    `json:"attempt"`         // trials of this unit so far
	Rows      int    `json:"rows"`            // compared; 0 with a graph of the user's own
	Own       bool   `json:"own,omitempty"`   // the graph is the user's own, so that its success is all there is to see
	Found     bool   `json:"found,omitempty"` // the run had been started before
}

// Try runs the candidate on the model's parity rows and compares its predictions with them. On an error nothing is released
// and nothing that runs in production has changed; the same call may be made again.
func Try(ctx context.Context, o Options) (*Result, error) {
	t, err := newTrial(o)
	if err != nil {
		return nil, err
	}
	rows, err := readRows(o.In.Folder)
	if err != nil {
		return nil, err
	}
	// A deadline of its own, so that it can be told from the caller's.
	ctx, cancel := context.WithTimeoutCause(ctx, t.deadline, errDeadline)
	defer cancel()
	uri, release, err := pipeline.Propose(ctx, o.Storage, o.Artifacts, *o.In)
	if err != nil {
		return nil, err
	}
	t.candidate, t.own = uri, release.Image == ""
	if err := t.warn(); err != nil {
		return nil, err
	}
	if err := t.writeRows(ctx, rows); err != nil {
		return nil, err
	}
	run, err := t.findOrStart(ctx)
	if err != nil {
		return nil, err
	}
	if run, err = t.follow(ctx, run); err != nil {
		return nil, err
	}
	result := &Result{Model: t.model, Candidate: uri, RunID: run.ID, Attempt: t.attempt, Own: t.own, Found: t.found}
	if t.own {
		t.say("the run succeeded; a graph of its own leaves nothing to compare")
		return result, nil
	}
	if err := t.compare(ctx, run, rows); err != nil {
		return nil, err
	}
	result.Rows = rows.n
	t.say("%d predictions are those of the parity rows", rows.n)
	return result, nil
}

// trial is one Try.
type trial struct {
	Options
	model     string
	unit      string // hex
	base      *url.URL
	client    *http.Client
	deadline  time.Duration
	candidate string
	own       bool
	dataset   dataset
	token     string // the last one that was given
	attempt   int
	found     bool
}

var hexUnit = regexp.MustCompile(`^[0-9a-f]{8,64}$`)

func newTrial(o Options) (*trial, error) {
	t := &trial{Options: o, unit: strings.TrimPrefix(o.Unit, "sha256:"), deadline: o.Deadline}
	switch {
	case o.In == nil || o.In.Manifest == nil || o.In.Folder == nil || o.Storage == nil:
		return nil, fault.New(fault.Internal, nil, "a trial needs a release and a storage client")
	case o.Artifacts == "" || o.Staging == "":
		return nil, fault.New(fault.Invalid, nil, "model %s: the artifacts bucket and the staging bucket must be named to try its release", o.In.Manifest.Name)
	case !hexUnit.MatchString(t.unit):
		return nil, fault.New(fault.Invalid, nil, "model %s: %.80q is no hash of a unit", o.In.Manifest.Name, o.Unit)
	}
	t.model = o.In.Manifest.Name
	var err error
	if t.base, err = url.Parse(strings.TrimSuffix(o.Trigger, "/")); err != nil || t.base.Host == "" || t.base.Scheme != "https" && !loopback(t.base) {
		return nil, fault.New(fault.Invalid, err, "batchtrigger is at %.200q, expected https://…: a token is sent over nothing else", o.Trigger)
	}
	client := http.Client{}
	if o.HTTP != nil {
		client = *o.HTTP
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	t.client = &client
	if t.deadline <= 0 {
		t.deadline = DefaultDeadline
	}
	if t.Poll <= 0 {
		t.Poll = time.Second
	}
	return t, nil
}

func loopback(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}

// say tells a person what happens.
func (t *trial) say(format string, args ...any) {
	if t.Log != nil {
		_, _ = fmt.Fprintf(t.Log, t.model+": "+format+"\n", args...) // nobody's output is worth the trial
	}
}

// warn says what cannot be kept apart: a graph of the user's own is redirected by its parameters alone.
func (t *trial) warn() error {
	if !t.own {
		return nil
	}
	spec, err := pipeline.Decode("pipeline of "+t.model, t.In.Spec)
	if err != nil {
		return err
	}
	declared := pipeline.Parameters(spec)
	for name, what := range map[string]string{"outbox": "writes where it writes in production", "dataset": "reads what it reads in production"} {
		if _, ok := declared[name]; !ok {
			t.say("warning: its pipeline has no parameter %s, so the trial %s", name, what)
		}
	}
	return nil
}
