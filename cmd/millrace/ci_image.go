package main

import (
	"cmp"
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

// tagDigits of the unit's hash make the image's tag: the same content has the same tag, also where tags cannot be moved.
const tagDigits = 20

type imageCmd struct {
	To       string `help:"The repository to push to. Left out: REGION-docker.pkg.dev/PROJECT/images/step, by REGION and GOOGLE_CLOUD_PROJECT." placeholder:"REPOSITORY"`
	Base     string `help:"What the program is put on, by digest: an image with root certificates and time zones. Left out: the defaultBaseImage of tools/ko/.ko.yaml." env:"STEP_BASE_IMAGE" placeholder:"REF"`
	SBOM     string `name:"sbom" help:"A folder that gets the bill of materials too." type:"path"`
	Build    string `help:"The folder that the steps of a build share. Given, the image is built only if changed.json there says that it changed, and its name is written there, or else the recorded one." placeholder:"DIR"`
	Deployed string `help:"With --build: where the name of an unchanged image is recorded: a folder, or gs://BUCKET, the artifacts bucket." placeholder:"DIR|gs://BUCKET"`
	DryRun   bool   `help:"Print the command that would be run, and run nothing."`
}

// Run builds and pushes, and prints the image by digest.
func (i imageCmd) Run(ctx context.Context, c console, ci *ciCmd) error {
	if i.Build != "" {
		if yes, err := c.deploys(); !yes {
			return err
		}
	}
	units, err := change.Units(ctx, ci.Repo)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(units, func(u change.Unit) bool { return u.Name == change.Step })
	if at < 0 {
		return fmt.Errorf("%s has no cmd/step", ci.Repo)
	}
	if i.Build != "" {
		return i.ofBuild(ctx, c, ci, units, units[at])
	}
	ref, err := i.push(ctx, c, ci, units[at])
	if err == nil {
		fmt.Fprintln(c.out, ref)
	}
	return err
}

// ofBuild leaves the image's name in the build folder: what was pushed, or what is recorded of an image that did not change.
func (i imageCmd) ofBuild(ctx context.Context, c console, ci *ciCmd, units []change.Unit, step change.Unit) error {
	build, err := readBuild(ctx, c, ci.Repo, i.Build, i.DryRun)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(build.Units, func(u change.Change) bool { return u.Unit == change.Step })
	if at < 0 {
		return fmt.Errorf("%s does not know the step image; run: make changed", change.BuildFile)
	}
	if err := current(units, build.Units[at]); err != nil {
		return err
	}
	name := filepath.Join(i.Build, "image")
	var ref string
	if build.Units[at].Action == change.Keep {
		ref, err = i.recorded(ctx, c)
	} else {
		ref, err = i.push(ctx, c, ci, step)
	}
	if err != nil {
		return err
	}
	if i.DryRun {
		fmt.Fprintf(c.out, "%s\n# write the image's name to %s\n", ref, name)
		return nil
	}
	fmt.Fprintln(c.out, ref)
	if err := os.MkdirAll(i.Build, 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, []byte(ref+"\n"), 0o644)
}

// recorded is the image of the last deployment.
func (i imageCmd) recorded(ctx context.Context, c console) (ref string, err error) {
	if i.DryRun {
		return "# the step image did not change: read its name from the record of its deployment", nil
	}
	if i.Deployed == "" {
		return "", errors.New("the step image did not change, and --deployed does not say where its name is recorded (make image DEPLOYED=gs://BUCKET)")
	}
	err = withStore(ctx, c, i.Deployed, func(s change.Store) error {
		r, err := s.Read(ctx, change.Step)
		if err == nil && (r == nil || r.Image == "") {
			return fmt.Errorf("%s has no image in the record of %s; remove the record, and the next build pushes one", i.Deployed, change.Step)
		}
		if err == nil {
			ref = r.Image
		}
		return err
	})
	return ref, err
}

// push builds and pushes; a dry run gives the command.
func (i imageCmd) push(ctx context.Context, c console, ci *ciCmd, step change.Unit) (ref string, err error) {
	to, err := i.repository(c)
	if err != nil {
		return "", err
	}
	tag := "unit-" + strings.TrimPrefix(step.Hash, "sha256:")[:tagDigits]
	o := bundle.ImageOptions{Repo: ci.Repo, To: to, Base: i.Base, Tag: tag, SBOM: i.SBOM, Log: c.err}
	if i.DryRun {
		return o.Command()
	}
	return bundle.Image(ctx, o)
}

// repository is where to push to.
func (i imageCmd) repository(c console) (string, error) {
	region, project := c.getenv("REGION"), c.getenv("GOOGLE_CLOUD_PROJECT")
	if i.DryRun {
		region, project = cmp.Or(region, "REGION"), cmp.Or(project, "PROJECT")
	}
	switch {
	case i.To != "":
		return i.To, nil
	case region == "" || project == "":
		return "", errors.New("where to? give --to, or REGION and GOOGLE_CLOUD_PROJECT (make image TO=REPOSITORY)")
	}
	return region + "-docker.pkg.dev/" + project + "/images/step", nil
}
