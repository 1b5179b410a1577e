package storage

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
)

// rewrite copies an object in one transaction: the copy shares the bytes of its source, so it takes the same time for any
// size and is always done in one call. Also serves copyTo.
func (s *Server) rewrite(w http.ResponseWriter, r *http.Request, c call) error {
	src, dst, err := bothConditions(r)
	if err != nil {
		return err
	}
	if err := checkObjectName(c.dst.object); err != nil {
		return err
	}
	fields, err := readFields(w, r)
	if err != nil {
		return err
	}
	var o *object
	err = s.commit(func(t *txn) error {
		from, err := t.live(c.bucket, c.object, src, false)
		if err != nil {
			return err
		}
		old, err := t.target(c.dst.bucket, c.dst.object, dst)
		if err != nil {
			return err
		}
		copied := *from
		o = &copied
		o.bucket, o.name = c.dst.bucket, c.dst.object
		if namesAttributes(fields) {
			o.attributes = attributes{}
		}
		if err := o.apply(fields); err != nil {
			return err
		}
		if err := t.retain(o.Body); err != nil {
			return err
		}
		return t.create(o, old)
	})
	if err != nil {
		return err
	}
	if c.name == "objects.copy" {
		return answer(w, r, o.resource(baseOf(r)))
	}
	size := strconv.FormatInt(o.Size, 10)
	return answer(w, r, map[string]any{
		"kind": "storage#rewriteResponse", "done": true, "totalBytesRewritten": size, "objectSize": size,
		"resource": o.resource(baseOf(r)),
	})
}

func bothConditions(r *http.Request) (src, dst preconditions, err error) {
	if src, err = sourceConditions(r.URL.Query()); err != nil {
		return src, dst, err
	}
	dst, err = conditionsOf(r)
	return src, dst, err
}

// target is what a new content of a name would replace, after its preconditions.
func (t *txn) target(bucket, name string, p preconditions) (*object, error) {
	old, err := t.object(bucket, name)
	if err != nil {
		return nil, err
	}
	if p.Generation != nil && (old == nil || *p.Generation != old.Generation) {
		return nil, noObject(bucket, name)
	}
	return old, p.check(old, false)
}

// namesAttributes says that a copy's body sets attributes: then they are the copy's whole set, else the source's stay.
// A storage class alone changes nothing else.
func namesAttributes(fields map[string]json.RawMessage) bool {
	return slices.ContainsFunc([]string{
		"contentType", "contentEncoding", "contentDisposition", "contentLanguage", "cacheControl", "customTime", "metadata",
	}, func(f string) bool { return fields[f] != nil })
}

// move renames an object in its bucket, as a new generation.
func (s *Server) move(w http.ResponseWriter, r *http.Request, c call) error {
	src, dst, err := bothConditions(r)
	if err != nil {
		return err
	}
	if err := checkObjectName(c.dst.object); err != nil {
		return err
	}
	if c.object == c.dst.object {
		return invalid("The source and the destination of a move are the same object: %s", c.object)
	}
	var o *object
	err = s.commit(func(t *txn) error {
		from, err := t.live(c.bucket, c.object, src, false)
		if err != nil {
			return err
		}
		old, err := t.target(c.dst.bucket, c.dst.object, dst)
		if err != nil {
			return err
		}
		moved := *from
		o = &moved
		o.name = c.dst.object
		if err := t.retain(o.Body); err != nil {
			return err
		}
		if err := t.create(o, old); err != nil {
			return err
		}
		return t.deleteObject(from)
	})
	if err != nil {
		return err
	}
	return answer(w, r, o.resource(baseOf(r)))
}

// composeRequest is the body of compose.
type composeRequest struct {
	Destination   map[string]json.RawMessage `json:"destination"`
	DeleteSources json.RawMessage            `json:"deleteSourceObjects"`
	SourceObjects []struct {
		Name                string      `json:"name"`
		Generation          json.Number `json:"generation"`
		ObjectPreconditions struct {
			IfGenerationMatch json.Number `json:"ifGenerationMatch"`
		} `json:"objectPreconditions"`
	} `json:"sourceObjects"`
}

// maxSources is Cloud Storage's limit of a compose.
const maxSources = 32

// compose writes the bytes of up to 32 objects of a bucket one after another into a new one.
func (s *Server) compose(w http.ResponseWriter, r *http.Request, c call) error {
	p, err := conditionsOf(r)
	if err != nil {
		return err
	}
	req, a, err := parseCompose(w, r, c)
	if err != nil {
		return err
	}
	for range 10 { // sources that change meanwhile are read again
		o, err := s.composeOnce(c, req, a, p)
		if errors.Is(err, errSourceChanged) {
			continue
		}
		if err != nil {
			return err
		}
		return answer(w, r, o.resource(baseOf(r)))
	}
	return refuse(http.StatusServiceUnavailable, "backendError", "the sources of the compose keep changing, try again")
}

func parseCompose(w http.ResponseWriter, r *http.Request, c call) (*composeRequest, attributes, error) {
	var req composeRequest
	var a attributes
	if err := checkObjectName(c.object); err != nil {
		return nil, a, err
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&req); err != nil {
		return nil, a, refuse(http.StatusBadRequest, "parseError", "Parse Error: %v", err)
	}
	if req.DeleteSources != nil && !isEmpty(req.DeleteSources) {
		return nil, a, notOffered("compose with deleteSourceObjects")
	}
	if n := len(req.SourceObjects); n == 0 || n > maxSources {
		return nil, a, invalid("The number of source components provided (%d) is not between 1 and %d", n, maxSources)
	}
	return &req, a, a.apply(req.Destination)
}

var errSourceChanged = errors.New("a source of the compose changed")

func (s *Server) composeOnce(c call, req *composeRequest, a attributes, p preconditions) (*object, error) {
	b := newBody()
	var sources []*object
	components := 0
	for _, src := range req.SourceObjects {
		o, err := s.composeSource(b, c.bucket, src.Name, src.Generation, src.ObjectPreconditions.IfGenerationMatch)
		if err != nil {
			s.discard(b)
			return nil, err
		}
		sources = append(sources, o)
		components += max(1, o.Components)
	}
	if err := s.seal(b); err != nil {
		return nil, err
	}
	o := b.object(c.bucket, c.object, a)
	o.MD5, o.Components = nil, components // Cloud Storage has no MD5 of composed objects
	err := s.commit(func(t *txn) error {
		old, err := t.target(c.bucket, c.object, p)
		if err != nil {
			return err
		}
		for _, src := range sources {
			now, err := t.object(c.bucket, src.name)
			if err != nil {
				return err
			}
			if now == nil || now.Generation != src.Generation {
				return errSourceChanged
			}
		}
		if err := t.addBody(b); err != nil {
			return err
		}
		return t.create(o, old)
	})
	if err != nil {
		s.discard(b)
		return nil, err
	}
	return o, nil
}

// composeSource appends one source to b.
func (s *Server) composeSource(b *body, bucket, name string, generation, match json.Number) (*object, error) {
	var p preconditions
	var err error
	if generation != "" {
		if p.Generation, err = parseGeneration("sourceObjects.generation", generation.String()); err != nil {
			return nil, err
		}
	}
	if match != "" {
		if p.GenMatch, err = parseGeneration("objectPreconditions.ifGenerationMatch", match.String()); err != nil {
			return nil, err
		}
	}
	o, content, err := s.open(bucket, name, p)
	if err != nil {
		return nil, err
	}
	defer func() { _ = content.Close() }()
	_, err = io.Copy(writerFunc(func(data []byte) (int, error) { return len(data), s.appendBody(b, data) }), content)
	return o, err
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
