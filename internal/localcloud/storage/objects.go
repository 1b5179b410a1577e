package storage

import (
	"net/http"
)

func (s *Server) objectsGet(w http.ResponseWriter, r *http.Request, c call) error {
	p, err := conditionsOf(r)
	if err != nil {
		return err
	}
	var o *object
	err = s.view(func(t *txn) (err error) {
		o, err = t.live(c.bucket, c.object, p, true)
		return err
	})
	if err != nil {
		return err
	}
	w.Header().Set("ETag", o.etag())
	return answer(w, r, o.resource(baseOf(r)))
}

// objectsUpdate changes attributes: PATCH those that are named, PUT all. The content and its generation stay.
func (s *Server) objectsUpdate(w http.ResponseWriter, r *http.Request, c call) error {
	p, err := conditionsOf(r)
	if err != nil {
		return err
	}
	fields, err := readFields(w, r)
	if err != nil {
		return err
	}
	var o *object
	err = s.commit(func(t *txn) (err error) {
		if o, err = t.live(c.bucket, c.object, p, false); err != nil {
			return err
		}
		if r.Method == http.MethodPut {
			o.attributes = attributes{}
		}
		if err := o.apply(fields); err != nil {
			return err
		}
		o.Metageneration++
		o.Updated = s.now().UTC()
		return t.putObject(o)
	})
	if err != nil {
		return err
	}
	return answer(w, r, o.resource(baseOf(r)))
}

// objectsDelete answers an empty 204: gcloud takes a body for a failure.
func (s *Server) objectsDelete(w http.ResponseWriter, r *http.Request, c call) error {
	p, err := conditionsOf(r)
	if err != nil {
		return err
	}
	err = s.commit(func(t *txn) error {
		o, err := t.live(c.bucket, c.object, p, false)
		if err != nil {
			return err
		}
		return t.deleteObject(o)
	})
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// baseOf is the address under which the caller reached us, for the links in answers.
func baseOf(r *http.Request) string { return "http://" + r.Host }
