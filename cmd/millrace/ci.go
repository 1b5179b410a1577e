package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/storage"

	"github.com/millrace-ml/millrace/internal/bundle"
	"github.com/millrace-ml/millrace/internal/change"
	"github.com/millrace-ml/millrace/shared/cloud"
	"github.com/millrace-ml/millrace/shared/entry"
)

// ciCmd holds what a build does, each step a command that a person can run too. What a program reads goes to standard
// output, what a person reads to standard error.
type ciCmd struct {
	Repo string `help:"The checkout." default:"." type:"path"`

	Changed changedCmd `cmd:"" help:"Say which units have to be deployed, and why."`
	Record  recordCmd  `cmd:"" help:"Record units as deployed, after they were; or as removed."`
	Diff    ciDiffCmd  `cmd:"" help:"Compare the predictions of each changed model with those of a git revision."`
	Bundle  bundleCmd  `cmd:"" help:"Write the source that a function is deployed from, or that of every changed one."`
	Image   imageCmd   `cmd:"" help:"Build the step image without Docker and push it."`
	Release releaseCmd `cmd:"" help:"Release a batch model: write its folder and graph, then move its pointer."`
	Try     tryCmd     `cmd:"" help:"Try the release of a batch model on its parity rows, before its pointer moves."`

	Deploy    deployCmd    `cmd:"" help:"Deploy what changed: each unit tried first, then recorded."`
	Rollback  rollbackCmd  `cmd:"" help:"Take a model back: the traffic to the revision before, the batch pointer to the release before."`
	DeployDev deployDevCmd `cmd:"" help:"Deploy one real-time model into a project without Terraform, and print its private URL."`
}

// openStorage opens Cloud Storage, or the local cloud's when STORAGE_EMULATOR_HOST says so.
func (c console) openStorage(ctx context.Context) (*storage.Client, error) {
	var e cloud.Endpoints
	if err := entry.Config(c.getenv, &e); err != nil {
		return nil, err
	}
	return cloud.Storage(ctx, e)
}

// maxReasons are shown of a unit to people; --json has all.
const maxReasons = 3

type changedCmd struct {
	Base     string `help:"Compare with this git revision: with the last commit that it and HEAD have in common." placeholder:"REV" xor:"with"`
	Deployed string `help:"Compare with what was deployed: a folder of records, or gs://BUCKET, the artifacts bucket." placeholder:"DIR|gs://BUCKET" xor:"with"`
	JSON     bool   `name:"json" help:"Print all units, changed or not, and the commit as JSON."`
	Build    string `help:"Write the same JSON into this folder too, as changed.json: the steps of a build after this one read it." placeholder:"DIR" type:"path"`
}

// Run compares.
func (ch changedCmd) Run(ctx context.Context, c console, ci *ciCmd) error {
	units, err := change.Units(ctx, ci.Repo)
	if err != nil {
		return err
	}
	was, err := ch.records(ctx, c, ci.Repo)
	if err != nil {
		return err
	}
	if change.Dirty(ctx, ci.Repo) {
		fmt.Fprintln(c.err, "the checkout has changes that are not committed: they count")
	}
	changes := change.Compare(units, was)
	build := change.NewBuild(ctx, ci.Repo, c.getenv, changes)
	if ch.Build != "" {
		if err := build.Write(ch.Build); err != nil {
			return err
		}
	}
	if ch.JSON {
		return printJSON(c, build)
	}
	same := 0
	for _, u := range changes {
		if u.Action == change.Keep {
			same++
			continue
		}
		fmt.Fprintf(c.out, "%s\t%s\t%s\n", u.Unit, u.Action, reasons(u.Reasons))
	}
	fmt.Fprintf(c.err, "%d units, %d as they were\n", len(changes), same)
	return nil
}

func reasons(all []string) string {
	if more := len(all) - maxReasons; more > 0 {
		return fmt.Sprintf("%s; and %d more", strings.Join(all[:maxReasons], "; "), more)
	}
	return strings.Join(all, "; ")
}

// records are what the units are compared with.
func (ch changedCmd) records(ctx context.Context, c console, repo string) ([]change.Record, error) {
	if ch.Base != "" {
		was, commit, err := change.Base(ctx, repo, ch.Base)
		if err == nil {
			fmt.Fprintf(c.err, "compared with %.12s\n", commit)
		}
		return was, err
	}
	if ch.Deployed == "" {
		fmt.Fprintln(c.err, "neither --deployed nor --base: everything counts as not deployed")
		return nil, nil
	}
	var was []change.Record
	err := withStore(ctx, c, ch.Deployed, func(s change.Store) (err error) {
		was, err = s.List(ctx)
		return err
	})
	if err == nil && len(was) == 0 {
		fmt.Fprintf(c.err, "%s has no records: everything counts as not deployed\n", ch.Deployed)
	}
	return was, err
}

// withStore opens the records that --deployed names: a folder, or a bucket.
func withStore(ctx context.Context, c console, place string, do func(change.Store) error) error {
	bucket, remote := strings.CutPrefix(place, "gs://")
	if !remote {
		return do(change.Folder(place))
	}
	bucket = strings.TrimSuffix(bucket, "/")
	if strings.Contains(bucket, "/") {
		return fmt.Errorf("--deployed %s: expected a bucket alone, the records lie below deployed/ in it", place)
	}
	client, err := c.openStorage(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	store, err := change.NewBucket(client, bucket)
	if err != nil {
		return err
	}
	return do(store)
}

type recordCmd struct {
	Units    []string `arg:"" name:"unit" help:"What was deployed, or removed."`
	Deployed string   `help:"Where the records are: a folder, or gs://BUCKET, the artifacts bucket." placeholder:"DIR|gs://BUCKET" required:""`
	Commit   string   `help:"The source revision, written into the record." env:"COMMIT_SHA"`
	Image    string   `help:"With the unit step: the image that was pushed, by digest. Later releases name it." placeholder:"REF"`
}

// Run records units as they are in the checkout, and forgets those that it does not have any more. Nothing is recorded if
// one of the names is neither.
func (r recordCmd) Run(ctx context.Context, c console, ci *ciCmd) error {
	if yes, err := c.deploys(); !yes {
		return err
	}
	units, err := change.Units(ctx, ci.Repo)
	if err != nil {
		return err
	}
	now := map[string]*change.Unit{}
	for i := range units {
		now[units[i].Name] = &units[i]
	}
	return withStore(ctx, c, r.Deployed, func(s change.Store) error {
		was, err := s.List(ctx)
		if err != nil {
			return err
		}
		for _, name := range r.Units {
			if name == change.Step && now[name] != nil && !bundle.ByDigest(r.Image) {
				return fmt.Errorf("--image %q: recording step takes the image that was pushed, as REPOSITORY@sha256:…", r.Image)
			}
			if now[name] == nil && !slices.ContainsFunc(was, func(r change.Record) bool { return r.Unit == name }) {
				return fmt.Errorf("%q is neither a unit of this checkout nor one that was recorded", name)
			}
		}
		for _, name := range r.Units {
			if u := now[name]; u != nil {
				done := u.Record(r.Commit, time.Now())
				if name == change.Step {
					done.Image = r.Image
				}
				if err := s.Write(ctx, done); err != nil {
					return err
				}
				fmt.Fprintf(c.out, "%s\t%s\n", name, u.Hash)
			} else if err := s.Delete(ctx, name); err != nil {
				return err
			} else {
				fmt.Fprintf(c.out, "%s\tforgotten\n", name)
			}
		}
		return nil
	})
}
