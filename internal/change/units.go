package change

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/millrace-ml/millrace/internal/bundle"
	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/manifest"
)

// Names of parts that are no path of the checkout.
const (
	goPart       = "go"
	modulePart   = "module "
	settingPart  = "setting "
	stepPart     = "the step image"
	pipelineFile = "pipeline.yaml" // in a model folder: the user's own graph
)

var (
	// Terraform reads these from outside its folder,
	terraformReads = []string{"shared/ledger/indexes.json"}
	// and what ends like this in its folder is none of its configuration.
	terraformLeaves = []string{".tfstate", ".tfstate.backup", ".tftest.hcl", ".md"}
)

// terraformLock pins the providers; the one hidden file that counts.
const terraformLock = ".terraform.lock.hcl"

// Units finds the units of the checkout at root, as its files are now: what is not committed counts. Folders that are not
// there give no unit. A model that cannot be read is an error, since nobody can say what it needs.
func Units(ctx context.Context, root string) ([]Unit, error) {
	models, err := readModels(root)
	if err != nil {
		return nil, err
	}
	w := &walk{root: root}
	w.functions(ctx, models)
	step := w.step(ctx)
	for _, m := range models {
		if m.Serves(manifest.ServeBatch) {
			w.batch(m, step)
		}
	}
	w.terraform(models)
	if w.err != nil {
		return nil, w.err
	}
	slices.SortFunc(w.units, func(a, b Unit) int { return strings.Compare(a.Name, b.Name) })
	return w.units, nil
}

// walk collects units; after an error it does nothing more.
type walk struct {
	root  string
	units []Unit
	err   error
}

func (w *walk) add(name string, parts map[string]string) Unit {
	u := newUnit(name, parts)
	w.units = append(w.units, u)
	return u
}

func (w *walk) exists(folder string) bool {
	info, err := os.Stat(filepath.Join(w.root, filepath.FromSlash(folder)))
	return w.err == nil && err == nil && info.IsDir()
}

// functions adds onupload, batchtrigger and one predict for each real-time model.
func (w *walk) functions(ctx context.Context, models []*manifest.Manifest) {
	for name, f := range map[string]bundle.Function{OnUpload: bundle.OnUpload, BatchTrigger: bundle.BatchTrigger} {
		if w.exists("functions/" + f.Folder) {
			w.add(name, w.function(ctx, f))
		}
	}
	if !w.exists("functions/" + bundle.Predict.Folder) {
		return
	}
	code := w.function(ctx, bundle.Predict)
	for _, m := range models {
		if !m.Serves(manifest.ServeRealtime) {
			continue
		}
		parts := w.folder(m)
		maps.Copy(parts, code)
		w.add(PredictPrefix+m.Name, parts)
	}
}

// function gives the parts of what a bundle of f holds, the model left out.
func (w *walk) function(ctx context.Context, f bundle.Function) map[string]string {
	parts := w.code(ctx, f.Packages()...)
	settings, err := f.Settings()
	w.fail(err)
	for name, value := range settings {
		parts[settingPart+name] = digest(value)
	}
	return parts
}

// step adds the image of the steps and gives it; it is empty where there is none.
func (w *walk) step(ctx context.Context) Unit {
	if !w.exists("cmd/step") {
		return Unit{}
	}
	parts := w.code(ctx, "./cmd/step")
	if _, err := os.Stat(filepath.Join(w.root, filepath.FromSlash(bundle.ImageConfig))); err == nil {
		w.file(parts, bundle.ImageConfig)
	}
	return w.add(Step, parts)
}

// batch adds the release of a model: its folder, and the image that its graph names. A graph of the user's own names its
// images itself.
func (w *walk) batch(m *manifest.Manifest, step Unit) {
	parts := w.folder(m)
	if _, own := parts[path.Join("models", m.Name, pipelineFile)]; !own {
		parts[stepPart] = step.Hash
	}
	w.add(BatchPrefix+m.Name, parts)
}

