package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/millrace-ml/millrace/internal/bundle"
	"github.com/millrace-ml/millrace/shared/pipeline"
)

type releaseCmd struct {
	Model  string `arg:"" help:"The model."`
	Image  string `help:"The step image, by digest. A model with a graph of its own takes none." placeholder:"REF"`
	Bucket string `help:"The artifacts bucket." required:""`
	Commit string `help:"The source revision, written into the release." env:"COMMIT_SHA"`
	DryRun bool   `help:"Print what would be written, and write nothing."`
}

// Run releases, and prints the release that holds afterwards.
func (r releaseCmd) Run(ctx context.Context, c console, ci *ciCmd) (err error) {
	work, err := os.MkdirTemp("", "millrace-release-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	bucket := strings.TrimSuffix(strings.TrimPrefix(r.Bucket, "gs://"), "/")
	in, err := bundle.Release(ctx, bundle.ReleaseOptions{
		Model: filepath.Join(ci.Repo, "models", r.Model), Image: r.Image, Commit: r.Commit, Now: time.Now(), Work: work, Storage: c.openStorage,
	})
	if err != nil {
		return err
	}
	if r.DryRun {
		objects, err := bundle.Objects(bucket, in)
		if err != nil {
			return err
		}
		for i, verb := range []string{"write, unless it is there", "write, unless it is there", "move to these"} {
			fmt.Fprintf(c.out, "%s\t%s\n", objects[i], verb)
		}
		return nil
	}
	client, err := c.openStorage(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	released, err := pipeline.Publish(ctx, client, bucket, *in)
	if err != nil {
		return err
	}
	if !released.ReleasedAt.Equal(in.Now.UTC().Truncate(time.Millisecond)) {
		fmt.Fprintf(c.err, "%s: released already, on %s\n", r.Model, released.ReleasedAt.Format(time.RFC3339))
	}
	return printJSON(c, released)
}
