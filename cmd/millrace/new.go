package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/millrace-ml/millrace/internal/scaffold"
	"github.com/millrace-ml/millrace/shared/manifest"
)

type newCmd struct {
	Name     string   `arg:"" optional:"" help:"The model's name; asked for when left out."`
	Kind     string   `help:"realtime, batch or both; asked for when left out."`
	Artifact string   `help:"A model file of XGBoost, LightGBM or CatBoost, or an ONNX model; a small example when left out." type:"path"`
	CSV      string   `name:"csv" help:"With --artifact: rows for parity and baseline; a column 'prediction' holds the training library's output." type:"path"`
	Labels   []string `help:"With --artifact: class names in training order, separated by commas."`
	Models   string   `help:"Folder with one folder per model." default:"models" type:"path"`
}

// Run makes the folder, asking for what it was not told.
func (n newCmd) Run(ctx context.Context, c console) error {
	answers := answers{ctx, bufio.NewReader(c.in), c}
	if n.Name != "" { // a bad name is said before anything is asked
		if err := scaffold.CheckName(n.Models, n.Name); err != nil {
			return err
		}
	}
	if n.Kind == "" {
		kind, err := answers.kind()
		if err != nil {
			return err
		}
		n.Kind = kind
	}
	if n.Name == "" {
		name, err := answers.ask("What is the name of the model? ", "the name, as in: millrace new demand-two --kind "+n.Kind)
		if err != nil {
			return err
		}
		n.Name = name
	}
	made, err := scaffold.New(ctx, scaffold.Options{
		Name: n.Name, Kind: n.Kind, Models: n.Models, Artifact: n.Artifact, CSV: n.CSV, Labels: n.Labels,
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "made %s, which serves %s\n", shortPath(made.Dir), strings.Join(made.Serve, " and "))
	for _, note := range made.Notes {
		fmt.Fprintf(c.out, "  note: %s\n", note)
	}
	fmt.Fprintf(c.out, "next: make test MODEL=%s, then make run (which picks it up while it runs, too); %s says more\n", n.Name, shortPath(filepath.Join(made.Dir, "README.md")))
	return nil
}

// answers are lines of standard input.
type answers struct {
	ctx context.Context
	in  *bufio.Reader
	console
}

// kind asks the predecessor's question, whose y and n still answer it.
func (a answers) kind() (string, error) {
	for {
		said, err := a.ask("Is this a new model for real-time consumption? [y/N/both]: ", "the kind: --kind realtime, batch or both")
		if err != nil {
			return "", err
		}
		switch said = strings.ToLower(said); said {
		case "y", "yes":
			return manifest.ServeRealtime, nil
		case "", "n", "no":
			return manifest.ServeBatch, nil
		}
		if slices.Contains(scaffold.Kinds, said) {
			return said, nil
		}
		fmt.Fprintf(a.err, "%q: expected y for real-time, n for batch, or both\n", said)
	}
}

// ask prints a question and reads one line. It ends with the context too: a terminal's read cannot be interrupted.
func (a answers) ask(question, instead string) (string, error) {
	fmt.Fprint(a.err, question)
	type line struct {
		text string
		err  error
	}
	got := make(chan line, 1)
	go func() { // ends with the line, or with the process
		text, err := a.in.ReadString('\n')
		got <- line{text, err}
	}()
	select {
	case <-a.ctx.Done():
		fmt.Fprintln(a.err)
		return "", errors.New("interrupted, nothing was made")
	case l := <-got:
		if errors.Is(l.err, io.EOF) && l.text == "" {
			fmt.Fprintln(a.err)
			return "", fmt.Errorf("standard input ended before an answer: give %s", instead)
		}
		if l.err != nil && !errors.Is(l.err, io.EOF) {
			return "", l.err
		}
		return strings.TrimSpace(l.text), nil
	}
}

// shortPath is the path from here where that is shorter.
func shortPath(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(here, path); err == nil && len(rel) < len(path) {
		return rel
	}
	return path
}