// terraform adds the infrastructure: its folder, and what it reads of the models.
func (w *walk) terraform(models []*manifest.Manifest) {
	if !w.exists("terraform") {
		return
	}
	parts := map[string]string{}
	w.files(parts, "terraform", func(name string) bool {
		return !slices.ContainsFunc(terraformLeaves, func(ext string) bool { return strings.HasSuffix(name, ext) })
	})
	for _, m := range models {
		w.file(parts, path.Join("models", m.Name, manifest.File))
	}
	for _, name := range terraformReads {
		if _, err := os.Stat(filepath.Join(w.root, filepath.FromSlash(name))); err == nil {
			w.file(parts, name)
		}
	}
	if len(parts) > 0 {
		w.add(Terraform, parts)
	}
}

// code gives the parts of what the packages link.
func (w *walk) code(ctx context.Context, packages ...string) map[string]string {
	parts := map[string]string{}
	if w.err != nil {
		return parts
	}
	c, err := bundle.List(ctx, w.root, packages...)
	if err != nil {
		w.fail(err)
		return parts
	}
	parts[goPart] = c.Go
	for _, m := range c.Modules {
		parts[modulePart+m.Path] = m.Version + " " + m.Sum
	}
	for _, p := range c.Packages {
		sum := sha256.New()
		for _, name := range p.Files {
			data, err := os.ReadFile(filepath.Join(p.Dir, name))
			w.fail(err)
			fmt.Fprintf(sum, "%q %s\n", filepath.ToSlash(name), digest(data))
		}
		parts[p.Path] = hex.EncodeToString(sum.Sum(nil))
	}
	return parts
}

// folder gives the parts of a model folder: the files that a release carries. A copy of an artifact that lies in Cloud
// Storage does not count, since the manifest says its digest.
func (w *walk) folder(m *manifest.Manifest) map[string]string {
	parts := map[string]string{}
	fetched := ""
	if m.Artifact.URI != "" {
		fetched = path.Join("models", m.Name, bundle.ArtifactFile(&m.Artifact))
	}
	w.files(parts, path.Join("models", m.Name), func(name string) bool { return name != fetched })
	return parts
}

// files adds the files below a folder that keep takes, hidden ones left out, as a release leaves them out.
func (w *walk) files(parts map[string]string, folder string, keep func(name string) bool) {
	if w.err != nil {
		return
	}
	w.fail(fs.WalkDir(os.DirFS(w.root), folder, func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case strings.HasPrefix(path.Base(name), ".") && path.Base(name) != terraformLock:
			if e.IsDir() {
				return fs.SkipDir
			}
		case !e.IsDir() && keep(name):
			w.file(parts, name)
		}
		return w.err
	}))
}

func (w *walk) file(parts map[string]string, name string) {
	data, err := os.ReadFile(filepath.Join(w.root, filepath.FromSlash(name)))
	w.fail(err)
	parts[name] = digest(data)
}

func (w *walk) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// model is a folder below models/ with its manifest, or why that cannot be read.
type model struct {
	file     string
	manifest *manifest.Manifest
	err      error
}

func listModels(root string) []model {
	fsys := os.DirFS(root)
	found, _ := fs.Glob(fsys, path.Join("models", "*", manifest.File)) // the pattern is a good one
	var out []model
	for _, file := range found {
		m, err := manifest.LoadDir(fsys, path.Dir(file))
		out = append(out, model{file, m, err})
	}
	return out
}

// readModels loads the manifests below models/; all problems come at once.
func readModels(root string) ([]*manifest.Manifest, error) {
	var out []*manifest.Manifest
	var problems []error
	for _, m := range listModels(root) {
		out = append(out, m.manifest)
		problems = append(problems, m.err)
	}
	if err := errors.Join(problems...); err != nil {
		return nil, fault.New(fault.Invalid, nil, "a model cannot be read:\n%v", err)
	}
	return out, nil
}
