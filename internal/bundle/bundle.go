// Package bundle makes the source tree that a function is deployed from, and builds it as the Go buildpack does, so that
// tests run the very program that Cloud Run will. A bundle holds only what its function links: the generated root package,
// the closure of our packages, the modules that those need, and, for predict, the model folder. It deploys nothing, and
// which bundles have to be deployed is the question of package change.
package bundle

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	module    = "github.com/millrace-ml/millrace"
	framework = "github.com/GoogleCloudPlatform/functions-framework-go"
	// SourceDir is where the buildpack moves the source to; the function starts in the folder above it
	// (buildpacks, cmd/go/functions_framework).
	SourceDir = "serverless_function_source_code"
	// ModelFolder is the model's folder in a bundle.
	ModelFolder = "model"
	// UnitFile in a bundle holds the hash of the unit that it is; the root embeds it. The root's text does not have it: the
	// hash covers that text.
	UnitFile = "unit"
	// BuildTags keep grpc's optional modules out of storage: 20 MB less (the same tag in every build of the project).
	BuildTags = "disable_grpc_modules"
)

// BuildEnv is the environment that the buildpack must be given: a vendored bundle holds only what is linked with these
// tags, so that a build without them stops at a package that is not there.
func BuildEnv() map[string]string { return map[string]string{"GOFLAGS": "-tags=" + BuildTags} }

// Function names one of the folders below functions/ and the name it registers.
type Function struct{ Folder, Target string }

// The functions of this project.
var (
	Predict      = Function{"predict", "Predict"}
	OnUpload     = Function{"onupload", "OnUpload"}
	BatchTrigger = Function{"batchtrigger", "BatchTrigger"}
)

// Packages are what a bundle of f links: the imports of its generated root and of the buildpack's main.
func (f Function) Packages() []string {
	return []string{"./functions/" + f.Folder, "./shared/entry", framework + "/functions", framework + "/funcframework"}
}

// Settings are what a bundle of f is made with beside its sources: the generated root and the build's settings.
func (f Function) Settings() (map[string][]byte, error) {
	code, err := rootSource(f)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{"root": code, "target": []byte(f.Target), "tags": []byte(BuildTags)}, nil
}

// Stage writes the bundle of f without its modules into the empty folder dest: what it needs of them is found in the module
// cache, so it builds in a second where the project has been built. Write makes the bundle that is deployed. repo is the
// checkout's root; model, if not empty, is a model folder to carry.
func Stage(ctx context.Context, repo string, f Function, model, dest string) error {
	if err := empty(dest); err != nil {
		return err
	}
	c, err := List(ctx, repo, f.Packages()...)
	if err != nil {
		return err
	}
	if err := stageOurs(c, f, "", dest); err != nil {
		return err
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		if err := copyFile(filepath.Join(repo, name), filepath.Join(dest, name)); err != nil {
			return err
		}
	}
	if model == "" {
		return nil
	}
	return os.CopyFS(filepath.Join(dest, ModelFolder), os.DirFS(model))
}

// stageOurs writes the generated root, what it embeds, and the closure of our own packages.
func stageOurs(c *Closure, f Function, unit, dest string) error {
	for _, p := range c.Packages {
		for _, name := range p.Files {
			if err := copyFile(filepath.Join(p.Dir, name), filepath.Join(dest, p.Path, name)); err != nil {
				return err
			}
		}
	}
	code, err := rootSource(f)
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(dest, UnitFile), []byte(unit)); err != nil {
		return err
	}
	return writeFile(filepath.Join(dest, "function.go"), code)
}

// Build compiles a staged bundle the way the buildpack does, into dest: the source moves to SourceDir and the binary lies
// beside it. Run the binary with dest as its working folder.
func Build(ctx context.Context, stage, dest string) (binary string, err error) {
	return build(ctx, stage, dest, nil)
}

func build(ctx context.Context, stage, dest string, env []string, flags ...string) (string, error) {
	source := filepath.Join(dest, SourceDir)
	if err := empty(source); err != nil {
		return "", err
	}
	if err := os.CopyFS(source, os.DirFS(stage)); err != nil {
		return "", err
	}
	if err := writeFile(filepath.Join(source, "functions.local", "app", "main.go"), []byte(mainFile)); err != nil {
		return "", err
	}
	binary := filepath.Join(dest, "main")
	args := append([]string{"build", "-tags", BuildTags, "-buildvcs=false", "-o", binary}, flags...)
	if _, err := goTool(ctx, source, env, append(args, "./functions.local/app")...); err != nil {
		return "", err
	}
	return binary, nil
}

// empty makes dir, which must not hold anything yet.
func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return os.MkdirAll(dir, 0o755)
	case err != nil:
		return err
	case len(entries) > 0:
		return fmt.Errorf("stage into %s: the folder is not empty", dir)
	}
	return nil
}

func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return writeFile(to, b)
}

func writeFile(name string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, data, 0o644)
}
