package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/storage"
	"golang.org/x/sync/errgroup"
	"google.golang.org/api/iterator"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/manifest"
)

// Names in the artifacts bucket.
const (
	releasedPrefix = "released/"
	maxPointer     = 1 << 20 // a pointer holds one manifest
	readTimeout    = 30 * time.Second
	readersAtOnce  = 8
)

// Release is what a model's pointer, released/<model>.json, says: everything that starting a run takes. A run keeps the
// digests and parameters of the release that it was claimed with.
type Release struct {
	Model        string             `json:"model"`
	Manifest     *manifest.Manifest `json:"manifest"`
	Parameters   map[string]any     `json:"parameters,omitempty"` // fixed for every run of the release
	Spec         string             `json:"spec"`                 // gs:// URI of the pipeline's YAML
	SpecDigest   string             `json:"spec_digest"`          // sha256:<hex>
	Folder       string             `json:"folder"`               // gs:// URI of the model folder's tar
	FolderDigest string             `json:"folder_digest"`        // sha256:<hex>
	Image        string             `json:"image,omitempty"`      // of the steps; "" with a user's own pipeline
	ImageDigest  string             `json:"image_digest,omitempty"`
	Commit       string             `json:"commit,omitempty"`
	ReleasedAt   time.Time          `json:"released_at"`
}

// PointerObject is the name of a model's pointer in the artifacts bucket.
func PointerObject(model string) string { return releasedPrefix + model + ".json" }

// valid says why a pointer cannot be used.
func (r *Release) valid(object string) error {
	switch {
	case r.Model == "" || PointerObject(r.Model) != object:
		return fmt.Errorf("it names the model %q", r.Model)
	case r.Manifest == nil || r.Manifest.Name != r.Model || r.Manifest.Batch == nil:
		return errors.New("it has no manifest of a batch model of that name")
	case r.Spec == "" || r.SpecDigest == "" || r.Folder == "" || r.FolderDigest == "":
		return errors.New("it lacks spec, spec_digest, folder or folder_digest")
	}
	return nil
}

// same says whether two releases start the same runs. Commit and time do not count: a release of unchanged content is none.
func (r *Release) same(o *Release) bool {
	content := func(r *Release) []byte {
		c := *r
		c.Commit, c.ReleasedAt = "", time.Time{}
		if _, ok := c.Parameters[ParamCommit]; ok {
			c.Parameters = withParameter(c.Parameters, ParamCommit, "")
		}
		j, err := json.Marshal(c)
		if err != nil {
			return nil
		}
		return j
	}
	a, b := content(r), content(o)
	return a != nil && bytes.Equal(a, b)
}

// Overlaps says whether an upload could belong to two models: one prefix begins with the other.
func Overlaps(a, b *manifest.Manifest) bool {
	if a.Batch == nil || b.Batch == nil || a.Batch.Uploads == nil || b.Batch.Uploads == nil {
		return false
	}
	x, y := a.Batch.Uploads.Prefix, b.Batch.Uploads.Prefix
	return strings.HasPrefix(x, y) || strings.HasPrefix(y, x)
}

// Releases reads every pointer in the artifacts bucket, sorted by model. A pointer that cannot be used does not hide the
// others: then both results are set, and the error names it. An error without releases means that nothing could be read.
func Releases(ctx context.Context, client *storage.Client, bucket string) ([]Release, error) {
	list, broken, err := readReleases(ctx, client, bucket)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, object := range sortedKeys(broken) {
		errs = append(errs, broken[object])
	}
	return list, errors.Join(errs...)
}

// readReleases gives the usable releases and, by object, what is wrong with the others.
func readReleases(ctx context.Context, client *storage.Client, bucket string) ([]Release, map[string]error, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	names, err := pointerNames(ctx, client, bucket)
	if err != nil {
		return nil, nil, err
	}
	found, problem := make([]*Release, len(names)), make([]error, len(names))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(readersAtOnce)
	for i, name := range names {
		g.Go(func() error {
			r, _, err := readPointer(gctx, client, bucket, name)
			if fault.KindOf(err) == fault.Invalid {
				problem[i] = err
				return nil
			}
			found[i] = r
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, nil, err
	}
	list, broken := make([]Release, 0, len(names)), map[string]error{}
	for i, r := range found {
		switch {
		case r != nil:
			list = append(list, *r)
		case problem[i] != nil:
			broken[names[i]] = problem[i]
		}
	}
	slices.SortFunc(list, byModel)
	return list, broken, nil
}

func byModel(a, b Release) int { return strings.Compare(a.Model, b.Model) }

func pointerNames(ctx context.Context, client *storage.Client, bucket string) ([]string, error) {
	q := &storage.Query{Prefix: releasedPrefix, Delimiter: "/"}
	if err := q.SetAttrSelection([]string{"Name"}); err != nil {
		return nil, err
	}
	it := client.Bucket(bucket).Objects(ctx, q)
	var names []string
	for {
		o, err := it.Next()
		if errors.Is(err, iterator.Done) {
			return names, nil
		}
		if err != nil {
			return nil, storageFault(err, "list releases in %s", bucket)
		}
		if strings.HasSuffix(o.Name, ".json") {
			names = append(names, o.Name)
		}
	}
}

// readPointer gives a pointer and its generation; nil and 0 if there is none. Invalid means that it is there and of no use.
func readPointer(ctx context.Context, client *storage.Client, bucket, object string) (*Release, int64, error) {
	rd, err := client.Bucket(bucket).Object(object).NewReader(ctx)
	if errors.Is(err, storage.ErrObjectNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, storageFault(err, "read gs://%s/%s", bucket, object)
	}
	defer rd.Close()
	data, err := io.ReadAll(io.LimitReader(rd, maxPointer+1))
	if err != nil {
		return nil, 0, storageFault(err, "read gs://%s/%s", bucket, object)
	}
	generation := rd.Attrs.Generation
	if len(data) > maxPointer {
		return nil, generation, fault.New(fault.Invalid, nil, "gs://%s/%s: is larger than %d bytes", bucket, object, maxPointer)
	}
	r := &Release{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, generation, fault.New(fault.Invalid, nil, "gs://%s/%s: %v", bucket, object, err)
	}
	if err := r.valid(object); err != nil {
		return nil, generation, fault.New(fault.Invalid, nil, "gs://%s/%s: %v", bucket, object, err)
	}
	return r, generation, nil
}
