package bundle

import (
	"context"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace-ml/millrace/shared/fault"
)

// Gate repeats, without a network, what the buildpack does with a bundle, and then what Cloud Run does: it checks the rules
// for the root package, builds with the vendored modules alone, starts the program, asks it, and stops it. A bundle of
// predict must answer its model's parity rows with the bits that the scoring path gives in this process.
func Gate(ctx context.Context, dir string, f Function) (err error) {
	if err := checkRoot(dir); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "millrace-gate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	// -trimpath: else each new folder would compile every module again.
	binary, err := build(ctx, dir, work, []string{"GOFLAGS=", "GOPROXY=off"}, "-mod=vendor", "-trimpath")
	if err != nil {
		return err
	}
	s, err := start(ctx, binary, f)
	if err != nil {
		return err
	}
	ask := s.greet
	if f == Predict {
		ask = func(ctx context.Context) error { return s.parity(ctx, filepath.Join(dir, ModelFolder)) }
	}
	asked := ask(ctx)
	if err := s.stop(); err != nil && asked == nil {
		return err
	}
	return asked
}

// checkRoot holds the rules of the buildpack for the source's root (buildpacks, cmd/go/functions_framework/lib), and
// those of gcloud for what is uploaded.
func checkRoot(dir string) error {
	bad := func(format string, args ...any) error {
		return fault.New(fault.Invalid, nil, "bundle %s: %s", dir, fmt.Sprintf(format, args...))
	}
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		return err
	}
	line, _, _ := strings.Cut(string(mod), "\n")
	path := strings.TrimSpace(strings.TrimPrefix(line, "module "))
	if first, _, _ := strings.Cut(path, "/"); !strings.Contains(first, ".") {
		return bad("the module path %q has no dot before its first slash", path)
	}
	for _, name := range []string{"go.sum", "vendor/modules.txt", "vendor/" + framework + "/funcframework"} {
		if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			return bad("%s is not there", name)
		}
	}
	// A Dockerfile would win over the buildpack; an ignore file would empty the upload of what it names.
	for _, name := range []string{"Dockerfile", ".gitignore", ".gcloudignore"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return bad("%s must not be in a bundle", name)
		}
	}
	return checkPackage(dir, bad)
}

// checkPackage parses the root's files, tests too, as the buildpack does.
func checkPackage(dir string, bad func(string, ...any) error) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return err
	}
	var names []string
	declarative := false
	for _, name := range files {
		src, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return bad("%v", err)
		}
		names = append(names, src.Name.Name)
		for _, imp := range src.Imports {
			declarative = declarative || imp.Path.Value == strconv.Quote(framework+"/functions")
		}
	}
	slices.Sort(names)
	switch names = slices.Compact(names); {
	case len(names) != 1:
		return bad("the root has the packages %q, expected one", names)
	case names[0] == "main":
		return bad("the root is package main, the buildpack imports it and needs another name")
	case !declarative:
		return bad("no file of the root imports %s/functions, so that names registered below it are not found", framework)
	}
	return nil
}
