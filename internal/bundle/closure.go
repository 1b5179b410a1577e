package bundle

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/millrace-ml/millrace/shared/fault"
)

// Closure is what a program links, the standard library left out.
type Closure struct {
	Go       string    // the go line of go.mod, with its toolchain line if there is one
	Packages []Package // ours, by path
	Modules  []Module  // those with a linked package, by path
}

// Package is a folder of source.
type Package struct {
	Path  string   // ours: below the module, with slashes; a module's: the import path
	Dir   string   // where it lies on this machine
	Files []string // below Dir: sources without tests, for any platform, and what they embed; sorted
}

// Module is a dependency at the version that the build takes.
type Module struct {
	Path, Version string
	Sum           string // h1 of go.sum
	Go            string // its go line: the language version of its packages
	Direct        bool   // one of our packages imports it
	Dir           string
	Packages      []Package
}

// listed is a package as go list writes it.
type listed struct {
	ImportPath, Dir                                                  string
	Standard                                                         bool
	GoFiles, CgoFiles, IgnoredGoFiles, IgnoredOtherFiles             []string
	CFiles, CXXFiles, HFiles, SFiles, SysoFiles, EmbedFiles, Imports []string
	Module                                                           *struct {
		Path, Version, Sum, GoVersion, Dir string
		Main                               bool
		Replace                            *struct{ Path string }
	}
}

// List finds the closure of the packages in the checkout at repo. It is the closure of the platform that Cloud Run has,
// whatever machine asks, and counts no test and nothing that tests alone import.
func List(ctx context.Context, repo string, packages ...string) (*Closure, error) {
	repo, err := filepath.EvalSymlinks(repo) // as the go command names folders
	if err != nil {
		return nil, err
	}
	if repo, err = filepath.Abs(repo); err != nil {
		return nil, err
	}
	out, err := goTool(ctx, repo, []string{"GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0", "GOEXPERIMENT=", "GOFLAGS="},
		append([]string{"list", "-deps", "-tags", BuildTags, "-json=ImportPath,Dir,Standard,GoFiles,CgoFiles,IgnoredGoFiles," +
			"IgnoredOtherFiles,CFiles,CXXFiles,HFiles,SFiles,SysoFiles,EmbedFiles,Imports,Module"}, packages...)...)
	if err != nil {
		return nil, err
	}
	l := lister{repo: repo, modules: map[string]*Module{}, owner: map[string]string{}, direct: map[string]bool{}}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return l.closure()
		} else if err != nil {
			return nil, fmt.Errorf("go list %s: %w", strings.Join(packages, " "), err)
		}
		if err := l.add(&p); err != nil {
			return nil, err
		}
	}
}

type lister struct {
	repo    string
	ours    []Package
	modules map[string]*Module
	owner   map[string]string // import path → module
	direct  map[string]bool   // import paths that ours import
}

func (l *lister) add(p *listed) error {
	if p.Standard || p.Module == nil {
		return nil
	}
	files, err := p.files()
	if err != nil {
		return err
	}
	if p.Module.Main {
		rel, err := filepath.Rel(l.repo, p.Dir)
		if err != nil {
			return err
		}
		for _, path := range p.Imports {
			l.direct[path] = true
		}
		l.ours = append(l.ours, Package{Path: filepath.ToSlash(rel), Dir: p.Dir, Files: files})
		return nil
	}
	m := p.Module
	if m.Replace != nil {
		return fault.New(fault.Invalid, nil, "go.mod replaces %s by %s: a bundle carries modules as they are published, expected no replace", m.Path, m.Replace.Path)
	}
	l.owner[p.ImportPath] = m.Path
	if l.modules[m.Path] == nil {
		l.modules[m.Path] = &Module{Path: m.Path, Version: m.Version, Sum: m.Sum, Go: m.GoVersion, Dir: m.Dir}
	}
	mod := l.modules[m.Path]
	mod.Packages = append(mod.Packages, Package{Path: p.ImportPath, Dir: p.Dir, Files: files})
	return nil
}

func (l *lister) closure() (*Closure, error) {
	version, err := goLine(filepath.Join(l.repo, "go.mod"))
	if err != nil {
		return nil, err
	}
	for path := range l.direct {
		if m := l.modules[l.owner[path]]; m != nil {
			m.Direct = true
		}
	}
	c := &Closure{Go: version, Packages: sorted(l.ours)}
	for _, path := range slices.Sorted(maps.Keys(l.modules)) {
		m := l.modules[path]
		m.Packages = sorted(m.Packages)
		c.Modules = append(c.Modules, *m)
	}
	return c, nil
}

func sorted(p []Package) []Package {
	slices.SortFunc(p, func(a, b Package) int { return cmp.Compare(a.Path, b.Path) })
	return p
}

// files are what a bundle carries of a package: those for other platforms too, so that it can be built and tried anywhere,
// but no tests and no programs that are run by hand.
func (p *listed) files() ([]string, error) {
	var out []string
	for _, set := range [][]string{p.GoFiles, p.CgoFiles, p.CFiles, p.CXXFiles, p.HFiles, p.SFiles, p.SysoFiles, p.EmbedFiles, p.IgnoredOtherFiles} {
		out = append(out, set...)
	}
	for _, name := range p.IgnoredGoFiles {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		src, err := os.ReadFile(filepath.Join(p.Dir, name))
		if err != nil {
			return nil, err
		}
		if !bytes.Contains(src, []byte("//go:build ignore\n")) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// goLine is the Go version that go.mod asks for.
func goLine(gomod string) (string, error) {
	data, err := os.ReadFile(gomod)
	if err != nil {
		return "", err
	}
	var version, toolchain string
	for line := range strings.Lines(string(data)) {
		switch f := strings.Fields(line); {
		case len(f) >= 2 && f[0] == "go":
			version = f[1]
		case len(f) >= 2 && f[0] == "toolchain":
			toolchain = " " + f[1]
		}
	}
	if version == "" {
		return "", fault.New(fault.Invalid, nil, "%s has no go line", gomod)
	}
	return version + toolchain, nil
}

// goTool runs the go command; its error carries what the command said.
func goTool(ctx context.Context, dir string, env []string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "GOWORK=off"), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return nil, fmt.Errorf("the go command is needed and is not on PATH: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}
