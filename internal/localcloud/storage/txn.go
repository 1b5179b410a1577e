package storage

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"
)

// txn is one transaction on the records, shared with other requests where bbolt can join them. Its functions may run
// several times, so they keep what they learn in it and touch nothing outside.
type txn struct {
	s     *Server
	tx    *bolt.Tx
	dirty bool // something was written: a refusal now must roll back
	known map[string]*bucket
	dead  []string // bodies whose last reference went, unlinked after the commit
}

// commit runs fn in one durable transaction. A refusal (apiError) before the first write leaves the shared transaction to
// its other members; later ones roll back.
func (s *Server) commit(fn func(*txn) error) error {
	var t *txn
	var refusal *apiError
	err := s.db.Batch(func(tx *bolt.Tx) error {
		t, refusal = &txn{s: s, tx: tx}, nil
		err := fn(t)
		if !t.dirty && errors.As(err, &refusal) {
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	if refusal != nil {
		return refusal
	}
	for _, id := range t.dead {
		if err := os.Remove(s.bodyPath(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.log.Warn("a replaced body stays until the next start", "body", id, "error", err.Error())
		}
	}
	return nil
}

// view runs fn on one snapshot.
func (s *Server) view(fn func(*txn) error) error {
	return s.db.View(func(tx *bolt.Tx) error { return fn(&txn{s: s, tx: tx}) })
}

func (s *Server) bodyPath(id string) string { return filepath.Join(s.bodies, id) }

// bucket finds a bucket. The result is shared within the transaction: who changes it stores it too.
func (t *txn) bucket(name string) (*bucket, error) {
	if b := t.known[name]; b != nil {
		return b, nil
	}
	v := t.tx.Bucket(bucketsKey).Get([]byte(name))
	if v == nil {
		return nil, notFound("The specified bucket does not exist: %s", name)
	}
	b := &bucket{}
	if err := json.Unmarshal(v, b); err != nil {
		return nil, fmt.Errorf("record of bucket %s: %w", name, err)
	}
	if t.known == nil {
		t.known = map[string]*bucket{}
	}
	t.known[name] = b
	return b, nil
}

func (t *txn) putBucket(b *bucket) error { return t.putJSON(bucketsKey, []byte(b.Name), b) }

func (t *txn) putJSON(top, key []byte, v any) error {
	enc, err := json.Marshal(v)
	if err != nil {
		return err
	}
	t.dirty = true
	return t.tx.Bucket(top).Put(key, enc)
}

// object is the live object of a name, nil if there is none. A missing bucket is an error.
func (t *txn) object(bucket, name string) (*object, error) {
	if _, err := t.bucket(bucket); err != nil {
		return nil, err
	}
	v := t.tx.Bucket(objectsKey).Get(objectKey(bucket, name))
	if v == nil {
		return nil, nil
	}
	return decodeObject(bucket, name, v)
}

// live is object for calls that need one: the preconditions hold for it, and a generation that the caller names is it.
func (t *txn) live(bucket, name string, p preconditions, read bool) (*object, error) {
	o, err := t.object(bucket, name)
	if err != nil {
		return nil, err
	}
	if o == nil || (p.Generation != nil && *p.Generation != o.Generation) {
		return nil, noObject(bucket, name)
	}
	if err := p.check(o, read); err != nil {
		return nil, err
	}
	return o, nil
}

func noObject(bucket, name string) error {
	return notFound("No such object: %s/%s", bucket, name)
}

// nextGeneration gives each content its number: the time in microseconds, and always above the last one given, whatever
// the clock does.
func (t *txn) nextGeneration() (int64, error) {
	meta := t.tx.Bucket(metaKey)
	gen := t.s.now().UnixMicro()
	if v := meta.Get(generationKey); len(v) == 8 {
		gen = max(gen, int64(binary.BigEndian.Uint64(v))+1)
	}
	t.dirty = true
	return gen, meta.Put(generationKey, binary.BigEndian.AppendUint64(nil, uint64(gen)))
}

var generationKey = []byte("generation")

// create makes o the live object of its name, as a new generation with its event; the content it replaces goes.
// o.Body must be referenced already.
func (t *txn) create(o, old *object) error {
	gen, err := t.nextGeneration()
	if err != nil {
		return err
	}
	now := t.s.now().UTC()
	o.Generation, o.Metageneration, o.Created, o.Updated = gen, 1, now, now
	if o.StorageClass == "" {
		o.StorageClass = "STANDARD"
	}
	if err := t.putObject(o); err != nil {
		return err
	}
	if old != nil {
		if err := t.release(old.Body); err != nil {
			return err
		}
	}
	return t.finalised(o, old)
}

func (t *txn) putObject(o *object) error {
	return t.putJSON(objectsKey, objectKey(o.bucket, o.name), o)
}

func (t *txn) deleteObject(o *object) error {
	t.dirty = true
	if err := t.tx.Bucket(objectsKey).Delete(objectKey(o.bucket, o.name)); err != nil {
		return err
	}
	return t.release(o.Body)
}

// A record in bodiesKey is 4 bytes of reference count, one byte that tells where the bytes are, and these if inline.
const (
	bodyHeader = 5
	fileBody   = 0
	inlineBody = 1
)

// addBody enters a new body, with its bytes if it is inline, and one reference to it.
func (t *txn) addBody(b *body) error {
	t.dirty = true
	v := make([]byte, 0, bodyHeader+len(b.inline))
	v = binary.BigEndian.AppendUint32(v, 1)
	if b.file != nil {
		v = append(v, fileBody)
	} else {
		v = append(append(v, inlineBody), b.inline...)
	}
	return t.tx.Bucket(bodiesKey).Put([]byte(b.id), v)
}

// retain adds a reference to a body: a copy shares the bytes of its source.
func (t *txn) retain(id string) error { return t.refer(id, 1) }

// release takes a reference away; the last one takes the body with it.
func (t *txn) release(id string) error { return t.refer(id, -1) }

func (t *txn) refer(id string, delta int) error {
	t.dirty = true
	b := t.tx.Bucket(bodiesKey)
	v := b.Get([]byte(id))
	if len(v) < bodyHeader {
		return fmt.Errorf("body %s: no record of it", id)
	}
	refs := int(binary.BigEndian.Uint32(v)) + delta
	if refs > 0 {
		next := binary.BigEndian.AppendUint32(make([]byte, 0, len(v)), uint32(refs)) // positive, far below 2^32
		return b.Put([]byte(id), append(next, v[bodyHeader-1:]...))
	}
	if v[bodyHeader-1] == fileBody {
		t.dead = append(t.dead, id)
	}
	return b.Delete([]byte(id))
}
