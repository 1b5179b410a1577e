package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	ReleasedAt   time.Time          `json:"released_at,omitzero"` // of a candidate: not set
	Before       string             `json:"before,omitempty"`     // object of history/ with the release that a rollback goes back to
	Withdrew     string             `json:"withdrew,omitempty"`   // of a rollback: object of history/ with the release that it took back
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

// content is what the release starts runs with: without when and where it came from, and what was released around it.
func (r *Release) content() *Release {
	c := *r
	c.Commit, c.ReleasedAt, c.Before, c.Withdrew = "", time.Time{}, "", ""
	if _, ok := c.Parameters[ParamCommit]; ok {
		c.Parameters = withParameter(c.Parameters, ParamCommit, "")
	}
	return &c
}

// same says whether two releases start the same runs. Commit and time do not count: a release of unchanged content is none.
func (r *Release) same(o *Release) bool {
	a, err := json.Marshal(r.content())
	if err != nil {
		return false
	}
	b, err := json.Marshal(o.content())
	return err == nil && bytes.Equal(a, b)
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
			p, err := readPointer(gctx, client, bucket, name)
			if fault.KindOf(err) == fault.Invalid {
				problem[i] = err
				return nil
			}
			found[i] = p.release
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
