// Command millrace runs, checks and asks: the local cloud, model folders, predictions, batch runs.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"
)

// cli is the command line; kong makes the help of the tags.
type cli struct {
	Dev      devCmd      `cmd:"" help:"Start everything on this machine: the functions, the models, and a local cloud below them."`
	Validate validateCmd `cmd:"" help:"Check model folders: manifest, contract, artifact, parity rows, pipeline."`
	New      newCmd      `cmd:"" help:"Make a new model folder, from an example or from a model file."`
	Model    modelCmd    `cmd:"" help:"Update a model's artifact, or compare two versions' predictions."`
	Predict  predictCmd  `cmd:"" help:"Predict the instances of a JSON file with a model folder, or at a URL."`
	Runs     runsCmd     `cmd:"" help:"Batch runs: list, show, watch, start."`
	CI       ciCmd       `cmd:"" name:"ci" help:"What a build does: find the changed units, bundle functions, build the step image, release batch models."`
	Doctor   doctorCmd   `cmd:"" help:"Look at tools, credentials and the project on Google Cloud; print the commands that mend what is wrong. Changes nothing."`
	Version  versionCmd  `cmd:"" help:"Print the version."`
	Step     stepCmd     `cmd:"" hidden:"" passthrough:"" help:"Run one step of a pipeline, as the step container does."`
}

// console is where commands read and write; tests give their own.
type console struct {
	in       io.Reader
	out, err io.Writer
	getenv   func(string) string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], console{os.Stdin, os.Stdout, os.Stderr, os.Getenv})
	stop()
	os.Exit(code)
}

// exit is an error that carries the exit code and has been reported already.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// run executes one command line and gives its exit code: 0, 1 for a failure, 2 for a wrong command line.
func run(ctx context.Context, args []string, c console) int {
	var line cli
	left := -1 // kong leaves through its Exit after printing help
	parser, err := kong.New(&line, kong.Name("millrace"), kong.Description("Machine-learning models served and batch-scored on Google Cloud, and all of it on this machine."),
		kong.Writers(c.out, c.err), kong.UsageOnError(), kong.Exit(func(code int) { left = code }),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.Bind(c))
	if err != nil {
		panic(err) // the struct above is wrong
	}
	parsed, err := parser.Parse(args)
	switch {
	case left >= 0:
		return left
	case err != nil:
		fmt.Fprintf(c.err, "millrace: %v (millrace --help lists the commands)\n", err)
		return 2
	}
	err = parsed.Run()
	var code exit
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	}
	fmt.Fprintf(c.err, "millrace: %v\n", err)
	return 1
}

type versionCmd struct{}

// Run prints what this program was built from.
func (versionCmd) Run(c console) error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return errors.New("this program carries no build information")
	}
	version, commit := info.Main.Version, ""
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			commit = " " + s.Value
		}
	}
	fmt.Fprintf(c.out, "millrace %s%s %s\n", version, commit, info.GoVersion)
	return nil
}
