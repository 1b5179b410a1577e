package batch

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/ledger"
	"github.com/millrace-ml/millrace/shared/pipeline"
)

// listReleases gives what is released, as the cache has it. Whatever keeps it from being read may pass, so it is always
// Unavailable: a trigger must not be acknowledged because of it.
func (b *Batch) listReleases(ctx context.Context) ([]pipeline.Release, error) {
	releases, err := b.releases.All(ctx)
	if err != nil {
		return nil, fault.New(fault.Unavailable, err, "the released models cannot be read")
	}
	return releases, nil
}

// find gives the release that fits, or nil. Before it says no, it reads the list again: a model may have been released a
// moment ago.
func (b *Batch) find(ctx context.Context, fits func(*pipeline.Release) bool) (*pipeline.Release, error) {
	r, ok, err := b.releases.Find(ctx, fits)
	if err != nil {
		return nil, fault.New(fault.Unavailable, err, "the released models cannot be read")
	}
	if !ok {
		return nil, nil
	}
	return r, nil
}

// release is what a run of the model is claimed with. A model that is no longer released gives an empty one, with which
// the run then fails.
func (b *Batch) release(ctx context.Context, model string) (ledger.Release, error) {
	r, err := b.find(ctx, func(r *pipeline.Release) bool { return r.Model == model })
	if err != nil || r == nil {
		return ledger.Release{}, err
	}
	params, err := json.Marshal(r.Parameters)
	if err != nil {
		return ledger.Release{}, fmt.Errorf("parameters of the release of %s: %w", model, err)
	}
	rel := ledger.Release{
		Version: r.Manifest.Version, Spec: r.Spec, SpecDigest: r.SpecDigest, Folder: r.Folder, FolderDigest: r.FolderDigest,
		ImageDigest: r.ImageDigest, Commit: r.Commit, Parameters: string(params),
		TimeLimit: int64(time.Duration(r.Manifest.Batch.TimeLimit).Seconds()),
	}
	return rel, nil
}
