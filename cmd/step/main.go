// Command step is the container of the default batch pipeline: plan, score, publish, finish.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/millrace-ml/millrace/pipelines/batchscore/step"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	code := step.Main(ctx, os.Args[1:], os.Getenv, os.Stderr)
	stop()
	os.Exit(code)
}
