package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"cloud.google.com/go/storage"

	"github.com/millrace-ml/millrace/internal/candidate"
	"github.com/millrace-ml/millrace/internal/change"
	"github.com/millrace-ml/millrace/internal/deploy"
	"github.com/millrace-ml/millrace/internal/identity"
	"github.com/millrace-ml/millrace/shared/pipeline"
)

// place says where to deploy to. Only a dry run goes without a project and a region.
type place struct {
	Project   string `help:"The project." env:"GOOGLE_CLOUD_PROJECT" placeholder:"ID"`
	Region    string `help:"The region of the services." env:"REGION"`
	Artifacts string `help:"The artifacts bucket. Left out: PROJECT-artifacts." placeholder:"BUCKET"`
	Staging   string `help:"The staging bucket, where releases are tried. Left out: PROJECT-staging." placeholder:"BUCKET"`
	DryRun    bool   `help:"Print every command and step that would be run, and run nothing; needs no project, account or gcloud."`
}

// options are what all commands here have in common. close ends the client that they hold.
func (p *place) options(ctx context.Context, c console, repo string) (o deploy.Options, done func() error, err error) {
	if p.DryRun {
		if p.Project == "" {
			p.Project = "PROJECT"
		}
		if p.Region == "" {
			p.Region = "REGION"
		}
	}
	if p.Project == "" || p.Region == "" {
		return o, nil, errors.New("where to? give --project and --region, or GOOGLE_CLOUD_PROJECT and REGION")
	}
	bucket := func(given, kind string) string {
		if given == "" {
			return p.Project + "-" + kind
		}
		return strings.TrimSuffix(strings.TrimPrefix(given, "gs://"), "/")
	}
	o = deploy.Options{
		Project: p.Project, Region: p.Region, DryRun: p.DryRun, Models: filepath.Join(shorter(repo), "models"), Artifacts: bucket(p.Artifacts, "artifacts"),
		Out: c.err, Env: os.Environ(), Holder: holder(c.getenv), Monitoring: c.getenv("MONITORING_ENDPOINT"), Now: time.Now,
		Token: func(ctx context.Context, audience string) (string, error) {
			return identity.Token(ctx, c.getenv, audience)
		},
		OpenStorage: c.openStorage,
	}
	if p.DryRun {
		o.Out = c.out
		return o, func() error { return nil }, nil
	}
	if o.Gcloud, err = deploy.Find(c.getenv("PATH")); err != nil {
		return o, nil, err
	}
	if o.Storage, err = c.openStorage(ctx); err != nil {
		if strings.Contains(err.Error(), "default credentials") {
			err = errors.New("there is no credential for Cloud Storage; run: gcloud auth application-default login")
		}
		return o, nil, err
	}
	o.Records, err = change.NewBucket(o.Storage, o.Artifacts)
	o.Try = p.try(c, o.Storage, o.Artifacts, bucket(p.Staging, "staging"))
	return o, o.Storage.Close, err
}

// try tries batch releases with batchtrigger.
func (p *place) try(c console, client *storage.Client, artifacts, staging string) func(context.Context, *pipeline.PublishInput, string, string) error {
	return func(ctx context.Context, in *pipeline.PublishInput, trigger, hash string) error {
		token, err := tokenFor(c, trigger)
		if err != nil {
			return err
		}
		_, err = candidate.Try(ctx, candidate.Options{
			In: in, Storage: client, Artifacts: artifacts, Staging: staging, Trigger: trigger, Unit: hash, Token: token, Log: c.err,
		})
		return err
	}
}

// holder names who deploys to those who wait.
func holder(getenv func(string) string) string {
	for _, key := range []string{"BUILD_ID", "GITHUB_RUN_ID"} {
		if id := getenv(key); id != "" {
			return "build " + id
		}
	}
	host, err := os.Hostname()
	if err != nil {
		host = "this machine"
	}
	return fmt.Sprintf("process %d on %s", os.Getpid(), host)
}

// shorter names a folder as a person in the working folder would.
func shorter(dir string) string {
	here, err := os.Getwd()
	if err != nil {
		return dir
	}
	if rel, err := filepath.Rel(here, dir); err == nil && !strings.HasPrefix(rel, "..") {
		return rel
	}
	return dir
}

type deployCmd struct {
	place
	Units []string      `arg:"" optional:"" name:"unit" help:"Which of the changed units. Left out: all."`
	Build string        `help:"What the steps before left: changed.json (ci changed), bundles/UNIT (ci bundle), image (ci image)." default:"build" placeholder:"DIR"`
	Watch time.Duration `help:"How long a new revision is watched at 10, at 50 and at 100 % of the traffic. Cloud Monitoring is about three minutes late." default:"5m"`
	Force bool          `help:"Deploy also over a newer commit, and a named unit that serves already."`
	Ready bool          `help:"Only say whether this checkout, this machine and this account could deploy."`
}

// Run deploys what changed, and prints what became of each unit.
func (d *deployCmd) Run(ctx context.Context, c console, ci *ciCmd) (err error) {
	if yes, err := c.deploys(); !yes {
		return err
	}
	build := &change.Build{}
	if !d.Ready {
		if build, err = d.read(ctx, c, ci.Repo); err != nil {
			return err
		}
	}
	if !d.DryRun {
		if err := deploy.Ready(ctx, build, ci.Repo, c.getenv); err != nil {
			return err
		}
	}
	o, done, err := d.options(ctx, c, ci.Repo)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	if d.Ready {
		return nil
	}
	o.Build, o.Dir, o.Units, o.Watch, o.Force = build, d.Build, d.Units, d.Watch, d.Force
	out, err := deploy.Run(ctx, o)
	if err != nil || d.DryRun {
		return err
	}
	for _, u := range out {
		if u.Err == nil {
			fmt.Fprintf(c.out, "%s\t%s\n", u.Unit, u.Did)
		}
	}
	if len(out) == 0 {
		fmt.Fprintln(c.err, "nothing changed since the last deployment")
	}
	return deploy.Failed(out)
}

// read gives the build of the steps before; a dry run does without, and then everything counts as changed.
func (d *deployCmd) read(ctx context.Context, c console, repo string) (*change.Build, error) {
	build, err := change.ReadBuild(d.Build)
	if err == nil || !d.DryRun || !errors.Is(err, fs.ErrNotExist) {
		return build, err
	}
	units, err := change.Units(ctx, repo)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(c.out, "# %s is not there: as if nothing had ever been deployed\n", filepath.Join(d.Build, change.BuildFile))
	return change.NewBuild(ctx, repo, c.getenv, change.Compare(units, nil)), nil
}

type rollbackCmd struct {
	place
	Model string `arg:"" help:"The model."`
	To    string `help:"The revision to give the traffic to. Left out: the one that served before." placeholder:"REVISION"`
}

// Run takes a model back.
func (r *rollbackCmd) Run(ctx context.Context, c console, ci *ciCmd) (err error) {
	o, done, err := r.options(ctx, c, ci.Repo)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	return deploy.Rollback(ctx, o, deploy.Revert{Model: r.Model, To: r.To})
}
