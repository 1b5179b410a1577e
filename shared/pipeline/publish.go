package pipeline

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"strings"
	"time"

	"cloud.google.com/go/storage"
	"github.com/kubeflow/pipelines/api/v2alpha1/go/pipelinespec"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/manifest"
)

const (
	writeTimeout = 10 * time.Minute // one object, the largest is a model folder
	smallObject  = 1 << 20
)

// PublishInput is what a release consists of.
type PublishInput struct {
	Folder     fs.FS              // the model folder
	Manifest   *manifest.Manifest // its model.yaml
	Spec       []byte             // the pipeline's YAML: ours by Encode, or the user's own file as it stands
	Parameters map[string]any     // fixed for every run; a user's parameter-values.json
	Image      string             // of the steps, "" with a user's own pipeline
	Commit     string             // source revision, may be ""
	Now        time.Time          // names the copy under history/
}

// Publish releases a batch model: it writes the model folder and the pipeline under names that say their content, then
// moves the model's pointer to them. It gives the release that holds afterwards; for unchanged content that is the one
// from before. It refuses a pipeline that lint or the parameter check refuse, and uploads that another model takes too.
func Publish(ctx context.Context, client *storage.Client, bucket string, in PublishInput) (*Release, error) {
	r, err := in.write(ctx, client, bucket)
	if err != nil {
		return nil, err
	}
	return movePointer(ctx, client, bucket, r)
}

// write writes everything but the pointer.
func (in *PublishInput) write(ctx context.Context, client *storage.Client, bucket string) (*Release, error) {
	r, folder, err := in.release(bucket)
	if err != nil {
		return nil, err
	}
	if err := refuseOverlap(ctx, client, bucket, in.Manifest); err != nil {
		return nil, err
	}
	for _, o := range []struct {
		uri, kind string
		data      []byte
	}{{r.Folder, "application/x-tar", folder}, {r.Spec, "application/yaml", in.Spec}} {
		_, object, err := parseURI(o.uri)
		if err != nil {
			return nil, err
		}
		if err := writeOnce(ctx, client, bucket, object, o.kind, o.data); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// release checks the input and makes the release that it would be.
func (in *PublishInput) release(bucket string) (*Release, []byte, error) {
	m := in.Manifest
	switch {
	case m == nil || in.Folder == nil:
		return nil, nil, fault.New(fault.Internal, nil, "a release needs a model folder and its manifest")
	case m.Batch == nil || !m.Serves(manifest.ServeBatch):
		return nil, nil, fault.New(fault.Invalid, nil, "model %s: does not serve batch, only batch models are released", m.Name)
	case in.Now.IsZero():
		return nil, nil, fault.New(fault.Internal, nil, "model %s: the release has no time", m.Name)
	}
	spec, err := Decode("pipeline of "+m.Name, in.Spec)
	if err != nil {
		return nil, nil, err
	}
	if err := Lint(spec); err != nil {
		return nil, nil, err
	}
	digest := Digest(in.Spec)
	parameters := in.parameters(spec, digest)
	if err := checkRelease(spec, parameters); err != nil {
		return nil, nil, err
	}
	folder, folderDigest, err := Tar(in.Folder)
	if err != nil {
		return nil, nil, fmt.Errorf("model %s: %w", m.Name, err)
	}
	return &Release{
		Model: m.Name, Manifest: m, Parameters: parameters,
		Spec: uriOf(bucket, specKind, m.Name, digest), SpecDigest: digest,
		Folder: uriOf(bucket, folderKind, m.Name, folderDigest), FolderDigest: folderDigest,
		Image: in.Image, ImageDigest: imageDigest(in.Image),
		Commit: in.Commit, ReleasedAt: in.Now.UTC().Truncate(time.Millisecond),
	}, folder, nil
}

// parameters adds where the release came from, if the pipeline wants to know.
func (in *PublishInput) parameters(spec *pipelinespec.PipelineSpec, digest string) map[string]any {
	out := maps.Clone(in.Parameters)
	for name, v := range map[string]string{ParamSpecDigest: digest, ParamCommit: in.Commit} {
		if _, declared := Parameters(spec)[name]; declared {
			if _, given := out[name]; !given {
				out = withParameter(out, name, v)
			}
		}
	}
	return out
}

func withParameter(values map[string]any, name string, v any) map[string]any {
	out := map[string]any{}
	maps.Copy(out, values)
	out[name] = v
	return out
}

func imageDigest(image string) string {
	if _, digest, ok := strings.Cut(image, "@"); ok {
		return digest
	}
	return ""
}

// refuseOverlap keeps every upload at one model. Two releases at the same moment can slip through; validate finds them.
func refuseOverlap(ctx context.Context, client *storage.Client, bucket string, m *manifest.Manifest) error {
	released, err := Releases(ctx, client, bucket)
	if released == nil && err != nil {
		return err
	}
	for _, other := range released {
		if other.Model != m.Name && Overlaps(m, other.Manifest) {
			return fault.New(fault.Conflict, nil,
				"model %s: batch.uploads.prefix %q overlaps with %q of the released model %s, expected a prefix of its own",
				m.Name, m.Batch.Uploads.Prefix, other.Manifest.Batch.Uploads.Prefix, other.Model)
		}
	}
	return nil
}
