package batch

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"cloud.google.com/go/aiplatform/apiv1/aiplatformpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/millrace-ml/millrace/shared/ledger"
)

// Detail is one run with what Vertex and the outbox know of it.
type Detail struct {
	*ledger.Run
	JobState string          `json:"job_state,omitempty"` // as Vertex names it, without its prefix
	Tasks    []Task          `json:"tasks,omitempty"`     // in Vertex' order
	Summary  json.RawMessage `json:"summary,omitempty"`   // summary.json of a run that has published
	Problems []string        `json:"problems,omitempty"`  // parts that could not be read now
}

// Task is one task of a run's pipeline. Iterations of a loop are tasks of their own.
type Task struct {
	Name  string    `json:"name"`
	State string    `json:"state"`
	Start time.Time `json:"start,omitzero"`
	End   time.Time `json:"end,omitzero"`
	Error string    `json:"error,omitempty"`
}

// List gives one page of runs, the newest first.
func (b *Batch) List(ctx context.Context, p ledger.Page) (runs []*ledger.Run, next string, err error) {
	return b.ledger.List(ctx, p)
}

// Show gives one run with its tasks and counts. Vertex or storage being down leaves parts out and says so.
func (b *Batch) Show(ctx context.Context, runID string) (*Detail, error) {
	run, err := b.ledger.ByID(ctx, runID)
	if err != nil {
		return nil, err
	}
	d := &Detail{Run: run}
	if run.Job != "" {
		job, err := b.job(ctx, run)
		if err != nil {
			d.problem(ctx, b, "the job's tasks cannot be read now", err)
		}
		d.tasks(job)
	}
	summary, err := b.readObject(ctx, b.outboxOf(run), SummaryObject(run.Model, run.ID))
	if err != nil {
		d.problem(ctx, b, "summary.json cannot be read now", err)
	}
	if json.Valid(summary) {
		d.Summary = summary
	}
	return d, nil
}

func (d *Detail) problem(ctx context.Context, b *Batch, text string, err error) {
	d.Problems = append(d.Problems, text)
	b.log(ctx).LogAttrs(ctx, slog.LevelWarn, text, append(attrs(d.Run), slog.Any("error", err))...)
}

func (d *Detail) tasks(job *aiplatformpb.PipelineJob) {
	if job == nil {
		return
	}
	d.JobState = jobState(job)
	for _, t := range job.GetJobDetail().GetTaskDetails() {
		d.Tasks = append(d.Tasks, Task{
			Name: t.GetTaskName(), State: t.GetState().String(), Error: shorten(t.GetError().GetMessage(), reasonLimit),
			Start: instant(t.GetStartTime()), End: instant(t.GetEndTime()),
		})
	}
}

func instant(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}
