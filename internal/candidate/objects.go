package candidate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"time"

	"cloud.google.com/go/storage"
	"google.golang.org/api/googleapi"

	"github.com/millrace-ml/millrace/shared/batch"
	"github.com/millrace-ml/millrace/shared/fault"
)

const objectLimit = 2 * time.Minute // of one call to Cloud Storage, the client's own retries included

type dataset = batch.Dataset

// writeRows puts the rows where trials read theirs. Rows that are there already are taken, so that a repeated trial names
// the same generation; other rows under the same name come of an earlier program and are replaced.
func (t *trial) writeRows(ctx context.Context, r *rows) error {
	ctx, cancel := context.WithTimeout(ctx, objectLimit)
	defer cancel()
	name := batch.TrialPrefix(t.model) + t.unit + ".csv"
	object := t.Storage.Bucket(t.Staging).Object(name)
	t.dataset = dataset{Bucket: t.Staging, Object: name}
	cond := storage.Conditions{DoesNotExist: true}
	for range 3 {
		w := object.If(cond).NewWriter(ctx)
		w.ContentType = "text/csv; charset=utf-8"
		w.ChunkSize = 1 << 20 // less memory; not 0, which would take the client's retries away
		_, err := io.Copy(w, bytes.NewReader(r.text))
		if cerr := w.Close(); err == nil {
			err = cerr
		}
		if err == nil {
			t.dataset.Generation = w.Attrs().Generation
			return nil
		}
		if !refused(err) {
			return storageFault(ctx, err, "write gs://%s/%s", t.Staging, name)
		}
		a, err := object.Attrs(ctx)
		switch {
		case errors.Is(err, storage.ErrObjectNotExist):
			cond = storage.Conditions{DoesNotExist: true}
		case err != nil:
			return storageFault(ctx, err, "look at gs://%s/%s", t.Staging, name)
		case a.Size == int64(len(r.text)) && a.CRC32C == checksum(r.text):
			t.dataset.Generation = a.Generation
			return nil
		default:
			cond = storage.Conditions{GenerationMatch: a.Generation}
		}
	}
	return fault.New(fault.Conflict, nil, "gs://%s/%s is written by others all the time", t.Staging, name)
}

func checksum(data []byte) uint32 { return crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)) }

// read gives an object of staging, nil if it is not there, and refuses one above the limit.
func (t *trial) read(ctx context.Context, name string, limit int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, objectLimit)
	defer cancel()
	r, err := t.Storage.Bucket(t.Staging).Object(name).NewReader(ctx)
	if errors.Is(err, storage.ErrObjectNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, storageFault(ctx, err, "read gs://%s/%s", t.Staging, name)
	}
	data, err := io.ReadAll(io.LimitReader(r, limit+1))
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, storageFault(ctx, err, "read gs://%s/%s", t.Staging, name)
	}
	if int64(len(data)) > limit {
		return nil, fault.New(fault.TooLarge, nil, "gs://%s/%s: is larger than %d bytes", t.Staging, name, limit)
	}
	return data, nil
}

// refused says whether a precondition did not hold.
func refused(err error) bool {
	var api *googleapi.Error
	return errors.As(err, &api) && api.Code == http.StatusPreconditionFailed
}

func storageFault(ctx context.Context, err error, format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	var api *googleapi.Error
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", what, context.Cause(ctx))
	case errors.As(err, &api) && (api.Code == http.StatusForbidden || api.Code == http.StatusUnauthorized):
		return fault.New(fault.Forbidden, err, "%s: not allowed", what)
	case errors.Is(err, storage.ErrBucketNotExist), errors.As(err, &api) && api.Code == http.StatusNotFound:
		return fault.New(fault.NotFound, err, "%s: not there", what)
	}
	return fault.New(fault.Unavailable, err, "%s: Cloud Storage does not answer", what)
}
