package step

import (
	"context"
	"errors"
	"io"

	"golang.org/x/sync/errgroup"

	"github.com/millrace-ml/millrace/shared/table"
)

// job is a block on its way from the file to the predictions.
type job struct {
	block table.Block
	out   scored
	done  chan error // one value a pass
}

// inOrder reads blocks, works on them in as many goroutines as there are works, and hands the outcomes to write in the
// order of the file. Memory is two jobs a goroutine, whatever the file. It comes back when all goroutines have ended; ctx
// must be the group's, so that the first error ends the others.
func inOrder(ctx context.Context, g *errgroup.Group, next func(*table.Block) error, works []func(*table.Block, *scored) error, write func(*scored) error) error {
	n := 2 * len(works)
	free, todo, order := make(chan *job, n), make(chan *job, n), make(chan *job, n)
	for range n {
		free <- &job{done: make(chan error, 1)}
	}
	g.Go(func() error {
		defer close(todo)
		defer close(order)
		for {
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case j := <-free:
				err := next(&j.block)
				if errors.Is(err, io.EOF) {
					return nil
				}
				if err != nil {
					return err
				}
				order <- j // these two have room for all jobs
				todo <- j
			}
		}
	})
	for _, work := range works {
		g.Go(func() error {
			for j := range todo {
				j.done <- work(&j.block, &j.out)
			}
			return nil
		})
	}
	g.Go(func() error {
		for j := range order {
			if err := <-j.done; err != nil {
				return err
			}
			if err := write(&j.out); err != nil {
				return err
			}
			free <- j
		}
		return nil
	})
	return g.Wait()
}
