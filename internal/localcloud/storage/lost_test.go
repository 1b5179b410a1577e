package storage_test

import (
	"errors"
	"io"
	"testing"

	gcs "cloud.google.com/go/storage"
	"google.golang.org/api/googleapi"
	"google.golang.org/grpc/codes"

	"github.com/millrace-ml/millrace/internal/localcloud/chaos"
	"github.com/millrace-ml/millrace/internal/localcloud/storage"
)

// write is one whole write by Google's client.
func write(t *testing.T, o *gcs.ObjectHandle, content string, chunk int) (*gcs.ObjectAttrs, error) {
	t.Helper()
	w := o.NewWriter(t.Context())
	w.ChunkSize = chunk
	if _, err := io.WriteString(w, content); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return w.Attrs(), nil
}

func status(err error) int {
	var api *googleapi.Error
	switch {
	case err == nil:
		return 200
	case errors.As(err, &api):
		return api.Code
	case errors.Is(err, gcs.ErrObjectNotExist):
		return 404
	}
	return -1
}

const multipart = 16 << 20 // a chunk size that no test content reaches

// TestLostAnswers is what Google's client makes of an answer that got lost although its call applied, or of a failure
// before it applied.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	full := data(3*block + 77)
	notThere := gcs.Conditions{DoesNotExist: true}
	insert := func(o *gcs.ObjectHandle, chunk int) func(*testing.T) error {
		return func(t *testing.T) error { _, err := write(t, o, full, chunk); return err }
	}
	for name, c := range map[string]struct {
		match string
		n     int
		after bool
		call  func(b *gcs.BucketHandle) func(*testing.T) error
		want  int
		calls int // requests of that kind that the server saw
	}{
		"multipart with DoesNotExist gets 412 from its own write": {"storage:objects.insert", 1, true,
			func(b *gcs.BucketHandle) func(*testing.T) error { return insert(b.Object("o").If(notThere), multipart) }, 412, 2},
		"multipart with DoesNotExist that never arrived is repeated": {"storage:objects.insert", 1, false,
			func(b *gcs.BucketHandle) func(*testing.T) error { return insert(b.Object("o").If(notThere), multipart) }, 200, 2},
		"multipart without precondition is not repeated": {"storage:objects.insert", 1, true,
			func(b *gcs.BucketHandle) func(*testing.T) error { return insert(b.Object("o"), multipart) }, 503, 1},
		"start of a resumable upload": {"storage:objects.insert.start", 1, true,
			func(b *gcs.BucketHandle) func(*testing.T) error { return insert(b.Object("o").If(notThere), block) }, 200, 2},
		"first chunk": {"storage:objects.insert.chunk", 1, true,
			func(b *gcs.BucketHandle) func(*testing.T) error { return insert(b.Object("o").If(notThere), block) }, 200, 5},
		"middle chunk": {"storage:objects.insert.chunk", 2, true,
			func(b *gcs.BucketHandle) func(*testing.T) error { return insert(b.Object("o").If(notThere), block) }, 200, 5},
		"middle chunk that never arrived": {"storage:objects.insert.chunk", 2, false,
			func(b *gcs.BucketHandle) func(*testing.T) error { return insert(b.Object("o").If(notThere), block) }, 200, 5},
		"last chunk": {"storage:objects.insert.chunk", 4, true,
			func(b *gcs.BucketHandle) func(*testing.T) error { return insert(b.Object("o").If(notThere), block) }, 200, 5},
		"delete of a generation is 404 to its own repetition": {"storage:objects.delete", 1, true,
			func(b *gcs.BucketHandle) func(*testing.T) error {
				return func(t *testing.T) error {
					a, err := write(t, b.Object("o"), full, multipart)
					if err != nil {
						return err
					}
					return b.Object("o").Generation(a.Generation).Delete(t.Context())
				}
			}, 404, 2},
		"read": {"storage:objects.media", 1, true,
			func(b *gcs.BucketHandle) func(*testing.T) error {
				return func(t *testing.T) error {
					if _, err := write(t, b.Object("o"), full, multipart); err != nil {
						return err
					}
					r, err := b.Object("o").NewReader(t.Context())
					if err != nil {
						return err
					}
					_, err = io.ReadAll(r)
					return errors.Join(err, r.Close())
				}
			}, 200, 2},
		"rewrite with DoesNotExist gets 412 from its own write": {"storage:objects.rewrite", 1, true,
			func(b *gcs.BucketHandle) func(*testing.T) error {
				return func(t *testing.T) error {
					if _, err := write(t, b.Object("o"), full, multipart); err != nil {
						return err
					}
					_, err := b.Object("copy").If(notThere).CopierFrom(b.Object("o")).Run(t.Context())
					return err
				}
			}, 412, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, storage.Options{Chaos: &chaos.Switch{}})
			if err := s.CreateBucket("box"); err != nil {
				t.Fatal(err)
			}
			sw := s.chaos(t)
			sw.Arm(chaos.Fault{Match: c.match, N: c.n, After: c.after, Code: codes.Unavailable})
			b := s.client(t).Bucket("box")
			if got := status(c.call(b)(t)); got != c.want {
				t.Errorf("status %d, want %d", got, c.want)
			}
			calls := 0
			for _, name := range sw.Calls() {
				if name == c.match {
					calls++
				}
			}
			if calls != c.calls {
				t.Errorf("%d calls of %s, want %d: %v", calls, c.match, c.calls, sw.Calls())
			}
			if sw.Disarm() != 0 {
				t.Error("the fault did not strike")
			}
			if c.want == 404 {
				return
			}
			s.holds(t, "o", full)
			if n := len(s.names(t)); n != map[bool]int{true: 2, false: 1}[c.match == "storage:objects.rewrite"] {
				t.Errorf("%d objects", n)
			}
		})
	}
}

// A finished upload whose last answer was lost is the same object to the repetition, not a second one.
func TestLostLastChunkIsOneGeneration(t *testing.T) {
	t.Parallel()
	s := start(t, storage.Options{Chaos: &chaos.Switch{}})
	if err := s.CreateBucket("box"); err != nil {
		t.Fatal(err)
	}
	if err := s.Notify("box", "projects/p/topics/t", ""); err != nil {
		t.Fatal(err)
	}
	s.chaos(t).Arm(chaos.Fault{Match: "storage:objects.insert.chunk", N: 2, After: true})
	a, err := write(t, s.client(t).Bucket("box").Object("o"), data(2*block), block)
	if err != nil {
		t.Fatal(err)
	}
	events, err := s.Events().Next("projects/p/topics/t", "", 10)
	if err != nil {
		t.Fatal(err)
	}
	if len(events) != 1 || events[0].Attributes["objectGeneration"] == "" || a.Size != 2*block {
		t.Errorf("%d events, size %d", len(events), a.Size)
	}
}
