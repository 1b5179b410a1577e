package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/millrace-ml/millrace/internal/folder"
	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/manifest"
)

type validateCmd struct {
	Model  string `arg:"" optional:"" help:"One model; all of them when left out."`
	Models string `help:"Folder with one folder per model." default:"models" type:"path"`
}

// Run checks what a deployment will need, and names every problem.
func (v validateCmd) Run(c console) error {
	names := []string{v.Model}
	if v.Model == "" {
		found, err := filepath.Glob(filepath.Join(v.Models, "*", manifest.File))
		if err != nil {
			return err
		}
		names = nil
		for _, f := range found {
			names = append(names, filepath.Base(filepath.Dir(f)))
		}
		if len(names) == 0 {
			return fmt.Errorf("%s has no model folder with a %s", v.Models, manifest.File)
		}
	}
	failed := 0
	var good []*manifest.Manifest
	for _, name := range names {
		m, summary, err := v.one(name)
		if err != nil {
			failed++
			fmt.Fprintf(c.err, "%s: refused\n%s\n", name, indent(message(err)))
			continue
		}
		good = append(good, m)
		fmt.Fprintf(c.out, "%s: ok, %s\n", name, summary)
	}
	if err := manifest.CheckAll(good); err != nil {
		failed++
		fmt.Fprintln(c.err, message(err))
	}
	if failed > 0 {
		return exit(1)
	}
	return nil
}

func (v validateCmd) one(name string) (*manifest.Manifest, string, error) {
	model, err := folder.Check(v.Models, name)
	if err != nil {
		return nil, "", err
	}
	m := model.Manifest()
	info := model.Info()
	return m, fmt.Sprintf("version %s, %s %s, %d trees, %d features, serves %s",
		m.Version, info.Format, info.Version, info.Trees, model.Contract().Width(), strings.Join(m.Serve, " and ")), nil
}

// message is all that an error says, its public text first.
func message(err error) string {
	var f *fault.Error
	if errors.As(err, &f) && errors.Unwrap(f) == nil {
		return f.Message
	}
	return err.Error()
}

func indent(s string) string { return "  " + strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n  ") }
