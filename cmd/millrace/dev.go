package main

import (
	"context"
	"fmt"
	"os"
	"strconv"

	"github.com/millrace-ml/millrace/internal/devserver"
	"github.com/millrace-ml/millrace/internal/localcloud/chaos"
	"github.com/millrace-ml/millrace/pipelines/batchscore/step"
	"github.com/millrace-ml/millrace/shared/entry"
)

type devCmd struct {
	Port   int    `help:"Port of the console; the others count from it. 0 takes free ports." default:"8080" env:"PORT"`
	Data   string `help:"Folder of all data: objects, runs, the inbox folder." default:".millrace" env:"DATA" type:"path"`
	Models string `help:"Folder with one folder per model." default:"models" type:"path"`
}

// timing are the settings of onupload and batchtrigger that are handed on: how long an owner is left alone, and how young a
// trigger may be. The rest is the local cloud's own.
var timing = []string{"START_DEADLINE", "LEASE", "LEASE_MARGIN", "SWEEP_MIN_AGE"}

// Run serves until it is interrupted.
func (d devCmd) Run(ctx context.Context, c console) error {
	if d.Port < 0 || d.Port > 65000 {
		return fmt.Errorf("--port %s: expected 0, or a number up to 65000", strconv.Itoa(d.Port))
	}
	binary, err := os.Executable()
	if err != nil {
		return err
	}
	faults, err := chaos.FromEnv(c.getenv) // for tests that kill a real process
	if err != nil {
		return err
	}
	env := map[string]string{}
	for _, key := range timing {
		if v := c.getenv(key); v != "" {
			env[key] = v
		}
	}
	log := entry.NewLogger(c.err)
	return devserver.Run(ctx, devserver.Options{
		Port: d.Port, Data: d.Data, Models: d.Models, Binary: binary, Log: log, Chaos: faults, Env: env,
		Ready: func(s *devserver.Server) { printOverview(c, s.Overview()) },
	})
}

// printOverview says what there is to try; the console page says it too.
func printOverview(c console, o devserver.Overview) {
	fmt.Fprintf(c.out, "\nMillrace is ready: %s\n", o.Console)
	for _, m := range o.Models {
		fmt.Fprintf(c.out, "\n%s, version %s\n", m.Name, m.Version)
		if m.Problem != "" {
			fmt.Fprintf(c.out, "  refused: %s\n", m.Problem)
		}
		if m.URL != "" {
			fmt.Fprintf(c.out, "  predict   curl %s:predict -d '%s'\n", m.URL, m.Example)
			fmt.Fprintf(c.out, "            its own port, as deployed: %s\n", m.Own)
		}
		if m.Upload != "" {
			fmt.Fprintf(c.out, "  score     cp models/%s/sample.csv %s/%s\n", m.Name, o.Inbox, m.Upload)
			fmt.Fprintf(c.out, "            curl --data-binary @models/%s/sample.csv '%s/upload/storage/v1/b/%s/o?uploadType=media&name=%s'\n", m.Name, o.Storage, o.InboxBucket, m.Upload)
		}
		for _, s := range m.Schedules {
			fmt.Fprintf(c.out, "  schedule  bin/millrace runs start %s --schedule %s   (scores %s)\n", m.Name, s.Name, s.Dataset)
		}
	}
	fmt.Fprintf(c.out, "\nruns: bin/millrace runs list     other clients: . %s     stop: Ctrl-C\n\n", o.Env)
}

type stepCmd struct {
	Args []string `arg:"" optional:"" passthrough:""`
}

// Run is the step container's main.
func (s stepCmd) Run(ctx context.Context, c console) error {
	if code := step.Main(ctx, s.Args, c.getenv, c.err); code != 0 {
		return exit(code)
	}
	return nil
}
