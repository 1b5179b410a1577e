package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/millrace-ml/millrace/internal/change"
	"github.com/millrace-ml/millrace/internal/folder"
)

// deploys says whether a build is to deploy at all. Its trigger says so in DEPLOY: a pull request's is false, and the steps
// that are for a deployment then end well without doing anything, since a build has no "if". A person sets nothing.
func (c console) deploys() (bool, error) {
	switch v := c.getenv("DEPLOY"); v {
	case "", "true":
		return true, nil
	case "false":
		fmt.Fprintln(c.err, "skipped: this build does not deploy (DEPLOY=false)")
		return false, nil
	default:
		return false, fmt.Errorf("DEPLOY=%s: expected true or false", v)
	}
}

// readBuild reads what make changed left in dir. A dry run does without, and then everything counts as changed.
func readBuild(ctx context.Context, c console, repo, dir string, dry bool) (*change.Build, error) {
	return (&deployCmd{place: place{DryRun: dry}, Build: dir}).read(ctx, c, repo)
}

// current fails if a changed unit is not any more as it was when the build was compared.
func current(units []change.Unit, c change.Change) error {
	for _, u := range units {
		if u.Name == c.Unit && u.Hash == c.Hash {
			return nil
		}
	}
	return fmt.Errorf("%s has changed since %s was written; run: make changed", c.Unit, change.BuildFile)
}

type ciDiffCmd struct {
	Base  string `help:"The git revision to compare with. Without one there is nothing to compare." placeholder:"REV"`
	Build string `help:"The folder with the changed.json of ci changed." default:"build" placeholder:"DIR"`
}

// Run prints a comparison of each model whose own folder changed. Differences are no failure: a person judges them.
func (d ciDiffCmd) Run(ctx context.Context, c console, ci *ciCmd) error {
	if d.Base == "" {
		fmt.Fprintln(c.err, "skipped: there is no revision to compare the models with (BASE=REV)")
		return nil
	}
	build, err := readBuild(ctx, c, ci.Repo, d.Build, false)
	if err != nil {
		return err
	}
	models := changedModels(build)
	if len(models) == 0 {
		fmt.Fprintln(c.err, "no model changed")
	}
	for i, m := range models {
		if i > 0 {
			fmt.Fprintln(c.out)
		}
		report, err := folder.Diff{Models: filepath.Join(ci.Repo, "models"), Model: m, Base: d.Base, Getenv: c.getenv}.Run(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", m, err)
		}
		if err := printDiff(c, report); err != nil {
			return err
		}
	}
	return nil
}

// changedModels are the models of the build whose own folders changed, or that are new: code that they share with others
// is held to its results by tests.
func changedModels(b *change.Build) []string {
	var out []string
	for _, u := range b.Units {
		kind, model, ok := strings.Cut(u.Unit, "@")
		if !ok || u.Action != change.Deploy || (kind+"@" != change.PredictPrefix && kind+"@" != change.BatchPrefix) {
			continue
		}
		own := u.Was == ""
		for _, r := range u.Reasons {
			own = own || strings.HasPrefix(r, "models/"+model+"/")
		}
		if own && !slices.Contains(out, model) {
			out = append(out, model)
		}
	}
	return out
}
