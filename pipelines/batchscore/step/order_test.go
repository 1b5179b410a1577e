package step

import (
	"context"
	"errors"
	"io"
	"runtime"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/millrace-ml/millrace/shared/table"
)

// TestInOrder: outcomes come in the order of the blocks whoever is faster, and the first error of any part ends the rest.
func TestInOrder(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	const blocks, at = 500, 300
	for name, tc := range map[string]struct{ next, work, write, want error }{
		"all well":        {},
		"reading breaks":  {next: broken, want: broken},
		"scoring breaks":  {work: broken, want: broken},
		"writing breaks":  {write: broken, want: broken},
		"reading and EOF": {next: io.EOF},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fail := func(n int64, err error) error {
				if n == at {
					return err
				}
				return nil
			}
			read, written := int64(0), int64(0)
			next := func(b *table.Block) error {
				if read++; read > blocks {
					return io.EOF
				}
				b.First = read
				return fail(read, tc.next)
			}
			work := func(b *table.Block, out *scored) error {
				for range b.First % 7 {
					runtime.Gosched()
				}
				out.rows = b.First
				return fail(b.First, tc.work)
			}
			write := func(out *scored) error {
				if written++; out.rows != written {
					t.Errorf("outcome %d came as number %d", out.rows, written)
				}
				return fail(out.rows, tc.write)
			}
			g, ctx := errgroup.WithContext(context.WithoutCancel(t.Context()))
			err := inOrder(ctx, g, next, []func(*table.Block, *scored) error{work, work, work}, write)
			if !errors.Is(err, tc.want) || tc.want == nil && err != nil {
				t.Errorf("error is %v, want %v", err, tc.want)
			}
			if want := int64(blocks); name == "all well" && written != want || name == "reading and EOF" && written != at-1 {
				t.Errorf("%d outcomes were written", written)
			}
		})
	}
}
