package storage

import (
	"bytes"
	"context"
	"crypto/md5" // Cloud Storage's own checksum of objects
	"crypto/rand"
	"encoding"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"io/fs"
	"net/http"
	"os"
	"sync"
)

// inlineLimit is the size up to which a body lives in the database: one transaction and no file to sync.
const inlineLimit = 64 << 10

// blockSize is what is read, hashed and written at a time, and the unit of resumable uploads.
const blockSize = 256 << 10

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var blocks = sync.Pool{New: func() any { b := make([]byte, blockSize); return &b }}

// body is the content of an object on its way in: hashed while it is written, in the database later if it is small, else
// in a file of a random name.
type body struct {
	id     string
	inline []byte
	file   *os.File
	size   int64
	crc    uint32
	md5    hash.Hash
}

func newBody() *body {
	return &body{id: newID(), md5: md5.New()} // see the import
}

// hash counts the next bytes in.
func (b *body) hash(p []byte) {
	b.size += int64(len(p))
	b.crc = crc32.Update(b.crc, castagnoli, p)
	_, _ = b.md5.Write(p) // never fails
}

func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// appendBody takes the next bytes, moving to a file when they become too many for the database.
func (s *Server) appendBody(b *body, p []byte) error {
	b.hash(p)
	if b.file == nil && b.size <= inlineLimit {
		b.inline = append(b.inline, p...)
		return nil
	}
	if b.file == nil {
		f, err := os.OpenFile(s.bodyPath(b.id), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		b.file = f
		if _, err := f.Write(b.inline); err != nil {
			return err
		}
		b.inline = nil
	}
	_, err := b.file.Write(p)
	return err
}

// receive reads a whole body. On an error nothing of it stays.
func (s *Server) receive(r io.Reader) (*body, error) {
	b := newBody()
	buf := blocks.Get().(*[]byte)
	defer blocks.Put(buf)
	for {
		n, err := readBlock(r, *buf)
		if werr := s.appendBody(b, (*buf)[:n]); werr != nil {
			s.discard(b)
			return nil, fmt.Errorf("write body: %w", werr)
		}
		switch {
		case errors.Is(err, io.EOF):
			return b, s.seal(b)
		case err != nil:
			s.discard(b)
			return nil, brokenBody(err)
		}
	}
}

// readBlock fills buf as far as r goes and returns r's own error, unlike io.ReadFull, whose ErrUnexpectedEOF does not
// tell a short last block from a broken connection.
func readBlock(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var m int
		m, err = r.Read(buf[n:])
		n += m
	}
	return n, err
}

func brokenBody(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return refuse(http.StatusRequestTimeout, "requestTimeout", "the request's body stood still for too long")
	}
	return invalid("The request's body ended early or is malformed: %v", err)
}

// seal makes the bytes durable, before any record names them.
func (s *Server) seal(b *body) error {
	if b.file == nil {
		return nil
	}
	err := s.syncFile(b.file)
	if cerr := b.file.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = s.syncDir()
	}
	if err != nil {
		s.discard(b)
		return fmt.Errorf("make body durable: %w", err)
	}
	return nil
}

func (s *Server) syncFile(f *os.File) error {
	if s.noSync {
		return nil
	}
	return f.Sync()
}

func (s *Server) syncDir() error {
	if s.noSync {
		return nil
	}
	d, err := os.Open(s.bodies)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return d.Sync()
}

// discard removes a body that no record names.
func (s *Server) discard(b *body) {
	if b.file == nil {
		return
	}
	_ = b.file.Close() // may be closed already
	if err := os.Remove(s.bodyPath(b.id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Warn("an unused body stays until the next start", "body", b.id, "error", err.Error())
	}
}

// object is the part of a record that the content decides.
func (b *body) object(bucket, name string, a attributes) *object {
	return &object{bucket: bucket, name: name, attributes: a, Size: b.size, CRC32C: b.crc, MD5: b.md5.Sum(nil), Body: b.id}
}

// md5State and restoreMD5 carry the hash of an unfinished upload over a restart.
func md5State(h hash.Hash) ([]byte, error) { return h.(encoding.BinaryMarshaler).MarshalBinary() }

func restoreMD5(state []byte) (hash.Hash, error) {
	h := md5.New() // see the import
	if len(state) == 0 {
		return h, nil
	}
	return h, h.(encoding.BinaryUnmarshaler).UnmarshalBinary(state)
}

// content is an open body. It stays readable after its object was overwritten or deleted.
type content interface {
	io.ReadSeeker
	io.Closer
}

type inlineContent struct{ *bytes.Reader }

func (inlineContent) Close() error { return nil }

// openBody opens the body of an object inside the transaction that found it.
func (t *txn) openBody(id string) (content, error) {
	v := t.tx.Bucket(bodiesKey).Get([]byte(id))
	if len(v) >= bodyHeader && v[bodyHeader-1] == inlineBody {
		return inlineContent{bytes.NewReader(bytes.Clone(v[bodyHeader:]))}, nil
	}
	return os.Open(t.s.bodyPath(id))
}

// open finds an object and opens its body. A body may be unlinked between the snapshot and the opening; then the record
// has changed too, and the next look sees the newer one.
func (s *Server) open(bucket, name string, p preconditions) (o *object, c content, err error) {
	for range 100 {
		err = s.view(func(t *txn) error {
			if o, err = t.live(bucket, name, p, true); err != nil {
				return err
			}
			c, err = t.openBody(o.Body)
			return err
		})
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return o, c, err
}
