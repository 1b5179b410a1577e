package step

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"cloud.google.com/go/storage"
	"google.golang.org/api/iterator"

	"github.com/millrace-ml/millrace/pipelines/batchscore"
	"github.com/millrace-ml/millrace/shared/batch"
	"github.com/millrace-ml/millrace/shared/fault"
)

// dataset is dataset.json: what a run reads, resolved once. Every retry reads this list, so a file that arrives
// meanwhile cannot change what the run is about.
type dataset struct {
	Bucket  string   `json:"bucket"`
	Objects []source `json:"objects"`           // in order of their names
	Ignored []string `json:"ignored,omitempty"` // below the prefix, but no data
}

// source is one generation of one object.
type source struct {
	Name       string `json:"name"`
	Generation int64  `json:"generation,string"`
	Size       int64  `json:"size,string"`
	CRC32C     uint32 `json:"crc32c"`
	Encoding   string `json:"content_encoding,omitempty"`
}

// maxObjects keeps the plan small enough to be read by every task.
const maxObjects = 10_000

func (d *dataset) bytes() (n int64) {
	for _, o := range d.Objects {
		n += o.Size
	}
	return n
}

// resolve answers the run's dataset. What cannot be one is a verdict.
func (t *task) resolve(ctx context.Context, p *planInput) (*dataset, error) {
	name := batch.DatasetObject(p.run)
	d := &dataset{}
	if found, err := t.store.readJSON(ctx, p.staging, name, d); err != nil || found {
		return d, err
	}
	d, err := t.look(ctx, p.dataset)
	if err != nil {
		return nil, err
	}
	for _, o := range d.Objects {
		if o.Encoding != "" && o.Encoding != "identity" {
			return nil, invalid("gs://%s/%s is stored with Content-Encoding %q: upload it unpacked", d.Bucket, o.Name, o.Encoding)
		}
	}
	return ensureJSON(ctx, t.store, p.staging, name, d)
}

// look finds what there is now.
func (t *task) look(ctx context.Context, want batch.Dataset) (*dataset, error) {
	switch {
	case want.Bucket == "" || (want.Object == "") == (want.Prefix == ""):
		return nil, &usageError{fmt.Sprintf("parameter %s must name a bucket, and an object or a prefix: %+v", batchscore.ParamDataset, want)}
	case want.Prefix != "":
		return t.list(ctx, want.Bucket, want.Prefix)
	}
	a, err := t.store.attrs(ctx, want.Bucket, want.Object, want.Generation)
	switch {
	case err == nil:
		return &dataset{Bucket: want.Bucket, Objects: []source{sourceOf(a)}}, nil
	case fault.KindOf(err) != fault.NotFound:
		return nil, err
	case want.Generation == 0:
		return nil, invalid("no dataset: gs://%s/%s does not exist", want.Bucket, want.Object)
	}
	return nil, t.gone(ctx, want.Bucket, want.Object, want.Generation)
}

// gone is the verdict on a generation that cannot be read any more. A newer one is a trigger, and a run, of its own.
func (t *task) gone(ctx context.Context, bucket, name string, generation int64) error {
	now, err := t.store.attrs(ctx, bucket, name, 0)
	switch {
	case err == nil && now.Generation == generation:
		return fault.New(fault.Unavailable, nil, "gs://%s/%s#%d was not there and is again", bucket, name, generation)
	case err == nil:
		return invalid("gs://%s/%s#%d was replaced by #%d before this run had read it; the newer upload gets a run of its own",
			bucket, name, generation, now.Generation)
	case fault.KindOf(err) == fault.NotFound:
		return invalid("gs://%s/%s#%d was deleted before this run had read it", bucket, name, generation)
	}
	return err
}

func sourceOf(a *storage.ObjectAttrs) source {
	return source{Name: a.Name, Generation: a.Generation, Size: a.Size, CRC32C: a.CRC32C, Encoding: a.ContentEncoding}
}

// list takes every object below a prefix that is data.
func (t *task) list(ctx context.Context, bucket, prefix string) (*dataset, error) {
	ctx, watch := newWatch(ctx, t.store.stall)
	defer watch.close(ctx, nil) //nolint:errcheck // there is no error to turn
	q := &storage.Query{Prefix: prefix}
	if err := q.SetAttrSelection([]string{"Name", "Generation", "Size", "CRC32C", "ContentEncoding"}); err != nil {
		return nil, fmt.Errorf("list gs://%s/%s: %w", bucket, prefix, err)
	}
	it := t.store.client.Bucket(bucket).Objects(ctx, q)
	d := &dataset{Bucket: bucket}
	for {
		watch.begin()
		a, err := it.Next()
		watch.end()
		switch {
		case errors.Is(err, iterator.Done):
			if len(d.Objects) == 0 {
				return nil, invalid("no dataset: there is no data below gs://%s/%s", bucket, prefix)
			}
			return d, nil
		case err != nil:
			return nil, storageFault(err, "list gs://%s/%s", bucket, prefix)
		case a.Size == 0 || !isData(strings.TrimPrefix(a.Name, prefix)):
			d.Ignored = append(d.Ignored, a.Name)
		default:
			d.Objects = append(d.Objects, sourceOf(a))
		}
		if len(d.Objects) > maxObjects || len(d.Ignored) > maxObjects {
			return nil, invalid("there are more than %d objects below gs://%s/%s: use a longer prefix", maxObjects, bucket, prefix)
		}
	}
}

// isData leaves out what tools leave beside data, by the conventions of Hive and Spark: names that begin with _ or a
// dot, at any level, and temporary files.
func isData(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(part, "_") || strings.HasPrefix(part, ".") {
			return false
		}
	}
	base := path.Base(name)
	return !strings.HasSuffix(base, ".tmp") && !strings.HasSuffix(base, ".crc") && !strings.HasSuffix(base, "~")
}
