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
	clients, err := cloud.Open(ctx, cfg.Config)
	if err != nil {
		return nil, err
	}
	runs, err := batch.New(clients.Firestore, clients.Storage, clients.Pipelines, entry.Log, cfg.places(), cfg.Sweep.Options(cfg.Timing.Options()))
	if err != nil {
		return nil, errors.Join(err, clients.Close(ctx))
	}
	return &entry.Function{Handler: newHandler(runs, &cfg, entry.Unit(ctx)), Close: clients.Close}, nil
}
