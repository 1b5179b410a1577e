// Package step is what the tasks of the default batch pipeline do: plan, score, publish, finish, one process each, spoken
// to by the container contract of Vertex AI Pipelines. It is not for the graph (package batchscore) and moves no run
// from state to state itself (shared/batch does).
//
// Two rules hold everywhere. Every write has a precondition, so that a task may run again, or twice at once, and nothing
// changes but who was first. And a failure means "try again": what another try cannot mend is a verdict on the dataset,
// written down, and the task succeeds.
package step

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"cloud.google.com/go/storage"
	"github.com/googleapis/gax-go/v2"

	"github.com/millrace-ml/millrace/pipelines/batchscore"
	"github.com/millrace-ml/millrace/shared/batch"
	"github.com/millrace-ml/millrace/shared/cloud"
	"github.com/millrace-ml/millrace/shared/entry"
	"github.com/millrace-ml/millrace/shared/fault"
)

// Exit codes. Vertex retries a task whatever the code; a person who reads it knows whether that can help.
const (
	exitOK    = 0
	exitRetry = 1
	exitUsage = 2 // the command line or the executor input is wrong
)

// config is the step's environment. Project, database, region and buckets are parameters instead: the spec says where a
// run belongs, whatever machine it lands on.
type config struct{ cloud.Endpoints }

// task is one run of one subcommand.
type task struct {
	in    *executorInput
	store *objects
	cfg   config
	log   *slog.Logger
	now   func() time.Time
}

// Main runs the subcommand args[0] and answers the process's exit code. args are those behind the program's name.
func Main(ctx context.Context, args []string, getenv func(string) string, stderr io.Writer) int {
	t := &task{log: entry.NewLogger(stderr), now: time.Now}
	begin := t.now()
	if err := t.run(ctx, args, getenv); err != nil {
		t.log.LogAttrs(ctx, slog.LevelError, "the step failed: "+err.Error(), t.attrs(args, begin)...)
		var usage *usageError
		if errors.As(err, &usage) {
			return exitUsage
		}
		return exitRetry
	}
	return exitOK
}

func (t *task) attrs(args []string, begin time.Time) []slog.Attr {
	a := []slog.Attr{slog.Int64("ms", t.now().Sub(begin).Milliseconds())}
	if len(args) > 0 {
		a = append(a, slog.String("step", args[0]))
	}
	if t.in != nil {
		a = append(a, slog.String("run_id", t.in.text(batchscore.ParamRunID)), slog.String("model", t.in.text(batchscore.ParamModel)))
	}
	return a
}

// usageError is a call that cannot be understood.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func (t *task) run(ctx context.Context, args []string, getenv func(string) string) error {
	steps := map[string]func(context.Context) (outputs, error){
		batchscore.StepPlan: t.plan, batchscore.StepScore: t.score, batchscore.StepPublish: t.publish, batchscore.StepFinish: t.finish,
	}
	if len(args) != 3 || steps[args[0]] == nil || args[1] != batchscore.FlagExecutorInput {
		return &usageError{fmt.Sprintf("expected plan|score|publish|finish %s JSON", batchscore.FlagExecutorInput)}
	}
	in, err := readExecutorInput(args[2])
	if err != nil {
		return err
	}
	t.in = in
	if err := entry.Config(getenv, &t.cfg); err != nil {
		return &usageError{err.Error()}
	}
	client, err := cloud.Storage(ctx, t.cfg.Endpoints)
	if err != nil {
		return err
	}
	t.store = newObjects(client, t.now)
	out, err := steps[args[0]](ctx)
	if cerr := client.Close(); err == nil && cerr != nil {
		err = fmt.Errorf("close storage: %w", cerr)
	}
	if err != nil {
		return err
	}
	return in.answer(out)
}

// newObjects makes every call of the client repeat itself: all writes of this package are conditional.
func newObjects(client *storage.Client, now func() time.Time) *objects {
	client.SetRetry(storage.WithPolicy(storage.RetryAlways),
		storage.WithBackoff(gax.Backoff{Initial: 200 * time.Millisecond, Max: 10 * time.Second, Multiplier: 2}))
	return &objects{client: client, now: now, call: callTimeout, stall: stallTimeout}
}

// verdict is an error about the dataset as a whole that no further try can mend.
type verdict struct {
	state  string // of the run: "invalid" or "failed"
	reason string
}

func (v *verdict) Error() string { return v.state + ": " + v.reason }

func invalid(format string, args ...any) error {
	return &verdict{state: stateInvalid, reason: fmt.Sprintf(format, args...)}
}

const (
	stateInvalid = "invalid" // the dataset cannot be scored
	stateFailed  = "failed"  // it could, and the outcome is not good enough
)

// settle writes down a verdict and turns it into success; other errors stay what they are. A verdict that is there
// already stands: the first one was told to somebody.
func (t *task) settle(ctx context.Context, err error) error {
	var v *verdict
	if !errors.As(err, &v) {
		return err
	}
	_, werr := t.store.createJSON(ctx, t.in.text(batchscore.ParamStaging), batch.VerdictObject(t.in.text(batchscore.ParamRunID)),
		batch.Verdict{State: v.state, Reason: v.reason})
	if werr != nil && fault.KindOf(werr) != fault.Conflict {
		return werr
	}
	t.log.LogAttrs(ctx, slog.LevelWarn, "the dataset cannot be used", slog.String("run_id", t.in.text(batchscore.ParamRunID)),
		slog.String("model", t.in.text(batchscore.ParamModel)), slog.String("state", v.state), slog.String("reason", v.reason))
	return nil
}

// tempDir makes a folder below TMPDIR; the caller removes it.
func tempDir() (string, error) {
	dir, err := os.MkdirTemp("", "millrace-step-")
	if err != nil {
		return "", fmt.Errorf("make a temporary folder: %w", err)
	}
	return dir, nil
}
