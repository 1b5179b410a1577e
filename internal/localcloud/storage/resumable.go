package storage

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
)

// uploadStart opens a session and answers where its chunks go.
func (s *Server) uploadStart(w http.ResponseWriter, r *http.Request, c call) error {
	p, err := conditionsOf(r)
	if err != nil {
		return err
	}
	fields, err := readFields(w, r)
	if err != nil {
		return err
	}
	u, err := newUpload(r, c.bucket, fields, r.Header.Get("X-Upload-Content-Type"))
	if err != nil {
		return err
	}
	total, err := lengthOf(r, "X-Upload-Content-Length")
	if err != nil {
		return err
	}
	if err := s.early(u, p); err != nil {
		return err
	}
	id, err := s.startSession(&session{Upload: u, Conditions: p, Body: newID(), Total: total, Started: s.now().UTC()})
	if err != nil {
		return err
	}
	w.Header().Set("X-GUploader-UploadID", id)
	w.Header().Set("Location", baseOf(r)+"/upload/storage/v1/b/"+c.bucket+"/o?uploadType=resumable&upload_id="+id)
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(http.StatusOK)
	return nil
}

// uploadChunk takes the next bytes of a session, or says how many it has.
func (s *Server) uploadChunk(w http.ResponseWriter, r *http.Request, c call) error {
	unlock, err := s.locks.lock(r.Context(), c.id)
	if err != nil {
		return err
	}
	defer unlock()
	var ses *session
	if err := s.view(func(t *txn) (err error) { ses, err = t.session(c.id); return err }); err != nil {
		return err
	}
	if ses.Upload.Bucket != c.bucket {
		return notFound("No such upload in bucket %s: %s", c.bucket, c.id)
	}
	ch, err := parseChunk(r)
	if err != nil {
		return err
	}
	if ses.Answer != nil {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return brokenBody(err)
		}
		return answer(w, r, ses.Answer)
	}
	if err := ch.fits(ses); err != nil {
		return err
	}
	if err := ses.Upload.Claim.header(r); err != nil {
		return err
	}
	if err := s.takeChunk(c.id, ses, ch, r.Body); err != nil {
		return err
	}
	if ses.Total < 0 || ses.Size < ses.Total {
		return incomplete(w, r, ses.Size)
	}
	o, err := s.endSession(r, c.id, ses)
	if err != nil {
		return err
	}
	return answer(w, r, o.resource(baseOf(r)))
}

// incomplete says how much is here. Senders that would take a 308 for a redirect ask for it in a header.
func incomplete(w http.ResponseWriter, r *http.Request, size int64) error {
	if size > 0 {
		w.Header().Set("Range", fmt.Sprintf("bytes=0-%d", size-1))
	}
	w.Header().Set("Content-Length", "0")
	if r.Header.Get("X-GUploader-No-308") == "yes" {
		w.Header().Set("X-Http-Status-Code-Override", "308")
		w.WriteHeader(http.StatusOK)
		return nil
	}
	w.WriteHeader(http.StatusPermanentRedirect)
	return nil
}

// takeChunk stores what is new of a chunk and records it. Whole blocks that arrived before a connection broke stay, so
// that a sender that asks can go on from there.
func (s *Server) takeChunk(id string, ses *session, ch chunk, in io.Reader) error {
	if ch.query {
		return nil
	}
	f, err := os.OpenFile(s.bodyPath(ses.Body), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	before := *ses
	err = s.copyChunk(f, ses, ch, in)
	if ses.Size > before.Size {
		err = errors.Join(err, s.syncFile(f))
	}
	if cerr := f.Close(); cerr != nil {
		err = errors.Join(err, cerr)
	}
	if ses.Size == before.Size && ses.Total == before.Total {
		return err
	}
	return errors.Join(err, s.commit(func(t *txn) error {
		if _, err := t.session(id); err != nil {
			return err
		}
		return t.putJSON(uploadsKey, []byte(id), ses)
	}))
}

// copyChunk skips the bytes of the chunk that are here already, since a sender that lost an answer sends them again, and
// appends the rest block by block.
func (s *Server) copyChunk(f *os.File, ses *session, ch chunk, in io.Reader) error {
	b := &body{crc: ses.CRC, size: ses.Size}
	var err error
	if b.md5, err = restoreMD5(ses.MD5State); err != nil {
		return err
	}
	if skip := min(ses.Size-ch.first, ch.length); skip > 0 {
		if _, err := io.CopyN(io.Discard, in, skip); err != nil {
			return brokenBody(err)
		}
	}
	buf := blocks.Get().(*[]byte)
	defer blocks.Put(buf)
	for want := ch.first + ch.length; b.size < want; {
		block := (*buf)[:min(blockSize-b.size%blockSize, want-b.size)]
		if _, err := io.ReadFull(in, block); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return brokenBody(err)
		}
		if _, err := f.WriteAt(block, b.size); err != nil {
			return err
		}
		b.hash(block)
		ses.Size, ses.CRC = b.size, b.crc
		if ses.MD5State, err = md5State(b.md5); err != nil {
			return err
		}
	}
	if ch.total >= 0 {
		ses.Total = ch.total
	}
	return nil
}

// endSession makes the bytes the object, in one transaction with the end of the session.
func (s *Server) endSession(r *http.Request, id string, ses *session) (*object, error) {
	b := &body{id: ses.Body, size: ses.Size, crc: ses.CRC}
	var err error
	if b.md5, err = restoreMD5(ses.MD5State); err != nil {
		return nil, err
	}
	if err := os.Truncate(s.bodyPath(ses.Body), ses.Size); err != nil {
		return nil, err
	}
	o, err := s.finish(ses.Upload, b, ses.Conditions, func(t *txn, o *object) error {
		now, err := t.session(id)
		if err != nil {
			return err
		}
		if now.Answer, err = json.Marshal(o.resource(baseOf(r))); err != nil {
			return err
		}
		now.Body, now.MD5State = "", nil // the object has the body now
		return t.putJSON(uploadsKey, []byte(id), now)
	})
	if err != nil && reasonOf(err) == reasonInvalid { // the content is not what its sender claims: nothing to go on with
		err = errors.Join(err, s.commit(func(t *txn) error { return t.dropSession(id) }))
	}
	return o, err
}
