package step

import (
	"context"
	"errors"
	"hash"
	"hash/crc32"
	"io"
	"time"

	"cloud.google.com/go/storage"

	"github.com/millrace-ml/millrace/shared/batch"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errStalled = errors.New("no byte moved")

// watch ends a context when one call takes longer than a stream may stand still. Time that is spent outside of calls
// does not count: the other side of the stream may be slow.
type watch struct {
	cancel context.CancelCauseFunc
	timer  *time.Timer
	limit  time.Duration
}

func newWatch(ctx context.Context, limit time.Duration) (context.Context, *watch) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watch{cancel: cancel, limit: limit}
	w.timer = time.AfterFunc(limit, func() { cancel(errStalled) })
	w.timer.Stop()
	return ctx, w
}

func (w *watch) begin() { w.timer.Reset(w.limit) }

func (w *watch) end() { w.timer.Stop() }

// close lets go of the context; err becomes errStalled if that is what ended it.
func (w *watch) close(ctx context.Context, err error) error {
	w.timer.Stop()
	if err != nil && errors.Is(context.Cause(ctx), errStalled) {
		err = errStalled
	}
	w.cancel(nil)
	return err
}

// download is a stream of an object's bytes.
type download struct {
	r     *storage.Reader
	ctx   context.Context
	watch *watch
	what  string
}

// read opens length bytes of one generation from offset on; length -1 is all the rest.
func (o *objects) read(ctx context.Context, bucket, name string, generation, offset, length int64) (*download, error) {
	ctx, w := newWatch(ctx, o.stall)
	w.begin()
	r, err := o.client.Bucket(bucket).Object(name).Generation(generation).NewRangeReader(ctx, offset, length)
	w.end()
	what := "read gs://" + bucket + "/" + name
	if err != nil {
		return nil, storageFault(w.close(ctx, err), "%s", what)
	}
	return &download{r: r, ctx: ctx, watch: w, what: what}, nil
}

// Read gives io.EOF only at the end that Cloud Storage announced.
func (d *download) Read(p []byte) (int, error) {
	d.watch.begin()
	n, err := d.r.Read(p)
	d.watch.end()
	if err == nil || errors.Is(err, io.EOF) {
		return n, err
	}
	if errors.Is(context.Cause(d.ctx), errStalled) {
		err = errStalled
	}
	return n, storageFault(err, "%s", d.what)
}

// Close lets go of the stream. Bytes that nobody read are no error.
func (d *download) Close() error {
	d.watch.close(d.ctx, d.r.Close()) //nolint:errcheck // the stream has told its errors in Read
	return nil
}

// upload is a new object that is written as a stream. An object that is there already is compared instead: the same
// bytes are success, so a step that runs again ends where the first one did.
type upload struct {
	o            *objects
	bucket, name string
	ctx          context.Context
	watch        *watch
	w            *storage.Writer
	sum          hash.Hash32
	size         int64
	exists       bool
}

// uploadChunk is what one upload holds in memory.
const uploadChunk = 2 << 20

func (o *objects) write(ctx context.Context, bucket, name, contentType string) *upload {
	ctx, watch := newWatch(ctx, o.stall)
	w := o.client.Bucket(bucket).Object(name).If(storage.Conditions{DoesNotExist: true}).NewWriter(ctx)
	w.ContentType, w.ChunkSize = contentType, uploadChunk
	return &upload{o: o, bucket: bucket, name: name, ctx: ctx, watch: watch, w: w, sum: crc32.New(castagnoli)}
}

func (u *upload) Write(p []byte) (int, error) {
	u.sum.Write(p)
	u.size += int64(len(p))
	if u.exists {
		return len(p), nil
	}
	u.watch.begin()
	n, err := u.w.Write(p)
	u.watch.end()
	if refused(err) {
		u.exists = true
		return len(p), nil
	}
	return n, u.fault(err)
}

func (u *upload) fault(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(context.Cause(u.ctx), errStalled) {
		err = errStalled
	}
	return storageFault(err, "write gs://%s/%s", u.bucket, u.name)
}

// Close ends the object and answers what is there now. Close or abort ends every upload.
func (u *upload) Close() (batch.Object, error) {
	out := batch.Object{Name: u.name, CRC32C: u.sum.Sum32(), Size: u.size}
	u.watch.begin()
	err := u.w.Close()
	u.watch.end()
	u.exists = u.exists || refused(err)
	defer u.watch.close(u.ctx, nil) //nolint:errcheck // there is no error to turn
	if !u.exists {
		if err == nil && u.w.Attrs().CRC32C != out.CRC32C {
			err = errors.New("what was stored has another checksum")
		}
		return out, u.fault(err)
	}
	a, err := u.o.attrs(context.WithoutCancel(u.ctx), u.bucket, u.name, 0) // has a deadline of its own
	if err != nil {
		return out, err
	}
	if a.CRC32C != out.CRC32C || a.Size != out.Size {
		return out, otherContent(u.bucket, u.name)
	}
	return out, nil
}

// abort gives up; nothing is stored.
func (u *upload) abort() {
	u.watch.cancel(context.Canceled)
	u.w.Close() //nolint:errcheck // it reports the cancellation
	u.watch.end()
}
