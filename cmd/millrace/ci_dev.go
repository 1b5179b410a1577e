package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/millrace-ml/millrace/internal/bundle"
	"github.com/millrace-ml/millrace/internal/change"
	"github.com/millrace-ml/millrace/internal/deploy"
	"github.com/millrace-ml/millrace/internal/identity"
)

// devRegion is where a person who says nothing tries a model out.
const devRegion = "us-central1"

type deployDevCmd struct {
	Model   string `arg:"" help:"The real-time model."`
	Project string `help:"The project; it may be empty." env:"GOOGLE_CLOUD_PROJECT" placeholder:"ID"`
	Region  string `help:"The region. Left out: us-central1." env:"REGION"`
	Build   string `help:"A folder for the bundle." default:"build/dev" placeholder:"DIR"`
	DryRun  bool   `help:"Print every command and step that would be run, and run nothing; needs no project, account or gcloud."`
}

// Run bundles the model as it is in the checkout, committed or not, deploys it, and prints the service's URL.
func (d *deployDevCmd) Run(ctx context.Context, c console, ci *ciCmd) error {
	if d.Project == "" && d.DryRun {
		d.Project = "PROJECT"
	}
	if d.Project == "" {
		return fmt.Errorf("where to? give --project, or GOOGLE_CLOUD_PROJECT")
	}
	if d.Region == "" {
		d.Region = devRegion
	}
	o := deploy.Options{
		Project: d.Project, Region: d.Region, DryRun: d.DryRun, Dir: d.Build, Out: c.err, Env: os.Environ(), Now: time.Now,
		Token: func(ctx context.Context, audience string) (string, error) {
			return identity.Token(ctx, c.getenv, audience)
		},
	}
	var err error
	if d.DryRun {
		o.Out = c.out
	} else if o.Gcloud, err = deploy.Find(c.getenv("PATH")); err != nil {
		return err
	}
	units, err := change.Units(ctx, ci.Repo)
	if err != nil {
		return err
	}
	name := change.PredictPrefix + d.Model
	at := slices.IndexFunc(units, func(u change.Unit) bool { return u.Name == name })
	if at < 0 {
		return fmt.Errorf("there is no model %q that serves realtime below %s", d.Model, filepath.Join(ci.Repo, "models"))
	}
	unit := change.Change{Unit: name, Action: change.Deploy, Hash: units[at].Hash}
	o.Build = change.NewBuild(ctx, ci.Repo, c.getenv, []change.Change{unit})
	dest := filepath.Join(d.Build, "bundles", name)
	fmt.Fprintf(o.Out, "# write the bundle of %s to %s\n", name, dest)
	if !d.DryRun {
		if err := d.bundle(ctx, c, ci.Repo, dest, unit.Hash); err != nil {
			return err
		}
	}
	url, err := deploy.Dev(ctx, o, unit)
	if err == nil && !d.DryRun {
		fmt.Fprintln(c.out, url)
	}
	return err
}

// bundle writes the model's bundle in the place of an earlier one.
func (d *deployDevCmd) bundle(ctx context.Context, c console, repo, dest, hash string) error {
	if err := os.RemoveAll(dest); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(dest), 0o755); err != nil {
		return err
	}
	_, err := bundle.Write(ctx, bundle.Options{Repo: repo, Function: bundle.Predict, Model: filepath.Join(repo, "models", d.Model), Unit: hash, Dest: dest, Storage: c.openStorage})
	return err
}
