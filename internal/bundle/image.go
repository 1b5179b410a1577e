package bundle

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/millrace-ml/millrace/shared/fault"
)

// ko is pinned in a module of its own: it asks for a newer Go than the product, and its requirements would raise the
// versions that other tools are built with.
const (
	koModule  = "tools/ko/go.mod"
	koPackage = "github.com/google/ko"
	// ImageConfig says how ko builds the step image, and may pin its base.
	ImageConfig = "tools/ko/.ko.yaml"
)

// ImageOptions say how the step image is built and where it goes.
type ImageOptions struct {
	Repo string    // the checkout
	To   string    // the repository to push to, such as REGION-docker.pkg.dev/PROJECT/images/step
	Base string    // what the binary is put on, by digest; it brings the root certificates and the time zones. "" = as ImageConfig says
	Tag  string    // of the image; releases name it by digest
	SBOM string    // a folder that gets the bill of materials too, which the registry gets in any case; "" = none
	Log  io.Writer // what the build says
}

// Image builds the step image without Docker, pushes it with its bill of materials (SPDX), and gives its name by digest.
// The same sources, base and Go version give the same digest.
func Image(ctx context.Context, o ImageOptions) (ref string, err error) {
	args, env, err := o.command()
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = o.Repo
	cmd.Env = append(os.Environ(), "GOWORK=off", "SOURCE_DATE_EPOCH=", "KO_DATA_DATE_EPOCH=")
	for _, key := range slices.Sorted(maps.Keys(env)) {
		cmd.Env = append(cmd.Env, key+"="+env[key])
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, o.Log
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("build the step image: %w", err)
	}
	lines := strings.Fields(out.String())
	if len(lines) == 0 || !ByDigest(lines[len(lines)-1]) {
		return "", fault.New(fault.Internal, nil, "ko names no image: %.200q", out.String())
	}
	return untagged(lines[len(lines)-1]), nil
}

// Command is what Image runs, for people who want to see it first.
func (o ImageOptions) Command() (string, error) {
	args, env, err := o.command()
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(env)) {
		fmt.Fprintf(&b, "%s=%s ", key, env[key])
	}
	return b.String() + "go " + strings.Join(args, " "), err
}

func (o ImageOptions) command() (args []string, env map[string]string, err error) {
	if o.Base == "" {
		if o.Base, err = pinnedBase(o.Repo); err != nil {
			return nil, nil, err
		}
	}
	switch {
	case o.Base == "":
		return nil, nil, fault.New(fault.Invalid, nil, "no base image is given, and %s has no defaultBaseImage: expected REPOSITORY@sha256:…", ImageConfig)
	case !ByDigest(o.Base):
		return nil, nil, fault.New(fault.Invalid, nil, "the base image %q is not named by digest, expected REPOSITORY@sha256:…, since a tag moves", o.Base)
	case o.To == "" || strings.ContainsAny(o.To, "@ "):
		return nil, nil, fault.New(fault.Invalid, nil, "%q is no repository to push to", o.To)
	case o.Tag == "":
		return nil, nil, fault.New(fault.Internal, nil, "the image has no tag")
	}
	args = []string{"run", "-modfile=" + koModule, koPackage, "build", "./cmd/step", "--bare", "--platform=linux/amd64", "--sbom=spdx", "--tags=" + o.Tag}
	if o.SBOM != "" {
		dir, err := filepath.Abs(o.SBOM)
		if err != nil {
			return nil, nil, err
		}
		args = append(args, "--sbom-dir="+dir)
	}
	return args, map[string]string{"KO_DOCKER_REPO": o.To, "KO_DEFAULTBASEIMAGE": o.Base, "KO_CONFIG_PATH": ImageConfig}, nil
}

// pinnedBase is the base image that the checkout names for everybody. One that stands there is part of the unit's hash.
func pinnedBase(repo string) (string, error) {
	data, err := os.ReadFile(filepath.Join(repo, filepath.FromSlash(ImageConfig)))
	if err != nil {
		return "", err
	}
	var config struct {
		Base string `yaml:"defaultBaseImage"`
	}
	if err := yaml.Unmarshal(data, &config); err != nil {
		return "", fault.New(fault.Invalid, err, "%s cannot be read", ImageConfig)
	}
	return config.Base, nil
}

// untagged cuts the tag from REPOSITORY:TAG@DIGEST: the digest says it all.
func untagged(ref string) string {
	name, digest, _ := strings.Cut(ref, "@")
	if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, '/') {
		name = name[:colon]
	}
	return name + "@" + digest
}
