package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"cloud.google.com/go/storage"

	"github.com/millrace-ml/millrace/shared/fault"
	"github.com/millrace-ml/millrace/shared/manifest"
)

// Propose writes all of a release but its pointer, and the release itself as a candidate: an object whose name says its
// content. It gives the candidate's gs:// URI. Nothing reads a candidate that is not asked to by that name, so a release can
// be tried before its pointer moves. The commit and the time are not part of a candidate: the same content is the same
// candidate, whenever and from wherever it is tried.
func Propose(ctx context.Context, client *storage.Client, bucket string, in PublishInput) (uri string, candidate *Release, err error) {
	r, err := in.write(ctx, client, bucket)
	if err != nil {
		return "", nil, err
	}
	candidate = r.content()
	uri, data, err := candidate.asCandidate(bucket)
	if err != nil {
		return "", nil, err
	}
	_, object, err := parseURI(uri)
	if err != nil {
		return "", nil, err
	}
	return uri, candidate, writeOnce(ctx, client, bucket, object, "application/json", data)
}

// CandidateURI is the name that Propose would write the candidate under.
func CandidateURI(bucket string, in PublishInput) (string, error) {
	r, _, err := in.release(bucket)
	if err != nil {
		return "", err
	}
	uri, _, err := r.content().asCandidate(bucket)
	return uri, err
}

func (r *Release) asCandidate(bucket string) (uri string, data []byte, err error) {
	data, err = json.MarshalIndent(r, "", "  ")
	if err != nil {
		return "", nil, fmt.Errorf("encode candidate of %s: %w", r.Model, err)
	}
	return uriOf(bucket, candidateKind, r.Model, Digest(data)), data, nil
}

var (
	modelName = regexp.MustCompile(manifest.NamePattern)
	hexDigest = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// CheckCandidate says whether the URI names a candidate of the model in the bucket, and gives the digest that is its name.
func CheckCandidate(bucket, model, uri string) (digest string, err error) {
	prefix := "gs://" + bucket + "/" + candidateKind.folder + "/" + model + "/"
	name, below := strings.CutPrefix(uri, prefix)
	hex, json := strings.CutSuffix(name, candidateKind.ending)
	if !modelName.MatchString(model) || !below || !json || !hexDigest.MatchString(hex) {
		return "", fault.New(fault.Invalid, nil, "candidate %.200q is none of model %.80q, expected %s<sha256>%s", uri, model, prefix, candidateKind.ending)
	}
	return digestPrefix + hex, nil
}

// ReadCandidate reads a candidate of the model and proves it: that its bytes are those of its name, and that it names only
// objects which Propose writes, in the same bucket. Invalid and NotFound are for good.
func ReadCandidate(ctx context.Context, client *storage.Client, bucket, model, uri string) (*Release, error) {
	digest, err := CheckCandidate(bucket, model, uri)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	var b bytes.Buffer
	if err := download(ctx, client, uri, digest, &b, maxPointer); err != nil {
		return nil, err
	}
	return parseRelease(b.Bytes(), uri, func(r *Release) error {
		if err := r.valid(PointerObject(model)); err != nil {
			return err
		}
		if r.Spec != uriOf(bucket, specKind, model, r.SpecDigest) || r.Folder != uriOf(bucket, folderKind, model, r.FolderDigest) {
			return fmt.Errorf("it names the pipeline %.200q and the folder %.200q, expected those of the model in the same bucket", r.Spec, r.Folder)
		}
		return nil
	})
}
