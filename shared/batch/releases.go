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

// candidate reads the release that a trial names. What is wrong with it for good keeps its kind.
func (b *Batch) candidate(ctx context.Context, model, uri string) (*pipeline.Release, error) {
	ctx, cancel := context.WithTimeout(ctx, storageTimeout)
	defer cancel()
	r, err := pipeline.ReadCandidate(ctx, b.storage, b.cfg.Artifacts, model, uri)
	if err != nil && !forGood(err) {
		return nil, fault.New(fault.Unavailable, err, "the candidate cannot be read now")
	}
	return r, err
}

// forGood says that an object will not be readable later either.
func forGood(err error) bool {
	switch fault.KindOf(err) {
	case fault.NotFound, fault.Invalid, fault.TooLarge:
		return true
	}
	return false
}

// releaseOf is what a run is claimed with: the candidate that it tries, else the model's release. A model that is no longer
// released, or a candidate that is gone, gives an empty one, with which the run then fails.
func (b *Batch) releaseOf(ctx context.Context, run *ledger.Run) (ledger.Release, error) {
	if !run.Trial() {
		r, err := b.find(ctx, func(r *pipeline.Release) bool { return r.Model == run.Model })
		if err != nil || r == nil {
			return ledger.Release{}, err
		}
		return recorded(r)
	}
	r, err := b.candidate(ctx, run.Model, run.Trigger.Candidate)
	switch {
	case err == nil:
		return recorded(r)
	case forGood(err):
		return ledger.Release{}, nil
	}
	return ledger.Release{}, err
}

// recorded is a release as a run's record keeps it.
func recorded(r *pipeline.Release) (ledger.Release, error) {
	params, err := json.Marshal(r.Parameters)
	if err != nil {
		return ledger.Release{}, fmt.Errorf("parameters of the release of %s: %w", r.Model, err)
	}
	rel := ledger.Release{
		Version: r.Manifest.Version, Spec: r.Spec, SpecDigest: r.SpecDigest, Folder: r.Folder, FolderDigest: r.FolderDigest,
		ImageDigest: r.ImageDigest, Commit: r.Commit, Own: r.Image == "", Parameters: string(params),
		TimeLimit: int64(time.Duration(r.Manifest.Batch.TimeLimit).Seconds()),
	}
	return rel, nil
}
