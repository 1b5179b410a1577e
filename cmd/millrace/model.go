package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/millrace-ml/millrace/internal/folder"
)

type modelCmd struct {
	Models string `help:"Folder with one folder per model." default:"models" type:"path"`

	Inspect inspectCmd `cmd:"" help:"Look into a model's artifact: trees, features by importance, objective, size, and one tree as text."`
	Update  updateCmd  `cmd:"" help:"Bring a new artifact into a model folder: pins its sha256, sets the version, replaces parity rows."`
	Diff    diffCmd    `cmd:"" help:"Compare the predictions of the model folder with another version's, on the same rows."`
}

type updateCmd struct {
	Model    string `arg:"" help:"The model."`
	Artifact string `help:"The new model file, or gs://bucket/object with or without #generation." required:""`
	Version  string `help:"The new version; the last number of the old one counted up when left out."`
	Parity   string `help:"Recorded rows of the new model: parity.jsonl, as millrace_export writes it." type:"path"`
	Baseline string `help:"Distribution of the new training data: baseline.json, as millrace_export writes it." type:"path"`
}

// Run updates.
func (u updateCmd) Run(ctx context.Context, c console, m *modelCmd) error {
	done, err := folder.Update{
		Models: m.Models, Model: u.Model, Artifact: u.Artifact, Version: u.Version, Parity: u.Parity, Baseline: u.Baseline, Getenv: c.getenv,
	}.Run(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%s: version %s → %s, sha256 %.12s → %.12s, %s\n", u.Model, done.OldVersion, done.Version, done.OldSHA256, done.SHA256, done.Source)
	fmt.Fprintf(c.out, "changed: %s\nnext: bin/millrace model diff %s shows what it changes\n", strings.Join(done.Files, ", "), u.Model)
	return nil
}

type diffCmd struct {
	Model string `arg:"" help:"The model."`
	File  string `arg:"" optional:"" help:"The rows: .csv, .json or .jsonl; the model's parity.jsonl when left out." type:"path"`
	Base  string `help:"The git revision to compare with; HEAD when neither this nor --url is given."`
	URL   string `name:"url" help:"A running server to compare with, such as http://127.0.0.1:8080."`
	Token string `help:"Identity token for --url; a service of Cloud Run gets yours when left out." env:"MILLRACE_TOKEN"`
	JSON  bool   `name:"json" help:"Print JSON."`
}

// Run compares. Differences are no failure.
func (d diffCmd) Run(ctx context.Context, c console, m *modelCmd) error {
	if d.Token == "" {
		var err error
		if _, d.Token, err = c.signed(ctx, d.URL, nil); err != nil {
			return err
		}
	}
	report, err := folder.Diff{
		Models: m.Models, Model: d.Model, Base: d.Base, URL: d.URL, Token: d.Token, File: d.File, Getenv: c.getenv,
	}.Run(ctx)
	if err != nil {
		return err
	}
	if d.JSON {
		return printJSON(c, report)
	}
	return printDiff(c, report)
}

func printDiff(c console, r *folder.Report) error {
	if r.New {
		fmt.Fprintf(c.out, "%s: new, the base has no such model\n", r.Model)
		return nil
	}
	fmt.Fprintf(c.out, "%s: version %s (%s) → %s (%s)\n", r.Model, r.Base.Version, r.Base.Source, r.Here.Version, r.Here.Source)
	fmt.Fprintf(c.out, "%d rows, %d differ", r.Rows, r.Differ)
	if r.Refused > 0 {
		fmt.Fprintf(c.out, "; %d more are refused by one of the versions", r.Refused)
	}
	fmt.Fprintln(c.out)
	for _, note := range r.Notes {
		fmt.Fprintf(c.out, "note: %s\n", note)
	}
	if r.Differ == 0 {
		return nil
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nOUTPUT\tDIFFER\tLARGEST\tMEAN\tSHIFT")
	for _, o := range r.Outputs {
		fmt.Fprintf(w, "%s\t%d\t%.6g\t%.6g\t%+.6g\n", o.Name, o.Differ, o.Max, o.Mean, o.Shift)
	}
	fmt.Fprintln(w, "\nROW\tOUTPUT\tBASE\tHERE\tBY")
	for _, l := range r.Largest {
		by := ""
		if l.Measured() {
			by = fmt.Sprintf("%.6g", l.By)
		}
		fmt.Fprintf(w, "%d\t%s\t%v\t%v\t%s\n", l.Row, l.Output, l.Base, l.Here, by)
	}
	return w.Flush()
}
