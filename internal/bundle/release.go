package bundle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"cloud.google.com/go/storage"

	"github.com/millrace-ml/millrace/pipelines/batchscore"
	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/manifest"
	"github.com/millrace-ml/millrace/shared/pipeline"
)

// A model folder with these has a graph of the user's own.
const (
	pipelineFile   = "pipeline.yaml"
	parametersFile = "parameter-values.json"
)

var byDigest = regexp.MustCompile(`^[^@\s]+@sha256:[0-9a-f]{64}$`)

// ByDigest says whether an image stays the one it is; a tag moves.
func ByDigest(image string) bool { return byDigest.MatchString(image) }

// ReleaseOptions say what a batch model's release is made of.
type ReleaseOptions struct {
	Model  string    // the model folder
	Image  string    // of the steps, by digest; not used by a graph of the user's own
	Commit string    // source revision, may be ""
	Now    time.Time // of the release
	Work   string    // an empty folder that lives as long as the result: the model folder with its artifact is put there

	// Storage opens Cloud Storage, for a model whose artifact lies there. It is called only then.
	Storage func(context.Context) (*storage.Client, error)
}

// Release prepares the release of a batch model for pipeline.Publish: the proven model folder and the graph, ours or the
// user's own.
func Release(ctx context.Context, o ReleaseOptions) (*pipeline.PublishInput, error) {
	m, err := loadManifest(o.Model)
	if err != nil {
		return nil, err
	}
	if !m.Serves(manifest.ServeBatch) {
		return nil, fault.New(fault.Invalid, nil, "model %s does not serve batch, only batch models are released", m.Name)
	}
	in := &pipeline.PublishInput{Folder: os.DirFS(o.Work), Manifest: m, Commit: o.Commit, Now: o.Now}
	if in.Spec, err = os.ReadFile(filepath.Join(o.Model, pipelineFile)); err == nil {
		in.Parameters, err = ownParameters(filepath.Join(o.Model, parametersFile))
	} else if errors.Is(err, fs.ErrNotExist) {
		in.Image = o.Image
		in.Spec, err = graph(m, o.Image)
	}
	if err != nil {
		return nil, err
	}
	spec, err := pipeline.Decode("pipeline of "+m.Name, in.Spec)
	if err != nil {
		return nil, err
	}
	if err := pipeline.Lint(spec); err != nil {
		return nil, err
	}
	return in, Model(ctx, o.Model, o.Work, o.Storage)
}

// graph is the default graph for a model.
func graph(m *manifest.Manifest, image string) ([]byte, error) {
	if !ByDigest(image) {
		return nil, fault.New(fault.Invalid, nil, "model %s: the step image %q is not named by digest, expected REPOSITORY@sha256:…, since a release must not change under its runs", m.Name, image)
	}
	spec, err := batchscore.Build(m, image)
	if err != nil {
		return nil, err
	}
	return pipeline.Encode(spec)
}

// ownParameters are the values that a user's own graph is started with; none without the file.
func ownParameters(name string) (map[string]any, error) {
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var values map[string]any
	if err := json.Unmarshal(data, &values); err != nil {
		return nil, fault.New(fault.Invalid, err, "%s is no JSON object of parameter values", name)
	}
	return values, nil
}

// Objects are what publishing a release writes into a bucket, in order: gs:// URIs. The first two are there already when
// their content is.
func Objects(bucket string, in *pipeline.PublishInput) ([]string, error) {
	_, digest, err := pipeline.Tar(in.Folder)
	if err != nil {
		return nil, err
	}
	name := in.Manifest.Name
	hex := func(digest string) string { return digest[len("sha256:"):] }
	return []string{
		fmt.Sprintf("gs://%s/models/%s/%s.tar", bucket, name, hex(digest)),
		fmt.Sprintf("gs://%s/pipelines/%s/%s.yaml", bucket, name, hex(pipeline.Digest(in.Spec))),
		fmt.Sprintf("gs://%s/%s", bucket, pipeline.PointerObject(name)),
	}, nil
}
