package step

import (
	"context"
	"fmt"
	"log/slog"

	"cloud.google.com/go/firestore"

	"github.com/millrace-ml/millrace/pipelines/batchscore"
	"github.com/millrace-ml/millrace/shared/batch"
	"github.com/millrace-ml/millrace/shared/cloud"
	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/ledger"
)

// finalStatus is a PipelineTaskFinalStatus: what became of the task that the exit task waits for.
type finalStatus struct {
	State string `json:"state"`
	Error struct {
		Message string `json:"message"`
	} `json:"error"`
}

// finish closes the run in the ledger. It is a hint: what it cannot close, Reconcile will. So only what may pass by
// itself fails the task.
func (t *task) finish(ctx context.Context) (outputs, error) {
	in := t.in
	if err := in.need(batchscore.ParamRunID, batchscore.ParamModel, batchscore.ParamProject, batchscore.ParamDatabase, batchscore.ParamStaging, batchscore.ParamOutbox); err != nil {
		return nil, err
	}
	var status finalStatus
	if err := in.value(batchscore.ParamStatus, &status); err != nil {
		return nil, err
	}
	db, err := cloud.Firestore(ctx, t.cfg.Endpoints, in.text(batchscore.ParamProject), in.text(batchscore.ParamDatabase))
	if err != nil {
		return nil, err
	}
	state, err := t.close(ctx, db, status)
	if cerr := db.Close(); err == nil && cerr != nil {
		err = fmt.Errorf("close firestore: %w", cerr)
	}
	if err != nil && fault.KindOf(err).Retry() {
		return nil, err
	}
	level, text := slog.LevelInfo, "closed"
	if err != nil {
		level, text = slog.LevelWarn, "the run cannot be closed from here: "+err.Error()
	}
	t.log.LogAttrs(ctx, level, text, slog.String("run_id", in.text(batchscore.ParamRunID)), slog.String("model", in.text(batchscore.ParamModel)), slog.String("state", string(state)))
	return nil, nil
}

func (t *task) close(ctx context.Context, db *firestore.Client, status finalStatus) (ledger.State, error) {
	log := func(context.Context) *slog.Logger { return t.log }
	c, err := batch.NewCloser(db, t.store.client, log, t.in.text(batchscore.ParamStaging), t.in.text(batchscore.ParamOutbox), ledger.Options{})
	if err != nil {
		return "", err
	}
	return c.Finish(ctx, t.in.text(batchscore.ParamRunID), status.State, status.Error.Message)
}
