package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/millrace-ml/millrace/internal/bundle"
	"github.com/millrace-ml/millrace/internal/change"
)

// bundles is the folder of the bundles in the build folder; ci deploy looks there.
const bundles = "bundles"

type bundleCmd struct {
	Unit   string `arg:"" optional:"" help:"onupload, batchtrigger or predict@MODEL. Left out: every one that changed, as changed.json in the build folder says."`
	Out    string `help:"Folder to write to; must be empty, or not exist. Left out: bundles/UNIT in the build folder, in the place of what is there." type:"path"`
	Build  string `help:"The folder that the steps of a build share." default:"build" placeholder:"DIR"`
	Check  bool   `help:"Then build the bundle as the buildpack does, without a network, start it and ask it."`
	DryRun bool   `help:"Print what would be written, and write nothing."`
}

// Run writes, and prints the digest of each bundle. A bundle that fails is not left behind.
func (b bundleCmd) Run(ctx context.Context, c console, ci *ciCmd) error {
	if b.Unit != "" {
		if _, err := bundleOf(b.Unit); err != nil {
			return err
		}
		units, err := change.Units(ctx, ci.Repo)
		if err != nil {
			return err
		}
		return b.write(ctx, c, ci, units, b.Unit)
	}
	if b.Out != "" {
		return errors.New("--out is for one unit: name it, or leave --out away")
	}
	if yes, err := c.deploys(); !yes {
		return err
	}
	return b.all(ctx, c, ci)
}

// all bundles the changed functions.
func (b bundleCmd) all(ctx context.Context, c console, ci *ciCmd) error {
	build, err := readBuild(ctx, c, ci.Repo, b.Build, b.DryRun)
	if err != nil {
		return err
	}
	units, err := change.Units(ctx, ci.Repo)
	if err != nil {
		return err
	}
	var changed []string
	for _, u := range build.Units {
		if _, err := bundleOf(u.Unit); err != nil || u.Action != change.Deploy {
			continue
		}
		if err := current(units, u); err != nil {
			return err
		}
		changed = append(changed, u.Unit)
	}
	if !b.DryRun {
		if err := os.RemoveAll(filepath.Join(b.Build, bundles)); err != nil { // of an earlier build
			return err
		}
	}
	for _, unit := range changed {
		if err := b.write(ctx, c, ci, units, unit); err != nil {
			return err
		}
	}
	if len(changed) == 0 {
		fmt.Fprintln(c.err, "no function changed")
	}
	return nil
}

// write bundles one unit.
func (b bundleCmd) write(ctx context.Context, c console, ci *ciCmd, units []change.Unit, unit string) error {
	at := slices.IndexFunc(units, func(u change.Unit) bool { return u.Name == unit })
	if at < 0 {
		return fmt.Errorf("%q is no unit of this checkout: there is no such model, or it does not serve realtime", unit)
	}
	out := b.Out
	if out == "" {
		out = filepath.Join(b.Build, bundles, unit)
	}
	if b.DryRun {
		check := ""
		if b.Check {
			check = ", build it as the buildpack does, start it and ask it"
		}
		fmt.Fprintf(c.out, "# write the bundle of %s to %s%s\n", unit, shorter(out), check)
		return nil
	}
	if b.Out == "" {
		if err := os.RemoveAll(out); err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
			return err
		}
	}
	digest, err := b.bundle(ctx, c, ci, units[at], out)
	if err != nil {
		err = fmt.Errorf("bundle %s: %w", unit, err)
		if b.Out == "" {
			err = errors.Join(err, os.RemoveAll(out))
		}
		return err
	}
	fmt.Fprintf(c.out, "%s\t%s\t%s\n", unit, digest, out)
	return nil
}

func (b bundleCmd) bundle(ctx context.Context, c console, ci *ciCmd, unit change.Unit, out string) (digest string, err error) {
	o, err := bundleOf(unit.Name)
	if err != nil {
		return "", err
	}
	o.Repo, o.Dest, o.Storage, o.Unit = ci.Repo, out, c.openStorage, unit.Hash
	if o.Model != "" {
		o.Model = filepath.Join(ci.Repo, "models", o.Model)
	}
	if digest, err = bundle.Write(ctx, o); err != nil || !b.Check {
		return digest, err
	}
	fmt.Fprintf(c.err, "building the bundle of %s as the buildpack does: the first time takes minutes\n", unit.Name)
	if err := bundle.Gate(ctx, out, o.Function); err != nil {
		return "", err
	}
	fmt.Fprintln(c.err, "the bundle builds, starts, answers and stops")
	return digest, nil
}

// bundleOf gives a unit's function, and in Model the name of its model.
func bundleOf(unit string) (bundle.Options, error) {
	model, predict := strings.CutPrefix(unit, change.PredictPrefix)
	switch {
	case unit == change.OnUpload:
		return bundle.Options{Function: bundle.OnUpload}, nil
	case unit == change.BatchTrigger:
		return bundle.Options{Function: bundle.BatchTrigger}, nil
	case predict && model != "" && model == filepath.Base(model) && !strings.HasPrefix(model, "."):
		return bundle.Options{Function: bundle.Predict, Model: model}, nil
	case strings.HasPrefix(unit, change.BatchPrefix):
		return bundle.Options{}, fmt.Errorf("%s has no bundle: millrace ci release %s releases it", unit, strings.TrimPrefix(unit, change.BatchPrefix))
	}
	return bundle.Options{}, fmt.Errorf("%q has no bundle, expected onupload, batchtrigger or predict@MODEL", unit)
}
