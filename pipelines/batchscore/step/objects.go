package step

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"cloud.google.com/go/storage"
	"google.golang.org/api/googleapi"

	"github.com/millrace-ml/millrace/shared/batch"
	"github.com/millrace-ml/millrace/shared/fault"
)

// Deadlines. A stream as a whole has none, since files may be of any size; it must move.
const (
	callTimeout  = 60 * time.Second // a small call, the client's own retries included
	copyTimeout  = 30 * time.Minute // a copy within Cloud Storage; across locations its bytes are moved
	stallTimeout = 90 * time.Second // a stream without a byte; above the client's 32 s for one chunk
	smallLimit   = 64 << 20         // the largest of our own JSON objects: a plan of 1,000 shards of long names
)

// objects is what the steps do with Cloud Storage: create once, read, copy once.
type objects struct {
	client *storage.Client
	now    func() time.Time
	call   time.Duration
	stall  time.Duration
}

// storageFault says what was tried and whether another try may help.
func storageFault(err error, format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	var api *googleapi.Error
	switch {
	case errors.Is(err, errStalled):
		return fault.New(fault.Timeout, err, "%s: the stream stood still", what)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: %w", what, err)
	case errors.Is(err, storage.ErrObjectNotExist), errors.Is(err, storage.ErrBucketNotExist):
		return fault.New(fault.NotFound, err, "%s: not there", what)
	case refused(err):
		return fault.New(fault.Conflict, err, "%s: there already", what)
	case errors.As(err, &api) && (api.Code == http.StatusForbidden || api.Code == http.StatusUnauthorized):
		return fault.New(fault.Forbidden, err, "%s: not allowed", what)
	}
	return fault.New(fault.Unavailable, err, "%s: Cloud Storage does not answer", what)
}

// refused says whether a precondition did not hold.
func refused(err error) bool {
	var api *googleapi.Error
	return errors.As(err, &api) && api.Code == http.StatusPreconditionFailed
}

// createJSON writes v unless the object is there already, which is fault.Conflict. It answers what is there now, unless
// that was only found there.
func (o *objects) createJSON(ctx context.Context, bucket, name string, v any) (batch.Object, error) {
	data, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return batch.Object{}, fmt.Errorf("encode %s: %w", name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, o.call)
	defer cancel()
	w := o.client.Bucket(bucket).Object(name).If(storage.Conditions{DoesNotExist: true}).NewWriter(ctx)
	w.ContentType = "application/json"
	w.ChunkSize = googleapi.MinUploadChunkSize // less memory; not 0, which would take the client's retries away
	_, err = w.Write(append(data, '\n'))
	if cerr := w.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return batch.Object{}, storageFault(err, "create gs://%s/%s", bucket, name)
	}
	return batch.Object{Name: name, CRC32C: w.Attrs().CRC32C, Size: w.Attrs().Size}, nil
}

// ensureJSON writes v unless the object is there already, and answers what is there then. So whoever comes second goes on
// with what the first one wrote, and an own write whose answer was lost is read back.
func ensureJSON[T any](ctx context.Context, o *objects, bucket, name string, v *T) (*T, error) {
	_, err := o.createJSON(ctx, bucket, name, v)
	if fault.KindOf(err) != fault.Conflict {
		return v, err
	}
	there := new(T)
	found, err := o.readJSON(ctx, bucket, name, there)
	if err == nil && !found {
		err = fault.New(fault.Unavailable, nil, "gs://%s/%s was there and is gone", bucket, name)
	}
	return there, err
}

// readJSON reads one of our own small objects.
func (o *objects) readJSON(ctx context.Context, bucket, name string, v any) (found bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, o.call)
	defer cancel()
	r, err := o.client.Bucket(bucket).Object(name).NewReader(ctx)
	if errors.Is(err, storage.ErrObjectNotExist) {
		return false, nil
	}
	if err != nil {
		return false, storageFault(err, "read gs://%s/%s", bucket, name)
	}
	data, err := io.ReadAll(io.LimitReader(r, smallLimit))
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return false, storageFault(err, "read gs://%s/%s", bucket, name)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return false, fmt.Errorf("read gs://%s/%s: %w", bucket, name, err)
	}
	return true, nil
}

// attrs asks for an object's attributes, those of the live generation if generation is 0.
func (o *objects) attrs(ctx context.Context, bucket, name string, generation int64) (*storage.ObjectAttrs, error) {
	ctx, cancel := context.WithTimeout(ctx, o.call)
	defer cancel()
	obj := o.client.Bucket(bucket).Object(name)
	if generation > 0 {
		obj = obj.Generation(generation)
	}
	a, err := obj.Attrs(ctx)
	if err != nil {
		return nil, storageFault(err, "look at gs://%s/%s", bucket, name)
	}
	return a, nil
}

// copyOnce copies an object under a new name unless one is there; then that must have the same bytes. Nothing is ever
// overwritten: the steps' account has no right to delete in the outbox.
func (o *objects) copyOnce(ctx context.Context, fromBucket, toBucket, to string, from batch.Object) (batch.Object, error) {
	cctx, cancel := context.WithTimeout(ctx, copyTimeout)
	defer cancel()
	src := o.client.Bucket(fromBucket).Object(from.Name)
	dst := o.client.Bucket(toBucket).Object(to).If(storage.Conditions{DoesNotExist: true})
	a, err := dst.CopierFrom(src).Run(cctx)
	if refused(err) {
		a, err = o.attrs(ctx, toBucket, to, 0)
	}
	if err != nil {
		return batch.Object{}, storageFault(err, "copy gs://%s/%s to gs://%s/%s", fromBucket, from.Name, toBucket, to)
	}
	if a.CRC32C != from.CRC32C || a.Size != from.Size {
		return batch.Object{}, otherContent(toBucket, to)
	}
	return batch.Object{Name: to, CRC32C: a.CRC32C, Size: a.Size}, nil
}

// otherContent is an object of ours that somebody else wrote. No try mends it.
func otherContent(bucket, name string) error {
	return fault.New(fault.Conflict, nil, "gs://%s/%s is there with other content than this run makes", bucket, name)
}
