package deploy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/storage"

	"github.com/millrace-ml/millrace/internal/bundle"
	"github.com/millrace-ml/millrace/internal/change"
	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/pipeline"
)

// image is the step image that this build pushed, or that was recorded: make image leaves its name.
func (d *deployment) image(ctx context.Context, s *script) (ref string, err error) {
	name := filepath.Join(d.Dir, imageFile)
	err = s.step(ctx, fmt.Sprintf("take the step image that make image pushed, by its digest, from %s", name), func(context.Context) error {
		text, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			return fault.New(fault.NotFound, nil, "%s is not there; run: make image", name)
		}
		if err != nil {
			return err
		}
		if ref = strings.TrimSpace(string(text)); !bundle.ByDigest(ref) {
			return fault.New(fault.Invalid, nil, "%s holds %.200q, expected REPOSITORY@sha256:…; run: make image", name, ref)
		}
		return nil
	})
	return ref, err
}

// batch releases a model: tried with its parity rows first, then its pointer moves.
func (d *deployment) batch(ctx context.Context, c change.Change, s *script) (err error) {
	model := strings.TrimPrefix(c.Unit, change.BatchPrefix)
	folder := filepath.Join(d.Models, model)
	image := ""
	if !ownGraph(folder) {
		d.mu.Lock()
		failed := d.failed[change.Step]
		d.mu.Unlock()
		if failed != nil {
			return fault.New(fault.Conflict, nil, "not released: the step image that it would run failed")
		}
		if image, err = d.image(ctx, s); err != nil {
			return err
		}
	}
	work, err := os.MkdirTemp("", "millrace-deploy-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	var in *pipeline.PublishInput
	if err := s.step(ctx, fmt.Sprintf("make the release of %s from %s", model, folder), func(ctx context.Context) (err error) {
		in, err = bundle.Release(ctx, bundle.ReleaseOptions{Model: folder, Image: image, Commit: d.Build.Commit, Now: d.Now(), Work: work, Storage: d.OpenStorage})
		return err
	}); err != nil {
		return err
	}
	trigger, err := s.describe(ctx, change.BatchTrigger)
	if err != nil {
		return fmt.Errorf("%s tries releases, and cannot be found: %w", change.BatchTrigger, err)
	}
	if err := s.step(ctx, fmt.Sprintf("try the release: %s runs the parity rows of %s into staging, and every prediction is compared", trigger.Status.URL, model), func(ctx context.Context) error {
		return d.Try(ctx, in, trigger.Status.URL, c.Hash)
	}); err != nil {
		return fmt.Errorf("the release is not good, its pointer stays: %w", err)
	}
	return s.step(ctx, fmt.Sprintf("move gs://%s/%s to the release", d.Artifacts, pipeline.PointerObject(model)), func(ctx context.Context) error {
		_, err := pipeline.Publish(ctx, d.Storage, d.Artifacts, *in)
		return err
	})
}

// ownGraph says whether a model folder has a graph of the user's own, which runs other images than ours.
func ownGraph(folder string) bool {
	_, err := os.Stat(filepath.Join(folder, "pipeline.yaml"))
	return err == nil
}

// unpublish removes a model's pointer: no run starts any more, those that run go on, and the history stays.
func (d *deployment) unpublish(ctx context.Context, s *script, model string) error {
	name := pipeline.PointerObject(model)
	return s.step(ctx, fmt.Sprintf("remove gs://%s/%s; its history stays", d.Artifacts, name), func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, callLimit)
		defer cancel()
		err := d.Storage.Bucket(d.Artifacts).Object(name).Retryer(storage.WithPolicy(storage.RetryAlways)).Delete(ctx)
		if err != nil && !errors.Is(err, storage.ErrObjectNotExist) {
			return unreachable(err, "remove gs://%s/%s", d.Artifacts, name)
		}
		return nil
	})
}

// unrelease moves a model's pointer to the release before.
func (d *deployment) unrelease(ctx context.Context, model string) error {
	return d.script.step(ctx, fmt.Sprintf("move gs://%s/%s to the release before", d.Artifacts, pipeline.PointerObject(model)), func(ctx context.Context) error {
		from, to, err := pipeline.Rollback(ctx, d.Storage, d.Artifacts, model, d.Now())
		if err != nil {
			return err
		}
		d.out.say("# %s: released is the version %s of %s again, before it was %s of %s", model,
			to.Manifest.Version, to.ReleasedAt.Format(time.RFC3339), from.Manifest.Version, from.ReleasedAt.Format(time.RFC3339))
		return nil
	})
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
