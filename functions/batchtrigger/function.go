// Package batchtrigger is the function that starts runs by the clock and by hand, and keeps all runs moving.
// scheduled: Cloud Scheduler calls it for each tick, each minute to drain, every five minutes to reconcile. client: people.
package batchtrigger

import (
	"context"
	"errors"

	"github.com/GoogleCloudPlatform/functions-framework-go/functions"

	"github.com/millrace-ml/millrace/shared/batch"
	"github.com/millrace-ml/millrace/shared/cloud"
	"github.com/millrace-ml/millrace/shared/entry"
)

func init() { functions.HTTP("BatchTrigger", entry.HTTP("BatchTrigger", Open)) } // registers only

// Open opens the clients of storage, ledger and pipelines.
func Open(ctx context.Context, getenv func(string) string) (*entry.Function, error) {
	var cfg Config
	if err := entry.Config(getenv, &cfg); err != nil {
		return nil, err
	}
	objects, err := cloud.Storage(ctx, cfg.Endpoints)
	if err != nil {
		return nil, err
	}
	records, err := cloud.Firestore(ctx, cfg.Endpoints, cfg.Project, cfg.Database)
	if err != nil {
		return nil, errors.Join(err, objects.Close())
	}
	jobs, err := cloud.Pipelines(ctx, cfg.Endpoints, cfg.Region)
	if err != nil {
		return nil, errors.Join(err, objects.Close(), records.Close())
	}
	closeAll := func(context.Context) error { return errors.Join(objects.Close(), records.Close(), jobs.Close()) }
	runs, err := batch.New(records, objects, jobs, entry.Log, cfg.places(), cfg.Sweep.Options(cfg.Timing.Options()))
	if err != nil {
		return nil, errors.Join(err, closeAll(ctx))
	}
	return &entry.Function{Handler: newHandler(runs, &cfg), Close: closeAll}, nil
}
