// Package onupload is the function that turns an uploaded file into a run.
// event: Cloud Storage calls it, through Pub/Sub or Eventarc, for every object that is finalised in the inbox.
package onupload

import (
	"context"
	"errors"

	"github.com/GoogleCloudPlatform/functions-framework-go/functions"

	"github.com/millrace-ml/millrace/shared/batch"
	"github.com/millrace-ml/millrace/shared/cloud"
	"github.com/millrace-ml/millrace/shared/entry"
)

func init() { functions.HTTP("OnUpload", entry.HTTP("OnUpload", Open)) } // registers only

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
	runs, err := batch.New(clients.Firestore, clients.Storage, clients.Pipelines, entry.Log, cfg.places(), cfg.Options())
	if err != nil {
		return nil, errors.Join(err, clients.Close(ctx))
	}
	return &entry.Function{Handler: &handler{runs, entry.Unit(ctx)}, Close: clients.Close}, nil
}
