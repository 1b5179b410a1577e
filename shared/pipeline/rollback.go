package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cloud.google.com/go/storage"

	"github.com/millrace-ml/millrace/shared/fault"
)

// Rollback moves a model's pointer to the release before the current one, and gives both: from as it was, to as the pointer
// says now. now names the dated copy.
//
// "Before" is what the pointer said when the current release was published, not what is older by date: each release names
// the dated copy that it replaced. So a second rollback goes one further back, a release that was taken back is never gone
// back to, and after a rollback and a new release "before" is the release that the rollback had restored. Every move, a
// rollback too, leaves a dated copy under history/, and none is ever changed.
//
// Two people who roll the same release back at once move the pointer once. Whoever repeats a rollback that has succeeded
// goes one further back: look at the answer first.
func Rollback(ctx context.Context, client *storage.Client, bucket, model string, now time.Time) (from, to *Release, err error) {
	if !modelName.MatchString(model) {
		return nil, nil, fault.New(fault.Invalid, nil, "%.80q is no name of a model", model)
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	current, err := readPointer(ctx, client, bucket, PointerObject(model))
	switch {
	case err != nil && fault.KindOf(err) == fault.Invalid:
		return nil, nil, fault.New(fault.Invalid, err, "model %s: its pointer is of no use, so that what was before is not known: release the model again", model)
	case err != nil:
		return nil, nil, err
	case current.release == nil:
		return nil, nil, fault.New(fault.NotFound, nil, "model %s is not released in gs://%s: there is nothing to roll back", model, bucket)
	case current.release.Before == "":
		return nil, nil, fault.New(fault.NotFound, nil, "model %s: no release is before the current one, version %s of %s",
			model, current.release.Manifest.Version, current.release.ReleasedAt.Format(time.RFC3339))
	}
	next, err := restore(ctx, client, bucket, current, now)
	if err != nil {
		return nil, nil, err
	}
	to, err = swing(ctx, client, bucket, next, current.generation, func(r *Release) bool {
		return r.Withdrew == current.history && r.same(next)
	})
	return current.release, to, err
}

// restore makes the release that the current one replaced the next one, and refuses one that could not start runs.
func restore(ctx context.Context, client *storage.Client, bucket string, current pointer, now time.Time) (*Release, error) {
	r := current.release
	place := "gs://" + bucket + "/" + r.Before
	data, _, err := readSmall(ctx, client, bucket, r.Before)
	if err != nil {
		return nil, err
	}
	if data == nil {
		return nil, fault.New(fault.NotFound, nil, "model %s: the release before the current one is gone: %s is not there", r.Model, place)
	}
	next, err := parseRelease(data, place, func(old *Release) error { return old.valid(PointerObject(r.Model)) })
	if err != nil {
		return nil, err
	}
	for _, uri := range []string{next.Spec, next.Folder} {
		in, object, err := parseURI(uri)
		if err != nil {
			return nil, err
		}
		_, err = client.Bucket(in).Object(object).Attrs(ctx)
		if errors.Is(err, storage.ErrObjectNotExist) {
			return nil, fault.New(fault.NotFound, err, "model %s: the release before the current one cannot start runs any more: %s is gone", r.Model, uri)
		}
		if err != nil {
			return nil, storageFault(err, "look at %s", uri)
		}
	}
	if err := refuseOverlap(ctx, client, bucket, next.Manifest); err != nil {
		return nil, fmt.Errorf("roll back: %w", err)
	}
	next.ReleasedAt, next.Withdrew = now.UTC().Truncate(time.Millisecond), current.history
	return next, nil
}
