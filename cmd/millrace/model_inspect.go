package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/millrace-ml/millrace/internal/inspect"
)

type inspectCmd struct {
	Model string `arg:"" help:"The model."`
	Tree  int    `help:"Number of the tree to write out, from 0; -1 for none." default:"0"`
	Top   int    `help:"Features to list, the most important first; 0 for all." default:"20"`
	JSON  bool   `name:"json" help:"Print JSON."`
}

// Run looks at the artifact.
func (i inspectCmd) Run(c console, m *modelCmd) error {
	report, err := inspect.Inspect(m.Models, i.Model, i.Tree)
	if err != nil {
		return err
	}
	if i.JSON {
		return printJSON(c, report)
	}
	return printInspected(c, report, i.Tree, i.Top)
}

func printInspected(c console, r *inspect.Report, tree, top int) error {
	known := func(s string) string {
		if s == "" {
			return "not recorded"
		}
		return s
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "model\t%s, version %s\n", r.Model, r.Version)
	fmt.Fprintf(w, "artifact\t%s, %d bytes, %.19s\n", r.Artifact, r.FileBytes, r.Digest)
	fmt.Fprintf(w, "format\t%s, version of the library: %s\n", r.Format, known(r.Library))
	fmt.Fprintf(w, "objective\t%s\n", known(r.Objective))
	if len(r.Classes) > 0 {
		fmt.Fprintf(w, "classes\t%s\n", strings.Join(r.Classes, ", "))
	}
	switch {
	case r.Leaves > 0:
		fmt.Fprintf(w, "trees\t%d, of up to %d splits from root to leaf; %d leaves\n", r.Trees, r.Depth, r.Leaves)
	case r.Trees > 0: // in a graph, beside other things
		fmt.Fprintf(w, "trees\t%d\n", r.Trees)
	}
	if r.Bytes > 0 {
		fmt.Fprintf(w, "in memory\t%d bytes, summed in %s\n", r.Bytes, r.Precision)
	}
	fmt.Fprintf(w, "outputs\t%d, from %d raw scores\n", r.Outputs, r.Margins)
	if r.Importance == "" {
		return w.Flush()
	}
	fmt.Fprintf(w, "features\t%d, of which %d are used\n", len(r.Features), r.Used())
	if err := w.Flush(); err != nil {
		return err
	}
	printFeatures(w, r, top)
	if err := w.Flush(); err != nil {
		return err
	}
	if r.Tree != "" {
		fmt.Fprintf(c.out, "\ntree %d of %d (--tree N writes another)\n%s", tree, r.Trees, r.Tree)
	}
	return nil
}

func printFeatures(w *tabwriter.Writer, r *inspect.Report, top int) {
	switch r.Importance {
	case "gain":
		fmt.Fprintln(w, "\nFEATURE\tGAIN\tSHARE\tSPLITS")
	case "weight":
		fmt.Fprintln(w, "\nFEATURE\tWEIGHT\tSHARE")
	default:
		fmt.Fprintln(w, "\nFEATURE\tSPLITS\tSHARE")
	}
	for i, f := range r.Features {
		if i == top && top > 0 {
			fmt.Fprintf(w, "and %d more\t(--top 0)\n", len(r.Features)-top)
			return
		}
		switch r.Importance {
		case "gain":
			fmt.Fprintf(w, "%s\t%.6g\t%.1f %%\t%d\n", f.Name, *f.Gain, 100*f.Share, f.Splits)
		case "weight":
			fmt.Fprintf(w, "%s\t%s\t%.1f %%\n", f.Name, strings.Trim(fmt.Sprintf("%.6g", f.Weights), "[]"), 100*f.Share)
		default:
			fmt.Fprintf(w, "%s\t%d\t%.1f %%\n", f.Name, f.Splits, 100*f.Share)
		}
	}
}
