package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"cloud.google.com/go/storage"

	"github.com/millrace-ml/millrace/shared/fault"
)

// pointer is a pointer, or a dated copy of one, as it was read.
type pointer struct {
	release    *Release // nil: there is none
	generation int64
	history    string // its dated copy
}

// historyObject names the dated copy of a release. Two moves in one second differ in what they say.
func historyObject(model string, at time.Time, data []byte) string {
	return fmt.Sprintf("history/%s/%s-%s.json", model, at.UTC().Format("20060102T150405Z"), Digest(data)[len(digestPrefix):][:8])
}

// readPointer gives a model's pointer; without a release if there is none. Invalid means that it is there and of no use,
// which leaves its generation.
func readPointer(ctx context.Context, client *storage.Client, bucket, object string) (pointer, error) {
	data, generation, err := readSmall(ctx, client, bucket, object)
	if err != nil || data == nil {
		return pointer{generation: generation}, err
	}
	r, err := parseRelease(data, "gs://"+bucket+"/"+object, func(r *Release) error { return r.valid(object) })
	if err != nil {
		return pointer{generation: generation}, err
	}
	return pointer{r, generation, historyObject(r.Model, r.ReleasedAt, data)}, nil
}

// parseRelease reads a release and checks it; place is for the message.
func parseRelease(data []byte, place string, valid func(*Release) error) (*Release, error) {
	r := &Release{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fault.New(fault.Invalid, nil, "%s: %v", place, err)
	}
	if err := valid(r); err != nil {
		return nil, fault.New(fault.Invalid, nil, "%s: %v", place, err)
	}
	return r, nil
}

// readSmall reads an object that holds one release; nil if it is not there.
func readSmall(ctx context.Context, client *storage.Client, bucket, object string) (data []byte, generation int64, err error) {
	rd, err := client.Bucket(bucket).Object(object).NewReader(ctx)
	if errors.Is(err, storage.ErrObjectNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, storageFault(err, "read gs://%s/%s", bucket, object)
	}
	defer rd.Close()
	data, err = io.ReadAll(io.LimitReader(rd, maxPointer+1))
	if err != nil {
		return nil, 0, storageFault(err, "read gs://%s/%s", bucket, object)
	}
	if len(data) > maxPointer {
		return nil, rd.Attrs.Generation, fault.New(fault.Invalid, nil, "gs://%s/%s: is larger than %d bytes", bucket, object, maxPointer)
	}
	return data, rd.Attrs.Generation, nil
}

// movePointer writes the pointer over the one that was read, if it says something new. A pointer of no use is replaced.
func movePointer(ctx context.Context, client *storage.Client, bucket string, r *Release) (*Release, error) {
	old, err := readPointer(ctx, client, bucket, PointerObject(r.Model))
	if err != nil && fault.KindOf(err) != fault.Invalid {
		return nil, err
	}
	if old.release != nil && old.release.same(r) {
		return old.release, nil
	}
	r.Before = old.history
	return swing(ctx, client, bucket, r, old.generation, func(now *Release) bool { return now.same(r) })
}

// swing writes a release's dated copy and then its pointer over that generation. An answer that got lost is read back: a
// pointer that is there then and that mine takes for what was to be written is our own, or somebody's equal one.
func swing(ctx context.Context, client *storage.Client, bucket string, r *Release, over int64, mine func(now *Release) bool) (*Release, error) {
	object := PointerObject(r.Model)
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode release of %s: %w", r.Model, err)
	}
	// The dated copy comes first: a pointer that has moved always has one, one without a pointer does no harm.
	if err := writeOnce(ctx, client, bucket, historyObject(r.Model, r.ReleasedAt, data), "application/json", data); err != nil {
		return nil, err
	}
	cond := storage.Conditions{GenerationMatch: over, DoesNotExist: over == 0}
	err = writeObject(ctx, client, bucket, object, "application/json", data, cond)
	if err == nil {
		return r, nil
	}
	now, rerr := readPointer(ctx, client, bucket, object)
	switch {
	case rerr == nil && now.release != nil && now.generation != over && mine(now.release):
		return now.release, nil
	case !refused(err):
		return nil, storageFault(err, "write gs://%s/%s", bucket, object)
	}
	return nil, fault.New(fault.Conflict, err, "model %s was released by someone else in this moment: look at it and release again", r.Model)
}
