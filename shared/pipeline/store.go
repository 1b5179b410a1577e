package pipeline

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"cloud.google.com/go/storage"
	"google.golang.org/api/googleapi"

	"github.com/millrace-ml/millrace/shared/fault"
)

// storageFault classifies what the storage client answered. Its own retries are over by then.
func storageFault(err error, format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	var api *googleapi.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: %w", what, err)
	case errors.Is(err, storage.ErrObjectNotExist), errors.Is(err, storage.ErrBucketNotExist):
		return fault.New(fault.NotFound, err, "%s: not there", what)
	case errors.As(err, &api) && (api.Code == http.StatusForbidden || api.Code == http.StatusUnauthorized):
		return fault.New(fault.Forbidden, err, "%s: not allowed", what)
	case errors.As(err, &api) && api.Code < 500 && api.Code != http.StatusTooManyRequests && api.Code != http.StatusRequestTimeout:
		return fmt.Errorf("%s: %w", what, err)
	}
	return fault.New(fault.Unavailable, err, "%s: Cloud Storage does not answer", what)
}

// refused says whether a precondition did not hold.
func refused(err error) bool {
	var api *googleapi.Error
	return errors.As(err, &api) && api.Code == http.StatusPreconditionFailed
}

// writeObject creates or replaces an object under a condition. The client repeats a lost answer, so its own first try can
// come back as refused: callers that get refused read what is there.
func writeObject(ctx context.Context, client *storage.Client, bucket, object, contentType string, data []byte, cond storage.Conditions) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	w := client.Bucket(bucket).Object(object).If(cond).NewWriter(ctx)
	w.ContentType = contentType
	if len(data) < smallObject {
		w.ChunkSize = smallObject // one request, and less memory. Not 0: the client never repeats such an upload.
	}
	if _, err := w.Write(data); err != nil {
		cancel() // makes Close give up the upload
		return errors.Join(err, w.Close())
	}
	return w.Close()
}

// writeOnce writes an object whose name says its content: one that is there already is right.
func writeOnce(ctx context.Context, client *storage.Client, bucket, object, contentType string, data []byte) error {
	err := writeObject(ctx, client, bucket, object, contentType, data, storage.Conditions{DoesNotExist: true})
	if err == nil || refused(err) {
		return nil
	}
	return storageFault(err, "write gs://%s/%s", bucket, object)
}

// parseURI splits gs://bucket/object.
func parseURI(uri string) (bucket, object string, err error) {
	rest, ok := strings.CutPrefix(uri, "gs://")
	bucket, object, found := strings.Cut(rest, "/")
	if !ok || !found || bucket == "" || object == "" {
		return "", "", fault.New(fault.Invalid, nil, "%q: is no gs://bucket/object", uri)
	}
	return bucket, object, nil
}

// kind is what an object whose name says its content holds: the folder that it lies in and the ending of its name.
type kind struct{ folder, ending string }

var (
	folderKind    = kind{"models", ".tar"}
	specKind      = kind{"pipelines", ".yaml"}
	candidateKind = kind{"candidates", ".json"}
)

// uriOf names a model's object of this content.
func uriOf(bucket string, k kind, model, digest string) string {
	return "gs://" + bucket + "/" + k.folder + "/" + model + "/" + strings.TrimPrefix(digest, digestPrefix) + k.ending
}
