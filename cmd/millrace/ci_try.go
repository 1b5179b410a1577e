package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/millrace-ml/millrace/internal/bundle"
	"github.com/millrace-ml/millrace/internal/candidate"
	"github.com/millrace-ml/millrace/internal/change"
	"github.com/millrace-ml/millrace/internal/identity"
	"github.com/millrace-ml/millrace/shared/batch"
	"github.com/millrace-ml/millrace/shared/pipeline"
)

type tryCmd struct {
	Model    string        `arg:"" help:"The model."`
	Image    string        `help:"The step image, by digest. A model with a graph of its own takes none." placeholder:"REF"`
	Bucket   string        `help:"The artifacts bucket." required:""`
	Staging  string        `help:"The staging bucket: rows and predictions of the trial go there." required:"" placeholder:"BUCKET"`
	Trigger  string        `help:"URL of batchtrigger." required:"" placeholder:"URL"`
	Unit     string        `help:"Hash of the unit, as ci changed --json prints it; the trial is found again by it. Left out: found out." placeholder:"HASH"`
	Deadline time.Duration `help:"How long the trial may take." default:"30m"`
	DryRun   bool          `help:"Print what would be written and asked, and do nothing."`
}

// Run tries the release of a batch model, and prints what it has shown. It moves no pointer.
func (t tryCmd) Run(ctx context.Context, c console, ci *ciCmd) (err error) {
	work, err := os.MkdirTemp("", "millrace-try-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	in, err := bundle.Release(ctx, bundle.ReleaseOptions{
		Model: filepath.Join(ci.Repo, "models", t.Model), Image: t.Image, Now: time.Now(), Work: work, Storage: c.openStorage,
	})
	if err != nil {
		return err
	}
	unit, err := t.unit(ctx, ci.Repo)
	if err != nil {
		return err
	}
	name := func(bucket string) string { return strings.TrimSuffix(strings.TrimPrefix(bucket, "gs://"), "/") }
	o := candidate.Options{
		In: in, Artifacts: name(t.Bucket), Staging: name(t.Staging), Trigger: t.Trigger, Unit: unit, Deadline: t.Deadline, Log: c.err,
	}
	if t.DryRun {
		return printTrial(c, &o)
	}
	if o.Token, err = tokenFor(c, t.Trigger); err != nil {
		return err
	}
	if o.Storage, err = c.openStorage(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, o.Storage.Close()) }()
	result, err := candidate.Try(ctx, o)
	if err != nil {
		return err
	}
	return printJSON(c, result)
}

// unit is the hash that the trial is found again by.
func (t *tryCmd) unit(ctx context.Context, repo string) (string, error) {
	if t.Unit != "" {
		return t.Unit, nil
	}
	units, err := change.Units(ctx, repo)
	if err != nil {
		return "", err
	}
	for _, u := range units {
		if u.Name == change.BatchPrefix+t.Model {
			return u.Hash, nil
		}
	}
	return "", fmt.Errorf("%s%s is no unit of this checkout", change.BatchPrefix, t.Model)
}

// tokenFor gives the tokens for a service; none is needed on this machine.
func tokenFor(c console, service string) (func(context.Context) (string, error), error) {
	audience, err := identity.Audience(service)
	if err != nil {
		return nil, err
	}
	if u, err := url.Parse(service); err == nil && u.Scheme == "http" {
		return nil, nil // candidate.Try takes http from this machine alone
	}
	return func(ctx context.Context) (string, error) { return identity.Token(ctx, c.getenv, audience) }, nil
}

func printTrial(c console, o *candidate.Options) error {
	objects, err := bundle.Objects(o.Artifacts, o.In)
	if err != nil {
		return err
	}
	uri, err := pipeline.CandidateURI(o.Artifacts, *o.In)
	if err != nil {
		return err
	}
	model := o.In.Manifest.Name
	rows := fmt.Sprintf("gs://%s/%s%s.csv", o.Staging, batch.TrialPrefix(model), strings.TrimPrefix(o.Unit, "sha256:"))
	for _, name := range append(objects[:2], uri, rows) {
		fmt.Fprintf(c.out, "%s\twrite, unless it is there\n", name)
	}
	fmt.Fprintf(c.out, "%s/runs\task for a run of the candidate on these rows, and wait for it\n", strings.TrimSuffix(o.Trigger, "/"))
	fmt.Fprintf(c.out, "gs://%s/%s\tread its predictions and compare them with the parity rows\n", o.Staging, batch.OutputPrefix(model, "RUN"))
	return nil
}
