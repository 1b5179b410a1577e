// Package scaffold makes new model folders: from templates/, or from a model file whose features it reads. What it makes
// passes its own checks before it appears in models/, in one rename; what fails or is interrupted leaves nothing there.
package scaffold

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"

	"github.com/millrace-ml/millrace/internal/folder"
	"github.com/millrace-ml/millrace/shared/manifest"
	"github.com/millrace-ml/millrace/templates"
)

// Kinds are what Options.Kind may be.
var Kinds = []string{manifest.ServeRealtime, manifest.ServeBatch, "both"}

// Options say what to make. Name, Kind and Models are required.
type Options struct {
	Name, Kind string
	Models     string   // the folder with one folder per model
	Artifact   string   // a model file; "" takes the example
	CSV        string   // rows for parity and baseline, with Artifact only
	Labels     []string // class names in training order, with Artifact only
}

// Result is what was made.
type Result struct {
	Dir   string
	Serve []string
	Notes []string // what its owner should know, a line each
}

var namePattern = regexp.MustCompile(manifest.NamePattern)

// CheckName says what is wrong with a name for a new model in the folder models.
func CheckName(models, name string) error {
	if !namePattern.MatchString(name) || name == "stats" {
		hint := ""
		if fixed := strings.Trim(regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(name), "-"), "-"); fixed != name && namePattern.MatchString(fixed) {
			hint = fmt.Sprintf("; %q would do", fixed)
		}
		return fmt.Errorf("the name %q: expected 3 to 22 lower case letters, digits and hyphens, opening with a letter, closing with a letter or digit, not \"stats\"%s", name, hint)
	}
	if info, err := os.Stat(models); err != nil || !info.IsDir() {
		return fmt.Errorf("there is no folder %s: run this where the repository is, or name the folder with --models", models)
	}
	if _, err := os.Lstat(filepath.Join(models, name)); err == nil {
		return fmt.Errorf("%s exists already: nothing is overwritten; choose another name", filepath.Join(models, name))
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// New makes the folder. On any error, an interruption included, nothing is left.
func New(ctx context.Context, o Options) (*Result, error) {
	if err := CheckName(o.Models, o.Name); err != nil {
		return nil, err
	}
	r := &Result{Dir: filepath.Join(o.Models, o.Name)}
	switch o.Kind {
	case manifest.ServeRealtime, manifest.ServeBatch:
		r.Serve = []string{o.Kind}
	case "both":
		r.Serve = []string{manifest.ServeRealtime, manifest.ServeBatch}
	default:
		return nil, fmt.Errorf("the kind %q: expected %s", o.Kind, strings.Join(Kinds, ", "))
	}
	if o.Artifact == "" && (o.CSV != "" || o.Labels != nil) {
		return nil, errors.New("--csv and --labels describe a model file: give it with --artifact")
	}
	build := example
	if o.Artifact != "" {
		build = fromArtifact
	}
	files, err := build(ctx, o, r)
	if err == nil {
		err = place(ctx, o, files)
	}
	if err != nil && ctx.Err() != nil {
		return nil, fmt.Errorf("interrupted, nothing was made: %w", ctx.Err())
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

const readme = "README.md"

// tree is the files of a folder by name.
type tree map[string][]byte

// place writes the files beside the models, checks them there, and moves them in with one rename.
func place(ctx context.Context, o Options, files tree) (err error) {
	// One level deeper than models are, so that nothing that watches the folder takes it for one.
	temp, err := os.MkdirTemp(o.Models, ".new-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	for name, data := range files {
		target := filepath.Join(temp, o.Name, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(target, data, 0o644); err != nil {
			return err
		}
	}
	model, err := folder.Check(temp, o.Name)
	if err != nil {
		return err
	}
	if err := folder.CheckNeighbours(o.Models, model.Manifest()); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := CheckName(o.Models, o.Name); err != nil { // somebody was faster
		return err
	}
	return os.Rename(filepath.Join(temp, o.Name), filepath.Join(o.Models, o.Name))
}

// view is what the templates see.
type view struct {
	Name, ServeYAML, ServeJSON string
	Example                    string // an instance as JSON
}

func newView(o Options, serve []string, instance []byte) view {
	return view{o.Name, "[" + strings.Join(serve, ", ") + "]", `["` + strings.Join(serve, `", "`) + `"]`,
		strings.ReplaceAll(string(instance), "'", `'\''`)} // it stands in a shell's single quotes
}

// example renders templates/example and what the kinds of serving add to it.
func example(_ context.Context, o Options, r *Result) (tree, error) {
	parity, err := templates.FS.ReadFile("example/parity.jsonl")
	if err != nil {
		return nil, err
	}
	instance, err := firstInstance(parity)
	if err != nil {
		return nil, err
	}
	v := newView(o, r.Serve, instance)
	files := tree{}
	err = fs.WalkDir(templates.FS, "example", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := templates.FS.ReadFile(name)
		if err != nil {
			return err
		}
		switch path.Ext(name) {
		case ".md", ".py", ".yaml":
			data, err = render(name, v)
		}
		files[strings.TrimPrefix(name, "example/")] = data
		return err
	})
	if err != nil {
		return nil, err
	}
	r.Notes = append(r.Notes, "it brings a small trained model, made by its train.py from made-up data: put your own in its place")
	return files, errors.Join(add(files, manifest.File, r.Serve, v), add(files, readme, r.Serve, v))
}

// add appends to a file what each kind of serving needs.
func add(files tree, file string, serve []string, v view) error {
	for _, kind := range serve {
		part, err := render(kind+"/"+file, v)
		if err != nil {
			return err
		}
		files[file] = append(files[file], part...)
	}
	return nil
}

// render executes one template.
func render(name string, v any) ([]byte, error) {
	text, err := templates.FS.ReadFile(name)
	if err != nil {
		return nil, err
	}
	t, err := template.New(name).Option("missingkey=error").Parse(string(text))
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, v)
	return b.Bytes(), err
}
