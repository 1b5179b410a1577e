package storage

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"
)

// sessionLife is how long a resumable upload, or the answer of a finished one, is kept.
const sessionLife = 7 * 24 * time.Hour

// session is a resumable upload. Its record is written when it starts and after each request that brought bytes; what the
// file holds beyond Size is overwritten.
type session struct {
	Upload     upload        `json:"upload"`
	Conditions preconditions `json:"conditions"`
	Body       string        `json:"body"` // a file, referenced from the start
	Size       int64         `json:"size"`
	CRC        uint32        `json:"crc"`
	MD5State   []byte        `json:"md5_state,omitempty"`
	Total      int64         `json:"total"` // -1 = not said yet
	Started    time.Time     `json:"started"`
	// Answer is the finished object as its sender was or should have been told. A repeated last chunk gets it again: the
	// Go client repeats a chunk whose answer it lost.
	Answer json.RawMessage `json:"answer,omitempty"`
}

func (s *Server) startSession(ses *session) (string, error) {
	f, err := os.OpenFile(s.bodyPath(ses.Body), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return "", err
	}
	err = errors.Join(f.Close(), s.syncDir())
	id := newID()
	if err == nil {
		err = s.commit(func(t *txn) error {
			if err := t.addBody(&body{id: ses.Body, file: f}); err != nil {
				return err
			}
			return t.putJSON(uploadsKey, []byte(id), ses)
		})
	}
	if err != nil {
		s.discard(&body{id: ses.Body, file: f})
		return "", fmt.Errorf("start upload: %w", err)
	}
	return id, nil
}

func (t *txn) session(id string) (*session, error) {
	v := t.tx.Bucket(uploadsKey).Get([]byte(id))
	if v == nil {
		return nil, notFound("No such upload: %s", id)
	}
	ses := &session{}
	if err := json.Unmarshal(v, ses); err != nil {
		return nil, fmt.Errorf("record of upload %s: %w", id, err)
	}
	return ses, nil
}

// uploadCancel ends a session without an object.
func (s *Server) uploadCancel(w http.ResponseWriter, r *http.Request, c call) error {
	unlock, err := s.locks.lock(r.Context(), c.id)
	if err != nil {
		return err
	}
	defer unlock()
	err = s.commit(func(t *txn) error {
		ses, err := t.session(c.id)
		if err != nil {
			return err
		}
		if ses.Answer != nil {
			return notFound("The upload is finished: %s", c.id)
		}
		return t.dropSession(c.id)
	})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(499) // Cloud Storage's answer to a cancel that worked
	return nil
}

func (t *txn) dropSession(id string) error {
	ses, err := t.session(id)
	if err != nil {
		return err
	}
	t.dirty = true
	if ses.Body != "" {
		if err := t.release(ses.Body); err != nil {
			return err
		}
	}
	return t.tx.Bucket(uploadsKey).Delete([]byte(id))
}

// expireSessions drops those that are older than Cloud Storage would keep them.
func (s *Server) expireSessions() error {
	return s.commit(func(t *txn) error {
		var old []string
		err := t.tx.Bucket(uploadsKey).ForEach(func(k, v []byte) error {
			var ses session
			if err := json.Unmarshal(v, &ses); err != nil {
				return err
			}
			if s.now().Sub(ses.Started) > sessionLife {
				old = append(old, string(k))
			}
			return nil
		})
		for _, id := range old {
			if err == nil {
				err = t.dropSession(id)
			}
		}
		return err
	})
}
