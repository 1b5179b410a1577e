package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/millrace-ml/millrace/internal/bundle"
	"github.com/millrace-ml/millrace/internal/change"
)

// tagDigits of the unit's hash make the image's tag: the same content has the same tag, also where tags cannot be moved.
const tagDigits = 20

type imageCmd struct {
	To     string `help:"The repository to push to, such as REGION-docker.pkg.dev/PROJECT/images/step." required:"" placeholder:"REPOSITORY"`
	Base   string `help:"What the program is put on, by digest: an image with root certificates and time zones. Left out: the defaultBaseImage of tools/ko/.ko.yaml." env:"STEP_BASE_IMAGE" placeholder:"REF"`
	SBOM   string `name:"sbom" help:"A folder that gets the bill of materials too." type:"path"`
	DryRun bool   `help:"Print the command that would be run, and run nothing."`
}

// Run builds and pushes, and prints the image by digest.
func (i imageCmd) Run(ctx context.Context, c console, ci *ciCmd) error {
	units, err := change.Units(ctx, ci.Repo)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(units, func(u change.Unit) bool { return u.Name == change.Step })
	if at < 0 {
		return fmt.Errorf("%s has no cmd/step", ci.Repo)
	}
	tag := "unit-" + strings.TrimPrefix(units[at].Hash, "sha256:")[:tagDigits]
	o := bundle.ImageOptions{Repo: ci.Repo, To: i.To, Base: i.Base, Tag: tag, SBOM: i.SBOM, Log: c.err}
	if i.DryRun {
		command, err := o.Command()
		if err != nil {
			return err
		}
		fmt.Fprintln(c.out, command)
		return nil
	}
	ref, err := bundle.Image(ctx, o)
	if err != nil {
		return err
	}
	fmt.Fprintln(c.out, ref)
	return nil
}
