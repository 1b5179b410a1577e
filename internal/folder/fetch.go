package folder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"cloud.google.com/go/storage"

	"github.com/millrace-ml/millrace/shared/cloud"
	"github.com/millrace-ml/millrace/shared/entry"
)

const fetchLimit = 10 * time.Minute

// Fetch reads an object of Cloud Storage, gs://bucket/object or with #generation, and gives its URI with the generation
// that was read, so that it names these bytes for ever.
func Fetch(ctx context.Context, getenv func(string) string, uri string) (data []byte, pinned string, err error) {
	name, generation, hasGeneration := strings.Cut(strings.TrimPrefix(uri, "gs://"), "#")
	bucket, object, ok := strings.Cut(name, "/")
	if !ok || bucket == "" || object == "" || strings.HasSuffix(object, "/") {
		return nil, "", fmt.Errorf("%s: expected gs://bucket/object, with or without #generation", uri)
	}
	var number int64
	if hasGeneration {
		if number, err = strconv.ParseInt(generation, 10, 64); err != nil || number <= 0 {
			return nil, "", fmt.Errorf("%s: the generation %q is no whole number above 0", uri, generation)
		}
	}
	var e cloud.Endpoints
	if err := entry.Config(getenv, &e); err != nil {
		return nil, "", err
	}
	ctx, cancel := context.WithTimeout(ctx, fetchLimit)
	defer cancel()
	client, err := cloud.Storage(ctx, e)
	if err != nil {
		return nil, "", fmt.Errorf("%w (gcloud auth application-default login gives credentials)", err)
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	handle := client.Bucket(bucket).Object(object)
	if number > 0 {
		handle = handle.Generation(number)
	}
	r, err := handle.NewReader(ctx)
	if errors.Is(err, storage.ErrObjectNotExist) || errors.Is(err, storage.ErrBucketNotExist) {
		return nil, "", fmt.Errorf("%s does not exist", uri)
	}
	if err != nil {
		return nil, "", fmt.Errorf("read %s: %w", uri, err)
	}
	defer r.Close()
	data, err = io.ReadAll(io.LimitReader(r, maxArtifact+1))
	if err != nil {
		return nil, "", fmt.Errorf("read %s: %w", uri, err)
	}
	if len(data) > maxArtifact {
		return nil, "", fmt.Errorf("%s has more than %d MiB", uri, maxArtifact>>20)
	}
	return data, fmt.Sprintf("gs://%s/%s#%d", bucket, object, r.Attrs.Generation), nil
}
